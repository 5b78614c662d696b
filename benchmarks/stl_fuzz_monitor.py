"""Fuzz of the streaming monitors: random formulas, samples of every kind, saved and restored at random.

    python -m benchmarks.stl_fuzz_monitor 600 0

Only StlError may come out, a refused sample may change nothing, bounds of the first sample may not widen, and the
monitor of one stream has to agree with a stream of the fleet.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Final

import numpy as np

from custodes.stl.errors import StlError
from custodes.stl.formula import Formula
from custodes.stl.policy import ENDS, NANS
from custodes.stl.printer import format_formula
from custodes.stl.streaming import Monitor, SingleMonitor
from tests.stl.generate import SIGNALS, Grammar, random_formula

ODD: Final = (math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 0.0)
"""Numbers that break careless arithmetic."""


def fuzz_monitor(seconds: float, seed: int) -> int:
    """Run random cases for some time.

    Args:
        seconds: How long.
        seed: Of the first case; the others follow.

    Returns:
        How many cases ran.

    Raises:
        AssertionError: With the seed and the formula of a case that failed.
    """
    stop, cases = time.monotonic() + seconds, 0
    while cases == 0 or time.monotonic() < stop:
        run_case(seed + cases)
        cases += 1
    return cases


def run_case(seed: int) -> None:
    """One formula, one fleet, one single monitor.

    Raises:
        AssertionError: With the seed and the formula.
    """
    rng = np.random.default_rng(seed)
    formula = random_formula(rng, Grammar(depth=int(rng.integers(1, 5)), longest=int(rng.choice([2, 6, 40]))))
    try:
        _watch(rng, formula)
    except Exception as error:
        raise AssertionError(f"seed {seed}: {format_formula(formula)}: {error!r}") from error


def _watch(rng: np.random.Generator, formula: Formula) -> None:
    streams, nan = int(rng.integers(1, 4)), NANS[int(rng.integers(2))]
    fleet, single = Monitor(formula, streams=streams, nan=nan), SingleMonitor(formula, nan=nan)
    before = np.full(streams, -math.inf), np.full(streams, math.inf)
    together = True
    for _ in range(int(rng.integers(1, 40))):
        row = _row(rng, streams)
        saved = fleet.dumps() if rng.random() < 0.2 else b""
        try:
            verdict = fleet.step(row)
        except StlError:
            assert not saved or fleet.dumps() == saved, "a refused sample changed the monitor"
            verdict = None
        if verdict is not None:
            assert not np.isnan([verdict.lower, verdict.upper, verdict.first_lower, verdict.first_upper]).any()
            assert (verdict.lower <= verdict.upper).all(), "the bounds cross"
            assert (verdict.first_lower <= verdict.first_upper).all(), "the bounds of the first sample cross"
            assert (verdict.first_lower >= before[0]).all(), "the lower bound fell"
            assert (verdict.first_upper <= before[1]).all(), "the upper bound rose"
            before = verdict.first_lower, verdict.first_upper
        together = together and _alike(single, row, verdict)
        if rng.random() < 0.1:
            mask = rng.random(streams) < 0.5
            fleet.reset(mask)
            before = np.where(mask, -math.inf, before[0]), np.where(mask, math.inf, before[1])
            together = together and not mask[0]
        if rng.random() < 0.1:
            fleet, single = _again(rng, fleet, single)
        if rng.random() < 0.05 and (fleet.ages >= 0).all():
            _ask(rng, fleet)


def _alike(single: SingleMonitor, row: dict[str, Any], verdict: Any) -> bool:
    """Whether the fleet's first stream and the single monitor still see the same samples; they must then agree."""
    try:
        point = single.update({name: column[0] for name, column in row.items() if np.ndim(column) == 1 and len(column)})
    except StlError:
        # refused here, and not in the fleet's first stream only if another part of the row was bad
        return verdict is None
    if verdict is None:
        return False
    own = (verdict.times[0], verdict.lower[0], verdict.upper[0], verdict.first_lower[0], verdict.first_upper[0])
    assert tuple(point) == own, f"single {tuple(point)} and fleet {own} differ"
    return True


def _again(rng: np.random.Generator, fleet: Monitor, single: SingleMonitor) -> tuple[Monitor, SingleMonitor]:
    """The same monitors after a save and restore; damaged bytes are refused."""
    other = Monitor(fleet.formula, streams=fleet.streams, nan=fleet.nan)
    data = fleet.dumps()
    other.loads(data)
    assert other.dumps() == data, "a restored monitor saves something else"
    broken = bytearray(data)
    broken[int(rng.integers(len(broken)))] ^= 1 << int(rng.integers(8))
    try:
        other.loads(bytes(broken))
    except StlError:
        assert other.dumps() == data, "a refused state changed the monitor"
    else:
        raise AssertionError("a damaged state was accepted")
    twin = SingleMonitor(single.formula, nan=single.nan)
    twin.loads(single.dumps())
    return other, twin


def _ask(rng: np.random.Generator, fleet: Monitor) -> None:
    data = fleet.dumps()
    low, high = fleet.interval()
    assert (low <= high).all(), "the interval crosses"
    ending = fleet.finish(ENDS[int(rng.integers(len(ENDS)))])
    assert (ending.lower <= ending.upper).all(), "the bounds after the end cross"
    assert fleet.dumps() == data, "a question changed the monitor"


def _row(rng: np.random.Generator, streams: int) -> dict[str, Any]:
    row: dict[str, Any] = {name: rng.normal(size=streams) for name in SIGNALS}
    name, draw = SIGNALS[int(rng.integers(len(SIGNALS)))], rng.random()
    if draw < 0.2:
        row[name][int(rng.integers(streams))] = ODD[int(rng.integers(len(ODD)))]
    elif draw < 0.23:
        del row[name]
    elif draw < 0.26:
        row[name] = rng.normal(size=streams + 1)
    elif draw < 0.28:
        row[name] = np.array(["text"] * streams)
    elif draw < 0.3:
        row[name] = rng.integers(-2, 3, size=streams)
    return row


if __name__ == "__main__":
    print(f"{fuzz_monitor(float(sys.argv[1]), int(sys.argv[2]))} cases, 0 failures")
