"""What an index says of a release after it was published: that it was yanked, or that it is in quarantine.

Neither is chosen anew. A yanked release stays where it is locked, and installing it warns. A quarantined one, which is
under suspicion, is not installed even where it is locked, unless a person who has looked lets it in.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from skillpm.errors import PolicyError, RegistryError
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page, Release
from skillpm.model.requirement import Requirement
from skillpm.trust.allowance import QUARANTINED, Allowance

if TYPE_CHECKING:
    from skillpm.model.ports import Index

_NONE_LEFT = "its source has no other release"


def asked_page(index: Index, name: str) -> Page | None:
    """Return the page of a locked name; None if nobody can yank it, or the index cannot be asked for it now."""
    if index.made_here:
        return None
    with contextlib.suppress(RegistryError):  # what is locked installs from a cache, too
        return index.page(name)
    return None


def recall_warnings(entry: LockedSkill, page: Page | None, lock: Lock, allow: Allowance) -> list[str]:
    """Return a sentence where a locked release was yanked, and one where its skill is deprecated or archived.

    Raises:
        PolicyError: it is in quarantine, and nobody lets it in.
    """
    release = _release(entry, page)
    if release is not None and release.quarantined and QUARANTINED not in allow.codes(entry.name):
        raise PolicyError(
            f"{entry} is in quarantine at {entry.source}{_because(release.quarantined)}",
            hint=f"{_way_out(entry, page, lock)}; after a review, `--allow {entry.name}:quarantined` accepts this one",
        )
    warnings = []
    if release is not None and release.yanked:
        sentence = f"{entry}, which is locked, was yanked{_because(release.yanked)}"
        warnings.append(f"{sentence}; {_way_out(entry, page, lock)}")
    return [*warnings, *status_warnings(entry.name, page)]


def departure(entry: LockedSkill, page: Page | None) -> str | None:
    """Return why a release that was locked is not chosen again; None if it may be."""
    release = _release(entry, page)
    if release is None or release.usable:
        return None
    if release.quarantined:
        return f"{entry}, which was locked, is in quarantine{_because(release.quarantined)}"
    return f"{entry}, which was locked, was yanked{_because(release.yanked)}"


def _release(entry: LockedSkill, page: Page | None) -> Release | None:
    return next((item for item in page.releases if item.version == entry.version), None) if page else None


def status_warnings(name: str, page: Page | None) -> list[str]:
    """Return a sentence where a skill is deprecated or archived."""
    return [] if page is None or page.status == "active" else [f"{name} is {page.status}{_because(page.reason)}"]


def _way_out(entry: LockedSkill, page: Page | None, lock: Lock) -> str:
    """Return what leads to another release: an update, or another requirement where one allows this release alone."""
    others = [item.version for item in page.releases if item.usable] if page else []
    typed = [item for item in map(Requirement.parse, lock.requirements) if item.name == entry.name]
    for requirement in typed:
        if not any(map(requirement.admits, others)):
            return (
                f"ask for `{entry.name}` in place of `{entry.name}{requirement.specifier}`"
                if others and requirement.specifier
                else _NONE_LEFT
            )
    for skill in lock.skills:
        wanted = Requirement.of(entry.name, skill.requires.get(entry.name, ""))
        if entry.name in skill.requires and not any(map(wanted.admits, others)):
            return f"{skill.name} {skill.version} requires `{wanted}`" if others else _NONE_LEFT
    return f"`skillpm update {entry.name}` takes another release"


def _because(reason: bool | str) -> str:
    return f": {reason}" if isinstance(reason, str) and reason else ""
