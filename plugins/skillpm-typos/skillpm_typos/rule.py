"""The rule ``typos``: seeds asked again with slips that leave their expected answers right."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence

from skillpm.plugin import Seed, Task

_WORD = re.compile(r"[a-z]{4,}")  # long enough to be read when two of its letters change places
_ROUNDS = 20  # over the seeds; one seed does not have many more distinct slips


class Typos:
    """Asks each seed again in other spellings; its tasks are for training only.

    Args:
        skill: whose seeds they are.
    """

    name = "typos"

    def __init__(self, skill: str) -> None:
        self._skill = skill

    def tasks(self, seeds: Sequence[Seed], seed: int) -> Iterator[Task]:
        """Yield tasks with one or two slips each; the same arguments give the same tasks."""
        chance = random.Random(seed)
        for _ in range(_ROUNDS):
            for given in seeds:
                request = slip(given.request, json.dumps(given.expected), chance)
                if chance.random() < 0.5:
                    request = request[:1].lower() + request[1:].rstrip(".?!")
                if request != given.request:
                    yield Task.of(
                        skill=self._skill,
                        system="",
                        request=request,
                        expected=given.expected,
                        split="train",
                        origin="rule",
                    )


def slip(request: str, answer: str, chance: random.Random) -> str:
    """Let two neighbouring letters of a word change places; a word that the answer contains is left alone."""
    words = [match for match in _WORD.finditer(request) if match[0] not in answer]
    if not words:
        return request
    word = chance.choice(words)
    place = chance.randrange(word.start(), word.end() - 1)
    return request[:place] + request[place + 1] + request[place] + request[place + 2 :]
