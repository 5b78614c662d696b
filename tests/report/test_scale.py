"""Axes, ticks, thinning and number texts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from custodes.report.scale import Axis, linear_axis, linear_ticks, log_axis, number, thin, tick_labels, to_floats

VALUES = st.lists(st.floats(-1e9, 1e9) | st.just(math.nan) | st.just(math.inf), max_size=60)


@given(VALUES, st.booleans())
def test_axes_are_usable_whatever_the_values(values: list[float], zero: bool) -> None:
    axis = linear_axis(np.array(values, dtype=float), zero=zero)
    assert math.isfinite(axis.low)
    assert axis.high > axis.low
    assert len(axis.ticks) >= 2
    assert len(set(tick_labels(axis.ticks))) == len(axis.ticks) or axis.high - axis.low < 1e-3 * abs(axis.high)
    slack = 1e-6 * (axis.high - axis.low)
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in axis.ticks)
    if zero:
        assert axis.low <= 0 <= axis.high
    known = [value for value in values if math.isfinite(value)]
    if known and len(known) < 20:
        assert axis.low - slack <= min(known)
        assert max(known) <= axis.high + slack


def test_an_outlier_does_not_flatten_the_rest() -> None:
    axis = linear_axis(np.concatenate([np.linspace(1.0, 2.0, 200), [1000.0]]))
    assert axis.high < 10
    assert axis.place(1000.0) > 1


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_even_and_inside(low: float, width: float) -> None:
    assume(width > 1e-9 * abs(low))  # Narrower axes are widened before they get ticks.
    ticks = linear_ticks(low, low + width)
    steps = np.diff(ticks)
    assert len(ticks) <= 7
    if len(steps):
        assert np.allclose(steps, steps[0], rtol=1e-3)


@given(st.lists(st.floats(1e-12, 1e12) | st.just(0.0) | st.just(math.nan), max_size=20))
def test_log_axes_hold_every_positive_value(values: list[float]) -> None:
    axis = log_axis(np.array(values, dtype=float))
    assert axis.low > 0
    for value in values:
        if value > 0:
            assert -1e-9 <= axis.place(value) <= 1 + 1e-9
        elif value == 0:
            assert axis.place(value) == 0
    assert Axis(low=1.0, high=100.0, ticks=(), log=True).place(10.0) == pytest.approx(0.5)


@given(st.integers(0, 3000), st.integers(4, 400), st.randoms(use_true_random=False))
def test_thinning_keeps_ends_and_extremes(n: int, limit: int, random: object) -> None:
    rng = np.random.default_rng(n)
    x, y = np.arange(n, dtype=float), rng.normal(size=n)
    tx, ty = thin(x, y, limit)
    assert len(tx) <= max(limit, 0)
    assert np.all(np.diff(tx) > 0)
    np.testing.assert_array_equal(ty, y[tx.astype(int)])
    if n:
        assert (tx[0], tx[-1]) == (0, n - 1)
        assert (ty.min(), ty.max()) == (y.min(), y.max())


def test_thinning_keeps_gaps() -> None:
    y = np.ones(4000)
    y[1000:2000] = np.nan
    tx, ty = thin(np.arange(4000.0), y)
    assert np.isnan(ty[(tx > 1010) & (tx < 1990)]).all()
    assert np.isfinite(ty[(tx < 990) | (tx > 2010)]).all()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "n/a"), (math.nan, "n/a"), (math.inf, "inf"), ("-inf", "-inf"), (0.0, "0"), (1234567, "1,234,567"),
     (1234.56, "1,235"), (0.123456, "0.1235"), (1.2e-7, "1.2e-07"), (-3.5, "-3.5")],
)  # fmt: skip
def test_numbers_read_well(value: float | str | None, text: str) -> None:
    assert number(value) == text


def test_tick_labels_read_well() -> None:
    assert tick_labels((0.0, 200_000.0, 400_000.0)) == ["0", "200k", "400k"]
    assert tick_labels((0.0, 2e6, 4e6)) == ["0", "2M", "4M"]
    assert tick_labels((-0.5, 0.0, 0.5)) == ["-0.5", "0.0", "0.5"]
    assert tick_labels((0.0, 1e-6)) == ["0", "1e-06"]


def test_missing_numbers_and_infinities_become_floats() -> None:
    got = to_floats([None, "inf", "-inf", 2])
    assert math.isnan(got[0])
    assert got[1:].tolist() == [math.inf, -math.inf, 2.0]
