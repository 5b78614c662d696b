"""Worst robustness over every trajectory inside a tube of intervals.

Robustness is monotone in the robustness of every comparison that stands under an even number of negations, and falls in
the others. So the worst case has a formula of its own: each comparison becomes a signal, its lower bound over the tube
where the polarity is positive and its upper bound where it is negative, and the rest is evaluated as ever. The bound is
sound, and exact when every signal occurs once (it is interval arithmetic otherwise).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TypeAlias, cast

import torch
from torch import Tensor

from custodes.stl import formula as f
from custodes.stl.batched import evaluate

Interval: TypeAlias = tuple[Tensor, Tensor]
"""Lower and upper end, each `[B, T]`."""

MEASURED = "v"
"""Name of the one signal in the formulas that read a term's value off the evaluator."""


def worst_robustness(formula: f.Formula, lower: Mapping[str, Tensor], upper: Mapping[str, Tensor]) -> Tensor:
    """Lower bound of the robustness at every sample, over all signals between two (ends of trace: truncate).

    Args:
        formula: Bounds in samples.
        lower: Lower end of every signal of the formula, `[B, T]`, finite.
        upper: Upper end, the same shape, nowhere below the lower.

    Returns:
        `[B, T]`, may be infinite. Count, rate and the folds are bounded by those of the ends.
    """
    return _bound(formula, _Tube(lower, upper), lowest=True)


class _Tube:
    """Ends of every signal."""

    def __init__(self, lower: Mapping[str, Tensor], upper: Mapping[str, Tensor]) -> None:
        self.lower, self.upper = lower, upper
        self.like = next(iter(lower.values()))


def _bound(formula: f.Formula, tube: _Tube, *, lowest: bool) -> Tensor:
    """One end of the robustness: every comparison replaced by the signal that its polarity asks for."""
    leaves: dict[str, Tensor] = {MEASURED: tube.like}
    rewritten = _rewrite(formula, tube, lowest, leaves)
    return _unbounded(evaluate(rewritten, leaves).value)


def _rewrite(node: f.Formula, tube: _Tube, lowest: bool, leaves: dict[str, Tensor]) -> f.Formula:
    match node:
        case f.Truth():
            return node
        case f.Comparison():
            name = f"leaf {len(leaves)}"
            leaves[name] = _finite(_compare(node, tube)[0 if lowest else 1])
            return f.Comparison(operator=">=", left=f.Signal(name=name), right=f.Number(value=0.0))
        case f.Not(operand=operand):
            return f.Not(operand=_rewrite(operand, tube, not lowest, leaves))
        case f.Implies(left=left, right=right):
            return f.Implies(left=_rewrite(left, tube, not lowest, leaves), right=_rewrite(right, tube, lowest, leaves))
        case f.Iff(left=left, right=right):
            ways = (f.Implies(left=left, right=right), f.Implies(left=right, right=left))
            return f.And(left=_rewrite(ways[0], tube, lowest, leaves), right=_rewrite(ways[1], tube, lowest, leaves))
        case _:
            # Monotone in every operand (release too: its two negations cancel).
            operands = {
                each.name: _rewrite(cast(f.Formula, value), tube, lowest, leaves)
                for each in fields(node)
                if isinstance(value := getattr(node, each.name), f.Node)
            }
            return cast(f.Formula, replace(node, **operands))  # type: ignore[arg-type]


def _compare(node: f.Comparison, tube: _Tube) -> Interval:
    left, right = _term(node.left, tube), _term(node.right, tube)
    match node.operator:
        case "<" | "<=":
            return _minus(right, left)
        case ">" | ">=":
            return _minus(left, right)
        case "==":
            return _negative(_absolute(_minus(left, right)))
        case "!=":
            return _absolute(_minus(left, right))


def _term(node: f.Term, tube: _Tube) -> Interval:
    match node:
        case f.Number(value=value):
            constant = torch.full_like(tube.like, value)
            return constant, constant
        case f.Signal(name=name):
            return tube.lower[name], tube.upper[name]
        case f.Negative(term=term):
            return _negative(_term(term, tube))
        case f.Absolute(term=term):
            return _absolute(_term(term, tube))
        case f.Arithmetic(operator=operator, left=left, right=right):
            return _arithmetic(operator, _term(left, tube), _term(right, tube))
        case f.Fold(kind=kind, term=term, window=window):
            folded = f.Fold(kind=kind, term=f.Signal(name=MEASURED), window=window)
            low, high = (_measure(folded, end) for end in _term(term, tube))
            return low, high
        case f.Count(kind=kind, formula=formula, window=window):
            counted = f.Comparison(operator=">=", left=f.Signal(name=MEASURED), right=f.Number(value=0.0))
            count = f.Count(kind=kind, formula=counted, window=window)
            bounds = (_bound(formula, tube, lowest=lowest) for lowest in (True, False))
            low, high = (_measure(count, torch.where(bound >= 0, 1.0, -1.0).to(bound)) for bound in bounds)
            return low, high


def _measure(term: f.Term, values: Tensor) -> Tensor:
    """A term's value, read off the evaluator as the robustness of `term >= 0`."""
    formula = f.Comparison(operator=">=", left=term, right=f.Number(value=0.0))
    return _unbounded(evaluate(formula, {MEASURED: _finite(values)}).value)


def _limit(values: Tensor) -> float:
    """What stands for an infinity as a signal, which has to be finite; small enough that windows can sum it."""
    return float(torch.finfo(values.dtype).max ** 0.75)


def _finite(values: Tensor) -> Tensor:
    limit = _limit(values)
    return values.clamp(-limit, limit)


def _unbounded(values: Tensor) -> Tensor:
    """Infinite again where a value can only come from a stand-in for one."""
    limit = _limit(values) * 1e-6
    return torch.where(values.abs() >= limit, torch.inf * values.sign(), values)


def _negative(value: Interval) -> Interval:
    return -value[1], -value[0]


def _minus(left: Interval, right: Interval) -> Interval:
    return _ends(left[0] - right[1], left[1] - right[0])


def _absolute(value: Interval) -> Interval:
    low, high = value
    near = torch.minimum(low.abs(), high.abs())
    return torch.where((low <= 0) & (high >= 0), torch.zeros_like(low), near), torch.maximum(low.abs(), high.abs())


def _arithmetic(operator: f.ArithmeticOperator, left: Interval, right: Interval) -> Interval:
    match operator:
        case "+":
            return _ends(left[0] + right[0], left[1] + right[1])
        case "-":
            return _minus(left, right)
        case "*":
            return _corners(torch.stack([a * b for a in left for b in right]))
        case "/":
            low, high = _corners(torch.stack([a / b for a in left for b in right]))
            pole = (right[0] <= 0) & (right[1] >= 0)
            return low.masked_fill(pole, -torch.inf), high.masked_fill(pole, torch.inf)


def _corners(products: Tensor) -> Interval:
    """Smallest and largest of four; one that is not a number (0 times infinity) makes both ends infinite."""
    return _ends(products.amin(0), products.amax(0))


def _ends(low: Tensor, high: Tensor) -> Interval:
    unknown = torch.isnan(low) | torch.isnan(high)
    return low.masked_fill(unknown, -torch.inf), high.masked_fill(unknown, torch.inf)
