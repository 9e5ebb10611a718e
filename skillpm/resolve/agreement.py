"""Does a lock match the requirements? Decided from the lock alone, without an index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from skillpm.errors import LockOutOfDateError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.requirement import Requirement
from skillpm.resolve.plan import needed


def disagreements(requirements: Iterable[Requirement], lock: Lock) -> list[str]:
    """Return one sentence for each disagreement between a lock and the requirements."""
    roots = tuple(requirements)
    entries = {entry.name: entry for entry in lock.skills}
    reasons = [*_of_requirements(roots, lock), *(line for root in roots for line in _of_root(root, entries))]
    for entry in lock.skills:
        for name, specifier in sorted(entry.requires.items()):
            reasons += _unmet(str(entry), Requirement.of(name, specifier), entries)
    surplus = sorted(set(entries) - needed(lock, [root.name for root in roots]))
    reasons += [f"{name} is locked, but nothing requires it" for name in surplus]
    return list(dict.fromkeys(reasons))


def other_sources(requirements: Iterable[Requirement], lock: Lock) -> list[str]:
    """Return one sentence for each skill that is locked from another source than the required one."""
    entries = {entry.name: entry for entry in lock.skills}
    return [line for root in requirements for line in _of_source(root, entries)]


def refuse_incoherent(lock: Lock) -> None:
    """Raise LockOutOfDateError if a lock contradicts itself: a required entry is missing, or nothing requires one."""
    reasons = disagreements(map(Requirement.parse, lock.requirements), lock)
    if reasons:
        more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise LockOutOfDateError(
            f"skillpm.lock contradicts itself: {reasons[0]}{more}",
            hint="restore it from version control, or run `skillpm lock`",
            reasons=reasons,
        )


def _of_requirements(roots: tuple[Requirement, ...], lock: Lock) -> Iterator[str]:
    asked, had = {str(root) for root in roots}, set(lock.requirements)
    yield from (f"the lock does not have the requirement `{text}`" for text in sorted(asked - had))
    yield from (
        f"the lock has the requirement `{text}`, which the project does not have" for text in sorted(had - asked)
    )


def _of_root(root: Requirement, entries: dict[str, LockedSkill]) -> Iterator[str]:
    yield from _unmet("the project", root, entries)
    yield from _of_source(root, entries)


def _of_source(root: Requirement, entries: dict[str, LockedSkill]) -> Iterator[str]:
    entry = entries.get(root.name)
    if entry and root.source and not root.source.same_origin(entry.source):
        yield f"{root.name} is locked from {entry.source}, but required from {root.source}"


def _unmet(who: str, required: Requirement, entries: dict[str, LockedSkill]) -> Iterator[str]:
    entry = entries.get(required.name)
    if entry is None:
        yield f"{who} requires {required}, which is not locked"
    elif not required.admits(entry.version, prereleases=True):
        yield f"{who} requires {required}, but {entry.version} is locked"
