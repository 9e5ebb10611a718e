"""``skillpm outdated``: compare locked skills with their sources. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from packaging.version import Version

from skillpm.errors import ResolutionError, SkillpmError
from skillpm.model.hooks import foreign_hooks
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.ops.context import Context, locked_skills
from skillpm.ops.project.adapters import lag_of
from skillpm.ops.project.difference import SkillState, standing
from skillpm.ops.project.provenance import moved_warnings
from skillpm.ops.project.vanished import is_vanished, whereabouts
from skillpm.resolve.candidates import Candidates
from skillpm.resolve.resolver import resolve
from skillpm.storage.record import read_record
from skillpm.trust.cooldown import Cooldown
from skillpm.trust.recall import status_warnings

State = Literal[
    "current", "outdated", "held back", "changed", "yanked", "quarantined", "gone", "unknown", "stale", "behind"
]


@dataclass(frozen=True, slots=True)
class Freshness:
    """One locked skill compared with its source.

    Attributes:
        wanted: the version that the requirements allow now.
        newest: the newest version of the source that can be installed; the locked one where none can be.
        state: ``outdated`` if wanted differs from locked; ``held back`` if only the requirements exclude the newest;
            ``changed`` if the source has different content for the locked version; ``yanked``, ``quarantined`` or
            ``gone`` if the locked release is; ``unknown`` if the source failed; ``stale`` if the source has no news,
            but a folder has another release than the lock; ``behind`` if an adapter was trained on other releases of
            its skills than those that are locked.
        source: as the lock records it.
        reason: why the state is unknown, or why the release was yanked or put in quarantine.
        installed: the version that stands in the folders; None if none does.
    """

    name: str
    locked: str
    wanted: str
    newest: str
    state: State
    source: str
    reason: str = ""
    installed: str | None = None


@dataclass(frozen=True, slots=True)
class Outdated:
    """The compared skills, the first failure of a source, and which skills are deprecated or archived."""

    skills: tuple[Freshness, ...]
    failure: SkillpmError | None
    warnings: tuple[str, ...] = ()

    @property
    def stale(self) -> list[Freshness]:
        """The skills with newer or different content."""
        return [skill for skill in self.skills if skill.state not in ("current", "unknown")]

    @property
    def unknown(self) -> list[Freshness]:
        """The skills whose source failed."""
        return [skill for skill in self.skills if skill.state == "unknown"]


def outdated(context: Context, names: Sequence[str] = ()) -> Outdated:
    """Compare all locked skills, or these, with their own sources.

    If a source fails, its skills are unknown and the others are still compared.

    Raises:
        UnknownSkillError: a name is not installed.
        ResolutionError: the locked skills do not fit together.
        LockOutOfDateError, DocumentError, StorageError: the lock cannot be read.
    """
    lock = context.lock()
    entries = locked_skills(lock, names)
    sources = _Sources(context, lock)
    wanted = _wanted(context, lock, sources)
    states = standing(context)
    skills = []
    for entry in entries:
        skill = _freshness(entry, sources, wanted, states[entry.name])
        behind = lag_of(context, entry, lock) if skill.state == "current" else ""
        skills.append(replace(skill, state="behind", reason=behind) if behind else skill)
    failed = (sources.failures[entry.name] for entry in entries if entry.name in sources.failures)
    warnings = [sentence for entry in entries for sentence in status_warnings(entry.name, sources.present(entry))]
    warnings += moved_warnings(entries, read_record(context.settings.project))
    return Outdated(tuple(skills), next(failed, None), tuple(warnings))


class _Sources:
    """The page of each name: a locked name's from the source of its entry, others' from the indexes."""

    def __init__(self, context: Context, lock: Lock) -> None:
        self._context = context
        self._entries = {entry.name: entry for entry in lock.skills}
        self._required = {item.name: item.source for item in map(Requirement.parse, lock.requirements) if item.source}
        self._cooldown = Cooldown.of(context.settings)
        self._present: dict[str, Page | None] = {}
        self.failures: dict[str, SkillpmError] = {}
        self.gone: dict[str, str] = {}

    def present(self, entry: LockedSkill) -> Page | None:
        """Return the present page of an entry; None if its source failed or no longer has the name."""
        if entry.name not in self._present:
            source = self._required.get(entry.name, entry.source)  # a branch, where the lock has its commit
            self._present[entry.name] = None
            try:
                self._present[entry.name] = self._context.source(source).page(entry.name)
            except SkillpmError as error:
                is_there = source.editable and (self._context.settings.project / source.place).is_dir()
                if is_vanished(error) and not is_there:
                    self.gone[entry.name] = error.message + whereabouts(self._context, source, entry.name)
                else:
                    self.failures[entry.name] = error
        return self._present[entry.name]

    def page(self, name: str) -> Page | None:
        """Return the releases that may be chosen, always including the locked one."""
        entry = self._entries.get(name)
        if entry is None:
            return self._context.index.page(name)
        page = self.present(entry)
        releases = page.releases if page else ()
        if all(release.version != entry.version for release in releases):
            releases = (*releases, entry.release())
        return Page(name=name, releases=releases)

    def withheld(self, name: str, release: Release) -> str | None:
        """Return why the cooldown excludes a release, or None; it never excludes the locked one."""
        entry = self._entries.get(name)
        if entry is None or entry.version == release.version:
            return None
        if foreign := foreign_hooks(release.hooks):
            return foreign
        return self._cooldown.young(release, entry.source)


def _wanted(context: Context, lock: Lock, sources: _Sources) -> dict[str, Release]:
    """Resolve the requirements again; if that fails, prefer the locked versions."""
    requirements = [Requirement.parse(text) for text in lock.requirements]
    try:
        return resolve(requirements, sources.page, near=context.index.near, withheld=sources.withheld)
    except ResolutionError:
        locked = {entry.name: entry.version for entry in lock.skills}
        near, withheld = context.index.near, sources.withheld
        return resolve(requirements, sources.page, preferred=locked, near=near, withheld=withheld)


def _freshness(entry: LockedSkill, sources: _Sources, wanted: dict[str, Release], folders: SkillState) -> Freshness:
    page = sources.present(entry)
    best = wanted[entry.name].version if entry.name in wanted else entry.version
    newest = _newest(page, entry.version)
    state, reason = _state(entry, page, best, newest)
    reason = sources.gone.get(entry.name, reason)
    if entry.name in sources.failures:
        state, reason = "unknown", sources.failures[entry.name].message
    elif state == "current" and folders.is_stale:
        state = "stale"
    return Freshness(entry.name, entry.version, best, newest, state, str(entry.source), reason, folders.installed)


def _state(entry: LockedSkill, page: Page | None, wanted: str, newest: str) -> tuple[State, str]:
    present = next((release for release in page.releases if release.version == entry.version), None) if page else None
    if present is not None and not present.usable:
        reason = present.quarantined or present.yanked
        return "quarantined" if present.quarantined else "yanked", reason if isinstance(reason, str) else ""
    if present is not None and present.tree != entry.tree:
        return "changed", ""
    if Version(wanted) != Version(entry.version):
        return "outdated", ""
    if present is None:
        return "gone", ""
    return ("held back" if Version(newest) > Version(entry.version) else "current"), ""


def _newest(page: Page | None, locked: str) -> str:
    """Return the newest version that an install would choose for the bare name, or a newer one that is locked."""
    candidates = Candidates(page, None, ())
    number = candidates.choose(candidates.range(""))
    newest = candidates.releases[number].version if number is not None else locked
    present = page.release(locked) if page else None
    is_stopped = present is not None and not present.usable
    return newest if is_stopped or Version(newest) > Version(locked) else locked
