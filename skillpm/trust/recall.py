"""What an index says of a release after it was published: that it was yanked, or that it is in quarantine.

Neither is chosen anew. A yanked release stays where it is locked, and installing it warns. A quarantined one, which is
under suspicion, is not installed even where it is locked, unless a person who has looked lets it in.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from skillpm.errors import PolicyError, RegistryError
from skillpm.model.lock import LockedSkill
from skillpm.model.release import Page
from skillpm.trust.allowance import QUARANTINED, Allowance

if TYPE_CHECKING:
    from skillpm.model.ports import Index


def asked_page(index: Index, name: str) -> Page | None:
    """Return the page of a locked name; None where nobody can yank it, or the index cannot be asked for it now."""
    if index.made_here:
        return None
    with contextlib.suppress(RegistryError):  # what is locked installs from a cache, too
        return index.page(name)
    return None


def recall_warnings(entry: LockedSkill, page: Page | None, allow: Allowance) -> list[str]:
    """Return a sentence where a locked release was yanked, and one where its skill is deprecated or archived.

    Args:
        entry: what is locked, or will be.
        page: what the index says now; None where it was not asked.
        allow: what a person lets in.

    Raises:
        PolicyError: it is in quarantine, and nobody lets it in.
    """
    found = next((item for item in page.releases if item.version == entry.version), None) if page else None
    if found is not None and found.quarantined and QUARANTINED not in allow.codes(entry.name):
        raise PolicyError(
            f"{entry.name} {entry.version} is in quarantine at {entry.source}{_because(found.quarantined)}",
            hint=f"`skillpm update {entry.name}` takes another release; where you have looked, "
            f"`--allow {entry.name}:quarantined` lets this one in",
        )
    warnings = []
    if found is not None and found.yanked:
        hint = f"`skillpm update {entry.name}` takes another release"
        warnings.append(f"{entry.name} {entry.version}, which is locked, was yanked{_because(found.yanked)}; {hint}")
    if page is not None and page.status != "active":
        warnings.append(f"{entry.name} is {page.status}{_because(page.reason)}")
    return warnings


def _because(reason: bool | str) -> str:
    return f": {reason}" if isinstance(reason, str) and reason else ""
