"""The statistics of an evaluation, from first principles and the standard library.

Everything is two-sided and at 95 %. Shares get Wilson's interval, which holds at the edges 0 and 1, means Student's,
the difference of paired shares Newcombe's; whether two paired arms differ at all is McNemar's exact test.

Rows that one template made succeed or fail together. Where values come with the names of their clusters, a share is
known as well as from its effective number of trials, a mean has a cluster-robust variance, and the paired test flips
whole clusters. Clusters that are all equal, or all but one, do not say how clusters vary: then each tells no more than
one trial.
"""

from __future__ import annotations

import functools
import math
import statistics
from array import array
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

CONFIDENCE = 0.95
_COUNTED = 100  # clusters, of whose signs all are counted
_MOST_SUMS = 20_000  # that the signs of the clusters may make
_ROUNDING = 1e-12  # of the range of values
_Z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that covers the truth with the stated confidence."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Clusters:
    """The cluster of each value, numbered from 0 in the order in which they first appear: 4 bytes a value."""

    numbers: array[int]
    count: int

    @classmethod
    def of(cls, names: Iterable[Hashable]) -> Clusters:
        """Return the clusters of these names."""
        numbers: dict[Hashable, int] = {}
        found = array("I", (numbers.setdefault(name, len(numbers)) for name in names))
        return cls(found, len(numbers))

    @classmethod
    def numbered(cls, numbers: Iterable[int], bound: int) -> Clusters:
        """Return the same for names that are numbers below ``bound``, without a dict of all of them."""
        new, count = array("i", [-1]) * bound, 0
        renumbered = array("I")
        for number in numbers:
            if new[number] < 0:
                new[number], count = count, count + 1
            renumbered.append(new[number])
        return cls(renumbered, count)


def wilson(successes: float, trials: int, effective: float | None = None) -> Interval | None:
    """Return the share with Wilson's score interval; None without trials.

    ``effective`` is the number of independent trials that tell as much; all where None. Trials may succeed in part, as
    a task does of which some answers are right: no values from 0 to 1 vary more than those that are 0 or 1, so the
    interval is wide enough.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209-212.
    """
    if trials == 0:
        return None
    # Not share ± z * sqrt(share * (1 - share) / trials): that has no width where all or none succeed, and covers too
    # little for the few dozen tasks of a suite. Wilson's is the set of true shares that a test would not reject.
    share = successes / trials
    size = trials if effective is None else effective
    weight = _Z * _Z / size
    centre = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * math.sqrt(share * (1 - share) / size + weight / (4 * size))
    # at the edges centre and half are equal in theory; in floats they differ in the last place
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(share, low, high)


def pass_at(right: int, answers: int, k: int) -> float:
    """Return the chance that one of ``k`` answers to a task is right at least, from ``right`` of ``answers``: pass@k.

    It is unbiased: the share of all choices of ``k`` answers that hold a right one.

    Source: M. Chen et al., Evaluating large language models trained on code (2021), arXiv 2107.03374, equation 1.
    """
    return 1 - math.comb(answers - right, k) / math.comb(answers, k)


def pass_hat(right: int, answers: int, k: int) -> float:
    """Return the chance that all of ``k`` answers to a task are right, from ``right`` of ``answers``: pass^k, unbiased.

    Source: S. Yao et al., tau-bench: a benchmark for tool-agent-user interaction (2024), arXiv 2406.12045, section 2.
    """
    return math.comb(right, k) / math.comb(answers, k)


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact p value that gains and losses of paired arms are equally likely.

    Only tasks on which the arms disagree tell anything; under the null each is a fair coin.

    Source: Q. McNemar, Psychometrika 12 (1947) 153-157, with the binomial distribution in place of chi-squared.
    """
    # Exact, because chi-squared is an approximation that needs some 25 disagreements, and good arms disagree on few.
    # The smaller tail counts twice for two sides; where both are equal the tails overlap in the middle, hence the 1.
    # Going down from its largest term, each term is a fraction of the one before it, so the sum is linear and ends
    # where terms no longer count. The largest is divided in whole numbers: 2 to the power of 1,024 is beyond a float.
    discordant, fewer = gained + lost, min(gained, lost)
    largest: float = math.comb(discordant, fewer) / 2**discordant
    term = total = 1.0
    for count in range(fewer, 0, -1):
        term *= count / (discordant - count + 1)
        total += term
        if term < total * 1e-17:
            break
    return min(1.0, 2 * total * largest)


def paired_difference(both: int, gained: int, lost: int, neither: int) -> Interval | None:
    """Return the difference of two paired shares (second minus first); None without pairs.

    Source: R. G. Newcombe, Improved confidence intervals for the difference between binomial proportions based on
    paired data, Statistics in Medicine 17 (1998) 2635-2650, method 10: Wilson's intervals, squared and added with the
    correlation of the two arms.
    """
    pairs = both + gained + lost + neither
    first, second = wilson(both + lost, pairs), wilson(both + gained, pairs)
    if first is None or second is None:
        return None
    # Both arms answer the same tasks, so hard tasks are hard for both: their shares go up and down together, and the
    # difference is known better than from two samples. That is what the term with the correlation takes off.
    correlation = _correlation(both, gained, lost, neither)

    def reach(here: float, there: float) -> float:
        return math.sqrt(max(0.0, here * here - 2 * correlation * here * there + there * there))

    difference = (gained - lost) / pairs
    down = reach(second.estimate - second.low, first.high - first.estimate)
    up = reach(second.high - second.estimate, first.estimate - first.low)
    return Interval(difference, max(-1.0, difference - down), min(1.0, difference + up))


def _correlation(both: int, gained: int, lost: int, neither: int) -> float:
    """Return the phi coefficient of a paired table, with Newcombe's continuity correction where it is positive."""
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if margins == 0:
        return 0.0
    product: float = both * neither - gained * lost
    if product > 0:
        product = max(product - (both + gained + lost + neither) / 2, 0)
    return product / math.sqrt(margins)


def mean_interval(values: Sequence[float], clusters: Clusters, bounds: tuple[float, float]) -> Interval | None:
    """Return the mean with Student's t interval; None without values.

    Args:
        values: what was measured.
        clusters: of the values.
        bounds: of the values. A single cluster tells no more than these. Where at most one cluster has another value
            than the rest, Wilson's interval says how many of all clusters may, and those may be at a bound.

    Source: Student, The probable error of a mean, Biometrika 6 (1908) 1-25; with clusters, the linearised variance of
    K.-Y. Liang and S. L. Zeger, Longitudinal data analysis using generalized linear models, Biometrika 73 (1986) 13-22.
    """
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    residuals = _cluster_sums((value - mean for value in values), clusters)
    low, high = bounds
    if len(residuals) == 1:
        return Interval(mean, low, high)
    # one cluster fewer because the mean was taken from the same values; Student instead of the normal distribution
    # because the variance was too: with three seeds the interval is 2.2 times as wide
    half = student_quantile(len(residuals) - 1) * math.sqrt(_variance_of_mean(residuals, len(values)))
    down = up = half
    differing = _differing_clusters(values, clusters, _ROUNDING * (high - low))
    if differing < 2 and (others := wilson(differing, len(residuals))):
        down, up = max(half, others.high * (mean - low)), max(half, others.high * (high - mean))
    return Interval(mean, max(low, mean - down), min(high, mean + up))


def _cluster_sums(values: Iterable[float], clusters: Clusters) -> array[float]:
    """Return the sum of each cluster, rounded once, so that it is the same in any order of the values."""
    found, number = array("d", values), clusters.numbers.__getitem__
    places = sorted(range(len(found)), key=number)
    return array("d", (math.fsum(map(found.__getitem__, part)) for _, part in groupby(places, number)))


def _differing_clusters(values: Sequence[float], clusters: Clusters, tolerance: float) -> int:
    """Return how many of two or more clusters hold another value than all the rest: 0, 1, or 2 for any more."""
    rows = range(len(values))
    other = next(row for row in rows if clusters.numbers[row] != clusters.numbers[0])

    def beside(common: float) -> int:
        differing = (clusters.numbers[row] for row in rows if abs(values[row] - common) > tolerance)
        first = next(differing, None)
        return 0 if first is None else 1 if all(number == first for number in differing) else 2

    # if one cluster differs it is not both of these, so one of them has the value of the rest
    return min(beside(values[0]), beside(values[other]))


def _variance_of_mean(residuals: Sequence[float], size: int) -> float:
    """Return the variance of a mean of ``size`` values from the sum of the residuals of each cluster."""
    groups = len(residuals)
    return groups / (groups - 1) * math.fsum(residual * residual for residual in residuals) / (size * size)


def effective_trials(values: Sequence[float], clusters: Clusters) -> float:
    """Return how many independent trials tell as much as these clustered ones; as many where each is its own cluster.

    Source: E. L. Korn and B. I. Graubard, Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data, Survey Methodology 24 (1998) 193-201: the number over the design effect, for the
    degrees of freedom of the clusters. The design effect is at least 1 here. Where at most one cluster has another
    value than the rest it cannot be estimated, and the clusters are the trials.
    """
    size, groups = len(values), clusters.count
    if groups == size:
        return size
    if groups == 1:
        return 1.0
    mean = math.fsum(values) / size
    residuals = array("d", (value - mean for value in values))
    independent = _variance_of_mean(residuals, size)
    clustered = _variance_of_mean(_cluster_sums(residuals, clusters), size)
    design_effect = max(1.0, clustered / independent) if independent else 1.0
    trials = max(1.0, size / design_effect * (_Z / student_quantile(groups - 1)) ** 2)
    return min(trials, groups) if _differing_clusters(values, clusters, _ROUNDING) < 2 else trials


def cluster_flip_test(differences: Sequence[float], clusters: Clusters, unit: int = 1) -> float:
    """Return the p value that the difference of paired arms is zero, where clusters change sides as a whole.

    Each difference times ``unit`` is a whole number, such as the number of answers to a task.

    Under the null each cluster's sum of gains and losses could as well have the other sign. All signs are counted; with
    many clusters the sum is as good as normal. With each pair as its own cluster it is McNemar's exact test.

    Source: R. A. Fisher, The Design of Experiments (1935), section 21.
    """
    sums = [round(abs(total * unit)) for total in _cluster_sums(differences, clusters) if round(total * unit)]
    observed = abs(round(math.fsum(differences) * unit))
    if not observed:
        return 1.0
    # so few clusters that the normal distribution would be too sure make few sums, however fine their unit is
    if len(sums) > _COUNTED or min(2 ** len(sums), sum(sums)) > _MOST_SUMS:
        # sums lie twice their common divisor apart, and each stands for the half of that on either side
        reached = max(0, observed - math.gcd(*sums))
        return math.erfc(reached / math.sqrt(2 * sum(value * value for value in sums)))
    ways = {0: 1}
    for value in sums:
        added: dict[int, int] = {}
        for total, count in ways.items():
            for signed in (total + value, total - value):
                added[signed] = added.get(signed, 0) + count
        ways = added
    p: float = sum(count for total, count in ways.items() if abs(total) >= observed) / 2 ** len(sums)
    return p


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values of tests that are made together: any of those below 0.05 is there by chance in 5 % of all cases.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979) 65-70.
    """
    adjusted, most = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        most = max(most, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = most
    return adjusted


@functools.lru_cache(maxsize=256)
def student_quantile(degrees: int) -> float:
    """Return t such that a Student variable of so many degrees of freedom lies within ±t with 95 %.

    The probability has a closed form in the angle atan(t / sqrt(degrees)); the angle is found by bisection.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
    """
    # Beyond, t differs from z by less than 1.3 in 10,000, and the sum below has a term for every two degrees. Sixty
    # halvings of a right angle go below the last place of a float.
    if degrees > 10_000:
        return _Z
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _probability_within(middle, degrees) < CONFIDENCE else (low, middle)
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def _probability_within(angle: float, degrees: int) -> float:
    # 26.7.3 for odd and 26.7.4 for even degrees are one sum of powers of the cosine, each term made from the last one:
    # cos + 2/3 cos^3 + ..., or 1 + 1/2 cos^2 + ...; with one degree there is none, and the angle alone remains
    odd = degrees % 2
    square = math.cos(angle) ** 2
    term: float = math.cos(angle) if odd else 1.0
    total: float = term if degrees > 1 else 0.0
    for step in range(2 + odd, degrees - 1, 2):
        term *= square * (step - 1) / step
        total += term
    within = math.sin(angle) * total
    return 2 / math.pi * (angle + within) if odd else within
