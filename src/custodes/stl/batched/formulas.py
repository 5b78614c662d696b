"""Formulas: robustness at every sample, node by node, whole traces at a time."""

from __future__ import annotations

from torch import Tensor

from custodes.stl import formula as f
from custodes.stl.batched import aggregates, terms, windows
from custodes.stl.batched.pairs import Pair, absolute, each, minus, negative, point
from custodes.stl.batched.scope import Scope

ONE = f.Bounds(lower=f.Duration(amount=1), upper=f.Duration(amount=1))
"""The window of next and previous."""
MIRRORED: dict[f.ComparisonOperator, f.ComparisonOperator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The comparison whose robustness is minus that of another."""


def formula(node: f.Formula, scope: Scope) -> Pair:
    """Evaluate a formula.

    Args:
        node: The formula, bounds in samples.
        scope: What it is evaluated on.

    Returns:
        Bounds of the robustness, [traces, samples]. Behind the end of a ragged trace they mean nothing.
    """
    algebra = scope.algebra
    match node:
        case f.Comparison():
            return _compare(node.operator, node, scope)
        case f.Truth(value=value):
            return point(scope.constant(_infinite(value)))
        case f.Not(operand=operand):
            return _negation(operand, scope)
        case f.And(left=left, right=right):
            return each(algebra.least, formula(left, scope), formula(right, scope))
        case f.Or(left=left, right=right):
            return each(algebra.greatest, formula(left, scope), formula(right, scope))
        case f.Implies(left=left, right=right):
            return each(algebra.greatest, _negation(left, scope), formula(right, scope))
        case f.Iff(left=left, right=right):
            one, other = formula(left, scope), formula(right, scope)
            there = each(algebra.greatest, negative(one), other)
            back = each(algebra.greatest, negative(other), one)
            return each(algebra.least, there, back)
        case f.AtLeast(need=need, operand=operand, window=window):
            return each(lambda x: aggregates.ranked(x, need, window.amount), formula(operand, scope))
        case _:
            return _temporal(node, scope)


def _temporal(node: f.Formula, scope: Scope) -> Pair:
    match node:
        case f.Always(operand=operand, bounds=bounds):
            return _window(formula(operand, scope), bounds, scope, most=False, ahead=True)
        case f.Eventually(operand=operand, bounds=bounds):
            return _window(formula(operand, scope), bounds, scope, most=True, ahead=True)
        case f.Next(operand=operand):
            return _window(formula(operand, scope), ONE, scope, most=True, ahead=True)
        case f.Historically(operand=operand, bounds=bounds):
            return _window(formula(operand, scope), bounds, scope, most=False, ahead=False)
        case f.Once(operand=operand, bounds=bounds):
            return _window(formula(operand, scope), bounds, scope, most=True, ahead=False)
        case f.Previous(operand=operand):
            return _window(formula(operand, scope), ONE, scope, most=True, ahead=False)
        case f.Until(left=left, right=right, bounds=bounds):
            return _guarded(formula(left, scope), formula(right, scope), bounds, scope, ahead=True)
        case f.Since(left=left, right=right, bounds=bounds):
            return _guarded(formula(left, scope), formula(right, scope), bounds, scope, ahead=False)
        case f.Release(left=left, right=right, bounds=bounds):
            return negative(_guarded(_negation(left, scope), _negation(right, scope), bounds, scope, ahead=True))
        case f.WeakUntil(left=left, right=right, bounds=bounds):
            guard = formula(left, scope)
            strong = _guarded(guard, formula(right, scope), bounds, scope, ahead=True)
            whole = _window(guard, f.Bounds(upper=bounds.upper), scope, most=False, ahead=True)
            return each(scope.algebra.greatest, strong, whole)
    raise TypeError(f"not a formula: {type(node).__name__}")


def _negation(node: f.Formula, scope: Scope) -> Pair:
    """Minus the robustness; of a comparison it is that of the mirrored one, to the bit, and costs nothing."""
    match node:
        case f.Comparison(operator=operator) if operator in MIRRORED:
            return _compare(MIRRORED[operator], node, scope)
        case f.Not(operand=operand):
            return formula(operand, scope)
        case _:
            return negative(formula(node, scope))


def _compare(operator: f.ComparisonOperator, node: f.Comparison, scope: Scope) -> Pair:
    left, right = terms.term(node.left, scope), terms.term(node.right, scope)
    match operator:
        case "<" | "<=":
            distance = minus(right, left)
        case ">" | ">=":
            distance = minus(left, right)
        case "==":
            distance = negative(absolute(minus(left, right)))
        case "!=":
            distance = absolute(minus(left, right))
    return each(scope.spread, distance)


def _infinite(positive: bool) -> float:
    return float("inf") if positive else float("-inf")


def reach(bounds: f.Bounds, samples: int, *, held: bool) -> tuple[int, int] | None:
    """Bounds of a window, cut to what the trace has; None where no window holds any sample.

    Behind the end of a held trace there is no more to see than its last sample: a bound longer than the trace reaches
    no further than one as long.

    Args:
        bounds: In samples.
        samples: Of the trace.
        held: Whether the window looks ahead, where the last sample stands for everything after it.
    """
    lower = bounds.lower.amount
    if held:
        return min(lower, samples), min(bounds.upper.amount, samples) if bounds.upper else samples
    if lower >= samples:
        return None
    return lower, min(bounds.upper.amount, samples - 1) if bounds.upper else samples - 1


def _window(operand: Pair, bounds: f.Bounds, scope: Scope, *, most: bool, ahead: bool) -> Pair:
    fill = _infinite(not most)
    held = ahead and scope.held
    reached = reach(bounds, scope.shape[1], held=held)
    if reached is None:
        return point(scope.constant(fill))
    lower, upper = reached

    def one(x: Tensor) -> Tensor:
        if ahead and scope.outside is not None:
            x = x.masked_fill(scope.outside, fill)
        laid = windows.padded(x, lower, upper, ahead=ahead, fill=fill, held=held)
        return scope.algebra.extreme(laid, upper - lower + 1, most=most, ahead=ahead)

    return each(one, operand)


def _guarded(left: Pair, right: Pair, bounds: f.Bounds, scope: Scope, *, ahead: bool) -> Pair:
    never = _infinite(False)
    held = ahead and scope.held
    reached = reach(bounds, scope.shape[1], held=held)
    if reached is None:
        return point(scope.constant(never))
    lower, upper = reached

    def one(p: Tensor, q: Tensor) -> Tensor:
        if ahead and scope.outside is not None:
            q = q.masked_fill(scope.outside, never)
        p = windows.padded(p, 0, upper, ahead=ahead, fill=-never, held=held)
        q = windows.padded(q, 0, upper, ahead=ahead, fill=never, held=held)
        return scope.algebra.guarded(p, q, lower, upper, ahead=ahead)

    return each(one, left, right)
