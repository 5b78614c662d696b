"""The steps without memory: arithmetic, comparisons and connectives, on known values or on bounds.

Interval arithmetic as the definition has it: a product of two unknowns, a quotient by an unknown or by zero, and every
result that is not finite, is unknown.
"""

from __future__ import annotations

from typing import Final, final

import numpy as np

from custodes.stl.streaming.cells import EXTREMUM, Array, Cell, Clock
from custodes.stl.streaming.network import INF, Step


@final
class Constant(Cell):
    """A number."""

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.out.fill(step.value)

    def run(self, values: list[Array], clock: Clock) -> None:
        """Always the same array."""
        values[self.slot] = self.out


@final
class Both(Cell):
    """Smaller or larger of two."""

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.fold, (self.source, self.other) = EXTREMUM[step.which], step.args

    def run(self, values: list[Array], clock: Clock) -> None:
        """Lane by lane."""
        values[self.slot] = self.fold(values[self.source], values[self.other], out=self.out)


@final
class Difference(Cell):
    """Left minus right; the lower bound takes away the upper one."""

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.source, self.other = step.args

    def run(self, values: list[Array], clock: Clock) -> None:
        """Reversing one lane changes nothing."""
        values[self.slot] = np.subtract(values[self.source], values[self.other][::-1], out=self.out)


@final
class Negate(Cell):
    """Minus; the bounds change places."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """Reversing one lane changes nothing."""
        values[self.slot] = np.negative(values[self.source][::-1], out=self.out)


@final
class Absolute(Cell):
    """abs(term)."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """See `magnitude`."""
        values[self.slot] = magnitude(values[self.source])


@final
class Apart(Cell):
    """abs(left - right)."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """See `magnitude`."""
        left, right = self.step.args
        values[self.slot] = magnitude(values[left] - values[right][::-1])


@final
class Arithmetic(Cell):
    """+ - * / on bounds."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """See `calculate`."""
        left, right = self.step.args
        values[self.slot] = calculate(self.step.which, values[left], values[right])


@final
class Open(Cell):
    """always or eventually without end: what comes can only lower, or only raise, the value."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """One bound is known."""
        known = 1 if self.step.which == "min" else 0
        self.out[known] = values[self.source][known]
        self.out[1 - known] = -INF if known else INF
        values[self.slot] = self.out


@final
class OpenUntil(Cell):
    """until without end: the clamp of now, over every value that may follow."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """The dual has its bounds the other way round."""
        guard, goal = (values[each] for each in self.step.args)
        near = 0 if self.step.which == "max" else 1
        self.out[near] = goal[near]
        self.out[1 - near] = EXTREMUM[self.step.which](goal[1 - near], guard[1 - near])
        values[self.slot] = self.out


POINTWISE: Final[dict[str, type[Cell]]] = {
    "number": Constant, "both": Both, "difference": Difference, "negate": Negate, "absolute": Absolute,
    "apart": Apart, "arithmetic": Arithmetic, "open": Open, "open_until": OpenUntil,
}  # fmt: skip


def magnitude(value: Array) -> Array:
    """Bounds [lanes, streams] of the absolute value."""
    if len(value) == 1:
        return np.abs(value)
    low, high = np.abs(value)
    near = np.where((value[0] <= 0) & (value[1] >= 0), 0.0, np.minimum(low, high))
    return np.stack((near, np.maximum(low, high)))


def calculate(operator: str, left: Array, right: Array) -> Array:
    """Interval arithmetic on bounds [2, streams]."""
    if operator == "+":
        return settled(left + right)
    if operator == "-":
        return settled(left - right[::-1])
    if operator == "*":
        swap = left[0] == left[1]
        span, factor = np.where(swap, right, left), np.where(swap, left, right)
        result, plain = span * factor[0], factor[0] == factor[1]
    else:
        factor = right
        result, plain = left / right[0], (right[0] == right[1]) & (right[0] != 0)
    result = settled(np.sort(result, axis=0))
    result = np.where((factor[0] == 0) & plain, 0.0, result)
    result[0][~plain], result[1][~plain] = -INF, INF
    return result


def settled(value: Array) -> Array:
    """Bounds with a known value that is not finite, and a bound that is no number, made unknown."""
    low, high = value
    lost = ((low == high) & ~np.isfinite(low)) | np.isnan(low) | np.isnan(high)
    if lost.any():
        low[lost], high[lost] = -INF, INF
    return value
