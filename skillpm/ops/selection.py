"""Which releases an install wants: what a person typed, with what the lock has, resolved against the indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skillpm.errors import DocumentError, IntegrityError, LayoutError, ResolutionError
from skillpm.index.path import PathIndex
from skillpm.index.source import is_path, open_path
from skillpm.layout.check import check
from skillpm.layout.scan import ALLOWABLE
from skillpm.layout.tree import FolderTree
from skillpm.model.finding import Report
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.ops.context import Context
from skillpm.resolve.plan import Plan, plan
from skillpm.resolve.resolver import resolve
from skillpm.storage.archive import build_archive

if TYPE_CHECKING:
    from skillpm.model.ports import Index

__all__ = ["Selection", "refuse_broken", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """A plan and the indexes that were opened for it, by name."""

    plan: Plan
    indexes: dict[str, Index]


@dataclass(slots=True)
class _Request:
    """What was typed: requirements by name, and the folders among them."""

    requirements: dict[str, Requirement] = field(default_factory=dict)
    folders: dict[str, PathIndex] = field(default_factory=dict)


def refuse_broken(report: Report, name: str) -> None:
    """Raise LayoutError where a report has errors; ``details["findings"]`` holds them all."""
    if report.ok:
        return
    first, more = report.errors[0], len(report.errors) - 1
    place = ":".join(str(part) for part in (first.path, first.line) if part)
    raise LayoutError(
        f"{name} cannot be installed: {place}{': ' if place else ''}{first.message} [{first.code}]"
        + (f", and {more} more error{'s' if more > 1 else ''}" if more else ""),
        hint=_hint(report, name),
        findings=[finding.document() for finding in report.findings],
    )


def _hint(report: Report, name: str) -> str:
    codes = sorted({finding.code for finding in report.errors})
    if set(codes) <= ALLOWABLE:
        flags = " ".join(f"--allow {name.split()[0]}:{code}" for code in codes)
        return f"look at what was found; where it is meant, install with {flags}"
    return report.errors[0].hint or "`skillpm validate` lists everything that is wrong"


def select(context: Context, texts: Sequence[str], lock: Lock) -> Selection:
    """Resolve what was typed together with what is locked.

    Locked skills that were not typed stay as they are, without asking any index, as long as that fits.

    Raises:
        UsageError: a text is neither a requirement nor a folder.
        LayoutError: a folder is not a skill that can be installed.
        UnknownSkillError: no index knows a name.
        ResolutionError: nothing fits.
        RegistryError: an index failed.
        IntegrityError: an index has other bytes for a version that is locked.
    """
    request = _read(context, texts)
    locked = {text.name: text for text in map(Requirement.parse, lock.requirements)}
    roots = {**locked, **request.requirements}
    requirements, typed = [root for _, root in sorted(roots.items())], set(request.requirements)
    try:
        pages = _Pages(context, lock, request, only_locked=True)
        chosen = resolve(requirements, pages.page, preferred=pages.preferred, typed=typed, near=context.index.near)
    except ResolutionError:
        pages = _Pages(context, lock, request, only_locked=False)
        chosen = resolve(requirements, pages.page, preferred=pages.preferred, typed=typed, near=context.index.near)
    for name, release in chosen.items():
        _refuse_other_bytes(lock.skill(name), release, pages.sources[name])
    return Selection(plan(chosen, pages.sources, requirements, lock), pages.indexes)


def _read(context: Context, texts: Sequence[str]) -> _Request:
    request = _Request()
    for text in texts:
        if not is_path(text):
            requirement = Requirement.parse(text)
            request.requirements[requirement.name] = requirement
            continue
        index = open_path(text, context.settings.project, build_archive)
        _refuse_broken_folder(index, text)
        request.requirements[index.skill] = Requirement(index.skill)
        request.folders[index.skill] = index
    return request


def _refuse_broken_folder(index: PathIndex, text: str) -> None:
    """Tell all that is wrong with a folder of which no release can be made; ``fetch`` checks the others."""
    try:
        index.names()
    except (LayoutError, DocumentError, IntegrityError):
        report = check(FolderTree(index.folder), path=text, folder=None)
        refuse_broken(report, report.name or text)
        raise


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

    What was typed is looked up in the typed folder or in the indexes. Other locked names have their locked release,
    and, unless ``only_locked``, whatever else the index has from which they were locked.
    """

    def __init__(self, context: Context, lock: Lock, request: _Request, *, only_locked: bool) -> None:
        self._context = context
        self._lock = lock
        self._request = request
        self._only_locked = only_locked
        self.indexes: dict[str, Index] = {}
        self.sources: dict[str, str] = {}
        self.preferred = {entry.name: entry.version for entry in lock.skills if entry.name not in request.folders}

    def page(self, name: str) -> Page | None:
        """Return the releases of a name that may be chosen."""
        if name in self._request.folders:
            return self._from(self._request.folders[name], name)
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
        page = index.page(name)
        if page is not None:
            self.indexes[name], self.sources[name] = index, index.name
        return page

    def _from_chain(self, name: str) -> Page | None:
        index = self._context.index.source(name)
        return self._from(index, name) if index else None


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
