"""What may be installed: how old a release must be, and which sources are allowed.

Several policies hold at once, a person's and a project's, and each must agree: a project can be stricter than the
person who works in it, never laxer.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field

from skillpm.model.document import Document
from skillpm.model.release import Release

__all__ = ["Policy", "cutoff", "too_young"]

Pattern = Annotated[str, Field(min_length=1, max_length=2000)]


class Policy(Document):
    """One policy.

    Attributes:
        cooldown: days; a registry's releases that are younger are not chosen. None says nothing.
        allow: patterns of sources, ``*`` for any text, or names of registries; where given, nothing else is taken.
        deny: the same, for what is never taken.
    """

    cooldown: Annotated[int, Field(ge=0, le=3650)] | None = None
    allow: tuple[Pattern, ...] | None = None
    deny: tuple[Pattern, ...] = ()

    def refuses(self, source: str, names: Iterable[str] = ()) -> str | None:
        """Return why a source is not to be used, or None.

        Args:
            source: as a lock writes it.
            names: what the person calls it.
        """
        texts = (source, *names)
        denied = next((item for item in self.deny if any(fnmatchcase(text, item) for text in texts)), None)
        if denied is not None:
            return f"`deny` has `{denied}`"
        if self.allow is not None and not any(fnmatchcase(text, item) for item in self.allow for text in texts):
            return "`allow` does not have it"
        return None


def cutoff(cooldown: int, now: datetime) -> str:
    """Return the UTC day before which a release must have been published, such as ``2026-11-13``."""
    return (now.astimezone(UTC) - timedelta(days=cooldown)).date().isoformat()


def too_young(release: Release, day: str) -> str | None:
    """Return what makes a release too young for a cut-off day, in words that follow "it is"; None where nothing does.

    A release without a time of publication that can be read cannot show its age, and is too young.
    """
    try:
        published = datetime.fromisoformat(release.published or "")
    except ValueError:
        return "without a time of publication, which the cooldown needs"
    aware = published if published.tzinfo else published.replace(tzinfo=UTC)
    moment = aware.astimezone(UTC).date().isoformat()
    return None if moment < day else f"younger than the cooldown allows (published {moment}, cut-off {day})"
