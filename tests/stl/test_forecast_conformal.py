"""Ranks in exact arithmetic, Beta and beta-binomial against scipy."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from custodes.stl.errors import StlError
from custodes.stl.forecast import coverage_interval, rank, trajectories_needed
from custodes.stl.forecast.conformal import binomial_at_most, exceedances_at_least, misses, quantile


@pytest.mark.parametrize(
    ("size", "delta", "expected"),
    [(19, 0.05, 19), (99, 0.05, 95), (100, 0.05, 96), (500, 0.05, 476), (9, 0.1, 9), (18, 0.05, 19)],
)
def test_rank(size: int, delta: float, expected: int) -> None:
    assert rank(size, delta) == expected


def test_rank_is_exact_where_floats_are_not() -> None:
    # 100 * 0.29 is 28.999999999999996 as a double.
    for delta in (0.01, 0.05, 0.07, 0.1, 0.29):
        hundredths = round(100 * delta)
        for size in (99, 199, 999):
            assert rank(size, delta) == (size + 1) * (100 - hundredths) // 100


def test_quantile_is_the_ranked_score() -> None:
    scores = [float(number) for number in range(19)]
    assert quantile(list(reversed(scores)), 0.05) == 18.0
    assert quantile([*scores[:-1], math.inf], 0.05) == math.inf
    assert quantile(scores, 0.5) == 9.0


@pytest.mark.parametrize(("delta", "needed"), [(0.05, 19), (0.1, 9), (0.01, 99), (0.3, 3), (0.5, 1)])
def test_too_few_trajectories_says_how_many(delta: float, needed: int) -> None:
    assert trajectories_needed(delta) == needed
    assert quantile([0.0] * needed, delta) == 0.0
    with pytest.raises(StlError, match=f"at least {needed} whole trajectories"):
        quantile([0.0] * (needed - 1), delta)
    with pytest.raises(StlError, match=f"at least {needed}"):
        coverage_interval(needed - 1, delta)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_delta_outside_is_refused(delta: float) -> None:
    with pytest.raises(StlError, match="delta"):
        rank(100, delta)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(StlError, match="not a number"):
        quantile([0.0] * 30 + [math.nan], 0.05)


@pytest.mark.parametrize("size", [19, 100, 500, 2000])
@pytest.mark.parametrize("mass", [0.9, 0.95, 0.999])
def test_coverage_interval_is_scipys(size: int, mass: float) -> None:
    allowed = misses(size, 0.05)
    expected = stats.beta(size + 1 - allowed, allowed).interval(mass)
    assert coverage_interval(size, 0.05, mass=mass) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("mass", [0.0, 1.0])
def test_mass_outside_is_refused(mass: float) -> None:
    with pytest.raises(StlError, match="mass"):
        coverage_interval(100, 0.05, mass=mass)


@pytest.mark.parametrize(("most", "trials", "chance"), [(3, 10, 0.2), (0, 5, 0.9), (99, 2000, 0.05), (-1, 5, 0.5)])
def test_binomial_is_scipys(most: int, trials: int, chance: float) -> None:
    assert binomial_at_most(most, trials, chance) == pytest.approx(stats.binom.cdf(most, trials, chance), rel=1e-9)


def test_binomial_at_its_edges() -> None:
    assert binomial_at_most(5, 5, 0.5) == 1.0
    assert binomial_at_most(2, 5, 0.0) == 1.0
    assert binomial_at_most(2, 5, 1.0) == 0.0


@pytest.mark.parametrize(("least", "tests", "size"), [(0, 50, 100), (9, 100, 500), (30, 200, 100), (25, 200, 2000)])
def test_exceedances_are_scipys_beta_binomial(least: int, tests: int, size: int) -> None:
    allowed = misses(size, 0.05)
    expected = stats.betabinom.sf(least - 1, tests, allowed, size + 1 - allowed)
    assert exceedances_at_least(least, tests, size, 0.05) == pytest.approx(expected, rel=1e-7, abs=1e-300)
