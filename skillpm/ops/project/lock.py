"""``skillpm lock``: choose releases for the requirements and write the lock; install nothing.

A lock that agrees with the requirements stays as it is, without a query to any index. If it has conflict markers, both
sides are read, and the newer pin of each name is kept as far as it fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from skillpm.errors import DocumentError, LockOutOfDateError, UsageError
from skillpm.layout.tree import FolderTree
from skillpm.model.lock import Lock, conflicted, sides
from skillpm.ops.context import Context, demand_known
from skillpm.ops.project.apply import project_held
from skillpm.ops.project.changes import lock_changes
from skillpm.ops.project.choose import Selection, newest_pins, read_request, select
from skillpm.ops.project.identity import refuse_impostor
from skillpm.ops.project.installation import SkillChange
from skillpm.ops.project.known_pages import KnownPages
from skillpm.ops.project.provenance import refuse_other_archive
from skillpm.ops.project.required import out_of_date, refuse_out_of_date, required
from skillpm.resolve.plan import as_locked
from skillpm.storage.files import read_text
from skillpm.storage.lockfile import checked_lock, write_lock
from skillpm.trust.allowance import refuse_unmet


@dataclass(frozen=True, slots=True)
class MergedPin:
    """One name whose versions differ between the sides of a conflict and now; None if a side does not have it."""

    name: str
    ours: str | None
    theirs: str | None
    now: str | None


@dataclass(frozen=True, slots=True)
class Locking:
    """The outcome of a locking.

    Attributes:
        skills: every name, compared with the old lock, or with our side of a conflict.
        merged: the names that differed in a resolved conflict.
    """

    skills: tuple[SkillChange, ...]
    merged: tuple[MergedPin, ...] = ()
    warnings: tuple[str, ...] = ()
    dry_run: bool = False


def lock_project(context: Context, *, upgrade: Sequence[str] | None = None, dry_run: bool = False) -> Locking:
    """Update the lock; no skill is installed.

    ``upgrade`` names the pins to drop: all if it is empty, none if it is None.

    Raises:
        UsageError: there is neither a project file nor a lock.
        UnknownSkillError: a name to upgrade, or one whose signer may change, is not locked.
    """
    settings = context.settings
    if not (settings.project_path.exists() or settings.lock_path.exists()):  # what is in them is read under the lock
        raise UsageError("there is no skillpm.yaml here", hint="run `skillpm init`")
    with nullcontext() if dry_run else project_held(settings.project):
        pins, selection = _relock_file(context, upgrade)
        refuse_unmet(context.signers.allowed, [entry.name for entry in selection.plan.lock.skills])
        if not dry_run:
            write_lock(settings.lock_path, selection.plan.lock)
    merged = tuple(_merged(pins[0], pins[1], selection.plan.lock)) if len(pins) > 1 else ()
    return Locking(lock_changes(selection.plan), merged, tuple(context.notices), dry_run)


def check_lock(context: Context) -> Locking:
    """Check that the lock agrees with the requirements, without a query to any index.

    Raises:
        LockOutOfDateError: it does not agree, or there is no lock; ``details["reasons"]`` has the reasons.
        IntegrityError: a stored skill is another one than its entry claims, or was taken from another archive.
        PolicyError: a policy does not allow the source of a locked skill, or needs its signature.
    """
    if not context.settings.lock_path.exists():
        raise LockOutOfDateError("there is no skillpm.lock here", hint="run `skillpm lock`")
    lock = context.lock()
    refuse_out_of_date(out_of_date(context, required(context, lock), lock))
    refuse_unmet(context.signers.allowed, [entry.name for entry in lock.skills])
    pages = KnownPages(context)
    for entry in lock.skills:
        context.refuse_source(entry.name, entry.source)
        context.signers.demand(str(entry), entry.signer, context.signatures_of(entry.source))
        if context.store.verify(entry.tree):
            tree = FolderTree(context.store.path(entry.tree))
            refuse_impostor(entry.name, entry, tree, "skillpm.lock")
            refuse_other_archive(entry, tree, pages)
    return Locking(lock_changes(as_locked(lock)), dry_run=True)


def relock(context: Context, lock: Lock, *, upgrade: Sequence[str] | None = None) -> Selection:
    """Return the lock's skills if the lock agrees with the requirements, else resolve again."""
    requirements = required(context, lock)
    if upgrade is None and not out_of_date(context, requirements, lock):
        return Selection(as_locked(lock))
    request = read_request(context, requirements, lock, upgrade=upgrades(lock, upgrade))
    return select(context, request, lock)


def upgrades(lock: Lock, names: Sequence[str] | None) -> frozenset[str]:
    """Return the names to upgrade: these, all locked names if empty, none if ``names`` is None.

    Raises:
        UnknownSkillError: a name is not locked; the hint has similar names.
    """
    locked = [entry.name for entry in lock.skills]
    demand_known(names or (), locked, "locked")
    return frozenset() if names is None else frozenset(names or locked)


def _relock_file(context: Context, upgrade: Sequence[str] | None) -> tuple[tuple[Lock, ...], Selection]:
    """Return the one or two sides of the lock, and the selection for the new lock."""
    path = context.settings.lock_path
    text = read_text(path) if path.exists() else ""
    if not conflicted(text):
        lock = context.lock()
        return (lock,), relock(context, lock, upgrade=upgrade)
    ours, theirs = _sides(text)
    pins = newest_pins((ours, theirs))
    both = Lock(requirements=tuple({*ours.requirements, *theirs.requirements}), skills=tuple(pins.values()))
    request = read_request(context, required(context, both), both, upgrade=upgrades(both, upgrade))
    return (ours, theirs), select(context, request, ours, theirs)


def _sides(text: str) -> tuple[Lock, Lock]:
    try:
        ours, theirs = sides(text)
    except ValueError as error:
        raise DocumentError(str(error), path="skillpm.lock", hint="take one side with git, then lock again") from None
    try:
        return checked_lock(ours), checked_lock(theirs)
    except DocumentError as error:
        raise DocumentError(
            f"one side of the conflict is not a lock: {error.rule}",
            path="skillpm.lock",
            hint="take one side with `git checkout --ours skillpm.lock`, then run `skillpm lock`",
        ) from None


def _merged(ours: Lock, theirs: Lock, now: Lock) -> Iterable[MergedPin]:
    """Return the names whose version differs between a side and the new lock."""

    def version(lock: Lock, name: str) -> str | None:
        entry = lock.skill(name)
        return entry.version if entry is not None else None

    for name in sorted({entry.name for lock in (ours, theirs, now) for entry in lock.skills}):
        pin = MergedPin(name, version(ours, name), version(theirs, name), version(now, name))
        if len({pin.ours, pin.theirs, pin.now}) > 1:
            yield pin
