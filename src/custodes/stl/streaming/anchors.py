"""How the value at the first sample is followed from the first sample on: read off the formula's top.

Above the first temporal operator with a window ahead there are only connectives; that operator's operand is taken as it
comes out of the network, sample by sample, and folded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from custodes.stl import formula as f
from custodes.stl.streaming.network import (
    INF,
    NEUTRAL,
    Anchor,
    Clamp,
    Extremum,
    Fold,
    Join,
    Known,
    Meet,
    Step,
    Value,
    dual,
    only_now,
)

if TYPE_CHECKING:
    from custodes.stl.streaming.plan import Builder


def anchor_of(builder: Builder, node: f.Formula, *, negated: bool) -> Anchor:
    """The record that follows a formula, or its negation, at the first sample.

    Args:
        builder: Holds the steps; those that are missing are added.
        node: The formula.
        negated: Whether its negation is wanted.
    """
    if builder.causal(node):
        return Known(value=builder.formula(node, negated=negated))
    match node:
        case f.Not(operand=operand):
            return anchor_of(builder, operand, negated=not negated)
        case f.And(left=left, right=right):
            return _join(builder, dual("min", negated), (left, negated), (right, negated))
        case f.Or(left=left, right=right):
            return _join(builder, dual("max", negated), (left, negated), (right, negated))
        case f.Implies(left=left, right=right):
            return _join(builder, dual("max", negated), (left, not negated), (right, negated))
        case f.Iff(left=left, right=right):
            inner = dual("max", negated)
            one = _join(builder, inner, (left, not negated), (right, negated))
            other = _join(builder, inner, (right, not negated), (left, negated))
            return Join(which=dual("min", negated), left=one, right=other)
        case f.Always(operand=operand, bounds=bounds):
            return _fold(builder, dual("min", negated), builder.formula(operand, negated=negated), bounds)
        case f.Eventually(operand=operand, bounds=bounds):
            return _fold(builder, dual("max", negated), builder.formula(operand, negated=negated), bounds)
        case f.Until(right=right) | f.Release(right=right) if only_now(node):
            return anchor_of(builder, right, negated=negated)
        case f.Until(left=left, right=right) | f.WeakUntil(left=left, right=right) | f.Release(left=left, right=right):
            return _clamp(builder, node, builder.formula(left, negated=negated), negated)
        case _:
            return _behind(builder, node, negated)


def settles(anchor: Anchor) -> int | None:
    """Sample at which an anchor's value is final; None when it may never be."""
    match anchor:
        case Known(value=value):
            return value.delay
        case Fold(value=value, last=last, inner=inner):
            return None if last is None or inner >= 0 else value.delay + last
        case Clamp(guard=value, last=last):
            return None if last is None else value.delay + last
        case Join(left=left, right=right) | Meet(left=left, right=right):
            one, other = settles(left), settles(right)
            return None if one is None or other is None else max(one, other)


def _behind(builder: Builder, node: f.Formula, negated: bool) -> Anchor:
    """At the first sample a window behind holds that sample or nothing."""
    now = isinstance(node, f.Historically | f.Once | f.Since) and node.bounds.lower.amount == 0
    match node:
        case f.Historically(operand=operand) | f.Once(operand=operand) | f.Since(right=operand) if now:
            return anchor_of(builder, operand, negated=negated)
        case f.Historically() | f.Once() | f.Since() | f.Previous():
            constant = INF if isinstance(node, f.Historically) is not negated else -INF
            slot = builder.parts.add(Step(kind="number", value=constant, name=repr(constant)))
            return Known(value=Value(slot=slot, delay=0))
        case _:
            return Known(value=builder.formula(node, negated=negated))


def _join(builder: Builder, which: Extremum, left: tuple[f.Formula, bool], right: tuple[f.Formula, bool]) -> Join:
    one = anchor_of(builder, left[0], negated=left[1])
    return Join(which=which, left=one, right=anchor_of(builder, right[0], negated=right[1]))


def _fold(builder: Builder, which: Extremum, value: Value, bounds: f.Bounds) -> Fold:
    last = None if bounds.upper is None else bounds.upper.amount
    seen = builder.parts.edge(value, NEUTRAL[which])
    inner = builder.parts.unsettled(seen.slot)
    rest = 0.0
    numbers: tuple[int, ...] = ()
    if inner >= 0:
        waiting = builder.parts.steps[inner]
        rest = -NEUTRAL[waiting.which] if waiting.weak else NEUTRAL[waiting.which]
        numbers = builder.parts.numbers(seen.slot)
    first = bounds.lower.amount
    return Fold(which=which, value=seen, first=first, last=last, inner=inner, rest=rest, numbers=numbers)


def _clamp(builder: Builder, node: f.Until | f.WeakUntil | f.Release, left: Value, negated: bool) -> Clamp:
    right = builder.formula(node.right, negated=negated)
    most = dual("max", negated is not isinstance(node, f.Release))
    delay = max(left.delay, right.delay)
    guard = builder.parts.edge(left, NEUTRAL[dual(most, True)])
    goal = builder.parts.edge(right, NEUTRAL[most])
    return Clamp(
        most=most,
        guard=builder.parts.late(guard, delay),
        goal=builder.parts.late(goal, delay),
        first=node.bounds.lower.amount,
        last=None if node.bounds.upper is None else node.bounds.upper.amount,
        weak=isinstance(node, f.WeakUntil),
    )
