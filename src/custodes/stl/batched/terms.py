"""Terms: numbers computed from the signals, sample by sample and over past windows. Always exact, never smoothed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from custodes.stl import formula as f
from custodes.stl.batched import aggregates, formulas, windows
from custodes.stl.batched.algebra import Exact
from custodes.stl.batched.pairs import Pair, absolute, each, minus, negative, point, unknown_where
from custodes.stl.batched.scope import Scope


def term(node: f.Term, scope: Scope) -> Pair:
    """Evaluate a term.

    Args:
        node: The term.
        scope: What it is evaluated on.

    Returns:
        Bounds, [traces, samples], or scalars where the term has no signal. A computed value that is not finite
        (x / 0, an overflow) is unknown.
    """
    match node:
        case f.Signal(name=name):
            return scope.signals[name]
        case f.Number(value=value):
            return point(scope.number(value))
        case f.Negative(term=inner):
            return negative(term(inner, scope))
        case f.Absolute(term=inner):
            return absolute(term(inner, scope))
        case f.Arithmetic():
            return _arithmetic(node, scope)
        case f.Count(kind=kind, formula=formula, window=window):
            robustness = formulas.formula(formula, replace(scope, algebra=Exact()))
            counts = each(lambda x: aggregates.window_count(x, window.amount), robustness)
            return counts if kind == "count" else _shared(counts, window.amount)
        case f.Fold():
            return _fold(node, scope)


def _fold(node: f.Fold, scope: Scope) -> Pair:
    width = node.window.amount
    operand = each(scope.spread, term(node.term, scope))
    if node.kind in ("min", "max"):
        most = node.kind == "max"
        return each(lambda x: past_extreme(x, width, most=most), operand)
    total = each(lambda x: aggregates.window_sum(x, width), operand)
    total = _finite(total)
    return total if node.kind == "sum" else _shared(total, width)


def past_extreme(x: Tensor, width: int, *, most: bool) -> Tensor:
    """Exact extreme of the last `width` samples, cut at the start of the trace, [traces, samples]."""
    width = min(width, x.shape[1])
    laid = windows.padded(x, 0, width - 1, ahead=False, fill=-torch.inf if most else torch.inf)
    return windows.extreme(laid, width, most=most, ahead=False)


def _shared(total: Pair, width: int) -> Pair:
    return each(lambda x: x / aggregates.present(x, width), total)


def _arithmetic(node: f.Arithmetic, scope: Scope) -> Pair:
    left, right = term(node.left, scope), term(node.right, scope)
    match node.operator:
        case "+":
            made = each(torch.add, left, right)
        case "-":
            made = minus(left, right)
        case "*":
            made = _product(left, right)
        case "/":
            made = _quotient(left, right)
    return _finite(made)


def _product(left: Pair, right: Pair) -> Pair:
    """Interval product where one side is known; of two unknowns nothing is known."""
    if left.known and right.known:
        return point(left.low * right.low)
    first = left.low == left.high
    by = torch.where(first, left.low, right.low)
    value = Pair(torch.where(first, right.low, left.low), torch.where(first, right.high, left.high))
    unknown = ~first & (right.low != right.high)
    scaled = _scaled(value, by.masked_fill(unknown | (by == 0), 1.0), torch.mul)
    nothing = (by == 0) & ~unknown
    return unknown_where(unknown, each(lambda x: x.masked_fill(nothing, 0.0), scaled))


def _quotient(left: Pair, right: Pair) -> Pair:
    """Interval quotient by a known divisor that is not zero; by anything else, nothing is known."""
    zero = right.low == 0
    if left.known and right.known and not zero.any():
        return point(left.low / right.low)
    unknown = right.low != right.high
    unknown = unknown | zero
    return unknown_where(unknown, _scaled(left, right.low.masked_fill(unknown, 1.0), torch.div))


def _scaled(value: Pair, by: Tensor, how: Callable[[Tensor, Tensor], Tensor]) -> Pair:
    """Bounds times or over a number that is not zero; infinite ends apart, as 0 times inf is NaN in a gradient."""
    one, other = (
        torch.where(end.isinf(), end * by.detach().sign(), how(end.masked_fill(end.isinf(), 0.0), by)) for end in value
    )
    return Pair(torch.minimum(one, other), torch.maximum(one, other))


def _finite(pair: Pair) -> Pair:
    """Forget computed bounds that are known and not finite, and those that an infinity met another in."""
    if pair.known and math.isfinite(pair.low.detach().sum().item()):
        return pair
    low, high = pair
    # No lower bound is +inf and no upper one -inf: that is an overflow. NaN is one that met an unknown.
    worthless = (low.isnan() | (low == torch.inf), high.isnan() | (high == -torch.inf))
    if pair.known:
        return unknown_where(~low.isfinite(), pair)
    return Pair(low.masked_fill(worthless[0], -torch.inf), high.masked_fill(worthless[1], torch.inf))
