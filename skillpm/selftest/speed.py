"""Measures whether a verdict takes longer than its skill promises."""

from __future__ import annotations

from collections.abc import Sequence

from skillpm.selftest.judge import ProbeJudge
from skillpm.selftest.probes import Probe
from skillpm.selftest.results import MAX_SHOWN, Results, hurried
from skillpm.selftest.shrink import shortest

TRIES = 3  # of which the fastest counts


class Speed:
    """Looks closer at batches that took long: no answer of a batch is slower than the batch.

    ``seconds`` is what one verdict may take.
    """

    def __init__(self, judge: ProbeJudge, results: Results, seconds: float) -> None:
        self._judge = judge
        self._results = results
        self._seconds = seconds

    def check(self, suspects: Sequence[list[Probe]], checked: int) -> None:
        """Report the slow answers of these batches; ``checked`` is the number of all answers."""
        self._results.checked["SK761"] += checked
        slow: list[tuple[Probe, str]] = []
        for batch in suspects:
            slow += self._slow(batch) if len(slow) < MAX_SHOWN else []
        if slow:
            self._results.add("SK761", slow, self._smaller)

    def _slow(self, probes: list[Probe]) -> list[tuple[Probe, str]]:
        """Return those that take too long by themselves."""
        seconds = self._taken(probes, TRIES if len(probes) == 1 else 1)
        if seconds <= self._seconds:
            return []
        # A slow batch is halved, as in a binary search: of n answers of which one is slow, 2 log n batches are judged.
        # A single answer counts as slow only where its best of several tries is.
        if len(probes) == 1:
            return [(probes[0], f"judged in {seconds:.2f} s, but skill.yaml promises {self._seconds:g} s")]
        half = len(probes) // 2
        return self._slow(probes[:half]) + self._slow(probes[half:])

    def _smaller(self, probe: Probe, seen: str) -> tuple[Probe, str, Sequence[Probe]]:
        def fails(texts: Sequence[str]) -> list[bool]:
            return [self._taken([probe.smaller(text)], TRIES) > self._seconds for text in texts]

        return probe.smaller(shortest(probe.free, hurried(fails))), seen, ()

    def _taken(self, probes: Sequence[Probe], tries: int) -> float:
        return self._judge.seconds(probes, tries=tries, enough=self._seconds)
