"""``skillpm lock``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.context import changing_context
from skillpm.cli.options import registry_options, signer_option
from skillpm.cli.output import brief, count, json_option, note, print_json, shown, table
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.ops.project.lock import Locking


@click.command("lock", epilog="Example: skillpm lock --upgrade incident-triage")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--check", is_flag=True, help="Exit 7 if the lock is out of date; write nothing.")
@click.option("--upgrade", is_flag=True, help="Take the newest allowed releases of NAMEs or of all skills.")
@registry_options()
@signer_option
@click.option("--dry-run", is_flag=True, help="Print what would change; write nothing.")
@json_option
def command(names: tuple[str, ...], check: bool, upgrade: bool, dry_run: bool) -> None:
    """Choose releases for the requirements in skillpm.yaml and write them to skillpm.lock; install nothing.

    Locked releases stay as long as they fit. If the lock has conflict markers, both sides are read, the newer pins are
    kept as far as they fit, and the differences are printed.
    """
    from skillpm.ops.project.lock import check_lock, lock_project

    if names and not upgrade:
        raise UsageError("names go with `--upgrade`", hint=f"`skillpm lock --upgrade {' '.join(names)[:80]}`")
    if check and upgrade:
        raise UsageError(
            "`--check` and `--upgrade` exclude each other", hint="remove one of them; `--check` changes nothing"
        )
    context = changing_context()
    upgraded = names if upgrade else None
    locking = check_lock(context) if check else lock_project(context, upgrade=upgraded, dry_run=dry_run)
    _render(locking)


def _render(locking: Locking) -> None:
    for warning in locking.warnings:
        note(f"warning: {warning}")
    if print_json(locking):
        return
    changed = [skill for skill in locking.skills if skill.change != "kept"]
    if locking.merged:
        rows = [(pin.name, pin.ours or "-", pin.theirs or "-", pin.now or "-") for pin in locking.merged]
        table(("skill", "ours", "theirs", "now"), rows)
        note(f"both sides read, {len(rows)} {'name differs' if len(rows) == 1 else 'names differ'}")
    elif changed:
        rows = [
            (
                skill.name,
                shown(skill.previous or "-"),
                "-" if skill.change == "removed" else shown(skill.version),
                brief(skill.source),
            )
            for skill in changed
        ]
        table(("skill", "before", "now", "source"), rows)
    locked = sum(1 for skill in locking.skills if skill.change != "removed")
    state = (
        "would be locked"
        if locking.dry_run and changed
        else "up to date"
        if not changed and not locking.merged
        else "locked"
    )
    note(f"{count(locked, 'skill')} {state}")
