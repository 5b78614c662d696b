"""Verdicts against their definition: every window by itself, on every prefix of its life."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.stl.batched import evaluate
from custodes.team.rules.book import Rule, book_of
from custodes.team.rules.judge import NEVER, Lives, costs_of, judge

TEXT = """
[[spec]]
name = "now"
formula = "always (a -> b)"
[[spec]]
name = "past"
formula = "always (a and once b -> historically[0:2] c)"
[[spec]]
name = "soon"
formula = "always (a -> eventually[1:3] b)"
[[spec]]
name = "some day"
formula = "always (a -> eventually b)"
[[spec]]
name = "duty"
formula = "always (a -> always[1:3] b)"
[[spec]]
name = "for good"
formula = "always (a -> always (b -> c))"
[[spec]]
name = "until"
formula = "always (a -> c until[0:4] b)"
[[spec]]
name = "anywhere"
formula = "always (b or c)"
"""
RULES = {rule.name: rule for rule in book_of(TEXT).rules}
Trace = dict[str, list[float]]


@st.composite
def traces(draw: st.DrawFn) -> list[tuple[Trace, bool]]:
    """Up to four traces of up to nine samples, each complete or not."""
    bits = st.sampled_from((0.0, 1.0))
    made = []
    for _ in range(draw(st.integers(1, 4))):
        length = draw(st.integers(1, 9))
        trace = {name: draw(st.lists(bits, min_size=length, max_size=length)) for name in "abc"}
        made.append((trace, draw(st.booleans())))
    return made


def lives_of(cases: list[tuple[Trace, bool]]) -> Lives:
    longest = max(len(trace["a"]) for trace, _ in cases)
    signals = {
        name: torch.tensor([[*trace[name], *[7.0] * (longest - len(trace[name]))] for trace, _ in cases])
        for name in "abc"
    }
    return Lives(
        signals=signals,
        lengths=torch.tensor([len(trace["a"]) for trace, _ in cases]),
        complete=torch.tensor([complete for _, complete in cases]),
    )


def value(formula: object, trace: Trace, length: int, at: int, end: str) -> tuple[float, float]:
    """Lower and upper robustness of a sample on a prefix."""
    signals = {name: torch.tensor(values[:length], dtype=torch.float64) for name, values in trace.items()}
    found = evaluate(formula, signals, end=end)  # type: ignore[arg-type]
    return float(found.lower[at]), float(found.upper[at])


def known_at(rule: Rule, trace: Trace, complete: bool, at: int) -> int:
    """When a window's verdict is known: a duty's breach when it comes; else at its horizon or at the life's end."""
    length = len(trace["a"])
    if rule.duty is not None:
        for now in range(at, length):
            if value(rule.body, trace, now + 1, at, "interval")[1] < 0:
                return now
    if rule.horizon is not None and at + rule.horizon < length:
        return at + rule.horizon
    return length - 1 if complete else NEVER


@settings(max_examples=150, deadline=None)
@given(traces(), st.sampled_from(sorted(RULES)))
def test_windows_violations_and_when_they_are_known(cases: list[tuple[Trace, bool]], name: str) -> None:
    rule, lives = RULES[name], lives_of(cases)
    found = judge(rule, lives, "truncate")
    for row, (trace, complete) in enumerate(cases):
        length = len(trace["a"])
        for at in range(found.triggered.shape[1]):
            if at >= length:
                assert not found.triggered[row, at]
                continue
            low, _ = value(rule.body, trace, length, at, "truncate")
            assert bool(found.triggered[row, at]) == (value(rule.condition, trace, length, at, "truncate")[0] >= 0)
            if not found.triggered[row, at]:
                continue
            assert bool(found.violated[row, at]) == (low < 0)
            assert float(found.robustness[row, at]) == low
            assert int(found.known[row, at]) == known_at(rule, trace, complete, at)


@settings(max_examples=100, deadline=None)
@given(traces(), st.sampled_from(sorted(RULES)))
def test_costs_fall_where_violations_become_known(cases: list[tuple[Trace, bool]], name: str) -> None:
    rule, lives = RULES[name], lives_of(cases)
    found = judge(rule, lives, "truncate")
    cost = costs_of(rule, lives, found, "truncate").numpy()
    for row, (trace, _) in enumerate(cases):
        length = len(trace["a"])
        known = {
            int(found.known[row, at])
            for at in range(length)
            if found.triggered[row, at] and found.violated[row, at] and found.known[row, at] != NEVER
        }
        paid = set(np.flatnonzero(cost[row]).tolist())
        assert known <= paid
        if rule.duty is None:
            assert paid == known
        else:
            for at in paid:
                assert value(rule.duty.operand, trace, length, at, "truncate")[0] < 0
        assert all(at < length for at in paid)


def test_a_breach_is_known_at_once_and_paid_again() -> None:
    trace: Trace = {"a": [1.0, 0, 0, 0, 0], "b": [1.0, 1, 1, 0, 1], "c": [1.0, 0, 1, 0, 0]}
    lives, rule = lives_of([(trace, False)]), RULES["for good"]
    found = judge(rule, lives, "truncate")
    assert int(found.known[0, 0]) == 1
    assert np.flatnonzero(costs_of(rule, lives, found, "truncate")[0].numpy()).tolist() == [1, 4]


def test_signals_that_are_missing_are_named() -> None:
    lives = lives_of([({"a": [1.0], "b": [1.0], "c": [1.0]}, True)])
    with pytest.raises(ValueError, match="no signal 'd'"):
        judge(book_of('[[spec]]\nname = "r"\nformula = "always d"').rules[0], lives, "truncate")
