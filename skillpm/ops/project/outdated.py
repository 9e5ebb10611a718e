"""``skillpm outdated``: what each source has now, against what is locked. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from packaging.version import Version

from skillpm.errors import ResolutionError, SkillpmError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.ops.context import Context, locked_skills
from skillpm.resolve.candidates import Candidates
from skillpm.resolve.resolver import resolve
from skillpm.trust.cooldown import Cooldown

State = Literal["current", "outdated", "held back", "changed", "yanked", "quarantined", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class Freshness:
    """One locked skill against its source.

    Attributes:
        name: the skill's.
        locked: the locked version.
        wanted: the version that the requirements would give now.
        newest: the newest version that the source has, whatever is required.
        state: ``outdated`` where wanted is another; ``held back`` where only the requirements keep the newest away;
            ``changed`` where the source has other content under the locked version; ``yanked``, ``quarantined`` and
            ``gone`` where the locked release is; ``unknown`` where the source could not be asked.
        source: what the lock calls it.
        reason: why it is unknown, or why the release was yanked or is in quarantine.
    """

    name: str
    locked: str
    wanted: str
    newest: str
    state: State
    source: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outdated:
    """Every skill that was asked for, and the first failure of a source."""

    skills: tuple[Freshness, ...]
    failure: SkillpmError | None

    @property
    def stale(self) -> list[Freshness]:
        """The skills of which something newer or other is known."""
        return [skill for skill in self.skills if skill.state not in ("current", "unknown")]

    @property
    def unknown(self) -> list[Freshness]:
        """The skills whose source could not be asked."""
        return [skill for skill in self.skills if skill.state == "unknown"]

    def document(self) -> dict[str, Any]:
        """Return the form in which ``--json`` prints it."""
        return {"skills": self.skills}


def outdated(context: Context, names: Sequence[str] = ()) -> Outdated:
    """Compare all locked skills, or these, with what their own sources have.

    A source that fails leaves its skills unknown; the others are compared all the same.

    Raises:
        UnknownSkillError: a name is not installed.
        ResolutionError: what is locked does not fit together.
        LockOutOfDateError, DocumentError, StorageError: the lock cannot be read.
    """
    lock = context.lock()
    entries = locked_skills(lock, names)
    sources = _Sources(context, lock)
    wanted = _wanted(context, lock, sources)
    skills = tuple(_freshness(entry, sources, wanted) for entry in entries)
    return Outdated(
        skills, next((sources.failures[entry.name] for entry in entries if entry.name in sources.failures), None)
    )


class _Sources:
    """The page of each name: of a locked one from the source that its entry names, of others from the indexes."""

    def __init__(self, context: Context, lock: Lock) -> None:
        self._context = context
        self._entries = {entry.name: entry for entry in lock.skills}
        self._required = {item.name: item.source for item in map(Requirement.parse, lock.requirements) if item.source}
        self._cooldown = Cooldown.of(context.settings)
        self._present: dict[str, Page | None] = {}
        self.failures: dict[str, SkillpmError] = {}

    def present(self, entry: LockedSkill) -> Page | None:
        """Return what the source of an entry has now; None where it failed or knows the name no more."""
        if entry.name not in self._present:
            try:
                source = self._required.get(entry.name, entry.source)  # a branch, where the lock has its commit
                self._present[entry.name] = self._context.source(source).page(entry.name)
            except SkillpmError as error:
                self._present[entry.name] = None
                self.failures[entry.name] = error
        return self._present[entry.name]

    def page(self, name: str) -> Page | None:
        """Return the releases that may be chosen; a locked one always may."""
        entry = self._entries.get(name)
        if entry is None:
            return self._context.index.page(name)
        found = self.present(entry)
        releases = found.releases if found else ()
        if all(release.version != entry.version for release in releases):
            releases = (*releases, entry.release())
        return Page(name=name, releases=releases)

    def withheld(self, name: str, release: Release) -> str | None:
        """Say why a release is not chosen today; a locked one always may be."""
        entry = self._entries.get(name)
        if entry is None or entry.version == release.version:
            return None
        return self._cooldown.young(release, entry.source)


def _wanted(context: Context, lock: Lock, sources: _Sources) -> dict[str, Release]:
    """Resolve the requirements anew; where nothing but the lock fits, with the locked versions preferred."""
    requirements = [Requirement.parse(text) for text in lock.requirements]
    try:
        return resolve(requirements, sources.page, near=context.index.near, withheld=sources.withheld)
    except ResolutionError:
        locked = {entry.name: entry.version for entry in lock.skills}
        near, withheld = context.index.near, sources.withheld
        return resolve(requirements, sources.page, preferred=locked, near=near, withheld=withheld)


def _freshness(entry: LockedSkill, sources: _Sources, wanted: dict[str, Release]) -> Freshness:
    page = sources.present(entry)
    best = wanted[entry.name].version if entry.name in wanted else entry.version
    newest = _newest(page, entry.version)
    failure = sources.failures.get(entry.name)
    if failure is not None:
        return Freshness(entry.name, entry.version, best, newest, "unknown", str(entry.source), failure.message)
    state, reason = _state(entry, page, best, newest)
    return Freshness(entry.name, entry.version, best, newest, state, str(entry.source), reason)


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
    """Return the newest version that an install would choose if nothing but the name were required."""
    candidates = Candidates(page, None, ())
    number = candidates.choose(candidates.range(""))
    found = candidates.releases[number].version if number is not None else locked
    return found if Version(found) > Version(locked) else locked
