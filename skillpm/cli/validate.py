"""``skillpm validate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import exit_with, is_set
from skillpm.cli.context import command_context
from skillpm.cli.findings import format_options, print_rules, show
from skillpm.cli.options import allow_option, choice_option
from skillpm.cli.output import count, note, safe
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.ops.authoring.validate import Mending


@click.command("validate", epilog="Example: skillpm validate skills/incident-triage --level strict")
@click.argument("paths", metavar="PATH...", nargs=-1, type=TypedPath())
@choice_option(
    "--level",
    choices=("lenient", "strict", "publish"),
    default="lenient",
    text="lenient asks what `install` takes, publish what `publish` takes, strict what the specification says.",
)
@click.option("--fix", is_flag=True, help="Fix findings in SKILL.md that have one right answer, and print the change.")
@click.option("--dry-run", is_flag=True, help="With --fix: print the change; write nothing.")
@click.option("--rules", "show_rules", is_flag=True, help="List the rules instead of checking.")
@allow_option
@format_options
def command(paths: tuple[Path, ...], level: str, **flags: Any) -> None:
    """Check skills: a skill's folder, its SKILL.md, a folder of skills, or an archive.

    Answers two questions: will it install, and does it follow the specification? `--level` chooses which of them
    decides the severities and the exit code, which is 1 if there is an error. Runs no code of a skill.
    """
    from skillpm.layout.rule import Level
    from skillpm.ops.authoring.validate import PUBLISH_RULES, rules_of, validate
    from skillpm.trust.allowance import Allowance, refuse_unmet

    fix, dry_run = flags["fix"], flags["dry_run"]
    if flags["show_rules"]:
        print_rules([rule.text() for rule in PUBLISH_RULES])
        return
    if not paths:
        raise UsageError(
            "`skillpm validate` needs PATH", hint="run `skillpm validate .` to check the skill or the skills here"
        )
    if dry_run and not fix:
        raise UsageError("`--dry-run` needs `--fix`", hint="add `--fix`, or remove `--dry-run`")
    mended = _mend(paths, dry_run=dry_run) if fix else []
    allow, extra = Allowance.of(flags["allowed"]), command_context().host.layout_rules()
    reports = [
        report.letting(allow.codes(report.name or "")) for report in validate(paths, level=Level(level), extra=extra)
    ]
    refuse_unmet(allow.skills, {report.name or "" for report in reports})
    texts = [rule.text() for rule in (*rules_of(Level(level)), *extra)]
    if show(reports, texts, "checked", level=level, **({"mended": mended} if fix else {})):
        installs = sum(not report.against_install for report in reports)
        follows = sum(not report.against_specification for report in reports)
        note(f"{installs} of {len(reports)} can be installed, {follows} of {len(reports)} follow the specification")
    exit_with(0 if all(report.ok for report in reports) else 1)


def _mend(paths: tuple[Path, ...], *, dry_run: bool) -> list[Mending]:
    from skillpm.index.packed import is_archive
    from skillpm.ops.authoring.validate import mend_skills

    packed = next((path for path in paths if is_archive(path.name) and path.is_file()), None)
    if packed is not None:
        raise UsageError(f"`--fix` does not change the archive {packed}", hint="unpack it, and fix its folder")
    mendings = mend_skills(paths, dry_run=dry_run)
    for mending in () if is_set("json") or is_set("sarif") else mendings:
        for line in mending.diff.split("\n"):
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
            click.secho(safe(line), fg=colour)
    note(f"{count(len(mendings), 'file')} {'would be fixed' if dry_run else 'fixed'}")
    return mendings
