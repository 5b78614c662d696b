from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.stl.errors import StlError
from custodes.stl.policy import SAMPLINGS, Sampling
from custodes.stl.resample import Resampler, regular


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(-1e9, 1e9) | st.just(math.nan)), min_size=1, max_size=30),
    st.sampled_from(SAMPLINGS[1:]),
    st.integers(1, 40),
    st.integers(0, 29),
)
def test_a_stream_gives_what_the_whole_trace_gives(
    steps: list[tuple[int, float]], sampling: Sampling, period: int, cut: int
) -> None:
    times = np.cumsum([gap for gap, _ in steps]) - 100
    column = np.array([value for _, value in steps])
    grid, columns = regular(times, {"x": column}, period_ns=period, sampling=sampling)
    stream, points = Resampler(period, sampling), []
    for at, (time, value) in enumerate(zip(times, column, strict=True)):
        if at == cut:
            saved = stream.state()
            stream = Resampler(period, sampling)
            stream.restore(saved)
        points += stream.push(time, {"x": value})
    assert [time for time, _ in points] == grid.tolist()
    assert np.array_equal([row["x"] for _, row in points], columns["x"], equal_nan=True)
    if sampling != "samples":
        assert set(np.diff(grid)) <= {period}
        assert grid[-1] <= times[-1] < grid[-1] + period


def test_the_definition_by_hand() -> None:
    times, column = [0, 10, 25, 40], [1.0, 3.0, 6.0, 0.0]
    grid, held = regular(times, {"x": column}, period_ns=10, sampling="hold")
    assert grid.tolist() == [0, 10, 20, 30, 40]
    assert held["x"].tolist() == [1.0, 3.0, 3.0, 6.0, 0.0]
    _, line = regular(times, {"x": column}, period_ns=10, sampling="linear")
    assert line["x"].tolist() == pytest.approx([1.0, 3.0, 5.0, 4.0, 0.0])
    assert regular(times, {"x": column}, period_ns=10, sampling="samples")[0].tolist() == times


def test_rounded_times_pass_and_others_do_not() -> None:
    assert len(regular([0, 1000, 2001], {}, period_ns=1000, sampling="reject")[0]) == 3
    with pytest.raises(StlError, match=r"sample 2: comes 1002ns after the one before it \(1us\), not 1us"):
        regular([0, 1000, 2002], {}, period_ns=1000, sampling="reject")


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([0, 10, 10], r"sample 2: has the time of the sample before it \(10ns after 10ns\)"),
        ([0, 10, 5], r"sample 2: goes back in time \(5ns after 10ns\)"),
    ],
)
def test_time_never_repeats_or_goes_back(sampling: Sampling, times: list[int], message: str) -> None:
    with pytest.raises(StlError, match=message):
        regular(times, {"x": [0.0] * 3}, period_ns=10, sampling=sampling)
    stream = Resampler(10, sampling)
    stream.push(0, {"x": 0.0})
    stream.push(10, {"x": 0.0})
    before = stream.state()
    with pytest.raises(StlError, match=message):
        stream.push(times[2], {"x": 0.0})
    assert stream.state() == before
    assert stream.push(20, {"x": 2.0})[-1] == (20, {"x": 2.0})


@pytest.mark.parametrize("sampling", ["hold", "linear"])
def test_a_jump_that_fills_the_memory_is_refused(sampling: Sampling) -> None:
    with pytest.raises(StlError, match="sample 1: lies 1000 periods after"):
        regular([0, 10_000], {"x": [0.0, 0.0]}, period_ns=10, sampling=sampling, limit=999)
    stream = Resampler(1, sampling)
    stream.push(0, {"x": 0.0})
    with pytest.raises(StlError, match="more than 10000000"):
        stream.push(10**15, {"x": 0.0})
    assert len(stream.push(3, {"x": 3.0})) == 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Resampler(0, "hold"), "period of 0 ns"),
        (lambda: Resampler(5, "spline"), "sampling 'spline'"),  # type: ignore[arg-type]
        (lambda: Resampler(5, "hold", limit=0), "limit of 0"),
        (lambda: Resampler(5, "hold").push(1.5, {}), "1.5 is no time"),  # type: ignore[arg-type]
        (lambda: Resampler(5, "hold").push(1, {"x": "a"}), "signal 'x', sample 0: is no number"),  # type: ignore[dict-item]
        (lambda: Resampler(5, "hold").push(1, {"x": math.inf}), "infinite"),
        (lambda: regular([0.5], {}, period_ns=1, sampling="hold"), "not a list of integers"),
        (lambda: regular([0], {"x": [1.0, 2.0]}, period_ns=1, sampling="hold"), "has shape [2], not [1]"),
        (lambda: regular([0], {"x": ["a"]}, period_ns=1, sampling="hold"), "not made of numbers"),
        (lambda: regular([0], {"x": [math.inf]}, period_ns=1, sampling="linear"), "signal 'x', sample 0"),
    ],
)
def test_bad_input_is_refused(make: object, message: str) -> None:
    with pytest.raises(StlError, match=r".") as error:
        make()  # type: ignore[operator]
    assert message in str(error.value)


def test_other_signals_midway_are_refused() -> None:
    stream = Resampler(5, "hold")
    stream.push(0, {"x": 1.0})
    with pytest.raises(StlError, match="sample 1: has other signals than the samples before: x, y"):
        stream.push(5, {"y": 1.0})


def test_a_foreign_state_is_refused() -> None:
    saved = Resampler(5, "hold").state()
    with pytest.raises(StlError, match="another period"):
        Resampler(6, "hold").restore(saved)
    with pytest.raises(StlError, match="damaged"):
        Resampler(5, "hold").restore(saved | {"count": -1})
    with pytest.raises(StlError, match="damaged"):
        Resampler(5, "hold").restore(saved | {"last": {"x": None}})


def test_an_empty_trace_stays_empty() -> None:
    times, columns = regular(np.empty(0, dtype=np.int64), {"x": []}, period_ns=1, sampling="linear")
    assert len(times) == 0
    assert len(columns["x"]) == 0
