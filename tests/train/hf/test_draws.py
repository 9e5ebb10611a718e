"""Which rows come next: all in turn, those that are paid alike less often, and to the same order after a break."""

from __future__ import annotations

from collections import Counter

from skillpm.train.hf.draws import Draws

KEYS = [f"row-{number}" for number in range(6)]


def drawn(draws: Draws, dull: set[str], steps: int) -> list[str]:
    """Draw two rows a step; those of ``dull`` are always paid alike."""
    taken = []
    for _ in range(steps):
        for key in draws.next(2, ()):
            draws.learn(key, 1 if key in dull else 2)
            taken.append(key)
    return taken


def test_every_row_comes_once_before_one_comes_twice_each_round_in_an_order_of_its_own() -> None:
    rounds = drawn(Draws(KEYS, 0), set(), 9)
    first, second, third = rounds[:6], rounds[6:12], rounds[12:]
    assert sorted(first) == sorted(second) == sorted(third) == KEYS
    assert len({tuple(first), tuple(second), tuple(third)}) > 1
    assert drawn(Draws(KEYS, 1), set(), 9) != rounds == drawn(Draws(KEYS, 0), set(), 9)


def test_what_is_paid_alike_again_and_again_comes_less_often_and_never_leaves() -> None:
    """It waits two rounds, then four, then eight each time: it comes in rounds 0, 2, 6, 14, 22 …"""
    counts = Counter(drawn(Draws(KEYS, 0), {"row-0"}, 160))
    usual = counts["row-1"]
    assert all(abs(counts[key] - usual) <= 1 for key in KEYS[1:])
    assert abs(counts["row-0"] - (2 + (usual - 6) / 8)) <= 1


def test_a_row_that_could_not_be_judged_is_no_worse_for_it() -> None:
    draws = Draws(KEYS, 0)
    for pays, record in ((1, [2, 1]), (0, [4, 1]), (3, [5, 0]), (0, [6, 0])):
        draws.learn("row-0", pays)
        assert draws.record["row-0"] == record


def test_the_record_is_all_that_a_checkpoint_needs() -> None:
    one, other = Draws(KEYS, 0), Draws(KEYS, 0)
    drawn(one, {"row-2"}, 5)
    other.record.update(one.record)
    assert drawn(one, {"row-2"}, 20) == drawn(other, {"row-2"}, 20)


def test_rows_that_a_step_has_asked_are_not_asked_again() -> None:
    draws = Draws(KEYS, 0)
    first = draws.next(4, ())
    assert sorted(first + draws.next(4, first)) == KEYS
    assert draws.next(1, KEYS) == []
