"""Judges probes as a policy's answers are judged, without a memo."""

from __future__ import annotations

import time
from collections.abc import Sequence

from skillpm.model.episode import Episode
from skillpm.model.task import Task
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.selftest.probes import Probe
from skillpm.worker.scoring import Scorer


class ProbeJudge:
    """The judges of one skill's probes.

    Args:
        contributions: the skill's.
        scorer: was made for the skill.
    """

    def __init__(self, contributions: Contributions, scorer: Scorer) -> None:
        self.contributions = contributions
        self._scorer = scorer
        self._tasks: dict[tuple[str, int | None], Task] = {}

    def judge(self, probes: Sequence[Probe]) -> list[Judgement]:
        """Judge probes in one batch."""
        return self._scorer.judge_afresh([self._episode(probe) for probe in probes])

    def judge_by_new_workers(self, probes: Sequence[Probe]) -> list[Judgement]:
        """Judge probes in one batch, shared by two workers that have judged nothing yet."""
        with self._scorer.anew(workers=2) as others:
            return others.judge_afresh([self._episode(probe) for probe in probes])

    def seconds(self, probes: Sequence[Probe], *, tries: int, enough: float) -> float:
        """Return how long it takes to judge them in one batch, the best of some tries, or the first below enough."""
        episodes = [self._episode(probe) for probe in probes]
        best = float("inf")
        for _ in range(tries):
            started = time.perf_counter()
            self._scorer.judge_afresh(episodes)
            best = min(best, time.perf_counter() - started)
            if best <= enough:
                break
        return best

    def _episode(self, probe: Probe) -> Episode:
        key = (probe.place.name, probe.place.line)
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = self.contributions.task(probe.place.request, probe.place.expected)
        return Episode.answering(task, probe.text)
