"""Fuzzed answers are the same for the same seed; what a search leaves still fails and could not do with less."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from skillpm.selftest.shrink import fewest, fuzzed, shortest

GOLD = '{"tool": "serve", "args": {"port": 8123, "host": null}}'


def test_the_same_seed_gives_the_same_answers_and_another_one_others() -> None:
    assert list(fuzzed(GOLD, 50, seed="1")) == list(fuzzed(GOLD, 50, seed="1"))
    assert list(fuzzed(GOLD, 50, seed="1")) != list(fuzzed(GOLD, 50, seed="2"))
    assert sum(text != GOLD for text in fuzzed(GOLD, 200, seed="3")) > 190
    assert len(list(fuzzed("no JSON", 20, seed="0"))) == len(list(fuzzed("", 20, seed="0"))) == 20


@given(st.text(alphabet="abcx", max_size=80), st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
def test_a_text_is_left_with_exactly_what_fails(noise: str, needed: list[str]) -> None:
    """A text fails that holds these letters in this order, as a subsequence; that is all that is left of it."""

    def holds(text: str) -> bool:
        letters = iter(text)
        return all(letter in letters for letter in needed)

    text = noise[: len(noise) // 2] + "".join(needed) + noise[len(noise) // 2 :]
    found = shortest(text, lambda candidates: [holds(candidate) for candidate in candidates])
    assert found == "".join(needed)


def test_items_keep_their_order_and_questions_are_bounded() -> None:
    asked: list[int] = []

    def fails(candidates: Sequence[Sequence[int]]) -> list[bool]:
        asked.append(len(candidates))
        return [7 in candidate and 900 in candidate for candidate in candidates]

    assert fewest(list(range(1000)), fails) == [7, 900]
    before = len(asked)
    hard = fewest("x" * 3_000_000, lambda candidates: [False] * len(candidates))
    assert len(hard) == 3_000_000 and sum(asked[:before]) < 2000
