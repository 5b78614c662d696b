from __future__ import annotations

import json
import math

import numpy as np
import pytest

from custodes.stl import formula as f
from custodes.stl.analysis import horizon
from custodes.stl.errors import StlError
from custodes.stl.parser import parse
from custodes.stl.policy import ENDS, NANS, End, Nan
from custodes.stl.streaming import Monitor, SingleMonitor
from tests.stl.definition import Pair, evaluate
from tests.stl.generate import SIGNALS, Grammar, random_formula, random_trace

Trace = dict[str, np.ndarray]


def same(one: float, other: float) -> bool:
    """Exact, but for sums."""
    return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)


def inside(inner: Pair, outer: tuple[float, float]) -> bool:
    return outer[0] <= inner[0] + 1e-9 and inner[1] <= outer[1] + 1e-9


def prefix(trace: Trace, length: int) -> dict[str, list[float]]:
    return {name: column[:length].tolist() for name, column in trace.items()}


def sample(trace: Trace, at: int) -> dict[str, np.ndarray]:
    return {name: column[at : at + 1] for name, column in trace.items()}


def case(seed: int, longest: int = 20) -> tuple[f.Formula, Trace]:
    rng = np.random.default_rng(seed)
    return random_formula(rng, Grammar()), random_trace(rng, int(rng.integers(1, longest)))


def check_stream(seed: int) -> None:
    """Value at t + h, soundness, and bounds that never widen, on one random case."""
    formula, trace = case(seed)
    length, ahead = len(trace["x"]), horizon(formula)
    monitor = Monitor(formula)
    assert ahead is None or monitor.delay == ahead
    whole, final = evaluate(formula, prefix(trace, length)), evaluate(formula, prefix(trace, length), "interval")
    before = (-math.inf, math.inf)
    for at in range(length):
        verdict = monitor.step(sample(trace, at))
        time = at - monitor.delay
        value = float(verdict.lower[0]), float(verdict.upper[0])
        assert verdict.time == (time if time >= 0 else None)
        if time < 0:
            assert value == (-math.inf, math.inf)
        elif ahead is not None:
            assert same(value[0], whole[time][0]), (seed, at)
            assert same(value[1], whole[time][1]), (seed, at)
        else:
            assert inside(final[time], value), (seed, at)
        first = float(verdict.first_lower[0]), float(verdict.first_upper[0])
        assert before[0] <= first[0], (seed, at)
        assert first[1] <= before[1], (seed, at)
        assert inside(final[0], first), (seed, at)
        if ahead is not None and at >= ahead:
            assert same(first[0], final[0][0]), (seed, at)
            assert same(first[1], final[0][1]), (seed, at)
        before = first


@pytest.mark.slow
@pytest.mark.parametrize("block", range(8))
def test_a_stream_gives_the_definition_a_horizon_later(block: int) -> None:
    for seed in range(block * 250, (block + 1) * 250):
        check_stream(seed)


def nested(formula: f.Formula) -> bool:
    """Whether a window ahead without end lies inside another temporal operator, which interval() may not resolve."""
    temporal = (*f.FUTURE, *f.PAST)
    return any(
        any(isinstance(below, f.FUTURE) and endless(below) for child in f.children(node) for below in f.walk(child))
        for node in f.walk(formula)
        if isinstance(node, temporal)
    )


def endless(node: f.Formula | f.Term) -> bool:
    bounds = getattr(node, "bounds", None)
    return bounds is not None and bounds.upper is None


def test_interval_is_the_definitions_interval_on_every_prefix() -> None:
    tight = 0
    for seed in range(10_000, 10_150):
        formula, trace = case(seed, longest=14)
        monitor, before = Monitor(formula), (-math.inf, math.inf)
        for at in range(len(trace["x"])):
            monitor.step(sample(trace, at))
            low, high = (float(side[0]) for side in monitor.interval())
            assert before[0] <= low, (seed, at)
            assert high <= before[1], (seed, at)
            wanted = evaluate(formula, prefix(trace, at + 1), "interval")[0]
            assert inside(wanted, (low, high)), (seed, at)
            if not nested(formula):
                assert same(low, wanted[0]), (seed, at)
                assert same(high, wanted[1]), (seed, at)
                tight += 1
            before = low, high
    assert tight > 500


DUTIES = (
    "always(x -> eventually y)",
    "always(x -> y until z)",
    "always(not (x weak_until y) or z)",
    "always(x -> y weak_until[2,] z)",
    "eventually(z and always[1,] y)",
    "always[2,5](x or y release z)",
    "eventually[1,](not (x until (once[0,2] y)))",
    "always(x -> historically[1,2] y or not eventually[3,] (z and x))",
    "not always(x -> eventually z and y) or eventually (x and always y)",
    "always(x - y > 0 -> eventually z)",
    "always(x -> mean(y, 3) > 0.2 until z * 2 > x)",
    "eventually[1,](sum(x, 2) / 2 > 0.1 and always abs(y + z) < 0.9)",
)
"""One window without end inside an always or eventually, with only connectives in between."""


@pytest.mark.parametrize("text", DUTIES)
def test_finish_settles_a_duty_without_end(text: str) -> None:
    formula = parse(text)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        trace = random_trace(rng, int(rng.integers(1, 12)))
        monitor = Monitor(formula)
        for at in range(len(trace["x"])):
            monitor.step(sample(trace, at))
        for end in ENDS:
            wanted, ending = evaluate(formula, prefix(trace, 99), end)[0], monitor.finish(end)
            first = float(ending.first_lower[0]), float(ending.first_upper[0])
            assert inside(wanted, first), (seed, end)
            if end in ("truncate", "hold"):
                assert same(first[0], wanted[0]), (seed, end)
                assert same(first[1], wanted[1]), (seed, end)


@pytest.mark.parametrize("nan", NANS)
@pytest.mark.parametrize("end", ["truncate", "hold"])
def test_a_duty_is_settled_up_to_the_first_unknown_number(nan: Nan, end: End) -> None:
    formula = parse("always(x / y > 0 -> eventually z > 0)")
    known, unknown = {"x": 1.0, "y": 1.0, "z": -1.0}, {"x": 1.0, "y": 0.0, "z": -1.0}
    missing = known | {"x": math.nan}
    odd = unknown if nan == "reject" else missing
    settled, open_now = Monitor(formula, streams=2, nan=nan), Monitor(formula, streams=2, nan=nan)
    for first in (known, known, known):
        settled.step({name: [value] * 2 for name, value in first.items()})
    assert settled.finish(end).first_upper.tolist() == [-1.0, -1.0]
    for row in (known, odd, known):
        open_now.step({name: [value, row[name]] for name, value in known.items()})
    # saved and restored, the stream that met an unknown number keeps sound bounds, the other one is exact
    again = Monitor(formula, streams=2, nan=nan)
    again.loads(open_now.dumps())
    for monitor in (open_now, again):
        ending = monitor.finish(end)
        assert (float(ending.first_lower[0]), float(ending.first_upper[0])) == (-1.0, -1.0)
        assert float(ending.first_lower[1]) <= -1.0 <= float(ending.first_upper[1])
    again.reset(np.array([False, True]))
    again.step({"x": [1.0, 1.0], "y": [1.0, 1.0], "z": [-1.0, -1.0]})
    assert again.finish(end).first_upper.tolist() == [-1.0, -1.0]


def test_finish_is_the_definition_under_every_end_policy() -> None:
    pending = 0
    for seed in range(20_000, 20_200):
        formula, trace = case(seed, longest=14)
        length = len(trace["x"])
        monitor = Monitor(formula)
        for at in range(length):
            monitor.step(sample(trace, at))
        for end in ENDS:
            wanted, ending = evaluate(formula, prefix(trace, length), end), monitor.finish(end)
            for time, low, high in zip(ending.times[:, 0], ending.lower[:, 0], ending.upper[:, 0], strict=True):
                if time >= 0:
                    assert same(low, wanted[time][0]), (seed, end, time)
                    assert same(high, wanted[time][1]), (seed, end, time)
                    pending += 1
            first = float(ending.first_lower[0]), float(ending.first_upper[0])
            assert inside(wanted[0], first), (seed, end)
            if not nested(formula):
                assert same(first[0], wanted[0][0]), (seed, end)
    assert pending > 500


def test_masked_samples_are_unknown() -> None:
    for seed in range(30_000, 30_150):
        formula, trace = case(seed)
        rng = np.random.default_rng(seed)
        for column in trace.values():
            column[rng.random(len(column)) < 0.2] = math.nan
        if horizon(formula) is None:
            continue
        monitor = Monitor(formula, nan="mask")
        whole = evaluate(formula, prefix(trace, len(trace["x"])), "interval")
        for at in range(len(trace["x"])):
            verdict = monitor.step(sample(trace, at))
            if (time := at - monitor.delay) >= 0:
                assert same(float(verdict.lower[0]), whole[time][0]), (seed, at)
                assert same(float(verdict.upper[0]), whole[time][1]), (seed, at)


def test_streams_do_not_touch_each_other() -> None:
    for seed in range(40_000, 40_040):
        formula, _ = case(seed)
        rng = np.random.default_rng(seed)
        columns = {name: rng.normal(size=(12, 5)) for name in SIGNALS}
        fleet, alone = Monitor(formula, streams=5), [Monitor(formula) for _ in range(5)]
        for at in range(12):
            verdict = fleet.step({name: column[at] for name, column in columns.items()})
            for stream, monitor in enumerate(alone):
                own = monitor.step({name: column[at, stream : stream + 1] for name, column in columns.items()})
                for name in ("times", "lower", "upper", "first_lower", "first_upper"):
                    assert getattr(verdict, name)[stream] == getattr(own, name)[0], (seed, at, name)


def test_a_reset_stream_is_a_fresh_one() -> None:
    for seed in range(50_000, 50_060):
        formula, _ = case(seed)
        rng = np.random.default_rng(seed)
        fleet, alone = Monitor(formula, streams=4), [Monitor(formula) for _ in range(4)]
        for at in range(25):
            again = rng.random(4) < 0.15
            fleet.reset(again)
            alone = [Monitor(formula) if new else old for new, old in zip(again, alone, strict=True)]
            row = {name: rng.normal(size=4) for name in SIGNALS}
            verdict = fleet.step(row)
            for stream, monitor in enumerate(alone):
                own = monitor.step({name: column[stream : stream + 1] for name, column in row.items()})
                for name in ("times", "lower", "upper", "first_lower", "first_upper"):
                    one, other = getattr(verdict, name)[stream], getattr(own, name)[0]
                    assert same(one, other), (seed, at, stream, name)  # sums round by where their blocks begin
            low, high = fleet.interval()
            own_low, own_high = alone[at % 4].interval()
            assert same(low[at % 4], own_low[0]), (seed, at)
            assert same(high[at % 4], own_high[0]), (seed, at)


def test_a_violation_is_told_at_the_sample_that_determines_it() -> None:
    monitor = Monitor(parse("G(x > 0.5 -> F[0,5](y > 0.5))"))
    for at in range(9):
        verdict = monitor.step({"x": [float(at == 2)], "y": [0.0]})
        _, upper = monitor.interval()
        assert (upper[0] < 0) == (at >= 7)
        assert bool(verdict.violated[0]) == (at >= 7)


def test_the_first_bad_sample_violates_a_long_always() -> None:
    monitor = Monitor(parse("G[0,50](x < 0.5)"))
    for at in range(4):
        verdict = monitor.step({"x": [1.0 if at == 2 else 0.0]})
        assert verdict.time is None
        assert bool(verdict.determined[0]) == (at >= 2)
    assert verdict.first_upper[0] == -0.5
    assert verdict.first_lower[0] == -math.inf


@pytest.mark.parametrize(
    ("text", "violated_at"),
    [
        ("G(x > 0 -> (y > 0 U z > 0))", 3),
        ("G(x > 0 -> (y > 0 W z > 0))", 3),
        ("G(x > 0 -> G(y > 0))", 3),
        ("F[0,2](G(y > 0))", 3),
        ("not F(x > 0 and (not (z > 0) R not (y > 0)))", 9),
        ("G(x > 0 -> F(z > 0))", 9),
    ],
)
def test_a_duty_without_end_is_violated_when_it_is(text: str, violated_at: int) -> None:
    formula = parse(text)
    columns = {"x": [-1.0, 1, -1, -1, -1], "y": [1.0, 1, 1, -2, 1], "z": [-1.0, -1, -1, -1, -1]}
    monitor, single = Monitor(formula), SingleMonitor(formula)
    for at in range(5):
        row = {name: column[at] for name, column in columns.items()}
        verdict = monitor.step({name: np.array([value]) for name, value in row.items()})
        wanted = evaluate(formula, {name: column[: at + 1] for name, column in columns.items()}, "interval")[0]
        assert (verdict.first_lower[0], verdict.first_upper[0]) == wanted
        assert single.update(row)[3:] == wanted
        assert bool(verdict.violated[0]) == (at >= violated_at)


def test_long_sums_keep_their_digits() -> None:
    monitor, rng = Monitor(parse("mean(x, 50) > 0")), np.random.default_rng(0)
    column = rng.normal(size=20_000) * 10.0 ** rng.integers(-3, 8, size=20_000)
    for at, value in enumerate(column):
        verdict = monitor.step({"x": [value]})
        window = column[max(0, at - 49) : at + 1]
        if at % 500 == 0 or at > 19_900:
            scale = float(np.abs(window).sum()) / len(window)
            assert abs(verdict.lower[0] - math.fsum(window) / len(window)) <= 1e-12 * scale


FORMULA = parse("G[0,2](x < 1) or y > 0")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"x": [0.0, 0.0]}, "signal 'y': the sample lacks this signal"),
        ({"x": [0.0, 0.0], "y": [0.0]}, "signal 'y': has shape [1], not [2]"),
        ({"x": [[0.0], [0.0]], "y": [0.0, 0.0]}, "signal 'x': has shape [2, 1]"),
        ({"x": [0.0, math.nan], "y": [0.0, 0.0]}, "signal 'x', stream 1, sample 1: nan"),
        ({"x": [0.0, 0.0], "y": [-math.inf, 0.0]}, "signal 'y', stream 0, sample 1: -inf"),
        ({"x": ["a", "b"], "y": [0.0, 0.0]}, "signal 'x': is not made of numbers"),
        ({"x": [0.0, 0.0], "y": [0j, 0j]}, "signal 'y': is not made of numbers"),
        ({"x": [0.0, 0.0], "y": [[0.0], [0.0, 1.0]]}, "signal 'y': is not made of numbers"),
        ({"x": [0.0, 0.0], "y": None}, "signal 'y': is not made of numbers"),
    ],
)
def test_a_bad_sample_is_refused_and_changes_nothing(row: dict[str, object], message: str) -> None:
    monitor, other = Monitor(FORMULA, streams=2), Monitor(FORMULA, streams=2)
    good = {"x": [0.1, 0.2], "y": [0.3, -0.4]}
    monitor.step(good)
    other.step(good)
    saved = monitor.dumps()
    with pytest.raises(StlError, match=r"signal") as error:
        monitor.step(row)  # type: ignore[arg-type]
    assert message in str(error.value)
    assert monitor.dumps() == saved
    one, two = monitor.step(good), other.step(good)
    assert np.array_equal(one.first_lower, two.first_lower)
    assert np.array_equal(one.lower, two.lower)


def test_infinities_are_refused_under_mask_too() -> None:
    with pytest.raises(StlError, match="sample 0: inf"):
        Monitor(FORMULA, nan="mask").step({"x": [math.inf], "y": [0.0]})


def test_the_callers_arrays_are_neither_kept_nor_changed() -> None:
    monitor = Monitor(parse("F[0,2](x > 0)"), streams=2)
    row = np.array([1.0, 2.0])
    first = monitor.step({"x": row})
    kept = first.first_lower.copy()
    row[:] = 50.0
    for _ in range(4):
        monitor.step({"x": np.zeros(2)})
    assert np.array_equal(first.first_lower, kept)
    assert np.array_equal(row, [50.0, 50.0])
    hold = Monitor(parse("F[0,2](x > 0)"))
    hold.step({"x": (last := np.array([1.0]))})
    last[:] = -9.0
    assert hold.finish("hold").lower[:, 0].tolist()[-1] == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Monitor(FORMULA, streams=0), "0 streams"),
        (lambda: Monitor(FORMULA, nan="skip"), "nan='skip'"),  # type: ignore[arg-type]
        (lambda: Monitor(FORMULA).finish("never"), "end='never'"),  # type: ignore[arg-type]
        (lambda: Monitor(FORMULA).finish("hold"), "no sample yet"),
        (lambda: Monitor(FORMULA, streams=2).reset(np.array([True])), "reset mask"),
        (lambda: Monitor(FORMULA, streams=1).reset(np.array([1])), "reset mask"),
        (lambda: Monitor(f.Always(operand=FORMULA, bounds=f.Bounds(upper=f.Duration(amount=1, unit="s")))), "in s"),
        (lambda: Monitor(f.Always(operand=FORMULA, bounds=f.Bounds(upper=f.Duration(amount=10**9)))), "longer than"),
        (lambda: Monitor(f.AtLeast(need=1, operand=FORMULA, window=f.Duration(amount=2))), "ahead"),
    ],
)
def test_what_cannot_be_monitored_is_refused(make: object, message: str) -> None:
    with pytest.raises(StlError, match=r".") as error:
        make()  # type: ignore[operator]
    assert message in str(error.value)


@pytest.mark.parametrize("nan", NANS)
@pytest.mark.parametrize(("seed", "at"), [(0, 0), (1, 1), (2, 7), (3, 20)])
def test_a_snapshot_goes_on_and_is_not_changed_by_what_follows(seed: int, at: int, nan: Nan) -> None:
    draw = np.random.default_rng(seed)
    formula = parse("always[0,3](once[1,6](a > 0) and (sum(b, 4) <= 2 or (a > 0) since[0,5] (b > 0)))")
    rows = [{name: float(value) for name, value in zip("ab", draw.normal(size=2), strict=True)} for _ in range(40)]
    monitor, other = SingleMonitor(formula, nan=nan), SingleMonitor(formula, nan=nan)
    for row in rows[:at]:
        monitor.update(row)
    kept = monitor.snapshot()
    text = json.dumps(kept)
    expected = [monitor.update(row)[:3] for row in rows[at:]]
    assert json.dumps(kept) == text
    other.resume(kept)
    assert [other.update(row)[:3] for row in rows[at:]] == expected
    monitor.resume(kept)
    assert [monitor.update(row)[:3] for row in rows[at:]] == expected
