"""The cooldown of this invocation: which releases are too young to be chosen today."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from skillpm.model.release import Release
from skillpm.model.source import Source
from skillpm.settings import Settings


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A cut-off.

    Attributes:
        day: the UTC day before which a release must have been published; None if no cooldown holds.
        today: the UTC day that it is, by this machine's clock.
    """

    day: str | None
    today: str

    @classmethod
    def of(cls, settings: Settings) -> Cooldown:
        """Return the cooldown that holds now. Raises UsageError if the days are not a number."""
        days = settings.cooldown
        now = datetime.now(UTC)
        today = now.date().isoformat()
        if not days:
            return cls(None, today)
        from skillpm.model.trust_policy import cutoff

        return cls(cutoff(days, now), today)

    def young(self, release: Release, source: Source) -> str | None:
        """Say why a release is too young, in words that follow "it is"; None if it is not."""
        if self.day is None or source.chosen_by_hand:
            return None
        from skillpm.model.trust_policy import too_young

        return too_young(release, self.day, self.today)
