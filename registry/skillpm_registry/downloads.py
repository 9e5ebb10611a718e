"""How often each archive was sent, by day. Counts are kept in memory and written together; no address is kept."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Collection

from sqlalchemy import func, select

from skillpm.errors import SkillpmError
from skillpm_registry.database import Database
from skillpm_registry.tables import Download

_PAUSE = 10.0  # seconds between two writes; a server that is killed loses the counts since the last one
DAYS = 84  # twelve weeks, which a page shows


class Downloads:
    """The counts of one process, and those of all in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._fresh: Counter[tuple[str, str]] = Counter()
        self._written = time.monotonic()

    def count(self, archive: str) -> None:
        """Count one download of an archive, by its hex digest. A thread writes the counts if it is time."""
        with self._turn:
            self._fresh[archive, today().isoformat()] += 1
            is_time = time.monotonic() - self._written > _PAUSE
            self._written = time.monotonic() if is_time else self._written
        if is_time:
            threading.Thread(target=self.write).start()

    def write(self) -> None:
        """Write the counts since the last time. A database that is busy is asked again later."""
        with self._turn:
            fresh, self._fresh, self._written = self._fresh, Counter(), time.monotonic()
        if not fresh:
            return
        try:
            with self._database.writing() as session:
                for (archive, day), count in fresh.items():
                    row = session.get(Download, (archive, day))
                    if row is None:
                        session.add(Download(archive=archive, day=day, count=count))
                    else:
                        row.count += count
        except SkillpmError:
            with self._turn:
                self._fresh.update(fresh)

    def totals(self, archives: Collection[str]) -> dict[str, int]:
        """Return how often each of some archives was sent."""
        query = select(Download.archive, func.sum(Download.count)).group_by(Download.archive)
        with self._database.reading() as session:
            return {row[0]: int(row[1]) for row in session.execute(query.where(Download.archive.in_(archives)))}

    def days(self, archives: Collection[str]) -> list[int]:
        """Return how often some archives were sent on each of the last ``DAYS`` days, today last."""
        first = today() - dt.timedelta(days=DAYS - 1)
        query = select(Download.day, func.sum(Download.count)).group_by(Download.day)
        chosen = query.where(Download.archive.in_(archives), Download.day >= first.isoformat())
        with self._database.reading() as session:
            counts = {row[0]: int(row[1]) for row in session.execute(chosen)}
        return [counts.get((first + dt.timedelta(days=number)).isoformat(), 0) for number in range(DAYS)]


def today() -> dt.date:
    """Return the day in UTC."""
    return dt.datetime.now(dt.UTC).date()
