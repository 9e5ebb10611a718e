"""``skillpm lock``: choose releases for what is required, write them down, install nothing.

A lock that says what is required stays as it is, to the letter, and no index is asked. Where version control has left
conflict markers, both sides are read and the newer pin of each name is kept as far as it fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from skillpm.errors import DocumentError, LockOutOfDateError, UsageError
from skillpm.model.lock import Lock, conflicted, sides
from skillpm.ops.context import Context, demand_known
from skillpm.ops.project.apply import project_held
from skillpm.ops.project.choose import Selection, newest_pins, read_request, select
from skillpm.ops.project.installation import SkillChange, describe_changes
from skillpm.ops.project.required import out_of_date, refuse_out_of_date, required
from skillpm.resolve.plan import as_locked
from skillpm.storage.files import read_text
from skillpm.storage.lockfile import checked_lock, write_lock


@dataclass(frozen=True, slots=True)
class MergedPin:
    """One name that the two sides of a conflict did not say the same of: versions, None where a side has none."""

    name: str
    ours: str | None
    theirs: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class Locking:
    """What was locked.

    Attributes:
        skills: every name, compared with the lock before, or with our side of a conflict.
        merged: where a conflict was resolved, what moved.
        warnings: what is odd.
        dry_run: was nothing written?
    """

    skills: tuple[SkillChange, ...]
    merged: tuple[MergedPin, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


def lock_project(context: Context, *, upgrade: Sequence[str] | None = None, dry_run: bool = False) -> Locking:
    """Bring the lock up to date; no skill is installed.

    Args:
        context: the world.
        upgrade: names whose pins are given up, all where empty; None gives up none.
        dry_run: write nothing.

    Raises:
        UsageError: there is neither a project file nor a lock.
        UnknownSkillError: a name to upgrade is not locked.
        SkillpmError: whatever ``relock`` raises.
    """
    settings = context.settings
    if settings.document is None and not settings.lock_path.exists():
        raise UsageError("nothing to lock: there is no skillpm.yaml here", hint="run `skillpm init`")
    if dry_run:
        return _locking(context, *_relock_file(context, upgrade), dry_run=True)
    with project_held(settings.project):
        pins, selection = _relock_file(context, upgrade)
        write_lock(settings.lock_path, selection.plan.lock)
    return _locking(context, pins, selection, dry_run=False)


def check_lock(context: Context) -> Locking:
    """Tell whether the lock says what is required; nothing is written and no index is asked.

    Raises:
        LockOutOfDateError: it does not, or there is none; ``details["reasons"]`` says why.
        PolicyError: a policy forbids where a locked skill comes from.
    """
    if not context.settings.lock_path.exists():
        raise LockOutOfDateError("there is no skillpm.lock here", hint="run `skillpm lock`")
    lock = context.lock()
    refuse_out_of_date(out_of_date(context, required(context, lock), lock))
    for entry in lock.skills:
        context.refuse_source(entry.name, entry.source)
    return Locking(describe_changes(as_locked(lock)), dry_run=True)


def relock(context: Context, lock: Lock, *, upgrade: Sequence[str] | None = None) -> Selection:
    """Return what the project shall have: the lock as it is where that says what is required, else resolved again.

    Raises:
        SkillpmError: whatever ``wanted``, ``out_of_date`` and ``select`` raise.
    """
    requirements = required(context, lock)
    if upgrade is None and not out_of_date(context, requirements, lock):
        return Selection(as_locked(lock))
    request = read_request(context, requirements, lock, upgrade=upgrades(lock, upgrade))
    return select(context, request, lock)


def upgrades(lock: Lock, names: Sequence[str] | None) -> frozenset[str]:
    """Return the locked names that are meant: all where none is named, none where ``names`` is None.

    Raises:
        UnknownSkillError: a name is not locked; the hint has near names.
    """
    have = [entry.name for entry in lock.skills]
    demand_known(names or (), have, "locked")
    return frozenset() if names is None else frozenset(names or have)


def _relock_file(context: Context, upgrade: Sequence[str] | None) -> tuple[tuple[Lock, ...], Selection]:
    """Return the sides of the lock, one or two, and what shall be locked."""
    path = context.settings.lock_path
    text = read_text(path) if path.exists() else ""
    if not conflicted(text):
        lock = context.lock()
        return (lock,), relock(context, lock, upgrade=upgrade)
    ours, theirs = _sides(text)
    pins = newest_pins((ours, theirs))
    both = Lock(requirements=tuple({*ours.requirements, *theirs.requirements}), skills=tuple(pins.values()))
    request = read_request(context, required(context, both), both, upgrade=upgrades(both, upgrade))
    selection = select(context, request, ours, theirs)
    return (ours, theirs), selection


def _sides(text: str) -> tuple[Lock, Lock]:
    try:
        ours, theirs = sides(text)
    except ValueError as error:
        raise DocumentError(str(error), path="skillpm.lock", hint="take one side with git, then lock again") from None
    try:
        return checked_lock(ours), checked_lock(theirs)
    except DocumentError as error:
        raise DocumentError(
            f"one side of the conflict is no lock by itself: {error.rule}",
            path="skillpm.lock",
            hint="take one side with `git checkout --ours skillpm.lock`, then run `skillpm lock`",
        ) from None


def _locking(context: Context, pins: tuple[Lock, ...], selection: Selection, *, dry_run: bool) -> Locking:
    plan = selection.plan
    merged = tuple(_merged(pins[0], pins[1], plan.lock)) if len(pins) > 1 else ()
    return Locking(describe_changes(plan), merged, tuple(context.notices), dry_run)


def _merged(ours: Lock, theirs: Lock, now: Lock) -> Iterable[MergedPin]:
    """Return the names that one side did not say as it is now."""

    def version(lock: Lock, name: str) -> str | None:
        entry = lock.skill(name)
        return entry.version if entry is not None else None

    for name in sorted({entry.name for lock in (ours, theirs, now) for entry in lock.skills}):
        pin = MergedPin(name, version(ours, name), version(theirs, name), version(now, name))
        if len({pin.ours, pin.theirs, pin.now}) > 1:
            yield pin
