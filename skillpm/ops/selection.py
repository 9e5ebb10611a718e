"""Which releases an install wants: what a person typed, with what the lock has, resolved against the indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skillpm.errors import IntegrityError, ResolutionError
from skillpm.index.source import is_path
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.ops.choice import UNSAID, Wanted, choose
from skillpm.ops.context import Context
from skillpm.resolve.plan import Plan, plan
from skillpm.resolve.resolver import resolve

if TYPE_CHECKING:
    from skillpm.model.ports import Index

__all__ = ["Selection", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """A plan and what it was made from.

    Attributes:
        plan: what changes.
        indexes: those that were opened for it, by name.
        sizes: of archives in bytes, by digest, as far as pages tell them.
        warnings: sentences about what was left out.
    """

    plan: Plan
    indexes: dict[str, Index] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Request:
    """What was typed: requirements by name, and the indexes of those that were meant by a place."""

    requirements: dict[str, Requirement]
    places: dict[str, Index]
    warnings: tuple[str, ...]


def select(context: Context, texts: Sequence[str], lock: Lock, wanted: Wanted = UNSAID) -> Selection:
    """Resolve what was typed together with what is locked.

    Locked skills that were not typed stay as they are, without asking any index, as long as that fits.

    Raises:
        UsageError: a text is neither a requirement nor a place, or a place has several skills and none was named.
        LayoutError: a place holds no skill that can be installed.
        UnknownSkillError: no index knows a name.
        ResolutionError: nothing fits.
        RegistryError: an index failed.
        IntegrityError: an index has other bytes for a version that is locked.
    """
    request = _read(context, texts, wanted)
    locked = {text.name: text for text in map(Requirement.parse, lock.requirements)}
    roots = {**locked, **request.requirements}
    requirements, typed = [root for _, root in sorted(roots.items())], set(request.requirements)
    context.index.prefetch(request.requirements.keys() - request.places.keys())
    try:
        pages = _Pages(context, lock, request, only_locked=True)
        chosen = resolve(requirements, pages.page, preferred=pages.preferred, typed=typed, near=context.index.near)
    except ResolutionError:
        pages = _Pages(context, lock, request, only_locked=False)
        chosen = resolve(requirements, pages.page, preferred=pages.preferred, typed=typed, near=context.index.near)
    for name, release in chosen.items():
        _refuse_other_bytes(lock.skill(name), release, pages.sources[name])
    sizes = {release.archive: release.size for release in chosen.values()}
    return Selection(plan(chosen, pages.sources, requirements, lock), pages.indexes, sizes, request.warnings)


def _read(context: Context, texts: Sequence[str], wanted: Wanted) -> _Request:
    places = [text for text in texts if is_path(text)]
    typed = [Requirement.parse(text) for text in texts if not is_path(text)]
    choice = choose(context, places, wanted)
    requirements = {item.name: item for item in (*typed, *map(Requirement, choice.indexes))}
    return _Request(requirements, choice.indexes, choice.warnings)


def _refuse_other_bytes(entry: LockedSkill | None, release: Release, source: str) -> None:
    """A version that a registry has once published never changes; folders and bundled skills may."""
    if entry is None or not source.startswith("registry:"):
        return
    if entry.version == release.version and entry.tree != release.tree:
        raise IntegrityError(
            f"{source} has other bytes for {entry.name} {entry.version} than skillpm.lock",
            hint="ask who keeps the registry; `skillpm uninstall` and install again to trust the new bytes",
            locked=entry.tree,
            found=release.tree,
        )


class _Pages:
    """The page of each name, and the index that it comes from.

    What was typed is looked up in the typed place or in the indexes. Other locked names have their locked release,
    and, unless ``only_locked``, whatever else the index has from which they were locked.
    """

    def __init__(self, context: Context, lock: Lock, request: _Request, *, only_locked: bool) -> None:
        self._context = context
        self._lock = lock
        self._request = request
        self._only_locked = only_locked
        self.indexes: dict[str, Index] = {}
        self.sources: dict[str, str] = {}
        self.preferred = {entry.name: entry.version for entry in lock.skills if entry.name not in request.places}

    def page(self, name: str) -> Page | None:
        """Return the releases of a name that may be chosen."""
        if name in self._request.places:
            return self._from(self._request.places[name], name)
        entry = self._lock.skill(name)
        if entry is None:
            return self._from_chain(name)
        if name in self._request.requirements and (page := self._from_chain(name)) is not None:
            return page
        self.sources[name] = entry.source
        if self._only_locked:
            return Page(name=name, releases=(_release(entry),))
        others = self._from(self._context.source(entry.source), name)
        releases = {item.version: item for item in others.releases} if others else {}
        return Page(name=name, releases=tuple({**releases, entry.version: _release(entry)}.values()))

    def _from(self, index: Index, name: str) -> Page | None:
        return self._taken(index, name, index.page(name))

    def _from_chain(self, name: str) -> Page | None:
        index = self._context.index.source(name)
        return self._taken(index, name, self._context.index.page(name)) if index else None

    def _taken(self, index: Index, name: str, page: Page | None) -> Page | None:
        if page is not None:
            self.indexes[name], self.sources[name] = index, index.name
        return page


def _release(entry: LockedSkill) -> Release:
    return Release(
        version=entry.version,
        archive=entry.archive,
        tree=entry.tree,
        size=0,
        requires=entry.requires,
        hooks=entry.hooks,
        signature=entry.signature,
    )
