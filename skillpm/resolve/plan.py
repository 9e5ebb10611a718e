"""What an install changes: the difference between a resolution and the lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from skillpm.model.key import Signer
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Release
from skillpm.model.requirement import Requirement
from skillpm.model.source import Source


class Change(StrEnum):
    """What happens to one name."""

    ADDED = "added"
    REPLACED = "replaced"
    REMOVED = "removed"
    KEPT = "kept"
    PLACED = "placed"  # the same content is put into a folder that lacks it


@dataclass(frozen=True, slots=True)
class Step:
    """One name: ``before`` and ``after`` are its lock entries, None if it has none."""

    name: str
    change: Change
    before: LockedSkill | None
    after: LockedSkill | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every name of the old and of the new lock, by name, and the new lock."""

    steps: tuple[Step, ...]
    lock: Lock

    def of(self, *changes: Change) -> list[Step]:
        """Return the steps of these kinds."""
        return [step for step in self.steps if step.change in changes]


def plan(
    chosen: Mapping[str, Release],
    sources: Mapping[str, Source],
    requirements: Iterable[Requirement],
    lock: Lock,
    signers: Mapping[str, Signer | None] = {},
) -> Plan:
    """Compare a resolution with the lock.

    An entry whose tree, version and source stay is kept as it is, to the letter: another implementation of deflate may
    give the same tree another archive digest, and that is no change. Nor is another commit of a repository with the
    same tree, although the lock records it.
    """
    entries = {name: _entry(name, release, sources[name], signers.get(name)) for name, release in chosen.items()}
    before = {entry.name: entry for entry in lock.skills}
    steps = tuple(_step(name, before.get(name), entries.get(name)) for name in sorted({*before, *entries}))
    skills = tuple(step.after for step in steps if step.after is not None)
    return Plan(steps, Lock(requirements=tuple(sorted({str(item) for item in requirements})), skills=skills))


def as_locked(lock: Lock) -> Plan:
    """Return the plan that keeps exactly what a lock says."""
    return Plan(tuple(Step(entry.name, Change.KEPT, entry, entry) for entry in lock.skills), lock)


def _entry(name: str, release: Release, source: Source, signer: Signer | None) -> LockedSkill:
    return LockedSkill(
        name=name,
        version=release.version,
        source=source,
        archive=release.archive,
        tree=release.tree,
        requires=release.requires,
        hooks=release.hooks,
        signer=signer,
        publisher=release.publisher,
        adapter=release.adapter,
    )


def _step(name: str, before: LockedSkill | None, after: LockedSkill | None) -> Step:
    if before is None:
        return Step(name, Change.ADDED, None, after)
    if after is None:
        return Step(name, Change.REMOVED, before, None)
    if (before.tree, before.version, before.source) == (after.tree, after.version, after.source):
        return Step(name, Change.KEPT, before, before)
    same = (before.tree, before.version) == (after.tree, after.version) and before.source.same_place(after.source)
    return Step(name, Change.KEPT if same else Change.REPLACED, before, after)


def needed(lock: Lock, roots: Iterable[str]) -> set[str]:
    """Return the locked names that these names need, themselves included."""
    entries = {entry.name: entry for entry in lock.skills}
    reached: set[str] = set()
    pending = [name for name in roots if name in entries]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += [required for required in entries[name].requires if required in entries]
    return reached


def requirers(lock: Lock, name: str) -> list[str]:
    """Return the locked skills that require a name directly."""
    return [entry.name for entry in lock.skills if name in entry.requires and entry.name != name]
