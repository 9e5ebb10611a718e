"""``skillpm verify``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.complete import installed_names
from skillpm.cli.context import command_context, note_nothing_installed
from skillpm.cli.options import user_option
from skillpm.cli.output import count, json_option, note, print_json, safe
from skillpm.errors import CheckError, IntegrityError
from skillpm.formats.as_json import as_json

if TYPE_CHECKING:
    from skillpm.ops.project.verify import Mismatch, Verification


@click.command("verify", epilog="Example: skillpm verify incident-triage")
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=installed_names)
@user_option("Verify the skills of your home folder.")
@json_option
def command(names: tuple[str, ...]) -> None:
    """Compare the store and every agent's folder with skillpm.lock, byte for byte; repair nothing.

    Exits 1 if a folder is missing or edited or a stored skill is missing, 4 if bytes in the store differ from the lock.
    """
    from skillpm.ops.project.verify import verify

    context = command_context()
    verification = verify(context, names)
    if not print_json({"ok": not verification.problems, **as_json(verification)}):
        _print(verification)
        if not verification.skills:
            note_nothing_installed(context)
    if verification.problems:
        exit_with(IntegrityError.exit_code if verification.damaged else CheckError.exit_code)


def _print(verification: Verification) -> None:
    for (skill, place, remedy), group in groupby(
        verification.problems, lambda item: (item.skill, item.place, item.remedy)
    ):
        click.echo(f"{safe(skill)} in {'the store' if place == 'store' else safe(place)}:")
        for problem in group:
            click.echo(f"  {_sentence(problem)}")
        click.echo(f"    hint: {remedy}")
    if verification.skills:
        verdict = count(len(verification.problems), "problem") if verification.problems else "all as locked"
        note(f"{count(verification.skills, 'skill')} in {count(verification.folders, 'folder')}: {verdict}")


def _sentence(problem: Mismatch) -> str:
    kind = click.style(problem.kind, fg="red" if problem.kind != "surplus" else "yellow")
    return " ".join(
        [kind, safe(problem.path or "the whole folder"), *([f"({safe(problem.detail)})"] if problem.detail else [])]
    )
