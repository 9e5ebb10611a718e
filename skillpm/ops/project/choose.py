"""The releases of a project: its requirements and the requested skills, resolved with the pins of the lock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.version import Version

from skillpm.errors import IntegrityError, ResolutionError, SkillpmError, UnknownSkillError, UsageError
from skillpm.index.pages import ReadPage
from skillpm.index.path import TreeIndex
from skillpm.model.hooks import foreign_hooks
from skillpm.model.key import Signer
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.model.source import BUNDLED, Source, SourceKind
from skillpm.ops.context import Context
from skillpm.ops.project.asked import Asked
from skillpm.ops.project.other_registries import logged_in_elsewhere, release_of_another
from skillpm.ops.project.places import LeftOut, open_places
from skillpm.ops.project.vanished import is_vanished, stays_as_locked, whereabouts
from skillpm.resolve.plan import Change, Plan, plan
from skillpm.resolve.resolver import resolve
from skillpm.trust.allowance import NOTHING, Allowance
from skillpm.trust.cooldown import Cooldown
from skillpm.trust.recall import departure

if TYPE_CHECKING:
    from skillpm.model.ports import Index

NOTHING_ASKED = Asked()


_SKIPPED = 5  # releases of one name that a notice names


@dataclass(frozen=True, slots=True)
class Selection:
    """A plan with the data that it was made from.

    Attributes:
        indexes: the opened indexes, by name.
        sizes: of archives in bytes, by digest, as far as pages have them.
        left_out: the skills of places that ``--all`` could not take.
    """

    plan: Plan
    indexes: dict[str, Index] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    pages: dict[str, Page] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """The request of a command.

    Attributes:
        typed: the typed names, in their order.
        lookup: the names to look up again even if they are locked: the typed names and new requirements.
        places: the index of each typed place, by the name of its skill.
        left_out: the skills of places that ``--all`` could not take.
        upgrade: the locked names whose pins are dropped.
    """

    roots: dict[str, Requirement]
    typed: tuple[str, ...]
    lookup: frozenset[str]
    places: dict[str, Index]
    left_out: tuple[LeftOut, ...]
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
    allow: Allowance = NOTHING,
) -> Request:
    """Return the request: the typed skills and the requirements of the project.

    A requirement that the lock does not have is new in the project file, so it is looked up too. A bare name that the
    project requires already keeps the project's versions. The pins of the names to ``upgrade`` are dropped, and with
    ``replace`` a skill may replace another source's skill of the same name.

    Raises:
        UsageError: a place has several skills, and the command chooses none.
        LayoutError: a place has no installable skill.
        RegistryError: this version cannot read a place, or the place failed.
    """
    roots = {item.name: item for item in requirements}
    locked = set(lock.requirements)
    unlocked = {name for name, item in roots.items() if str(item) not in locked}
    for typed in asked.requirements:
        roots[typed.name] = _typed_again(context, typed, roots.get(typed.name), replace=replace)
    opened = open_places(context, asked, allow)
    places = opened.indexes
    for name, index in places.items():
        roots[name] = Requirement(name, source=_place_of(context, index))
    names = tuple(dict.fromkeys([*(item.name for item in asked.requirements), *places]))
    return Request(roots, names, frozenset({*unlocked, *names}), places, opened.left_out, upgrade, replace)


def _typed_again(context: Context, typed: Requirement, root: Requirement | None, *, replace: bool) -> Requirement:
    """Return the requirement for a typed name: what was not typed stays, so no other registry gets the name.

    Raises:
        UsageError: a range is typed for a skill of a folder, an archive or a repository, which has one version.
    """
    if typed.source is not None and (typed.specifier or root is None or root.source != typed.source):
        return typed
    if root is None or root.source is None:
        return typed if typed.specifier or root is None else root
    other = bool(context.settings.typed_registries)
    if other and (replace or (typed.specifier and root.source.is_registry)):
        return typed
    if not typed.specifier:
        _refuse_other_registry(context, root)
        return root
    if root.source.chosen_by_hand and root.source != BUNDLED:
        if replace:
            return typed
        raise UsageError(
            f"{typed.name} is required from {root.source}, which has one version only",
            hint=f"run `skillpm update {typed.name}`, or add `--force` to take it from a registry",
        )
    return Requirement(typed.name, typed.specifier, root.source)


def _refuse_other_registry(context: Context, root: Requirement) -> None:
    """Raise UsageError if a registry is typed, and the project requires the skill from another place."""
    typed = {str(context.registry_source(place)) for place in context.settings.typed_registries.values()}
    if typed and str(root.source) not in typed:
        raise UsageError(
            f"{root.name} is required from {root.source}, not from {', '.join(sorted(typed))}",
            hint="leave out `--registry`, or add `--force` to take it from there",
        )


def _place_of(context: Context, index: Index) -> Source | None:
    """Return the source that a requirement records for a typed place.

    Without a project file, the lock's entry has the source; it would lose only a branch or a tag.
    """
    source = Source.parse(index.asked if isinstance(index, TreeIndex) else index.name)
    return source if context.settings.document is not None or source.floating else None


def select(context: Context, request: Request, *pins: Lock) -> Selection:
    """Resolve a request. Pins stay, without a query to any index, as long as they fit.

    ``pins`` is the lock, or both sides of a conflict in it, ours first.

    Raises:
        UnknownSkillError: no registry has a name.
        ResolutionError: no set of releases fits.
        RegistryError: an index failed.
        IntegrityError: an index has different bytes for a locked version, or a signature or its signer is wrong.
        UsageError: a skill would replace another source's skill of the same name.
        PolicyError: a policy does not allow a source, or needs a signature.
    """
    requirements = [root for _, root in sorted(request.roots.items())]
    context.index.prefetch(name for name in request.lookup if not request.roots[name].source)
    pages, chosen = _resolved(context, request, requirements, pins)
    signers: dict[str, Signer | None] = {}
    for name, release in chosen.items():
        source = pages.sources[name]
        context.refuse_source(name, source)
        entries = [entry for lock in pins if (entry := lock.skill(name)) is not None]
        for entry in entries:
            _refuse_other_bytes(entry, release, source)
            if entry.version != release.version and (reason := departure(entry, pages.seen.get(name))):
                context.note(reason)
        need, page, index = context.signatures_of(source), pages.seen.get(name), pages.indexes.get(name)
        is_locked = any((entry.version, entry.tree) == (release.version, release.tree) for entry in entries)
        if release.proof is not None and not is_locked:
            _demand_logged(index, name, release)
        signers[name] = context.signers.signer(name, release, need, locked=entries, page=page)
        if not request.replace:
            own = None if name in request.places else request.roots.get(name)  # what is typed now is not agreed to
            _refuse_other_source(pins[0].skill(name), source, own)
        _note_younger(context, name, release, pages)
        if not is_locked and name not in request.places:
            _note_unnamed(context, f"{name} {release.version}", source, requirements)
    planned = plan(chosen, pages.sources, requirements, pins[0], signers)
    changed = planned.of(Change.ADDED, Change.REPLACED)
    day = pages.day if changed or pages.day is None else pins[0].cutoff
    sizes = {release.archive: release.size for release in chosen.values()}
    dated = Plan(planned.steps, replace(planned.lock, cutoff=day))
    return Selection(dated, pages.indexes, sizes, request.left_out, pages.seen)


def _demand_logged(index: Index | None, name: str, release: Release) -> None:
    from skillpm.model.ports import LoggedIndex  # releases of folders have no proof, and do not wait for the ports

    if isinstance(index, LoggedIndex):
        index.demand_logged(name, release)


def _resolved(
    context: Context, request: Request, requirements: list[Requirement], pins: tuple[Lock, ...]
) -> tuple[_Pages, dict[str, Release]]:
    """Resolve with the locked releases alone. If they do not fit, or pins are dropped, resolve with all releases.

    The first attempt queries no index for locked names, so an install into a locked project works offline and leaves
    unrelated pins alone. Only a conflict, or ``--upgrade``, pays for the pages of all names.
    """
    for only_locked in (False,) if request.upgrade else (True, False):
        pages = _Pages(context, request, pins, only_locked=only_locked)
        try:
            chosen = resolve(
                requirements,
                pages.page,
                preferred=pages.preferred,
                typed=request.lookup,
                near=context.index.near,
                withheld=pages.withheld,
                first=request.upgrade,
            )
        except ResolutionError as error:
            if only_locked:
                continue
            hint = release_of_another(context, requirements, pages.page, pages.withheld, pages.of_the_chain())
            error.hint = hint or error.hint
            raise
        except UnknownSkillError as error:
            raise _with_asked(context, request, error) from None
        return pages, chosen
    raise AssertionError("the last attempt returns or raises")


def _with_asked(context: Context, request: Request, error: UnknownSkillError) -> UnknownSkillError:
    """Return the error for an unknown name with the registries that were asked for it."""
    root = request.roots.get(next(iter(error.details.get("names", ())), ""))
    if root and root.source and root.source.kind not in (SourceKind.REGISTRY, SourceKind.SITE):
        return UnknownSkillError(
            f"{root.source} has no skill `{root.name}`",
            hint="check the name and the place in skillpm.yaml",
            **error.details,
        )
    queried = [str(root.source)] if root and root.source else [index.name for index in context.index.indexes]
    message = f"{error.message}; asked: {', '.join(queried)}"
    elsewhere = () if error.details.get("near") or (root and root.source) else logged_in_elsewhere(context)
    hint = f"add `--registry {elsewhere[0]}`, where you are logged in, or check the name" if elsewhere else error.hint
    return UnknownSkillError(message, hint=hint, **{**error.details, "asked": queried})


def _refuse_other_bytes(entry: LockedSkill, release: Release, source: Source) -> None:
    """Refuse a changed release: a registry's version never changes, while folders and bundled skills may."""
    if not source.published or entry.source != source:
        return
    if entry.version == release.version and entry.tree != release.tree:
        raise IntegrityError(
            f"{source} has different bytes for {entry}: tree {release.tree}, skillpm.lock has {entry.tree}",
            hint="ask the registry's maintainer; to trust the new bytes, uninstall the skill and install it again",
            locked=entry.tree,
            found=release.tree,
        )


def _refuse_other_source(entry: LockedSkill | None, source: Source, root: Requirement | None) -> None:
    """Refuse to replace another source's skill of the same name, unless the project names the new source."""
    if entry is None or entry.source.same_origin(source) or (root is not None and root.source):
        return
    raise UsageError(
        f"{entry.name} is installed from {entry.source}; {source} has a skill of that name too",
        hint=f"run `skillpm uninstall {entry.name}` first, or add `--force` to replace it",
        installed=str(entry.source),
        found=str(source),
    )


def _note_younger(context: Context, name: str, release: Release, pages: _Pages) -> None:
    """Add a notice about a newer release that is withheld."""
    page = pages.seen.get(name)
    newest = page.newest_first()[0] if page and page.releases else None
    if newest is None or Version(newest.version) <= Version(release.version):
        return
    reason = pages.withheld(name, newest)
    if reason is not None:
        context.note(f"{name} {newest.version} is {reason}; {release.version} is taken")


def _note_unnamed(context: Context, release: str, source: Source, requirements: Iterable[Requirement]) -> None:
    """Add a notice about a new release of a registry that only the lock knows: somebody may have edited the lock."""
    named = {*(index.name for index in context.index.indexes), *(str(root.source) for root in requirements)}
    if context.settings.document is not None and source.is_registry and str(source) not in named:
        context.note(
            f"{release} comes from {source}, which skillpm.lock names, but neither skillpm.yaml nor your settings do"
        )


class _Pages:
    """The page of each name, and its index.

    A name to look up comes from its own source or from the indexes. A required folder is read again each time. Every
    other locked name has its locked releases and, unless ``only_locked``, the other releases of its source. So a locked
    name never moves to another registry that publishes the same name later (dependency confusion).
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
        """Return the releases of a name that the resolver may choose."""
        if name in self._request.places:
            return self._from(self._request.places[name], name)
        root = self._request.roots.get(name)
        source = root.source if root is not None else None
        entry = self._pinned.get(name)
        if source is not None and source.editable:
            if entry is None or not stays_as_locked(self._context, source, entry):
                with self._context.settings.requirement_origin(name).blamed():
                    return self._from(self._context.source(source), name)
            self.sources[name] = source
            return Page(name=name, releases=(entry.release(),))
        if entry is None or name in self._request.lookup:
            page = self._from(self._context.source(source), name) if source else self._from_chain(name)
            if page is not None or entry is None or source:
                return page
        self.sources[name] = entry.source
        locked = {pin.version: pin.release() for pin in self._all_pins if _alike(pin, entry)}
        if self._only_locked and name not in self._request.upgrade:
            return Page(name=name, releases=tuple(locked.values()))
        upgraded = name in self._request.upgrade
        place = source if upgraded and source else entry.source  # a branch is followed only by an upgrade
        others = self._upgraded(entry, place) if upgraded else self._from(self._context.source(place), name)
        releases = {item.version: item for item in others.releases} if others else {}
        if upgraded and root and not any(item.usable and root.admits(item.version) for item in releases.values()):
            releases |= locked  # the locked one was yanked, and stops no other update
        return Page(
            name=name, releases=tuple(({**locked, **releases} if upgraded else {**releases, **locked}).values())
        )

    def _upgraded(self, entry: LockedSkill, place: Source) -> Page | None:
        """Return the page of a name to upgrade. If its source has no whole one, note that the locked release stays."""
        reason, remedy = f"{place} no longer has it", ""
        try:
            page = self._from(self._context.source(place), entry.name)
        except SkillpmError as error:
            is_damaged = isinstance(error, IntegrityError) and not place.is_registry  # a registry's would hold for all
            if not (is_damaged or is_vanished(error)):
                raise
            page, reason, remedy = None, error.message, f"; {error.hint}" if is_damaged else ""
        if page is None:
            where = whereabouts(self._context, place, entry.name)
            self._context.note(f"{entry} stays as it is locked: {reason}{where or remedy}")
        return page

    def of_the_chain(self) -> list[str]:
        """Return the names that came from the first registry that has them, and not from a place of their own."""
        own = {root.name for root in self._request.roots.values() if root.source}
        return [name for name in self.seen if not {name} & (own | self._pinned.keys() | self._request.places.keys())]

    def withheld(self, name: str, release: Release) -> str | None:
        """Return why a release needs another skillpm or is too young; one of a typed place never is."""
        if name not in self.seen or name in self._request.places:
            return None
        if foreign := foreign_hooks(release.hooks):
            return foreign
        known = any(pin.name == name and pin.version == release.version for pin in self._all_pins)
        return None if known else self._cooldown.young(release, self.sources[name])

    def _from(self, index: Index, name: str) -> Page | None:
        return self._taken(index, name, index.page(name))

    def _from_chain(self, name: str) -> Page | None:
        index = self._context.index.source(name)
        return self._taken(index, name, self._context.index.page(name)) if index else None

    def _taken(self, index: Index, name: str, page: Page | None) -> Page | None:
        for version, reason in page.skipped[:_SKIPPED] if isinstance(page, ReadPage) else ():
            self._context.note(f"{index.name}: {name} {version} is skipped, this skillpm cannot read it: {reason}")
        if page is not None:
            self.indexes[name], self.sources[name], self.seen[name] = index, Source.parse(index.name), page
        return page


def newest_pins(pins: Sequence[Lock]) -> dict[str, LockedSkill]:
    """Return one entry for each name: the newer of two versions, or ours if they are equal."""
    newest: dict[str, LockedSkill] = {}
    for entry in (entry for lock in pins for entry in lock.skills):
        other = newest.get(entry.name)
        if other is None or Version(entry.version) > Version(other.version):
            newest[entry.name] = entry
    return newest


def _alike(pin: LockedSkill, entry: LockedSkill) -> bool:
    """Does this pin have the skill and the source of the entry?"""
    return pin is entry or ((pin.name, pin.source) == (entry.name, entry.source) and pin.version != entry.version)
