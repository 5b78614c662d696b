"""What every node means, written as the definition reads: naive loops over one trace, no cleverness.

The oracle of every other evaluator. Values are pairs (lower, upper); a known value is a pair of equals. Beyond the end
of the trace the signals are absent (truncate), held (hold) or unknown (interval, pessimistic); an unknown signal is
(-inf, inf), and a masked NaN is an unknown signal. Bounds count samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from custodes.stl import formula as f

Pair = tuple[float, float]
End = Literal["truncate", "pessimistic", "hold", "interval"]
INF = math.inf
UNKNOWN: Pair = (-INF, INF)


def evaluate(node: f.Formula, trace: Mapping[str, Sequence[float]], end: End = "truncate") -> list[Pair]:
    """Bounds of the robustness at every sample of the trace (pessimistic reads the lower one)."""
    length = len(next(iter(trace.values())))
    meaning = Definition(trace, length, end, extension(node))
    return [meaning.at(node, t) for t in range(length)]


def extension(node: f.Formula) -> int:
    """So many samples after the end every node is constant (more than enough: the sum of all bounds)."""
    total = 1
    for each in f.walk(node):
        total += 1
        if (bounds := getattr(each, "bounds", None)) is not None:
            total += (bounds.upper or bounds.lower).amount + bounds.lower.amount
        if (window := getattr(each, "window", None)) is not None:
            total += window.amount
    return total


class Definition:
    """One trace, one way to end."""

    def __init__(self, trace: Mapping[str, Sequence[float]], length: int, end: End, extra: int) -> None:
        self.trace, self.length, self.end = trace, length, end
        self.edge = length - 1 + (0 if end == "truncate" else extra)
        self.memory: dict[tuple[int, int], Pair] = {}
        self.meant: dict[int, f.Formula] = {}

    def at(self, node: f.Formula, t: int) -> Pair:
        """After the edge nothing changes any more. (By identity: to hash a tree at each sample would take for ever.)"""
        key = id(node), min(t, self.edge)
        if key not in self.memory:
            self.memory[key] = self.value(node, key[1])
        return self.memory[key]

    def term(self, node: f.Term, t: int) -> Pair:
        key = id(node), t
        if key not in self.memory:
            self.memory[key] = self.number(node, t)
        return self.memory[key]

    def instead(self, node: f.Formula, make: Callable[[], f.Formula]) -> f.Formula:
        """The formula that another is short for, made once."""
        if id(node) not in self.meant:
            self.meant[id(node)] = make()
        return self.meant[id(node)]

    def ahead(self, t: int, bounds: f.Bounds) -> Iterator[int]:
        first = t + bounds.lower.amount
        if self.end == "truncate":
            last = self.edge if bounds.upper is None else min(self.edge, t + bounds.upper.amount)
        else:
            last = max(first, self.edge) + 1 if bounds.upper is None else t + bounds.upper.amount
        return iter(range(first, last + 1))

    def behind(self, t: int, bounds: f.Bounds) -> Iterator[int]:
        first = 0 if bounds.upper is None else max(0, t - bounds.upper.amount)
        return iter(range(first, t - bounds.lower.amount + 1))

    def value(self, node: f.Formula, t: int) -> Pair:
        match node:
            case f.Truth(value=value):
                return (INF, INF) if value else (-INF, -INF)
            case f.Comparison():
                return self.compare(node, t)
            case f.Not(operand=operand):
                return negative(self.at(operand, t))
            case f.And(left=left, right=right):
                return least((self.at(left, t), self.at(right, t)))
            case f.Or(left=left, right=right):
                return most((self.at(left, t), self.at(right, t)))
            case f.Implies(left=left, right=right):
                return self.implied(left, right, t)
            case f.Iff(left=left, right=right):
                return least((self.implied(left, right, t), self.implied(right, left, t)))
            case f.Always(operand=operand, bounds=bounds):
                return least(self.at(operand, s) for s in self.ahead(t, bounds))
            case f.Eventually(operand=operand, bounds=bounds):
                return most(self.at(operand, s) for s in self.ahead(t, bounds))
            case f.Next(operand=operand):
                return most(self.at(operand, s) for s in self.ahead(t, ONE))
            case f.Until(left=left, right=right, bounds=bounds):
                return self.until(left, right, t, bounds)
            case f.Release(left=left, right=right, bounds=bounds):
                dual = self.instead(
                    node, lambda: f.Until(left=f.Not(operand=left), right=f.Not(operand=right), bounds=bounds)
                )
                return negative(self.at(dual, t))
            case f.WeakUntil(left=left, right=right, bounds=bounds):
                whole = least(self.at(left, s) for s in self.ahead(t, f.Bounds(upper=bounds.upper)))
                return most((self.until(left, right, t, bounds), whole))
            case f.Historically(operand=operand, bounds=bounds):
                return least(self.at(operand, s) for s in self.behind(t, bounds))
            case f.Once(operand=operand, bounds=bounds):
                return most(self.at(operand, s) for s in self.behind(t, bounds))
            case f.Previous(operand=operand):
                return most(self.at(operand, s) for s in self.behind(t, ONE))
            case f.Since(left=left, right=right, bounds=bounds):
                return most(
                    least((self.at(right, s), *(self.at(left, r) for r in range(s + 1, t + 1))))
                    for s in self.behind(t, bounds)
                )
            case f.AtLeast(need=need, operand=operand, window=window):
                values = [self.at(operand, s) for s in self.last(t, window)]
                if len(values) < need:
                    return (-INF, -INF)
                return tuple(sorted((value[side] for value in values), reverse=True)[need - 1] for side in (0, 1))  # type: ignore[return-value]

    def implied(self, left: f.Formula, right: f.Formula, t: int) -> Pair:
        return most((negative(self.at(left, t)), self.at(right, t)))

    def until(self, left: f.Formula, right: f.Formula, t: int, bounds: f.Bounds) -> Pair:
        return most(least((self.at(right, s), *(self.at(left, r) for r in range(t, s)))) for s in self.ahead(t, bounds))

    def compare(self, node: f.Comparison, t: int) -> Pair:
        left, right = self.term(node.left, t), self.term(node.right, t)
        match node.operator:
            case "<" | "<=":
                return minus(right, left)
            case ">" | ">=":
                return minus(left, right)
            case "==":
                return negative(absolute(minus(left, right)))
            case "!=":
                return absolute(minus(left, right))

    def last(self, t: int, window: f.Duration) -> range:
        return range(max(0, t - window.amount + 1), t + 1)

    def number(self, node: f.Term, t: int) -> Pair:
        match node:
            case f.Number(value=value):
                return value, value
            case f.Signal(name=name):
                if t >= self.length and self.end != "hold":
                    return UNKNOWN
                value = self.trace[name][min(t, self.length - 1)]
                return known(value)
            case f.Negative(term=term):
                return negative(self.term(term, t))
            case f.Absolute(term=term):
                return absolute(self.term(term, t))
            case f.Arithmetic(operator=operator, left=left, right=right):
                return arithmetic(operator, self.term(left, t), self.term(right, t))
            case f.Count(kind=kind, formula=formula, window=window):
                values = [self.at(formula, s) for s in self.last(t, window)]
                low, high = (float(sum(value[side] >= 0 for value in values)) for side in (0, 1))
                return (low, high) if kind == "count" else (low / len(values), high / len(values))
            case f.Fold(kind=kind, term=term, window=window):
                values = [self.term(term, s) for s in self.last(t, window)]
                if kind in ("min", "max"):
                    return (least if kind == "min" else most)(values)
                low, high = (total([value[side] for value in values]) for side in (0, 1))
                return known_pair(low, high) if kind == "sum" else known_pair(low / len(values), high / len(values))


ONE = f.Bounds(lower=f.Duration(amount=1), upper=f.Duration(amount=1))


def known(value: float) -> Pair:
    """A number that is not finite says nothing."""
    return (value, value) if math.isfinite(value) else UNKNOWN


def least(values: Iterator[Pair] | Sequence[Pair]) -> Pair:
    pairs = list(values)
    return min((low for low, _ in pairs), default=INF), min((high for _, high in pairs), default=INF)


def most(values: Iterator[Pair] | Sequence[Pair]) -> Pair:
    return negative(least([negative(value) for value in values]))


def negative(value: Pair) -> Pair:
    return -value[1], -value[0]


def minus(left: Pair, right: Pair) -> Pair:
    return left[0] - right[1], left[1] - right[0]


def absolute(value: Pair) -> Pair:
    low, high = value
    far = max(abs(low), abs(high))
    return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), far


def arithmetic(operator: f.ArithmeticOperator, left: Pair, right: Pair) -> Pair:
    """Interval arithmetic; a product of two unknowns, and a quotient by one, is unknown."""
    if operator == "+":
        return known_pair(left[0] + right[0], left[1] + right[1])
    if operator == "-":
        return known_pair(*minus(left, right))
    if operator == "*":
        if left[0] == left[1]:
            left, right = right, left
        return scaled(left, right[0], lambda a, k: a * k) if right[0] == right[1] else UNKNOWN
    if right[0] != right[1] or right[0] == 0:
        return UNKNOWN
    return scaled(left, right[0], lambda a, k: a / k)


def scaled(value: Pair, by: float, how: Callable[[float, float], float]) -> Pair:
    if by == 0:
        return 0.0, 0.0
    one, other = how(value[0], by), how(value[1], by)
    return known_pair(min(one, other), max(one, other))


def total(values: list[float]) -> float:
    """The sum; of finite numbers it may be too large for one."""
    try:
        return math.fsum(values)
    except OverflowError:
        return math.copysign(INF, sum(values))


def known_pair(low: float, high: float) -> Pair:
    return known(low) if low == high else (low, high)
