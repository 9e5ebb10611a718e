"""The statistics of an evaluation, from first principles and the standard library.

Everything is two-sided and at 95 %. Shares get Wilson's interval, which holds at the edges 0 and 1, means Student's,
the difference of paired shares Newcombe's; whether two paired arms differ at all is McNemar's exact test.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
_Z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the interval that covers the truth with the stated confidence."""

    estimate: float
    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval | None:
    """Return the share with Wilson's score interval; None without trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927) 209-212.
    """
    if trials == 0:
        return None
    # Not share ± z * sqrt(share * (1 - share) / trials): that has no width where all or none succeed, and covers too
    # little for the few dozen tasks of a suite. Wilson's is the set of true shares that a test would not reject.
    share = successes / trials
    weight = _Z * _Z / trials
    centre = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    # at the edges centre and half are equal in theory; in floats they differ in the last place
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(share, low, high)


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


def mean_interval(values: Sequence[float]) -> Interval | None:
    """Return the mean with Student's t interval; None without values, no width for a single one.

    Source: Student, The probable error of a mean, Biometrika 6 (1908) 1-25.
    """
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Interval(mean, mean, mean)
    # n - 1 because the mean was taken from the same values; Student instead of the normal distribution because the
    # variance was too: with three seeds the interval is 2.2 times as wide
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    half = student_quantile(len(values) - 1) * math.sqrt(variance / len(values))
    return Interval(mean, mean - half, mean + half)


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
