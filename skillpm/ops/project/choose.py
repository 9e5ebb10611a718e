"""Which releases a project gets: what is required and what was typed, with the pins of the lock, resolved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.version import Version

from skillpm.errors import IntegrityError, PolicyError, ResolutionError, UsageError
from skillpm.index.path import TreeIndex
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.model.source import Source
from skillpm.ops.context import Context
from skillpm.ops.project.asked import Asked
from skillpm.ops.project.places import open_places
from skillpm.resolve.plan import Change, Plan, plan
from skillpm.resolve.resolver import resolve
from skillpm.trust.cooldown import Cooldown

if TYPE_CHECKING:
    from skillpm.model.ports import Index

NOTHING_ASKED = Asked()


@dataclass(frozen=True, slots=True)
class Selection:
    """A plan and what it was made from.

    Attributes:
        plan: what changes.
        indexes: those that were opened for it, by name.
        sizes: of archives in bytes, by digest, as far as pages tell them.
        warnings: sentences about what was left out.
        pages: what the indexes say of the names that they were asked for.
    """

    plan: Plan
    indexes: dict[str, Index] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    pages: dict[str, Page] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """What a command asks for.

    Attributes:
        roots: every requirement, by name.
        typed: the names that were asked for just now, in their order.
        lookup: the names that are looked up again, whatever the lock says: the typed ones and new requirements.
        places: what was typed as a place, by the name of the skill that lies there.
        warnings: sentences about skills of places that were left out.
        upgrade: the locked names whose pins are given up.
        replace: may a skill take the place of another source's skill of its name?
    """

    roots: dict[str, Requirement]
    typed: tuple[str, ...]
    lookup: frozenset[str]
    places: dict[str, Index]
    warnings: tuple[str, ...]
    upgrade: frozenset[str]
    replace: bool


def read_request(
    context: Context,
    requirements: Iterable[Requirement],
    lock: Lock,
    asked: Asked = NOTHING_ASKED,
    *,
    upgrade: frozenset[str] = frozenset(),
    replace: bool = False,
) -> Request:
    """Return what is asked for: what was typed, beside what the project requires.

    A requirement that the lock does not have was written into the project file since; it is looked up as well. A bare
    name that is required already keeps the versions that the project allows.

    Args:
        context: the world.
        requirements: what the project requires.
        lock: what is locked.
        asked: what was typed.
        upgrade: the locked names whose pins are given up.
        replace: may a skill take the place of another source's skill of its name?

    Raises:
        UsageError: a place has several skills and none was named.
        LayoutError: a place holds no skill that can be installed.
        RegistryError: a kind of place that this version cannot read, or it failed.
    """
    roots = {item.name: item for item in requirements}
    locked = set(lock.requirements)
    unlocked = {name for name, item in roots.items() if str(item) not in locked}
    for typed in asked.requirements:
        root = roots.get(typed.name)
        if typed.specifier or root is None or (root.source and root.source.editable):
            roots[typed.name] = typed
    places, warnings = open_places(context, asked)
    for name, index in places.items():
        roots[name] = Requirement(name, source=_place_of(context, index))
    names = tuple(dict.fromkeys([*(item.name for item in asked.requirements), *places]))
    return Request(roots, names, frozenset({*unlocked, *names}), places, warnings, upgrade, replace)


def _place_of(context: Context, index: Index) -> Source | None:
    """Return what a requirement says of a typed place.

    Without a project file the lock's entry says where a skill comes from; only a branch or a tag would be lost there.
    """
    source = Source.parse(index.asked if isinstance(index, TreeIndex) else index.name)
    return source if context.settings.document is not None or source.floating else None


def select(context: Context, request: Request, *pins: Lock) -> Selection:
    """Resolve a request; pins stay as they are, without asking any index, as long as that fits.

    Args:
        context: the world.
        request: what is asked for.
        pins: the lock; both sides of one where version control left a conflict, ours first.

    Raises:
        UnknownSkillError: no registry knows a name.
        ResolutionError: nothing fits.
        RegistryError: an index failed.
        IntegrityError: an index has other bytes for a version that is locked.
        UsageError: a skill would take the place of another source's skill of its name.
        PolicyError: a policy forbids a source.
    """
    requirements = [root for _, root in sorted(request.roots.items())]
    context.index.prefetch(name for name in request.lookup if not request.roots[name].source)
    pages, chosen = _resolved(context, request, requirements, pins)
    for name, release in chosen.items():
        source = pages.sources[name]
        context.refuse_source(name, source)
        for entry in filter(None, (lock.skill(name) for lock in pins)):
            _refuse_other_bytes(entry, release, source)
            _refuse_unsigned(entry, release)
        if not request.replace:
            _refuse_other_source(pins[0].skill(name), source, request.roots.get(name))
        _note_younger(context, name, release, pages)
    found = plan(chosen, pages.sources, requirements, pins[0])
    if pages.day is None or not found.of(Change.ADDED, Change.REPLACED):
        day = pins[0].cutoff if pages.day is not None else None
    else:
        day = pages.day
    sizes = {release.archive: release.size for release in chosen.values()}
    found = Plan(found.steps, replace(found.lock, cutoff=day))
    return Selection(found, pages.indexes, sizes, request.warnings, pages.seen)


def _resolved(
    context: Context, request: Request, requirements: list[Requirement], pins: tuple[Lock, ...]
) -> tuple[_Pages, dict[str, Release]]:
    """Resolve with the locked releases alone, and where that does not fit, or pins are given up, with all others."""
    for only_locked in (False,) if request.upgrade else (True, False):
        pages = _Pages(context, request, pins, only_locked=only_locked)
        try:
            chosen = resolve(
                requirements,
                pages.page,
                preferred=pages.preferred,
                typed=request.lookup,
                near=context.index.near,
                withheld=pages.young,
                first=request.upgrade,
            )
        except ResolutionError:
            if only_locked:
                continue
            raise
        return pages, chosen
    raise AssertionError("the last attempt returns or raises")


def _refuse_other_bytes(entry: LockedSkill, release: Release, source: Source) -> None:
    """A version that a registry has once published never changes; folders and bundled skills may."""
    if not source.published or entry.source != source:
        return
    if entry.version == release.version and entry.tree != release.tree:
        raise IntegrityError(
            f"{source} has other bytes for {entry.name} {entry.version}: tree {release.tree}, "
            f"skillpm.lock has {entry.tree}",
            hint="ask who keeps the registry; `skillpm uninstall` and install again to trust the new bytes",
            locked=entry.tree,
            found=release.tree,
        )


def _refuse_unsigned(entry: LockedSkill, release: Release) -> None:
    """Once signed, always signed: whoever takes a registry over must not be able to leave the signature out."""
    if entry.signature and not release.signature:
        raise PolicyError(
            f"{entry.name} {release.version} has no signature; {entry.version}, which is locked, has one",
            hint=f"ask who publishes it; `skillpm uninstall {entry.name}` and install again to do without",
        )


def _refuse_other_source(entry: LockedSkill | None, source: Source, root: Requirement | None) -> None:
    """A skill never takes the place of another source's skill of its name, unless the project names that source."""
    if entry is None or entry.source == source or (root is not None and root.source):
        return
    raise UsageError(
        f"{entry.name} is installed from {entry.source}; {source} has a skill of that name too",
        hint=f"`skillpm uninstall {entry.name}` first, or `--force` to replace it",
        installed=str(entry.source),
        found=str(source),
    )


def _note_younger(context: Context, name: str, release: Release, pages: _Pages) -> None:
    """Say which newer release the cooldown holds back."""
    page = pages.seen.get(name)
    newest = page.newest_first()[0] if page and page.releases else None
    if newest is None or Version(newest.version) <= Version(release.version):
        return
    reason = pages.young(name, newest)
    if reason is not None:
        context.note(f"{name} {newest.version} is {reason}; {release.version} is taken")


class _Pages:
    """The page of each name, and the index that it comes from.

    What was asked for is looked up in its own source or in the indexes; a required folder is read again each time. The
    other locked names have their locked releases, and, unless ``only_locked``, whatever else their source has: a locked
    name never moves to another registry because that one has begun to know it too.
    """

    def __init__(self, context: Context, request: Request, pins: Sequence[Lock], *, only_locked: bool) -> None:
        self._context = context
        self._request = request
        self._only_locked = only_locked
        self._pinned = newest_pins(pins)
        self._all_pins = [entry for lock in pins for entry in lock.skills]
        self._cooldown = Cooldown.of(context.settings)
        self.day = self._cooldown.day
        self.indexes: dict[str, Index] = {}
        self.sources: dict[str, Source] = {}
        self.seen: dict[str, Page] = {}
        unpinned: Collection[str] = {*request.places, *request.upgrade}
        self.preferred = {name: entry.version for name, entry in self._pinned.items() if name not in unpinned}

    def page(self, name: str) -> Page | None:
        """Return the releases of a name that may be chosen."""
        if name in self._request.places:
            return self._from(self._request.places[name], name)
        root = self._request.roots.get(name)
        source = root.source if root is not None else None
        if source is not None and source.editable:
            return self._from(self._context.source(source), name)
        entry = self._pinned.get(name)
        if entry is None or name in self._request.lookup:
            page = self._from(self._context.source(source), name) if source else self._from_chain(name)
            if page is not None or entry is None or source:
                return page
        self.sources[name] = entry.source
        locked = {pin.version: pin.release() for pin in self._all_pins if _alike(pin, entry)}
        if self._only_locked and name not in self._request.upgrade:
            return Page(name=name, releases=tuple(locked.values()))
        upgraded = name in self._request.upgrade
        place = source if upgraded and source else entry.source  # a branch is followed only where that is asked for
        others = self._from(self._context.source(place), name)
        releases = {item.version: item for item in others.releases} if others else {}
        return Page(
            name=name, releases=tuple(({**locked, **releases} if upgraded else {**releases, **locked}).values())
        )

    def young(self, name: str, release: Release) -> str | None:
        """Say why a release is too young for the cooldown; what a person named by its place is never."""
        if name not in self.seen or name in self._request.places:
            return None
        known = any(pin.name == name and pin.version == release.version for pin in self._all_pins)
        return None if known else self._cooldown.young(release, self.sources[name])

    def _from(self, index: Index, name: str) -> Page | None:
        return self._taken(index, name, index.page(name))

    def _from_chain(self, name: str) -> Page | None:
        index = self._context.index.source(name)
        return self._taken(index, name, self._context.index.page(name)) if index else None

    def _taken(self, index: Index, name: str, page: Page | None) -> Page | None:
        if page is not None:
            self.indexes[name], self.sources[name], self.seen[name] = index, Source.parse(index.name), page
        return page


def newest_pins(pins: Sequence[Lock]) -> dict[str, LockedSkill]:
    """Return one entry for each name, the newer where two sides differ, ours where they do not."""
    found: dict[str, LockedSkill] = {}
    for entry in (entry for lock in pins for entry in lock.skills):
        other = found.get(entry.name)
        if other is None or Version(entry.version) > Version(other.version):
            found[entry.name] = entry
    return found


def _alike(pin: LockedSkill, entry: LockedSkill) -> bool:
    """Is this a pin of the same skill, from the same source?"""
    return pin is entry or ((pin.name, pin.source) == (entry.name, entry.source) and pin.version != entry.version)
