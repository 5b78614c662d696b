"""A formula compiled to passes: for traces on a CPU whose values are all known, exact, without gradients.

`custodes.stl.batched.formulas` says what every formula means. Here the same values are computed with the reading of the
formula, the sizes and the memory settled beforehand: a call only runs kernels. Negations are driven down to the
comparisons, where they cost nothing. What is not made of comparisons of signals, connectives and windows (terms that
are computed, aggregates, `at least`) is left to `formulas`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, final

import numpy as np

from custodes.stl import formula as f
from custodes.stl.batched import formulas
from custodes.stl.batched.passes import Block, Passes
from custodes.stl.batched.scratch import Array, Scratch

WINDOWS: Mapping[type[f.Node], tuple[bool, bool]] = {
    f.Always: (False, True),
    f.Eventually: (True, True),
    f.Next: (True, True),
    f.Historically: (False, False),
    f.Once: (True, False),
    f.Previous: (True, False),
}
"""Windows: whether it is a maximum, and whether it looks ahead."""


class UnknownError(Exception):
    """A computed term is unknown somewhere, so that one number per sample does not do."""


@final
class Program:
    """A compiled formula; runs one block at a time.

    Args:
        node: The formula, bounds in samples.
        traces: Rows of a block.
        samples: Columns of a block, with the continuation.
        held: Whether the last column stands for everything after it.
        dtype: float32 or float64.
    """

    def __init__(self, node: f.Formula, traces: int, samples: int, *, held: bool, dtype: np.dtype[Any]) -> None:
        scratch = Scratch(traces, samples, gap(node, samples, held=held), dtype)
        compiler = _Compiler(Passes(scratch), held=held)
        self._result = scratch.rows(compiler.put(node))
        self._calls = tuple(compiler.passes.calls)
        self.nbytes = scratch.nbytes

    def run(self, block: Block, out: Array) -> None:
        """Compute the robustness of a block.

        Args:
            block: Of the shape and type that the program is for.
            out: [traces, samples], for the result.

        Raises:
            UnknownError: A computed term is not finite, which means unknown.
        """
        with np.errstate(all="ignore"):
            for call in self._calls:
                call(block)
        np.copyto(out, self._result)


def gap(node: f.Formula, samples: int, *, held: bool) -> int:
    """Most columns that any window of a formula reaches beyond its trace."""
    bounds = (getattr(each, "bounds", formulas.ONE) for each in f.walk(node))
    return max(reached[1] if (reached := formulas.reach(each, samples, held=held)) else 0 for each in bounds)


@final
class _Compiler:
    """Writes passes. Every method returns the buffer that its result is in; whoever has it gives it back."""

    def __init__(self, passes: Passes, *, held: bool) -> None:
        self.passes, self._scratch, self._held = passes, passes.scratch, held

    def put(self, node: f.Formula, *, negated: bool = False) -> Array:
        """Compute a formula, or minus a formula."""
        match node:
            case f.Not():
                return self.put(node.operand, negated=not negated)
            case f.And() | f.Or() | f.Implies():
                left = self.put(node.left, negated=negated != isinstance(node, f.Implies))
                return self._both(left, self.put(node.right, negated=negated), isinstance(node, f.And) != negated)
            case f.Iff():
                return self._equal(node, negated=negated)
            case f.Always() | f.Eventually() | f.Historically() | f.Once():
                return self._window(self.put(node.operand, negated=negated), node.bounds, WINDOWS[type(node)], negated)
            case f.Next() | f.Previous():
                return self._window(self.put(node.operand, negated=negated), formulas.ONE, WINDOWS[type(node)], negated)
            case f.Until() | f.Since():
                ahead = isinstance(node, f.Until)
                made = self._guarded(self.put(node.left), self.put(node.right), node.bounds, ahead=ahead)
                return self._minus(made) if negated else made
            case f.Release():
                operands = self.put(node.left, negated=True), self.put(node.right, negated=True)
                made = self._guarded(*operands, node.bounds, ahead=True)
                return made if negated else self._minus(made)
            case f.WeakUntil():
                return self._weak(node, negated=negated)
            case _:
                return self._leaf(node, negated=negated)

    def _leaf(self, node: f.Formula, *, negated: bool) -> Array:
        """A comparison of signals and numbers; or whatever needs more than a few kernels."""
        made = self._scratch.take()
        rows = self._scratch.rows(made)
        sides = self._sides(node, negated=negated) if isinstance(node, f.Comparison) else None
        if sides is None:
            self.passes.calls.append(partial(_other, node, np.negative if negated else np.positive, rows))
        else:
            self.passes.calls.append(partial(_subtract, *sides, rows))
        return made

    def _sides(self, node: f.Comparison, *, negated: bool) -> tuple[str | np.generic, str | np.generic] | None:
        """Names or numbers whose difference is a comparison's robustness; None where there is more to compute."""
        sides: list[str | np.generic] = []
        for term in (node.left, node.right):
            match term:
                case f.Signal(name=name):
                    sides.append(name)
                case f.Number(value=value) if abs(value) <= float(np.finfo(self._scratch.dtype).max):
                    sides.append(self._scratch.dtype.type(value))
                case _:
                    return None
        if node.operator not in formulas.MIRRORED or not any(isinstance(side, str) for side in sides):
            return None
        left, right = sides
        return (left, right) if (node.operator in (">", ">=")) != negated else (right, left)

    def _both(self, left: Array, right: Array, least: bool) -> Array:
        """Minimum or maximum of two, in the place of the first."""
        self.passes.kernel(np.minimum if least else np.maximum, left, right, out=left)
        self._scratch.give(right)
        return left

    def _minus(self, flat: Array) -> Array:
        self.passes.kernel(np.negative, flat, out=flat)
        return flat

    def _copy(self, flat: Array, kernel: np.ufunc = np.positive) -> Array:
        made = self._scratch.take()
        self.passes.kernel(kernel, flat, out=made)
        return made

    def _equal(self, node: f.Iff, *, negated: bool) -> Array:
        """(-left or right) and (-right or left); negated, the same with minimum and maximum swapped."""
        left, right = self.put(node.left), self.put(node.right)
        there = self._both(self._copy(left, np.negative), self._copy(right), negated)
        back = self._both(self._minus(right), left, negated)
        return self._both(there, back, not negated)

    def _beside(self, flat: Array, columns: int, fill: float, *, ahead: bool, masked: bool) -> None:
        """Put beside the rows what a window sees there: nothing, which is `fill`; or the last sample held."""
        rows, beyond = self._scratch.rows(flat), self._scratch.beside(flat, columns, ahead=ahead)
        if ahead and self._held:
            self.passes.kernel(np.positive, rows[:, -1:], out=beyond)
            return
        self.passes.calls.append(lambda block: beyond.fill(fill))
        if ahead and masked:
            self.passes.calls.append(partial(_mask, rows, fill))

    def _window(self, flat: Array, bounds: f.Bounds, rule: tuple[bool, bool], negated: bool) -> Array:
        most, ahead = rule[0] != negated, rule[1]
        fill = -math.inf if most else math.inf
        reached = formulas.reach(bounds, self._scratch.samples, held=ahead and self._held)
        if reached is None:
            self.passes.calls.append(lambda block: flat.fill(fill))
            return flat
        self._beside(flat, reached[1], fill, ahead=ahead, masked=True)
        return self.passes.window(flat, *reached, most=most, ahead=ahead)

    def _guarded(self, p: Array, q: Array, bounds: f.Bounds, *, ahead: bool) -> Array:
        reached = formulas.reach(bounds, self._scratch.samples, held=ahead and self._held)
        if reached is None:
            self.passes.calls.append(lambda block: q.fill(-math.inf))
        else:
            self._beside(q, reached[1], -math.inf, ahead=ahead, masked=True)
        if reached is None or reached[1] == 0:
            self._scratch.give(p)
            return q
        self._beside(p, reached[1], math.inf, ahead=ahead, masked=False)
        return self.passes.guarded(p, q, *reached, ahead=ahead)

    def _weak(self, node: f.WeakUntil, *, negated: bool) -> Array:
        """(left until right) or always left."""
        guard = self.put(node.left)
        whole = self._window(self._copy(guard), f.Bounds(upper=node.bounds.upper), WINDOWS[f.Always], False)
        made = self._both(self._guarded(guard, self.put(node.right), node.bounds, ahead=True), whole, False)
        return self._minus(made) if negated else made


def _subtract(left: str | np.generic, right: str | np.generic, out: Array, block: Block) -> None:
    one, other = (block.signals[side] if isinstance(side, str) else side for side in (left, right))
    np.subtract(one, other, out=out)


def _other(node: f.Formula, kernel: np.ufunc, out: Array, block: Block) -> None:
    bounds = formulas.formula(node, block.scope)
    if not bounds.known:
        raise UnknownError
    kernel(bounds.low.detach().numpy(), out=out)


def _mask(out: Array, fill: float, block: Block) -> None:
    if block.outside is not None:
        np.copyto(out, fill, where=block.outside)
