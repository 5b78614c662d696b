"""The arithmetic of split conformal prediction: ranks, quantiles, and how far coverage strays from 1 - delta.

With n calibration scores and one new score, all exchangeable, the new one is at most the k-th smallest of the others
with probability at least k / (n + 1) (Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World, 2005). That is
*marginal*: over calibration sets as well. For one given calibration set the coverage is a random number that, for
scores without ties, is Beta(n + 1 - l, l) with l = floor((n + 1) delta) (Vovk, ACML 2012, Proposition 2a).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from custodes.stl.errors import StlError


def misses(size: int, delta: float) -> int:
    """How many of n + 1 scores may lie above: l = floor((n + 1) delta), exact in the decimal digits of delta.

    Args:
        size: n, calibration trajectories.
        delta: Allowed share of misses, in (0, 1).

    Raises:
        StlError: delta is not in (0, 1).
    """
    if not 0 < delta < 1:
        raise StlError(f"delta is {delta}", fix="give the allowed share of wrong bounds, more than 0 and less than 1")
    # 0.05 is a little more than 1/20 as a double: (19 + 1) * 0.05 could fall on either side of 1.
    return math.floor((size + 1) * Fraction(repr(float(delta))))


def rank(size: int, delta: float) -> int:
    """Which of the sorted scores is the bound: k = ceil((n + 1)(1 - delta)); n + 1 stands for infinity.

    Args:
        size: n, calibration trajectories.
        delta: Allowed share of misses, in (0, 1).
    """
    return size + 1 - misses(size, delta)


def trajectories_needed(delta: float) -> int:
    """The fewest calibration trajectories with which the bound is finite: ceil(1 / delta) - 1."""
    misses(0, delta)
    return math.ceil(1 / Fraction(repr(float(delta)))) - 1


def quantile(scores: Sequence[float], delta: float) -> float:
    """The k-th smallest score, k = `rank`.

    Args:
        scores: Nonconformity of each calibration trajectory; may hold infinities.
        delta: Allowed share of misses, in (0, 1).

    Raises:
        StlError: There are too few scores for a finite bound, or one is not a number.
    """
    needed = trajectories_needed(delta)
    if len(scores) < needed:
        raise StlError(
            f"{len(scores)} calibration trajectories are too few for delta {delta:g}",
            fix=f"give at least {needed} whole trajectories, or a larger delta",
        )
    if any(math.isnan(score) for score in scores):
        raise StlError("a calibration score is not a number", fix="look for NaN in the predictor's output")
    return sorted(scores)[rank(len(scores), delta) - 1]


def coverage_interval(size: int, delta: float, *, mass: float = 0.95) -> tuple[float, float]:
    """Where the coverage of one calibration set lies: the central interval of Beta(n + 1 - l, l).

    Args:
        size: n, calibration trajectories.
        delta: Allowed share of misses, in (0, 1).
        mass: Probability of the interval, in (0, 1).

    Returns:
        Lower and upper end, in [0, 1]. Scores with ties cover more than that.

    Raises:
        StlError: n is too small for delta, or the mass is not in (0, 1).
    """
    if not 0 < mass < 1:
        raise StlError(f"mass is {mass}", fix="give a probability between 0 and 1")
    allowed = misses(size, delta)
    if not allowed:
        raise StlError(
            f"{size} calibration trajectories are too few for delta {delta:g}",
            fix=f"give at least {trajectories_needed(delta)}",
        )
    low, high = ((1 - mass) / 2, (1 + mass) / 2)
    return _beta_quantile(size, allowed, low), _beta_quantile(size, allowed, high)


def _beta_quantile(size: int, allowed: int, probability: float) -> float:
    """Of Beta(n + 1 - l, l), by bisection: its distribution function at c is P(Binomial(n, 1 - c) <= l - 1)."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if binomial_at_most(allowed - 1, size, 1 - middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def binomial_at_most(most: int, trials: int, chance: float) -> float:
    """P(Binomial(trials, chance) <= most)."""
    if most < 0:
        return 0.0
    if chance <= 0 or most >= trials:
        return 1.0
    if chance >= 1:
        return 0.0
    yes, no = math.log(chance), math.log1p(-chance)
    return min(1.0, math.fsum(math.exp(_choose(trials, k) + k * yes + (trials - k) * no) for k in range(most + 1)))


def exceedances_at_least(least: int, tests: int, size: int, delta: float) -> float:
    """How likely `least` or more of the next scores lie above the bound when nothing has drifted.

    Exact for scores without ties: given the bound, each exceeds it with the chance 1 - coverage, and that is
    Beta(l, n + 1 - l), so the number of exceedances is beta-binomial. (Binomial(m, delta) would forget that the bound
    itself was estimated.)

    Args:
        least: Number seen, >= 0.
        tests: m, new trajectories.
        size: n, calibration trajectories.
        delta: Allowed share of misses, in (0, 1).
    """
    a, b = misses(size, delta), rank(size, delta)
    norm = _beta(a, b)
    terms = (_choose(tests, k) + _beta(k + a, tests - k + b) - norm for k in range(least, tests + 1))
    return min(1.0, math.fsum(map(math.exp, terms)))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
