"""``skillpm drift``."""

from __future__ import annotations

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.complete import known_names
from skillpm.cli.context import command_context
from skillpm.cli.output import count, json_option, note, print_json, safe, table


@click.command("drift", epilog="Example: skillpm drift ./git-skill")
@click.argument("skill", shell_complete=known_names)
@json_option
def command(skill: str) -> None:
    """Compare SKILL, a name or a folder, with the program that it is for, as it is installed here.

    Lists options, values, defaults and subcommands that are new, gone or changed: in the contract, in the command lines
    of SKILL.md, and since `skillpm new --from-cli` read the program. Exits 1 if there is one. The program is only asked
    for its help, in the sandbox.
    """
    from skillpm.ops.authoring.drift import drift

    report = drift(command_context().skill(skill))
    if not print_json(report):
        rows = [(it.file, it.command, it.what, it.subject, it.before, it.now) for it in report.differences]
        if rows:
            table(("file", "command", "what", "which", "skill", "program"), rows)
        programs = ", ".join(report.programs)
        number = count(len(rows), "difference") if rows else "no difference"
        click.echo(safe(f"{report.name}: {number} from {programs}"))
        if report.absent:
            note(f"note: not installed, so not compared: {', '.join(report.absent)}")
        for reason in report.unread:
            note(f"note: not compared: {reason}")
    exit_with(1 if report.differences else 0)
