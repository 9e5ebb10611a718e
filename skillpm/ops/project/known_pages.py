"""The pages of locked skills that this machine has: of registries in folders, and what servers last sent."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from skillpm.errors import PolicyError, SkillpmError
from skillpm.index.source import open_source
from skillpm.model.lock import Lock, LockedSkill
from skillpm.model.release import Page
from skillpm.model.source import Source
from skillpm.ops.context import Context
from skillpm.trust.allowance import NOTHING
from skillpm.trust.recall import recall_warnings

if TYPE_CHECKING:
    from skillpm.model.ports import Index


def known_recalls(context: Context) -> tuple[str, ...]:
    """Return what this machine knows of the recalls of the locked skills, without a request."""
    lock, known = context.lock(), KnownPages(context)
    return tuple(sentence for entry in lock.skills for sentence in known.recalls(entry, lock))


def adapter_recalls(context: Context, entry: LockedSkill) -> list[str]:
    """Return what this machine knows of the recalls of an installed adapter that is to answer, or to be trained on.

    Raises:
        PolicyError: it is in quarantine.
    """
    try:
        return recall_warnings(entry, KnownPages(context).page(entry), context.lock(), NOTHING)
    except PolicyError as quarantine:
        folder = context.store.path(entry.tree)
        quarantine.hint = f"use another one; after a review, name its folder in place of its name: {folder}"
        raise


class KnownPages:
    """Opens registries without their servers."""

    def __init__(self, context: Context) -> None:
        self._around = replace(context.around, offline=True, tell=lambda sentence: None)
        self._indexes: dict[Source, Index] = {}

    def recalls(self, entry: LockedSkill, lock: Lock) -> list[str]:
        """Return a sentence for each recall of a locked release, and where its skill is deprecated or archived."""
        try:
            return recall_warnings(entry, self.page(entry), lock, NOTHING)
        except PolicyError as quarantine:
            return [quarantine.message]

    def page(self, entry: LockedSkill) -> Page | None:
        """Return the page of a locked skill, as this machine knows it; None where it does not."""
        if not entry.source.is_registry:
            return None
        with suppress(SkillpmError):
            if entry.source not in self._indexes:
                self._indexes[entry.source] = open_source(entry.source, self._around)
            return self._indexes[entry.source].page(entry.name)
        return None
