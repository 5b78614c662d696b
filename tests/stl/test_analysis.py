"""What formulas need, against what changing the trace does to their definition."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from custodes.stl import analysis
from custodes.stl import formula as f
from custodes.stl.errors import FormulaError, StlError
from custodes.stl.parser import parse
from tests.stl.definition import evaluate
from tests.stl.generate import Grammar, random_formula, random_trace

P = f.Comparison(operator=">", left=f.Signal(name="x"), right=f.Number(value=0.0))
Q = f.Comparison(operator=">", left=f.Signal(name="y"), right=f.Number(value=0.0))


def window(lower: int, upper: int | None) -> f.Bounds:
    return f.Bounds(lower=f.Duration(amount=lower), upper=None if upper is None else f.Duration(amount=upper))


def samples(count: int) -> f.Duration:
    return f.Duration(amount=count)


NEEDS: list[tuple[f.Formula, int | None, int | None, int]] = [
    (P, 0, 0, 0),
    (f.Always(operand=P), None, 0, 0),
    (f.Always(operand=f.Eventually(operand=P, bounds=window(1, 5)), bounds=window(0, 50)), 55, 0, 0),
    (f.Once(operand=P, bounds=window(2, 4)), 0, 4, 2),
    (f.Once(operand=P), 0, None, 0),
    (f.Once(operand=f.Previous(operand=P)), 0, None, 1),
    (f.Once(operand=f.Previous(operand=P), bounds=window(0, 3)), 0, 4, 4),
    (f.Once(operand=f.Eventually(operand=P, bounds=window(0, 5)), bounds=window(2, 4)), 3, 4, 2),
    (f.Eventually(operand=f.Once(operand=P, bounds=window(5, 6)), bounds=window(2, 3)), 3, 4, 3),
    (f.Until(left=P, right=Q, bounds=window(5, 20)), 20, 0, 0),
    (f.Until(left=f.Next(operand=P), right=Q, bounds=window(0, 20)), 20, 0, 0),
    (f.Until(left=f.Always(operand=P), right=Q, bounds=window(0, 0)), 0, 0, 0),
    (f.WeakUntil(left=f.Next(operand=P), right=Q, bounds=window(0, 20)), 21, 0, 0),
    (f.Release(left=f.Next(operand=P), right=Q, bounds=window(0, 20)), 20, 0, 0),
    (f.Since(left=f.Previous(operand=P), right=Q, bounds=window(1, 3)), 0, 3, 3),
    (f.AtLeast(need=3, operand=P, window=samples(5)), 0, 4, 2),
    (
        f.Comparison(
            operator="<",
            left=f.Count(kind="rate", formula=P, window=samples(5)),
            right=f.Fold(kind="max", term=f.Signal(name="z"), window=samples(9)),
        ),
        0,
        8,
        0,
    ),
]


@pytest.mark.parametrize(("node", "future", "past", "warm"), NEEDS)
def test_needs_by_hand(node: f.Formula, future: int | None, past: int | None, warm: int) -> None:
    assert analysis.horizon(node) == future
    assert analysis.memory(node) == past
    assert analysis.warmup(node) == warm


def formulas(count: int, grammar: Grammar, seed: int) -> Iterator[f.Formula]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield random_formula(rng, grammar)


def test_samples_after_the_horizon_change_nothing() -> None:
    rng = np.random.default_rng(1)
    for node in formulas(150, Grammar(depth=3), 2):
        ahead = analysis.horizon(node)
        if ahead is None:
            continue
        trace, other = random_trace(rng, 20), random_trace(rng, 20)
        cut = min(20, 5 + ahead + 1)
        changed = {name: np.concatenate([trace[name][:cut], other[name][cut:]]) for name in trace}
        shorter = {name: trace[name][:cut].tolist() for name in trace}
        if ahead <= 14:
            full = evaluate(node, {name: each.tolist() for name, each in trace.items()})[5]
            assert evaluate(node, {name: each.tolist() for name, each in changed.items()})[5] == full
            assert evaluate(node, shorter)[5] == full


def test_samples_before_the_memory_change_nothing_known() -> None:
    rng = np.random.default_rng(3)
    checked = 0
    for node in formulas(200, Grammar(depth=3, aggregates=False), 4):
        past = analysis.memory(node)
        if past is None or past > 14:
            continue
        trace, other = random_trace(rng, 20), random_trace(rng, 20)
        first = 15 - past
        changed = {name: np.concatenate([other[name][:first], trace[name][first:]]).tolist() for name in trace}
        same = {name: each.tolist() for name, each in trace.items()}
        checked += 1
        assert evaluate(node, changed)[15] == evaluate(node, same)[15]
    assert checked > 50


def test_signals_are_sorted_and_unique() -> None:
    assert analysis.signals(f.And(left=f.Or(left=Q, right=P), right=P)) == ("x", "y")
    assert analysis.signals(f.Truth(value=True)) == ()


def test_aggregates_must_not_look_ahead() -> None:
    ahead = f.Next(operand=P, span=f.Span(start=9, end=15))
    bad = f.AtLeast(need=1, operand=f.Not(operand=ahead), window=samples(2))
    with pytest.raises(FormulaError, match=r"rule, line 1, column 10: at least looks back.*next.*once"):
        analysis.check_causal(bad, text="at least 1 of 2 (next x)", source="rule")
    count = f.Comparison(
        operator=">", left=f.Count(kind="count", formula=ahead, window=samples(2)), right=f.Number(value=1.0)
    )
    with pytest.raises(FormulaError, match="count looks back"):
        analysis.check_causal(f.Always(operand=count))
    analysis.check_causal(f.Always(operand=f.AtLeast(need=1, operand=P, window=samples(2))))


def test_units_become_samples() -> None:
    bounds = f.Bounds(lower=f.Duration(amount=500, unit="ms"), upper=f.Duration(amount=2, unit="s"))
    node = f.Always(operand=f.Once(operand=P), bounds=bounds)
    counted = analysis.in_samples(node, 250_000_000)
    assert counted == f.Always(operand=f.Once(operand=P), bounds=window(2, 8))
    assert analysis.in_samples(counted, None) == counted
    with pytest.raises(StlError, match="in_samples"):
        analysis.horizon(node)


def test_units_without_a_period_or_off_it_are_refused() -> None:
    node = f.Always(operand=P, bounds=f.Bounds(upper=f.Duration(amount=1500, unit="ms")))
    with pytest.raises(FormulaError, match=r"1500ms needs the sampling period; state it: period"):
        analysis.in_samples(node, None)
    with pytest.raises(FormulaError, match=r"1500ms is no multiple of the sampling period 1s; write 1s or 2s"):
        analysis.in_samples(node, 10**9)
    with pytest.raises(FormulaError, match=r"write 2s$"):
        analysis.in_samples(node, 2 * 10**9)


def test_warmup_fills_every_bounded_window() -> None:
    """With x and y finite, a formula of bounded past operators without truths is finite from its warm-up on."""
    rng = np.random.default_rng(5)
    grammar = Grammar(depth=3, future=False, unbounded=False, plain=True, aggregates=False)
    for node in formulas(150, grammar, 6):
        first = analysis.warmup(node)
        values = evaluate(node, {name: each.tolist() for name, each in random_trace(rng, first + 5).items()})
        assert all(math.isfinite(low) for low, _ in values[first:])


def test_a_bound_off_the_period_is_shown_where_it_is_written() -> None:
    text = "x -> once[2s,3s] (y since[0, 1.5 s] z)"
    with pytest.raises(FormulaError, match="1500ms is no multiple") as caught:
        analysis.in_samples(parse(text), 10**9, text=text)
    span = caught.value.span
    assert text[span.start : span.end] == "1.5 s"
    with pytest.raises(FormulaError, match="1500ms is no multiple") as caught:
        analysis.in_samples(parse("x or F[0,wait] y", parameters={"wait": "1.5s"}), 10**9, text="x or F[0,wait] y")
    assert caught.value.column == 6


def test_windows_in_units_hold_enough_samples() -> None:
    node = parse("at least 3 of 4s x")
    assert analysis.in_samples(node, 10**9) == parse("at least 3 of 4 x")
    with pytest.raises(FormulaError, match="3 of 2 samples is never reached"):
        analysis.in_samples(node, 2 * 10**9)
    with pytest.raises(FormulaError, match="more than 1000000000000 samples"):
        analysis.in_samples(parse("F[0,1h] x"), 1)


def test_deep_and_large_formulas_are_analysed() -> None:
    node = parse("O[1,2] " * 45 + "not " * 45 + "x")
    assert (analysis.memory(node), analysis.warmup(node), analysis.horizon(node)) == (90, 89, 0)
    analysis.check_causal(node)
    assert analysis.in_samples(node, None) == node
