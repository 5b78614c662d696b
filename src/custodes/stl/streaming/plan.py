"""A formula turned into a network of small steps that each see one sample at a time.

A future operator cannot answer at once, so every value carries a **delay**: at sample s the network knows it for time
s - delay. `always[a,b] p` is then a sliding minimum over what p emitted, at delay b more than p's. Negations are pushed
to the leaves (the dual operator is used instead), so that every step but `negate` is monotone and the lower and the
upper bound of an unknown value can travel side by side. Equal sub-formulas become one step.
"""

from __future__ import annotations

from typing import final

from custodes.stl import formula as f
from custodes.stl.analysis import check_causal, horizon, signals
from custodes.stl.errors import StlError
from custodes.stl.streaming.anchors import anchor_of, settles
from custodes.stl.streaming.network import INF, LARGEST, Extremum, Known, Meet, Plan, Step, Value, dual, only_now
from custodes.stl.streaming.operators import ONE, Operators


def compile_formula(formula: f.Formula) -> Plan:
    """Lay out the network of a formula.

    Args:
        formula: Bounds in samples.

    Returns:
        The plan.

    Raises:
        StlError: A bound in units of time, a window above LARGEST, or an aggregate over the future.
    """
    check_causal(formula)
    reach = _reach(formula)
    builder = Builder()
    for name in signals(formula):
        builder.parts.add(Step(kind="signal", name=name))
    root = builder.formula(formula, negated=False)
    anchor = anchor_of(builder, formula, negated=False)
    bounded = horizon(formula) is not None
    if bounded and (settles(anchor) or 0) > root.delay:
        # a guard that is later than its goal: the network itself knows one sample sooner
        anchor = Meet(left=anchor, right=Known(value=root))
    total = all(step.kind not in ("arithmetic", "sum") for step in builder.parts.steps)
    pairs = not total or any(step.kind in ("open", "open_until") for step in builder.parts.steps)
    return Plan(
        steps=tuple(builder.parts.steps),
        root=root,
        anchor=anchor,
        signals=signals(formula),
        bounded=bounded,
        pairs=pairs,
        reach=reach,
    )


def _reach(formula: f.Formula) -> int:
    total = 1
    for each in f.walk(formula):
        for amount in _amounts(each):
            if amount.unit:
                raise StlError(f"a bound is given in {amount.unit}, a monitor counts samples", fix="convert it first")
            if amount.amount > LARGEST:
                raise StlError(f"a window of {amount.amount} samples is longer than {LARGEST}", fix="sample less often")
            total += amount.amount
        total += 1
    return total


def _amounts(node: f.Term | f.Formula) -> list[f.Duration]:
    bounds, window = getattr(node, "bounds", None), getattr(node, "window", None)
    amounts = [] if window is None else [window]
    if bounds is not None:
        amounts += [bounds.lower] if bounds.upper is None else [bounds.lower, bounds.upper]
    return amounts


@final
class Builder:
    """Walks a formula and asks for the steps of each node."""

    def __init__(self) -> None:
        self.parts = Operators()
        self._formulas: dict[tuple[int, bool], Value] = {}
        self._causal: dict[int, bool] = {}

    def causal(self, node: f.Term | f.Formula) -> bool:
        """Whether nothing in it looks ahead."""
        if id(node) not in self._causal:
            here = not isinstance(node, f.FUTURE)
            self._causal[id(node)] = here and all(self.causal(child) for child in f.children(node))
        return self._causal[id(node)]

    # --- terms ---

    def term(self, node: f.Term) -> int:
        """Slot of a term; terms are never late."""
        match node:
            case f.Number(value=value):
                # repr: 0.0 and -0.0 compare equal, yet are different constants
                return self.parts.add(Step(kind="number", value=value, name=repr(value)))
            case f.Signal(name=name):
                return self.parts.add(Step(kind="signal", name=name))
            case f.Negative(term=term):
                return self.parts.add(Step(kind="negate", args=(self.term(term),)))
            case f.Absolute(term=term):
                return self.parts.add(Step(kind="absolute", args=(self.term(term),)))
            case f.Arithmetic(operator=operator, left=left, right=right):
                return self.parts.add(Step(kind="arithmetic", args=(self.term(left), self.term(right)), which=operator))
            case f.Count(kind=kind, formula=formula, window=window):
                inside = self.formula(formula, negated=False)
                slot = self.parts.add(Step(kind="count", args=(inside.slot,), size=window.amount))
                return slot if kind == "count" else self._share(slot, window)
            case f.Fold(kind=kind, term=term, window=window):
                if kind == "min" or kind == "max":
                    return self.parts.window(Value(slot=self.term(term), delay=0), window.amount, kind, past=True).slot
                slot = self.parts.add(Step(kind="sum", args=(self.term(term),), size=window.amount))
                return slot if kind == "sum" else self._share(slot, window)

    def _share(self, slot: int, window: f.Duration) -> int:
        return self.parts.add(Step(kind="divide", args=(slot,), size=window.amount))

    # --- formulas ---

    def formula(self, node: f.Formula, *, negated: bool) -> Value:
        """The value of a formula or of its negation."""
        key = id(node), negated
        if key not in self._formulas:
            self._formulas[key] = self._make(node, negated)
        return self._formulas[key]

    def _make(self, node: f.Formula, negated: bool) -> Value:
        match node:
            case f.Truth(value=value):
                constant = INF if value is not negated else -INF
                return Value(slot=self.parts.add(Step(kind="number", value=constant, name=repr(constant))), delay=0)
            case f.Comparison():
                return Value(slot=self._compare(node, negated), delay=0)
            case f.Not(operand=operand):
                return self.formula(operand, negated=not negated)
            case f.And(left=left, right=right):
                return self.join("min", left, right, (negated, negated), negated)
            case f.Or(left=left, right=right):
                return self.join("max", left, right, (negated, negated), negated)
            case f.Implies(left=left, right=right):
                return self.join("max", left, right, (not negated, negated), negated)
            case f.Iff(left=left, right=right):
                # not (a <-> b) is max(min(a, not b), min(b, not a))
                one = self.join("max", left, right, (not negated, negated), negated)
                other = self.join("max", right, left, (not negated, negated), negated)
                return self.parts.binary(dual("min", negated), one, other)
            case _:
                if negated and self.causal(node):
                    inside = self.formula(node, negated=False)
                    return Value(slot=self.parts.add(Step(kind="negate", args=(inside.slot,))), delay=inside.delay)
                return self._temporal(node, negated)

    def join(
        self, which: Extremum, left: f.Formula, right: f.Formula, signs: tuple[bool, bool], negated: bool
    ) -> Value:
        """A boolean connective, or its dual under a negation."""
        one, other = self.formula(left, negated=signs[0]), self.formula(right, negated=signs[1])
        return self.parts.binary(dual(which, negated), one, other)

    def _compare(self, node: f.Comparison, negated: bool) -> int:
        left, right = self.term(node.left), self.term(node.right)
        if node.operator in ("==", "!="):
            slot = self.parts.add(Step(kind="apart", args=(left, right)))
            return self.parts.add(Step(kind="negate", args=(slot,))) if (node.operator == "==") is not negated else slot
        if node.operator.startswith("<") is not negated:
            left, right = right, left
        return self.parts.add(Step(kind="difference", args=(left, right)))

    def _temporal(self, node: f.Formula, negated: bool) -> Value:
        match node:
            case f.Until(right=right) | f.Release(right=right) | f.Since(right=right) if only_now(node):
                return self.formula(right, negated=negated)
            case f.Always(operand=operand, bounds=bounds):
                return self.parts.ahead(dual("min", negated), self.formula(operand, negated=negated), bounds)
            case f.Eventually(operand=operand, bounds=bounds):
                return self.parts.ahead(dual("max", negated), self.formula(operand, negated=negated), bounds)
            case f.Next(operand=operand):
                return self.parts.ahead(dual("max", negated), self.formula(operand, negated=negated), ONE)
            case f.Until(left=left, right=right, bounds=bounds) | f.WeakUntil(left=left, right=right, bounds=bounds):
                one, other = self.formula(left, negated=negated), self.formula(right, negated=negated)
                return self.parts.until(one, other, bounds, weak=isinstance(node, f.WeakUntil), flipped=negated)
            case f.Release(left=left, right=right, bounds=bounds):
                one, other = self.formula(left, negated=negated), self.formula(right, negated=negated)
                return self.parts.until(one, other, bounds, weak=False, flipped=not negated)
            case f.Historically(operand=operand, bounds=bounds):
                return self.parts.behind(dual("min", negated), self.formula(operand, negated=negated), bounds)
            case f.Once(operand=operand, bounds=bounds):
                return self.parts.behind(dual("max", negated), self.formula(operand, negated=negated), bounds)
            case f.Previous(operand=operand):
                return self.parts.behind(dual("max", negated), self.formula(operand, negated=negated), ONE)
            case f.Since(left=left, right=right, bounds=bounds):
                one, other = self.formula(left, negated=negated), self.formula(right, negated=negated)
                return self.parts.since(one, other, bounds, flipped=negated)
            case f.AtLeast(need=need, operand=operand, window=window):
                inside = self.formula(operand, negated=False)
                step = Step(kind="rank", args=(inside.slot,), need=need, size=window.amount)
                if need == 1:
                    return self.parts.window(inside, window.amount, "max", past=True)
                return Value(slot=self.parts.add(step), delay=0)
            case _:
                raise StlError(f"{type(node).__name__} is no operator that a monitor knows")
