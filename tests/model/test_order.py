"""Orders by chance."""

from __future__ import annotations

import random
from collections import Counter

from skillpm.model.order import shuffle


def mixed(text: str, chance: random.Random) -> str:
    letters = list(text)
    shuffle(letters, chance.getrandbits)
    return "".join(letters)


def test_the_order_of_a_seed_is_written_down() -> None:
    assert mixed("abcdefgh", random.Random(7)) == "ghceadbf"
    assert mixed("", random.Random(7)) == ""


def test_every_order_is_as_likely() -> None:
    chance = random.Random(1)
    counts = Counter(mixed("abc", chance) for _ in range(6000))
    assert len(counts) == 6
    assert all(880 < count < 1120 for count in counts.values())  # four deviations of 1,000
