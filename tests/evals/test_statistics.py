"""Every interval and every p value is held against brute force or a published figure."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.evals.statistics import mcnemar, mean_interval, paired_difference, student_quantile, wilson
from tests.present import present

Z = statistics.NormalDist().inv_cdf(0.975)


@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_both_ends_of_wilsons_interval_solve_the_score_equation(counts: tuple[int, int]) -> None:
    """(share - p)^2 = z^2 p (1 - p) / n is what the interval is defined by."""
    successes, trials = counts
    found = present(wilson(successes, trials))
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    for end in (found.low, found.high):
        assert (found.estimate - end) ** 2 == pytest.approx(Z * Z * end * (1 - end) / trials, abs=1e-9)


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_figures_that_newcombe_published(successes: int, trials: int, low: float, high: float) -> None:
    found = present(wilson(successes, trials))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_nothing_tried_has_no_share() -> None:
    assert wilson(0, 0) is None


@given(st.integers(0, 7), st.integers(0, 7))
def test_mcnemar_is_the_share_of_coin_throws_that_are_at_least_as_lopsided(gained: int, lost: int) -> None:
    discordant = gained + lost
    throws = list(itertools.product((0, 1), repeat=discordant))
    extreme = [throw for throw in throws if abs(2 * sum(throw) - discordant) >= abs(gained - lost)]
    assert mcnemar(gained, lost) == pytest.approx(len(extreme) / len(throws))


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_does_not_care_which_arm_comes_first(gained: int, lost: int) -> None:
    assert mcnemar(gained, lost) == mcnemar(lost, gained)
    assert 0 < mcnemar(gained, lost) <= 1


def test_six_flips_to_one_side_are_the_fewest_that_speak() -> None:
    assert mcnemar(5, 0) > 0.05 > mcnemar(6, 0)


TABLES = st.tuples(*[st.integers(0, 60)] * 4).filter(lambda table: sum(table) > 0)


@given(TABLES)
def test_the_interval_of_a_paired_difference_holds_it_and_turns_with_the_arms(table: tuple[int, int, int, int]) -> None:
    both, gained, lost, neither = table
    found = present(paired_difference(both, gained, lost, neither))
    turned = present(paired_difference(both, lost, gained, neither))
    assert -1 <= found.low <= found.estimate + 1e-12
    assert found.estimate - 1e-12 <= found.high <= 1
    assert found.low == pytest.approx(-turned.high)
    assert found.estimate == pytest.approx((gained - lost) / sum(table))


def test_the_paired_interval_gives_a_published_figure() -> None:
    """Airway hyper-responsiveness before and after a transplant (Bentur 2009): -0.286, -0.507 to -0.026."""
    found = present(paired_difference(both=1, gained=1, lost=7, neither=12))
    assert (round(found.low, 3), round(found.high, 3)) == (-0.507, -0.026)


def test_the_paired_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Exact coverage over every table of 12 pairs, for correlated arms with shares 0.7 and 0.4."""
    cells = (0.35, 0.05, 0.35, 0.25)  # both, gained, lost, neither
    truth, pairs, covered = cells[1] - cells[2], 12, 0.0
    for both, gained, lost in itertools.product(range(pairs + 1), repeat=3):
        neither = pairs - both - gained - lost
        if neither < 0:
            continue
        counts = (both, gained, lost, neither)
        ways = math.factorial(pairs) / math.prod(math.factorial(count) for count in counts)
        found = present(paired_difference(*counts))
        if found.low <= truth <= found.high:
            covered += ways * math.prod(share**count for share, count in zip(cells, counts, strict=True))
    assert 0.93 < covered < 0.99


@pytest.mark.parametrize(
    ("degrees", "value"),
    [(1, 12.7062), (2, 4.3027), (3, 3.1824), (5, 2.5706), (10, 2.2281), (30, 2.0423), (31, 2.0395), (120, 1.9799)],
)
def test_students_quantile_gives_the_figures_of_the_table(degrees: int, value: float) -> None:
    assert round(student_quantile(degrees), 4) == value


def test_students_quantile_comes_down_to_the_normal_one() -> None:
    quantiles = [student_quantile(degrees) for degrees in (1, 2, 3, 10, 99, 100, 5000, 20_000)]
    assert quantiles == sorted(quantiles, reverse=True)
    assert quantiles[-1] == pytest.approx(Z)


def test_a_mean_has_students_interval() -> None:
    found = present(mean_interval([1, 2, 3, 4, 5]))
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert (found.estimate, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-5)


def test_a_mean_of_nothing_is_nothing_and_of_one_value_has_no_width() -> None:
    assert mean_interval([]) is None
    alone = present(mean_interval([0.5]))
    assert alone.low == alone.high == 0.5
