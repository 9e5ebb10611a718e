"""Which rows a stage asks next: all in turn, and those whose answers are paid alike the less often.

A group of equals teaches nothing. DAPO (arXiv 2503.14476) samples until a step has live groups. A task that was solved
always or never is likely to be so again, so here it also waits longer: stride scheduling (Waldspurger, MIT, 1995).
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Collection, Sequence

_LONGEST = 3  # a row waits 2**3 rounds at most: a model that learns may come to answer it


class Draws:
    """Draws rows.

    Args:
        keys: of the rows.
        seed: of the order within a round.

    Attributes:
        record: by key, the round in which the row is due and its groups of equals in succession. A checkpoint has it.
    """

    def __init__(self, keys: Sequence[str], seed: int) -> None:
        self._seed = seed
        self.record: dict[str, list[int]] = {key: [0, 0] for key in keys}

    def next(self, count: int, but: Collection[str]) -> list[str]:
        """Return the keys of the rows that are due first, without those of ``but``."""
        return heapq.nsmallest(count, (key for key in self.record if key not in but), key=self._place)

    def learn(self, key: str, pays: int) -> None:
        """Take note of how many different pays the answers to a row had: none where no answer could be judged."""
        due, equals = self.record[key]
        equals = min(equals + 1, _LONGEST) if pays == 1 else 0 if pays else equals
        self.record[key] = [due + 2**equals, equals]

    def _place(self, key: str) -> tuple[int, float]:
        due, _ = self.record[key]
        return due, random.Random(f"{self._seed} {due} {key}").random()
