"""Explanations: the samples that are named make the verdict alone, and the rest is what a person wants to read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from custodes.stl import formula as f
from custodes.stl.errors import StlError
from custodes.stl.explain import Explanation, Interval, explain, per_sample
from custodes.stl.policy import ENDS, End
from tests.stl.definition import evaluate
from tests.stl.generate import SIGNALS, Grammar, random_formula, random_trace

GRAMMAR = Grammar(depth=4, longest=5)


def samples(n: int) -> f.Duration:
    return f.Duration(amount=n)


def window(lower: int, upper: int | None) -> f.Bounds:
    return f.Bounds(lower=samples(lower), upper=None if upper is None else samples(upper))


def above(name: str, threshold: float = 0.0) -> f.Comparison:
    return f.Comparison(operator=">", left=f.Signal(name=name), right=f.Number(value=threshold))


def below(name: str, threshold: float = 0.0) -> f.Comparison:
    return f.Comparison(operator="<", left=f.Signal(name=name), right=f.Number(value=threshold))


def lists(trace: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in trace.items()}


def changed(
    trace: Mapping[str, np.ndarray], explanation: Explanation, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Every sample that is not named is replaced; what was unknown may become anything."""
    new = {name: rng.normal(size=values.size) * rng.choice([0.1, 1.0, 10.0]) for name, values in trace.items()}
    for name, parts in explanation.responsible.items():
        for part in parts:
            new[name][part.first : part.last + 1] = trace[name][part.first : part.last + 1]
    return new


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("nan", ["reject", "mask"])
def test_the_named_samples_alone_make_the_verdict(end: End, nan: Any) -> None:
    rng = np.random.default_rng([ENDS.index(end), nan == "mask"])
    seen = {"violated": 0, "satisfied": 0, "undetermined": 0}
    smaller = 0
    for _ in range(60):
        formula = random_formula(rng, GRAMMAR)
        trace = random_trace(rng, int(rng.integers(1, 12)))
        if nan == "mask":
            for values in trace.values():
                values[rng.random(values.size) < 0.1] = math.nan
        at = int(rng.integers(trace["x"].size))
        explanation = explain(formula, trace, at=at, end=end, nan=nan)
        low, high = evaluate(formula, lists(trace), end)[at]
        assert [explanation.lower, explanation.upper] == pytest.approx([low, high])
        certain = "violated" if high < 0 else "satisfied" if low >= 0 else None
        assert explanation.verdict == (certain or ("violated" if end == "pessimistic" else "undetermined"))
        assert explanation.certain == (certain is not None)
        seen[explanation.verdict] += 1
        assert json.loads(json.dumps(explanation.to_json()))["verdict"] == explanation.verdict
        assert explanation.to_text().startswith(explanation.verdict.capitalize())
        if not explanation.certain:
            continue
        named = sum(part.last - part.first + 1 for parts in explanation.responsible.values() for part in parts)
        smaller += named < len(SIGNALS) * trace["x"].size
        for _ in range(6):
            again = evaluate(formula, lists(changed(trace, explanation, rng)), end)[at]
            if explanation.verdict == "violated":
                assert again[1] <= high + 1e-9 * (1 + abs(high)) or again[1] == high
                assert again[1] < 0 or high > -1e-9
            else:
                assert again[0] >= low - 1e-9 * (1 + abs(low)) or again[0] == low
    assert min(seen["violated"], seen["satisfied"]) > 8
    assert (seen["undetermined"] > 0) == (end != "pessimistic" and (nan == "mask" or end == "interval"))
    assert smaller > 20


CONTAINED = f.Implies(
    left=above("threat", 0.5), right=f.Eventually(operand=above("contained", 0.5), bounds=window(0, 2))
)


def containment() -> dict[str, list[float]]:
    return {"threat": [0, 1, 0, 0, 0, 1, 0, 0, 0, 0], "contained": [0, 0, 0, 1, 0, 0, 0, 0, 1, 0]}


def test_an_always_names_its_worst_sample() -> None:
    explanation = explain(f.Always(operand=CONTAINED), containment())
    assert (explanation.verdict, explanation.lower) == ("violated", -0.5)
    assert explanation.responsible == {
        "threat": (Interval(first=5, last=5),),
        "contained": (Interval(first=5, last=7),),
    }
    assert explanation.runs.violated == (Interval(first=5, last=5),)
    kinds = [(type(step.node).__name__, step.depth, step.holds) for step in explanation.steps]
    assert kinds == [
        ("Always", 0, False),
        ("Implies", 1, False),
        ("Comparison", 2, True),
        ("Eventually", 2, False),
        ("Comparison", 3, False),
    ]
    assert [step.samples for step in explanation.steps][3:] == [
        (Interval(first=5, last=5),),
        (Interval(first=5, last=7),),
    ]


def test_the_text_reads_well() -> None:
    text = explain(f.Always(operand=CONTAINED), containment(), times=np.arange(10) * 0.5, unit="s").to_text()
    lines = text.splitlines()
    assert lines[0] == "Violated at sample 0 (time 0 s): robustness -0.5 (truncate)."
    assert lines[-2] == "These samples alone make it so: contained at 5..7; threat at 5."
    assert lines[-1] == "Violated, sample by sample, at 5 (1 of 10 samples)."
    assert "holds at 5 (time 2.5 s); robustness 0.5; threat = 1" in text
    assert "fails at 5..7 (3 samples); robustness -0.5; contained = 0" in text


def test_a_satisfied_rule_names_its_witness() -> None:
    explanation = explain(f.Eventually(operand=above("x"), bounds=window(0, 4)), {"x": [-1.0, 3.0, 2.0, -1.0]})
    assert (explanation.verdict, explanation.lower) == ("satisfied", 3.0)
    assert explanation.responsible == {"x": (Interval(first=1, last=1),)}


def test_until_tells_a_broken_guard_from_a_missing_goal() -> None:
    until = f.Until(left=above("x"), right=above("y"), bounds=window(1, 3))
    broken = explain(until, {"x": [1.0, -1.0, 1.0, 1.0, 1.0], "y": [-1.0, -2.0, 5.0, 5.0, 5.0]})
    assert broken.steps[0].reason == "the guard fails before the right side comes"
    assert broken.responsible == {"x": (Interval(first=1, last=1),), "y": (Interval(first=1, last=1),)}
    missing = explain(until, {"x": [1.0] * 5, "y": [9.0, -1.0, -2.0, -1.0, 9.0]})
    assert missing.steps[0].reason == "the right side does not come in the window"
    assert missing.responsible == {"y": (Interval(first=1, last=3),)}
    early = explain(
        f.Until(left=above("x"), right=above("y"), bounds=window(2, 3)),
        {"x": [-1.0, 1.0, 1.0, 1.0, 1.0], "y": [9.0] * 5},
    )
    assert early.steps[0].reason == "the guard fails before the window"
    assert early.responsible == {"x": (Interval(first=0, last=0),)}


def test_a_rate_names_the_samples_that_count() -> None:
    rate = f.Count(kind="rate", formula=above("fp", 0.5), window=samples(4))
    rule = f.Comparison(operator="<=", left=rate, right=f.Number(value=0.25))
    explanation = explain(rule, {"fp": [1, 1, 0, 1, 0, 1]}, at=5)
    assert explanation.responsible == {"fp": (Interval(first=3, last=3), Interval(first=5, last=5))}
    assert "counts at 5; value 0.5" in explanation.to_text()
    assert explanation.runs.violated == (Interval(first=0, last=5),)


def test_an_empty_window_blames_no_sample() -> None:
    explanation = explain(f.Eventually(operand=above("x"), bounds=window(2, 3)), {"x": [1.0, 1.0]}, at=1)
    assert (explanation.verdict, explanation.lower) == ("violated", -math.inf)
    assert explanation.responsible == {}
    assert explanation.steps[0].reason == "the window holds no sample"
    assert explanation.to_json()["robustness"] == ["-inf", "-inf"]


def test_at_least_too_early() -> None:
    rule = f.AtLeast(need=2, operand=above("x"), window=samples(3))
    explanation = explain(rule, {"x": [1.0, 1.0, -1.0, -1.0]}, at=0)
    assert explanation.steps[0].reason == "the window holds fewer than 2 samples"
    later = explain(rule, {"x": [1.0, 1.0, -1.0, -1.0]}, at=3)
    assert later.responsible == {"x": (Interval(first=2, last=3),)}


def test_unknown_samples_leave_it_open() -> None:
    rule = f.Always(operand=above("x"), bounds=window(0, 3))
    explanation = explain(rule, {"x": [1.0, 2.0]}, end="interval")
    assert (explanation.verdict, explanation.lower, explanation.upper) == ("undetermined", -math.inf, 1.0)
    assert explanation.unknown["x"][0].first == 2
    assert "Unknown: x at 2" in explanation.to_text()
    assert explanation.runs.open == (Interval(first=0, last=1),)


def test_pessimistic_calls_violated_what_may_be() -> None:
    explanation = explain(f.Always(operand=above("x")), {"x": [1.0, 2.0]}, end="pessimistic")
    assert (explanation.verdict, explanation.certain, explanation.lower) == ("violated", False, -math.inf)
    assert explanation.runs.violated == ()
    assert explanation.responsible == {}
    text = explanation.to_text()
    assert "Unknown: x at 2" in text
    assert "alone make it so" not in text


def test_what_is_held_is_the_last_sample() -> None:
    rule = f.Eventually(operand=above("x"), bounds=window(4, 5))
    explanation = explain(rule, {"x": [1.0, 2.0, -3.0]}, end="hold")
    assert explanation.responsible == {"x": (Interval(first=2, last=2),)}
    assert "the trace ends at 2" in explanation.to_text()


def test_large_windows_are_summarised() -> None:
    values = np.full(50_000, -1.0)
    explanation = explain(f.Eventually(operand=above("x"), bounds=window(0, 40_000)), {"x": values})
    assert explanation.responsible == {"x": (Interval(first=0, last=40_000),)}
    assert len(explanation.to_text()) < 1_000
    flicker = explain(
        f.Comparison(
            operator="<=",
            left=f.Count(kind="count", formula=above("x"), window=samples(50_000)),
            right=f.Number(value=10.0),
        ),
        {"x": np.where(np.arange(50_000) % 2, 1.0, -1.0)},
        at=49_999,
    )
    assert "(25000 samples in 25000 ranges, the last 49999)" in flicker.to_text()
    assert len(flicker.to_text()) < 2_000


def test_deep_and_doubling_formulas_end() -> None:
    deep: f.Formula = above("x")
    for _ in range(60):
        deep = f.Not(operand=f.And(left=deep, right=above("y")))
    double: f.Formula = above("x")
    for _ in range(12):
        double = f.Iff(left=double, right=above("y"))
    for formula in (deep, double):
        explanation = explain(formula, {"x": [1.0, -2.0], "y": [-0.5, 3.0]}, at=1)
        assert len(explanation.steps) < 200
        assert len(explanation.to_text().splitlines()) < 450


def test_per_sample_takes_the_outer_always_off() -> None:
    assert per_sample(f.Always(operand=f.Always(operand=CONTAINED))) is CONTAINED
    bounded = f.Always(operand=CONTAINED, bounds=window(0, 5))
    assert per_sample(bounded) is bounded


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"signals": {"xx": [1.0]}}, "there is no signal 'x'; did you mean 'xx'?"),
        ({"signals": {"x": []}}, "a trace of 0 samples: there is no sample 0"),
        ({"at": 3}, "a trace of 2 samples: there is no sample 3"),
        ({"at": -1}, "there is no sample -1"),
        ({"signals": {"x": [1.0, math.nan]}}, "signal x, sample 1: is not a number; with the NaN policy 'mask'"),
        ({"signals": {"x": [math.inf, 1.0]}, "nan": "mask"}, "signal x, sample 0: is infinite"),
        ({"end": "never"}, "there is no end policy 'never'; one of truncate"),
        ({"signals": {"x": [[1.0]]}}, "not arrays of one length"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, Any], line: str) -> None:
    asked: dict[str, Any] = {"signals": {"x": [1.0, 2.0]}} | changes
    with pytest.raises(StlError) as caught:
        explain(above("x"), asked.pop("signals"), **asked)
    assert line in str(caught.value)


def test_units_have_to_be_counts() -> None:
    rule = f.Always(operand=above("x"), bounds=f.Bounds(upper=f.Duration(amount=5, unit="s")))
    with pytest.raises(StlError, match="a bound has a unit"):
        explain(rule, {"x": [1.0]})


@pytest.mark.parametrize("end", ENDS)
def test_a_bound_far_beyond_the_end_takes_no_memory(end: End) -> None:
    formula = f.Always(operand=f.AtLeast(need=1, operand=above("x"), window=samples(3)), bounds=window(0, 10**12))
    found = explain(formula, {"x": [1.0, -1.0, -1.0, -1.0, -2.0]}, end=end)
    assert found.verdict == "violated"
    # The last sample, held for ever, fills windows of its own.
    expected = [Interval(first=4, last=4)] if end == "hold" else [Interval(first=1, last=3), Interval(first=2, last=4)]
    assert found.responsible["x"][0] in expected


def test_an_explanation_that_would_fill_the_memory_is_refused() -> None:
    formula = f.Always(operand=f.Once(operand=above("x"), bounds=window(0, 10**12)))
    assert explain(formula, {"x": [-1.0]}).verdict == "violated"
    with pytest.raises(StlError, match="samples are needed to say what stands after the end"):
        explain(formula, {"x": [-1.0]}, end="hold")
