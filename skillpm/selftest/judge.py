"""Judges probes as a policy's answers are judged, without a memo."""

from __future__ import annotations

import time
from collections.abc import Sequence

from skillpm.model.episode import Episode
from skillpm.model.progress import Progress
from skillpm.model.verdict import Judgement
from skillpm.selftest.probes import Probe
from skillpm.worker.scoring import Scorer


class ProbeJudge:
    """The judges of one skill's probes.

    Attributes:
        has_code: does code of the skill have a say?
    """

    def __init__(self, scorer: Scorer, progress: Progress, *, has_code: bool) -> None:
        self.has_code = has_code
        self._scorer = scorer
        self._progress = progress

    def judge(self, probes: Sequence[Probe]) -> list[Judgement]:
        """Judge probes in one batch."""
        judgements = self._scorer.judge_afresh([_episode(probe) for probe in probes])
        self._progress.advance(len(probes))
        return judgements

    def judge_by_new_workers(self, probes: Sequence[Probe]) -> list[Judgement]:
        """Judge probes in one batch, shared by two workers that have judged nothing yet, and whose clocks move."""
        with self._scorer.anew() as others:
            return others.judge_afresh([_episode(probe) for probe in probes])

    def seconds(self, probes: Sequence[Probe], *, tries: int, enough: float) -> float:
        """Return how long it takes to judge them in one batch, the best of some tries, or the first below enough."""
        episodes = [_episode(probe) for probe in probes]
        best = float("inf")
        for _ in range(tries):
            started = time.perf_counter()
            self._scorer.judge_afresh(episodes)
            best = min(best, time.perf_counter() - started)
            if best <= enough:
                break
        return best


def _episode(probe: Probe) -> Episode:
    return Episode.answering(probe.place.task, probe.text, probe.finish_reason)
