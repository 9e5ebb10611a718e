"""``skillpm outdated``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.complete import installed_names
from skillpm.cli.context import command_context, note_nothing_installed
from skillpm.cli.options import registry_options, user_option
from skillpm.cli.output import brief, json_option, note, print_json, shown, table, versioned
from skillpm.errors import CheckError

if TYPE_CHECKING:
    from skillpm.ops.project.outdated import Freshness, Outdated


@click.command("outdated", epilog="Example: skillpm outdated --json")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@registry_options("Use this registry for skills that are not locked yet")
@user_option("Check the skills of your home folder.")
@json_option
def command(names: tuple[str, ...]) -> None:
    """List installed skills whose source has a newer release or different content.

    `wanted` is the version that the requirements allow now, `newest` the newest that the source has and that can be
    installed. A skill is `stale` if a folder has another release than skillpm.lock; run `skillpm sync`. Exits 1 if a
    skill is listed.
    """
    from skillpm.ops.project.outdated import outdated

    context = command_context()
    report = outdated(context, names)
    if not print_json({"skills": report.skills, "warnings": report.warnings}):
        if report.skills:
            _print(report)
        else:
            note_nothing_installed(context)
        for warning in report.warnings:
            note(f"warning: {warning}")
    for skill in report.unknown:
        note(f"warning: {versioned(skill.name, skill.locked)} could not be checked: {skill.reason}")
    if report.stale:
        exit_with(CheckError.exit_code)
    elif report.failure is not None:
        exit_with(report.failure.exit_code)


def _print(report: Outdated) -> None:
    if report.stale:
        table(
            ("skill", "locked", "wanted", "newest", "state", "source"),
            [(s.name, *map(shown, (s.locked, s.wanted, s.newest)), _state(s), brief(s.source)) for s in report.stale],
        )
    elif not report.unknown:
        note(f"{len(report.skills)} skill{'s are' if len(report.skills) > 1 else ' is'} up to date")


def _state(skill: Freshness) -> str:
    stands = skill.installed if skill.installed != skill.locked else None
    installed = f" ({shown(stands)} stands in the folders)" if stands is not None else ""
    return f"{skill.state}: {skill.reason}{installed}" if skill.reason else f"{skill.state}{installed}"
