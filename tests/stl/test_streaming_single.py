from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.stl_fuzz_monitor import fuzz_monitor
from custodes.stl.errors import StlError
from custodes.stl.parser import parse
from custodes.stl.streaming import Monitor, SingleMonitor
from custodes.stl.streaming.saving import pack, unpack
from tests.stl.generate import SIGNALS, Grammar, random_formula

FORMULA = parse("G[0,2](x < 1) or y > 0")


def test_one_stream_gives_what_a_fleet_of_one_gives_and_they_exchange_states() -> None:
    for seed in range(400):
        rng = np.random.default_rng(seed)
        formula = random_formula(rng, Grammar())
        fleet, single = Monitor(formula, nan="mask"), SingleMonitor(formula, nan="mask")
        for at in range(20):
            row = {name: math.nan if rng.random() < 0.1 else float(rng.normal()) for name in SIGNALS}
            verdict, point = fleet.step({name: [value] for name, value in row.items()}), single.update(row)
            own = (verdict.times[0], verdict.lower[0], verdict.upper[0], verdict.first_lower[0], verdict.first_upper[0])
            assert tuple(point) == own, (seed, at)
            if rng.random() < 0.05:
                saved = fleet.state(), single.state()
                fleet, single = Monitor(formula, nan="mask"), SingleMonitor(formula, nan="mask")
                single.restore(saved[0])
                fleet.restore(saved[1])
                assert single.interval() == tuple(side[0] for side in fleet.interval())


def test_restored_monitors_go_on_bit_for_bit() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        formula = random_formula(rng, Grammar())
        fleet, other = Monitor(formula, streams=3), Monitor(formula, streams=3)
        single, twin = SingleMonitor(formula), SingleMonitor(formula)
        stop = int(rng.integers(0, 15))
        for at in range(25):
            row = {name: rng.normal(size=3) for name in SIGNALS}
            fleet.step(row)
            point = single.update({name: float(column[0]) for name, column in row.items()})
            if at == stop:
                other.loads(fleet.dumps())
                twin.loads(single.dumps())
            elif at > stop:
                other.step(row)
                assert twin.update({name: float(column[0]) for name, column in row.items()}) == point
                assert other.dumps() == fleet.dumps()
        assert twin.dumps() == single.dumps()


def test_samples_by_keyword_mapping_and_tuple() -> None:
    points = [SingleMonitor(FORMULA).update(x=0.25, y=-1.0), SingleMonitor(FORMULA).update({"x": 0.25, "y": -1.0})]
    monitor = SingleMonitor(FORMULA)
    assert monitor.signals == ("x", "y")
    points.append(monitor.update((0.25, -1.0)))
    assert points[0] == points[1] == points[2]
    assert points[0].time == -2
    assert not points[0].determined
    monitor.update((0, np.float64(-1.0)))
    assert monitor.update((True, -1)).upper == 0.0
    monitor.reset()
    assert monitor.update((0.25, -1.0)) == points[0]
    assert monitor.finish("truncate").lower[:, 0].tolist()[-1] == 0.75


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"x": 0.0}, "signal 'y': the sample lacks this signal"),
        ({}, "signal 'x': the sample lacks this signal"),
        (None, "signal 'x': the sample lacks this signal"),
        ({"x": 0.0, "y": math.nan}, "signal 'y', sample 1: nan"),
        ({"x": math.inf, "y": 0.0}, "signal 'x', sample 1: inf"),
        ({"x": "1", "y": 0.0}, "signal 'x', sample 1: '1' is no number"),
        ({"x": 10**400, "y": 0.0}, "signal 'x', sample 1: int is no number"),
        ({"x": [], "y": 0.0}, "signal 'x', sample 1: list is no number"),
        ((1.0,), "1 numbers, not 2"),
    ],
)
def test_a_bad_sample_is_refused_and_changes_nothing(row: object, message: str) -> None:
    monitor = SingleMonitor(FORMULA)
    monitor.update(x=0.5, y=0.5)
    saved = monitor.dumps()
    with pytest.raises(StlError, match=r".") as error:
        monitor.update(row)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert monitor.dumps() == saved


def test_names_never_reach_the_generated_code() -> None:
    monitor = SingleMonitor(parse('"x\'] or __import__(\'os\')" > 0 and "if" > 0'))
    assert monitor.update({"x'] or __import__('os')": 2.0, "if": 1.0}).lower == 1.0


def test_states_of_others_and_damaged_ones_are_refused() -> None:
    monitor = Monitor(FORMULA, streams=2)
    monitor.step({"x": [0.0, 1.0], "y": [0.0, 1.0]})
    state, before = monitor.state(), monitor.dumps()
    for other, message in (
        (Monitor(parse("G[0,2](x < 2) or y > 0"), streams=2), "formula"),
        (Monitor(FORMULA, streams=3), "streams 2, not 3"),
        (Monitor(FORMULA, streams=2, nan="mask"), "nan"),
    ):
        with pytest.raises(StlError, match=message):
            other.restore(state)
    memory = state["memory"]
    damaged = [
        {"version": 1},
        {"age": state["age"][:1]},
        {"age": np.array([-7, 0])},
        {"positions": [99] * len(state["positions"])},
        {"positions": "no"},
        {"memory": memory[:-1]},
        {"memory": [array.astype(np.float32) for array in memory]},
        {"memory": [np.full_like(array, math.nan) for array in memory]},
        {"last": []},
    ]
    for change in damaged:
        with pytest.raises(StlError, match="saved monitor"):
            monitor.restore(state | change)
        assert monitor.dumps() == before
    with pytest.raises(StlError, match="saved monitor"):
        monitor.restore([])  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"custodes", pack({})[:-1], pack({"a": 1}) + b"x"])
def test_bytes_that_are_no_state_are_refused(data: bytes) -> None:
    with pytest.raises(StlError, match="damaged"):
        unpack(data)
    with pytest.raises(StlError, match="damaged"):
        SingleMonitor(FORMULA).loads(data)


def test_any_single_bit_flip_is_refused() -> None:
    data = Monitor(FORMULA).dumps()
    for at in range(0, len(data), 3):
        broken = bytearray(data)
        broken[at] ^= 4
        with pytest.raises(StlError, match="saved monitor"):
            Monitor(FORMULA).loads(bytes(broken))


def test_a_short_fuzz_finds_nothing() -> None:
    assert fuzz_monitor(4.0, seed=7) > 0
