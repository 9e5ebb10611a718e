"""Every interval and every p value is held against brute force or a published figure."""

from __future__ import annotations

import itertools
import math
import operator
import random
import statistics
import time
from collections.abc import Hashable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillpm.evals.figures import points
from skillpm.evals.statistics import (
    Clusters,
    Interval,
    cluster_flip_test,
    effective_trials,
    holm,
    mcnemar,
    mean_interval,
    paired_difference,
    student_quantile,
    wilson,
)
from tests.present import present

Z = statistics.NormalDist().inv_cdf(0.975)


def mean(
    values: Sequence[float], names: Sequence[Hashable] = (), bounds: tuple[float, float] = (-99, 99)
) -> Interval | None:
    """Each value is a cluster of its own where no names are given."""
    return mean_interval(values, Clusters.of(names or range(len(values))), bounds)


def trials(values: Sequence[float], names: Sequence[Hashable]) -> float:
    return effective_trials(values, Clusters.of(names))


def flips(differences: Sequence[float], names: Sequence[Hashable]) -> float:
    return cluster_flip_test(differences, Clusters.of(names))


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


@pytest.mark.parametrize(("share", "shown"), [(-1e-17, "+0.0"), (-0.0004, "+0.0"), (-0.0006, "-0.1"), (0.25, "+25.0")])
def test_a_difference_that_rounds_to_nothing_is_no_loss(share: float, shown: str) -> None:
    assert points(share) == shown


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
    found = present(mean([1, 2, 3, 4, 5]))
    half = 2.776445 * math.sqrt(2.5 / 5)
    assert (found.estimate, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), abs=1e-5)


def test_a_mean_of_nothing_is_nothing_and_one_value_tells_no_more_than_its_bounds() -> None:
    assert mean([]) is None
    alone = present(mean([0.5], bounds=(0, 1)))
    assert (alone.low, alone.high) == (0, 1)


@pytest.mark.parametrize(("gained", "lost", "p"), [(50_300, 49_700, 0.05820), (20_000, 19_500, 0.01205)])
def test_mcnemar_is_exact_and_quick_for_a_hundred_thousand_pairs(gained: int, lost: int, p: float) -> None:
    """The normal distribution with a continuity correction gives the same to four digits."""
    before = time.process_time()
    assert mcnemar(gained, lost) == pytest.approx(p, rel=1e-3)
    normal = 2 * (1 - statistics.NormalDist().cdf((gained - lost - 1) / math.sqrt(gained + lost)))
    assert mcnemar(gained, lost) == pytest.approx(normal, rel=1e-3)
    assert time.process_time() - before < 5


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_test_of_clusters_is_mcnemars_where_each_pair_is_its_own(gained: int, lost: int) -> None:
    differences = [1.0] * gained + [-1.0] * lost + [0.0] * 3
    own = list(map(str, range(len(differences))))
    assert flips(differences, own) == pytest.approx(mcnemar(gained, lost))


@given(st.lists(st.tuples(st.integers(-1, 1), st.sampled_from("abcdef")), max_size=30))
def test_the_test_of_clusters_counts_the_signs_that_are_at_least_as_lopsided(pairs: list[tuple[int, str]]) -> None:
    sums = [abs(sum(value for value, name in pairs if name == cluster)) for cluster in "abcdef"]
    observed = abs(sum(value for value, _ in pairs))
    signs = list(itertools.product((1, -1), repeat=6))
    extreme = [sign for sign in signs if abs(sum(map(operator.mul, sign, sums))) >= observed]
    found = flips([float(value) for value, _ in pairs], [name for _, name in pairs])
    assert found == pytest.approx(len(extreme) / len(signs))


@given(st.lists(st.floats(0, 1), max_size=8))
def test_tests_made_together_are_refused_as_holm_says(p_values: list[float]) -> None:
    """From the smallest on, each is held against 5 % of as many tests as are left, until one does not reach it."""
    refused = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] * (len(p_values) - rank) >= 0.05:
            break
        refused[place] = True
    adjusted = holm(p_values)
    assert [p < 0.05 for p in adjusted] == refused
    assert all(p <= other <= 1 for p, other in zip(p_values, adjusted, strict=True))


@pytest.mark.parametrize("unit", [1, 840, 240_240])
def test_the_test_of_few_clusters_is_exact_in_any_unit(unit: int) -> None:
    """Tasks with unequal numbers of judged answers have fine units: 240,240 for 16, 15, 14, 13 and 11 answers."""
    clusters = Clusters.of([number % 5 for number in range(15)])
    assert cluster_flip_test([1.0] * 15, clusters, unit) == 2 / 2**5


@pytest.mark.parametrize(("gained", "lost", "size"), [(60, 45, 1), (115, 88, 1), (300, 250, 1), (66, 50, 6)])
def test_the_flips_of_many_clusters_are_as_likely_as_those_that_are_counted(gained: int, lost: int, size: int) -> None:
    differences = [1.0] * gained * size + [-1.0] * lost * size
    clusters = Clusters.of(number // size for number in range(len(differences)))
    assert cluster_flip_test(differences, clusters) == pytest.approx(mcnemar(gained, lost), rel=0.05)


def test_a_p_value_far_out_is_small_and_not_zero() -> None:
    assert 0 < cluster_flip_test([1.0] * 400, Clusters.of(range(400))) < 1e-80


def test_the_test_of_many_clusters_is_that_of_few_but_normal() -> None:
    few = flips([1.0] * 60 + [-1.0] * 40, list(map(str, range(100))))
    many = flips([1.0] * 600 + [-1.0] * 500, list(map(str, range(1100))))
    assert few == pytest.approx(mcnemar(60, 40))
    assert many == pytest.approx(mcnemar(600, 500), abs=0.001)


def test_rows_that_agree_within_their_template_tell_as_much_as_the_templates() -> None:
    values, clusters = [1.0] * 50 + [0.0] * 50, [str(number // 10) for number in range(100)]
    assert trials(values, list(map(str, range(100)))) == 100
    # ten clusters of equal values: a design effect of 11, and Student's 2.262 in place of 1.96
    assert trials(values, clusters) == pytest.approx(100 / 11 * (Z / 2.262157) ** 2, rel=1e-4)
    assert trials(values, ["one"] * 100) == 1
    spread = [float(number % 2) for number in range(100)]
    assert trials(spread, clusters) == pytest.approx(100 * (Z / 2.262157) ** 2, rel=1e-4)


def test_clustered_shares_cover_the_truth_as_often_as_they_say() -> None:
    """20 templates of 5 rows, each template right as a whole or not; rows taken alone would cover 60 % only."""
    chance, covered, alone = random.Random(0), 0, 0
    clusters = [str(number // 5) for number in range(100)]
    for _ in range(1000):
        values = [value for _ in range(20) for value in [float(chance.random() < 0.6)] * 5]
        right = round(sum(values))
        found = present(wilson(right, 100, trials(values, clusters)))
        naive = present(wilson(right, 100))
        covered += found.low <= 0.6 <= found.high
        alone += naive.low <= 0.6 <= naive.high
    assert alone < 700 < 930 < covered


@pytest.mark.parametrize(("tasks", "answers"), [(10, 2), (12, 20), (20, 50)])
def test_answers_that_agree_in_all_clusters_but_one_tell_no_more_than_the_clusters(tasks: int, answers: int) -> None:
    """Each task asked again says nothing of tasks that were not asked, were all answers right or all but one."""
    names = [number // answers for number in range(tasks * answers)]
    for wrong in (0, 1, answers):
        values = [0.0] * wrong + [1.0] * (len(names) - wrong)
        assert trials(values, names) <= tasks
        assert trials(values[::-1], names) == pytest.approx(trials(values, names))
        low = present(mean(values, names, bounds=(0, 1))).low
        assert low <= present(wilson(tasks, tasks)).low


def test_clusters_that_seldom_fail_cover_the_truth_as_often_as_they_say() -> None:
    """20 tasks of 10 answers, each task right as a whole with 97 %: half of such samples are all right."""
    chance, covered = random.Random(0), 0
    names = [number // 10 for number in range(200)]
    for _ in range(500):
        values = [value for _ in range(20) for value in [float(chance.random() < 0.97)] * 10]
        found = present(wilson(sum(values), 200, trials(values, names)))
        covered += found.low <= 0.97 <= found.high
    assert covered > 0.93 * 500


def test_clusters_of_which_none_changed_exclude_a_change_of_more_than_a_few() -> None:
    """As many as Wilson's upper end of none of them may have changed, each from end to end."""
    found = present(mean([0.0] * 200, [number // 2 for number in range(200)], bounds=(-1, 1)))
    most = present(wilson(0, 100)).high
    assert (found.low, found.high) == pytest.approx((-most, most))


def test_a_mean_of_clusters_is_as_wide_as_that_of_the_clusters_means() -> None:
    values, clusters = [1.0, 1.0, 0.0, 0.0, 0.5, 0.5], list("aabbcc")
    found, means = present(mean(values, clusters)), present(mean([1.0, 0.0, 0.5]))
    assert (found.low, found.high) == pytest.approx((means.low, means.high))


def test_an_interval_stays_within_the_bounds_of_the_values() -> None:
    assert present(mean([0.0, 0.3], bounds=(-1, 1))).low == -1
    found = present(mean([0.5, 0.5], ["a", "a"], bounds=(-1, 1)))
    assert (found.low, found.high) == (-1, 1)


def test_equal_values_tell_no_more_than_as_many_trials() -> None:
    share = present(wilson(10, 10))
    found = present(mean([1.0] * 10, bounds=(-1, 1)))
    assert (found.low, found.high) == pytest.approx((2 * share.low - 1, 1))
    assert present(mean([0.1] * 30, bounds=(-2, 2))).low < 0


@given(st.lists(st.tuples(st.floats(-1, 1), st.sampled_from("abc")), min_size=1, max_size=40), st.randoms())
def test_figures_of_clusters_are_the_same_in_any_order(rows: list[tuple[float, str]], chance: random.Random) -> None:
    values, clusters = zip(*rows, strict=True)
    others, names = zip(*chance.sample(rows, len(rows)), strict=True)
    assert mean(values, clusters, bounds=(-1, 1)) == mean(others, names, bounds=(-1, 1))
    assert trials(values, clusters) == trials(others, names)


def test_sums_of_clusters_that_cancel_are_the_same_in_any_order() -> None:
    small, tiny = 2.0**-54, 2.0**-108
    one = [-small, tiny, tiny, 1.0, -1.0]
    found = {mean([*order, *(-value for value in order)], list("aaaaabbbbb")) for order in itertools.permutations(one)}
    assert len(found) == 1
