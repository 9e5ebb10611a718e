"""The results of a self-test: how many claims were checked and failed, and the smallest counterexamples."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from skillpm.selftest.claims import Broken, Counterexample
from skillpm.selftest.probes import Probe

MAX_SHOWN = 2  # broken claims of one code that are made small and shown one by one
SEARCH_SECONDS = 20.0  # for a smaller counterexample

Smaller = Callable[[Probe, str], tuple[Probe, str, Sequence[Probe]]]
"""Takes a probe and what was seen of it; returns a smaller one, what is seen of that, and the batch that matters."""


class Results:
    """Of one skill.

    Attributes:
        failed: claims by code that do not hold.
        broken: some of those by code, with the smallest answers that show it.
    """

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.broken: dict[str, list[Broken]] = {}

    def add(self, code: str, items: Sequence[tuple[Probe, str]], smaller: Smaller | None = None) -> None:
        """Count broken claims, a probe and what was seen of it each; keep the shortest, made small, each text once."""
        self.failed[code] += len(items)
        shown = self.broken.setdefault(code, [])
        for probe, seen in sorted(items, key=lambda item: len(item[0].text))[: MAX_SHOWN - len(shown)]:
            small, sight, among = (probe, seen, ()) if smaller is None else smaller(probe, seen)
            example = Counterexample(small.place, small.text, tuple(item.text for item in among))
            if all(item.example.completion != example.completion for item in shown):
                shown.append(Broken(code, small.how, example, sight))


def hurried(fails: Callable[[Sequence[Any]], list[bool]]) -> Callable[[Sequence[Any]], list[bool]]:
    """Return the question, which is answered with no once a search has taken long enough."""
    end = time.monotonic() + SEARCH_SECONDS
    return lambda candidates: fails(candidates) if time.monotonic() < end else [False] * len(candidates)
