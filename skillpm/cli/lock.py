"""``skillpm lock``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skillpm.cli.context import changing_context
from skillpm.cli.output import count, echo_json, json_option, note, table
from skillpm.errors import UsageError

if TYPE_CHECKING:
    from skillpm.ops.project.lock import Locking


@click.command("lock", epilog="Example: skillpm lock --upgrade incident-triage")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--check", is_flag=True, help="Say whether the lock is up to date (exit 7 if not); write nothing.")
@click.option("--upgrade", is_flag=True, help="Take the newest releases that are allowed, of NAMEs or of all.")
@click.option("--registry", "indexes", metavar="PLACE", multiple=True, help="Ask this registry; may be repeated.")
@click.option("--offline", is_flag=True, help="Ask no network.")
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@json_option
def command(
    names: tuple[str, ...],
    check: bool,
    upgrade: bool,
    indexes: tuple[str, ...],
    offline: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Choose releases for what skillpm.yaml requires and write them to skillpm.lock; install nothing.

    What is locked stays as long as it fits. Where version control left conflict markers, both sides are read, the newer
    pins are kept as far as they fit, and what moved is shown.
    """
    from skillpm.ops.project.lock import check_lock, lock_project

    if names and not upgrade:
        raise UsageError("names go with `--upgrade`", hint=f"`skillpm lock --upgrade {' '.join(names)[:80]}`")
    if check and upgrade:
        raise UsageError(
            "`--check` and `--upgrade` exclude each other", hint="`--check` changes nothing: give one of them"
        )
    context = changing_context(indexes=indexes, offline=offline)
    given_up = names if upgrade else None
    locking = check_lock(context) if check else lock_project(context, upgrade=given_up, dry_run=dry_run)
    _render(locking, as_json=as_json)


def _render(locking: Locking, *, as_json: bool) -> None:
    for warning in locking.warnings:
        note(f"warning: {warning}")
    if as_json:
        echo_json(locking)
        return
    changed = [skill for skill in locking.skills if skill.change != "kept"]
    if locking.merged:
        rows = [(pin.name, pin.ours or "-", pin.theirs or "-", pin.now or "-") for pin in locking.merged]
        table(("skill", "ours", "theirs", "now"), rows)
        note(f"both sides read, {len(rows)} {'name differs' if len(rows) == 1 else 'names differ'}")
    elif changed:
        rows = [
            (skill.name, skill.previous or "-", _after(skill.change, skill.version), skill.source) for skill in changed
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


def _after(change: str, version: str) -> str:
    return "-" if change == "removed" else version
