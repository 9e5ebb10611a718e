"""Judging what will be asked for, beside whatever brings it about: a slow verifier works while a model still writes.

Only the workers' part is done here, for it may run in any thread; what the user's own plugins add to a judgement, and
what they are told, stays in the thread of those who ask.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Hashable, Iterable, Mapping

from skillpm.model.episode import Episode
from skillpm.model.verdict import Judgement
from skillpm.worker.pool import WorkerPool

_MOST = 32  # episodes of one call: a foreground caller may have to wait for that many that it did not ask for
_TICK = 0.02  # seconds between two tries to end what is in flight


class Prefetch:
    """Has a pool judge episodes in a thread of its own, and keeps the judgements until they are taken."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, Episode] = {}
        self._in_flight: dict[Hashable, Episode] = {}
        self._judgements: dict[Hashable, Judgement] = {}
        self._thread: threading.Thread | None = None

    def put(self, episodes: Mapping[Hashable, Episode]) -> None:
        """Have episodes judged, each under its key; returns at once."""
        with self._changed:
            for key, episode in episodes.items():
                if key not in self._in_flight and key not in self._judgements:
                    self._waiting[key] = episode
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"judging {self._pool.skill.name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def take(self, keys: Iterable[Hashable]) -> dict[Hashable, Judgement]:
        """Return, once, the judgements under these keys; those that nobody has begun with are left to the caller."""
        with self._changed:
            wanted = list(keys)
            for key in wanted:
                self._waiting.pop(key, None)
            self._changed.wait_for(lambda: not any(key in self._in_flight for key in wanted))
            return {key: self._judgements.pop(key) for key in wanted if key in self._judgements}

    def close(self) -> None:
        """Forget everything; what is in flight is ended, not waited for."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._waiting.clear()
            self._changed.notify_all()
        while thread is not None and thread.is_alive():
            self._pool.cancel()
            thread.join(_TICK)
        self._judgements.clear()

    def _run(self) -> None:
        mine = threading.current_thread()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._thread is not mine)
                if self._thread is not mine:
                    return
                batch = {key: self._waiting.pop(key) for key in list(self._waiting)[:_MOST]}
                self._in_flight = batch
            judgements: list[Judgement] = []
            with contextlib.suppress(Exception):  # a foreground caller of these meets it again
                judgements = self._pool.judge(list(batch.values()))
            with self._changed:
                self._in_flight = {}
                self._judgements.update(zip(batch, judgements, strict=False))
                self._changed.notify_all()
