"""The steps that remember: delays, windows and running values for all streams at once.

Values are arrays [lanes, streams]; one lane holds known values, two hold lower and upper bounds. A sliding extremum is
a block of suffix extrema of the last full block and one running prefix (van Herk 1992; Gil and Werman 1993): two
operations per sample and no branch on data, plus one pass over the block every `size` samples. The same scheme runs
sums (nothing is ever subtracted, so that no rounding error builds up) and clamps z -> most(goal, least(guard, z)),
whose composition is associative.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from custodes.stl.streaming.network import NEUTRAL, Step

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
EXTREMUM: Final = {"min": np.minimum, "max": np.maximum}


@dataclass(kw_only=True, slots=True)
class Clock:
    """Where each stream is."""

    age: NDArray[np.int64]
    """Index of each stream's latest sample; -1 before the first, [streams]."""
    low: int
    """Smallest age."""
    high: int
    """Largest age."""
    beyond: int = 0
    """So many samples after the end have been fed; 0 inside the trace."""
    cut: bool = False
    """Whether operators that look ahead see nothing there (truncate)."""


class Cell(ABC):
    """One step of the network with its memory."""

    ARRAYS: ClassVar[tuple[str, ...]] = ()
    """Attributes with the memory, arrays [..., streams]."""
    LIMIT: ClassVar[str] = ""
    """Attribute with the length of the ring, when there is one; `position` runs below it."""

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        self.slot, self.step, self.shape = slot, step, (lanes, streams)
        self.source = step.args[0] if step.args else -1
        self.fill, self.past, self.position = step.value, step.past, 0
        self.out = np.empty(self.shape)

    @abstractmethod
    def run(self, values: list[Array], clock: Clock) -> None:
        """Read the slots of its arguments and write its own."""

    def forget(self, streams: Mask) -> None:
        """Make some streams new again; what looks ahead has nothing to forget, its old values come out too early."""
        if self.past:
            for name in self.ARRAYS:
                getattr(self, name)[..., streams] = self.fill

    def copy_from(self, other: Cell) -> None:
        """Take over the memory of the same step of another network; one lane becomes two equal ones."""
        self.position = other.position
        for name in self.ARRAYS:
            np.copyto(getattr(self, name), getattr(other, name))


@final
class Delay(Cell):
    """The value `size` samples before."""

    ARRAYS = ("ring",)
    LIMIT = "length"

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.length = step.size + 1
        self.ring = np.full((self.length, *self.shape), step.value)

    def run(self, values: list[Array], clock: Clock) -> None:
        """One copy in, a view out."""
        self.ring[self.position] = values[self.source]
        self.position = (self.position + 1) % self.length
        values[self.slot] = self.ring[self.position]


@final
class Window(Cell):
    """Extremum or sum of the last `size` values."""

    ARRAYS = ("block", "prefix")
    LIMIT = "size"

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.size, self.count, self.total = step.size, step.kind == "count", step.kind == "sum"
        self.fold = np.add if step.kind in ("sum", "count") else EXTREMUM[step.which]
        self.fill = 0.0 if self.fold is np.add else NEUTRAL[step.which]
        self.past = step.past or self.fold is np.add
        self.block = np.full((step.size, *self.shape), self.fill)
        self.prefix = np.full(self.shape, self.fill)

    def run(self, values: list[Array], clock: Clock) -> None:
        """The block's row at the position is no longer needed as a suffix and takes the new value."""
        value, block, prefix, position = values[self.source], self.block, self.prefix, self.position
        if self.count:
            value = (value >= 0).astype(np.float64)
        if position == 0:
            prefix[...] = value
        else:
            self.fold(prefix, value, out=prefix)
        block[position] = value
        values[self.slot] = self.out
        if position + 1 < self.size:
            self.position = position + 1
            self.fold(block[position + 1], prefix, out=self.out)
        else:
            self.position = 0
            np.copyto(self.out, prefix)
            for row in range(self.size - 2, 0, -1):
                self.fold(block[row], block[row + 1], out=block[row])
        if self.total and not np.isfinite(self.out).all():
            self.out[0][~(self.out[0] < np.inf)] = -np.inf
            self.out[1][~(self.out[1] > -np.inf)] = np.inf


@final
class Running(Cell):
    """Extremum of all values so far."""

    ARRAYS = ("held",)

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.fold, self.fill, self.past = EXTREMUM[step.which], NEUTRAL[step.which], True
        self.held = np.full(self.shape, self.fill)

    def run(self, values: list[Array], clock: Clock) -> None:
        """One operation."""
        values[self.slot] = self.fold(self.held, values[self.source], out=self.held)


@final
class Since(Cell):
    """The unbounded since: held = most(goal, least(guard, held))."""

    ARRAYS = ("held",)

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.most, self.fill, self.past = EXTREMUM[step.which], NEUTRAL[step.which], True
        self.least = np.maximum if self.most is np.minimum else np.minimum
        self.held = np.full(self.shape, self.fill)

    def run(self, values: list[Array], clock: Clock) -> None:
        """Two operations."""
        guard, goal = self.step.args
        self.least(values[guard], self.held, out=self.held)
        values[self.slot] = self.most(values[goal], self.held, out=self.held)


@final
class Until(Cell):
    """The clamps of the last `size` values composed, the newest innermost, at what an empty window gives."""

    ARRAYS = ("guards", "goals", "guard", "goal")
    LIMIT = "size"

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.size, self.most = step.size, EXTREMUM[step.which]
        self.least = np.maximum if self.most is np.minimum else np.minimum
        self.guards, self.goals = np.zeros((step.size, *self.shape)), np.zeros((step.size, *self.shape))
        self.guard, self.goal, self.spare = np.zeros(self.shape), np.zeros(self.shape), np.empty(self.shape)

    def run(self, values: list[Array], clock: Clock) -> None:
        """Suffix clamps of the last block after the prefix clamp of this one."""
        guard, goal = (values[each] for each in self.step.args)
        least, most, position, out = self.least, self.most, self.position, self.out
        if position == 0:
            self.guard[...], self.goal[...] = guard, goal
        else:
            most(self.goal, least(self.guard, goal, out=self.spare), out=self.goal)
            least(self.guard, guard, out=self.guard)
        self.guards[position], self.goals[position] = guard, goal
        values[self.slot] = out
        if position + 1 < self.size:
            self.position = position + 1
            most(self.goals[position + 1], least(self.guards[position + 1], self.goal, out=out), out=out)
            return
        self.position = 0
        np.copyto(out, self.goal)
        for row in range(self.size - 2, 0, -1):
            inner = least(self.guards[row], self.goals[row + 1], out=self.spare)
            most(self.goals[row], inner, out=self.goals[row])
            least(self.guards[row], self.guards[row + 1], out=self.guards[row])


@final
class Rank(Cell):
    """The need-th largest of the last `size` values; the one step that costs O(size) per sample."""

    ARRAYS = ("ring",)
    LIMIT = "size"

    def __init__(self, step: Step, slot: int, lanes: int, streams: int) -> None:
        super().__init__(step, slot, lanes, streams)
        self.size, self.past, self.fill = step.size, True, NEUTRAL["max"]
        self.ring = np.full((step.size, *self.shape), self.fill)

    def run(self, values: list[Array], clock: Clock) -> None:
        """A partial sort along the window."""
        self.ring[self.position] = values[self.source]
        self.position = (self.position + 1) % self.size
        rank = self.size - self.step.need
        values[self.slot] = np.partition(self.ring, rank, axis=0)[rank]


@final
class Divide(Cell):
    """A sum over the samples that the window has, fewer at the start."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """The divisor grows to the window's size."""
        size = self.step.size
        if clock.low + 1 >= size or clock.low == clock.high:
            values[self.slot] = np.divide(values[self.source], min(clock.low + 1, size), out=self.out)
        else:
            values[self.slot] = np.divide(values[self.source], np.minimum(clock.age + 1, size), out=self.out)


@final
class Guard(Cell):
    """What an operator that looks behind reads: the fill before the first sample."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """Nothing to do once every stream is that old."""
        value, delay = values[self.source], self.step.size
        values[self.slot] = value if clock.low >= delay else np.where(clock.age >= delay, value, self.fill)


@final
class Edge(Cell):
    """What an operator that looks ahead reads: the fill beyond the end of a trace that is cut there."""

    def run(self, values: list[Array], clock: Clock) -> None:
        """Nothing to do inside the trace."""
        if clock.cut and clock.beyond > self.step.size:
            self.out.fill(self.fill)
            values[self.slot] = self.out
        else:
            values[self.slot] = values[self.source]


STATEFUL: Final[dict[str, type[Cell]]] = {
    "delay": Delay, "window": Window, "sum": Window, "count": Window, "running": Running, "since": Since,
    "until": Until, "rank": Rank, "divide": Divide, "guard": Guard, "edge": Edge,
}  # fmt: skip
