"""``skillpm scan``."""

from __future__ import annotations

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.complete import known_names
from skillpm.cli.context import command_context
from skillpm.cli.findings import format_options, print_rules, show
from skillpm.cli.options import allow_option


@click.command("scan", epilog="Example: skillpm scan ./downloaded-skill")
@click.argument("texts", metavar="[PATH|NAME]...", nargs=-1, shell_complete=known_names)
@allow_option
@click.option("--rules", "show_rules", is_flag=True, help="List the rules instead of scanning.")
@format_options
def command(texts: tuple[str, ...], allowed: tuple[str, ...], show_rules: bool) -> None:
    """Scan skills for hidden content: characters, escapes, binaries, archives, names that collide.

    A PATH, written with a `/`, is a folder, a folder of skills, an archive or a file. A NAME is an installed skill. By
    default, all installed skills are scanned. Exits 1 if an install would refuse what is found. `skillpm install` runs
    the same scan; `skillpm validate` runs it with all other rules.
    """
    from skillpm.ops.authoring.scan import RULES, scan
    from skillpm.trust.allowance import Allowance

    rules = [rule.text() for rule in RULES]
    if show_rules:
        print_rules(rules)
        return
    context = command_context()
    names = texts or tuple(skill.name for skill in context.skills(()))
    reports = scan(context, names, Allowance.of(allowed))
    show(reports, rules, "scanned")
    exit_with(0 if all(report.ok for report in reports) else 1)
