"""The running memory behind each anchor: bounds of the first sample's value that never widen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, TypeAlias, final

import numpy as np

from custodes.stl.streaming.cells import EXTREMUM, Array, Clock
from custodes.stl.streaming.network import INF, NEUTRAL, Anchor, Clamp, Fold, Join, Known, Meet

Bounds: TypeAlias = tuple[Array, Array]


class Tracker(ABC):
    """Follows the value at each stream's first sample."""

    ARRAYS: ClassVar[tuple[str, ...]] = ()
    """Attributes with the memory, arrays [lanes, streams]."""

    def __init__(self, lanes: int, streams: int, delay: int, first: int, last: int | None) -> None:
        self.shape, self.delay, self.first, self.last = (lanes, streams), delay, first, last
        self.fills: dict[str, float] = {}

    def start(self, **fills: float) -> None:
        """Set up arrays with what they hold before the first sample."""
        self.fills = fills
        for name, fill in fills.items():
            setattr(self, name, np.full(self.shape, fill))

    @abstractmethod
    def advance(self, values: list[Array], clock: Clock) -> None:
        """Take in what the network gave at this sample."""

    @abstractmethod
    def bounds(self, clock: Clock, *, closed: bool) -> Bounds:
        """Lower and upper bound [streams]; closed: nothing will follow."""

    def forget(self, streams: NDArrayBool) -> None:
        """Make some streams new again."""
        for name, fill in self.fills.items():
            getattr(self, name)[..., streams] = fill

    def copy_from(self, other: Tracker) -> None:
        """Take over the memory of the same anchor in another network."""
        for name in self.ARRAYS:
            np.copyto(getattr(self, name), getattr(other, name))

    def settled(self, clock: Clock) -> bool:
        """Whether nothing that comes can matter any more."""
        return self.last is not None and clock.low - self.delay > self.last

    def counts(self, clock: Clock, first: int) -> bool | NDArrayBool:
        """Whether the present emission is for a time in [first, last], for all streams or each."""
        low, high = clock.low - self.delay, clock.high - self.delay
        last = high if self.last is None else self.last
        if high < first or low > last:
            return False
        if low >= first and high <= last:
            return True
        time = clock.age - self.delay
        return (time >= first) & (time <= last)

    def over(self, clock: Clock) -> bool | NDArrayBool:
        """Whether the last time that counts has come, for all streams or each."""
        if self.last is None or clock.high - self.delay < self.last:
            return False
        return True if clock.low - self.delay >= self.last else clock.age - self.delay >= self.last


NDArrayBool: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def choose(condition: bool | NDArrayBool, yes: Array, no: Array | float) -> Array:
    """np.where that costs nothing where all streams agree."""
    if condition is True:
        return yes
    if condition is False:
        return no if isinstance(no, np.ndarray) else np.full(yes.shape, no)
    return np.where(condition, yes, no)


@final
class FoldTracker(Tracker):
    """always, eventually."""

    ARRAYS = ("held", "dull")
    held: Array
    dull: Array
    """1 where a number inside the operand was unknown, else 0; only with `inner`."""

    def __init__(self, anchor: Fold, lanes: int, streams: int) -> None:
        super().__init__(lanes, streams, anchor.value.delay, anchor.first, anchor.last)
        self.slot, self.which, self.fold = anchor.value.slot, anchor.which, EXTREMUM[anchor.which]
        self.inner, self.rest, self.numbers = anchor.inner, anchor.rest, anchor.numbers
        self.start(held=NEUTRAL[anchor.which], dull=0.0)

    def advance(self, values: list[Array], clock: Clock) -> None:
        """One operation while the window is open.

        What the operand still waits for is one value z without end, and the fold of the past is a function of it: a
        lattice polynomial of one variable, max(lower, min(upper, z)), given by its values at z = -inf and +inf, which
        are the two bounds. z is itself such a function of its own value one sample on, so put that in. This needs
        every number so far to be known, so that the two bounds differ by what is to come alone; from the first unknown
        one on (`dull`) the bounds are folded as they are.
        """
        if self.inner >= 0:
            for slot in self.numbers:
                self.dull[:, values[slot][0] != values[slot][1]] = 1.0
            put_in = np.maximum(self.held[0], np.minimum(self.held[1], values[self.inner]))
            np.copyto(self.held, put_in, where=self.dull == 0.0)
        counts = self.counts(clock, self.first)
        if counts is not False:
            self.fold(self.held, choose(counts, values[self.slot], NEUTRAL[self.which]), out=self.held)

    def settled(self, clock: Clock) -> bool:
        """Never while the operand waits for something."""
        return self.inner < 0 and super().settled(clock)

    def bounds(self, clock: Clock, *, closed: bool) -> Bounds:
        """One side is known at once, the other when the window is over; what the operand waits for, when all is."""
        if closed and self.inner >= 0:
            settled = self.held[0 if self.rest < 0 else -1]
            dull = self.dull[0] != 0.0
            return np.where(dull, self.held[0], settled), np.where(dull, self.held[-1], settled)
        over = True if closed else self.over(clock)
        if self.which == "min":
            return choose(over, self.held[0], -INF), self.held[-1]
        return self.held[0], choose(over, self.held[-1], INF)


@final
class ClampTracker(Tracker):
    """until, weak until, release."""

    ARRAYS = ("guard", "goal")
    guard: Array
    goal: Array

    def __init__(self, anchor: Clamp, lanes: int, streams: int) -> None:
        super().__init__(lanes, streams, anchor.guard.delay, anchor.first, anchor.last)
        self.anchor, self.most = anchor, EXTREMUM[anchor.most]
        self.least = np.maximum if self.most is np.minimum else np.minimum
        self.start(guard=-NEUTRAL[anchor.most], goal=NEUTRAL[anchor.most])

    def advance(self, values: list[Array], clock: Clock) -> None:
        """Compose with the clamp of this sample: goal first, since the guard of this time is for later ones."""
        during = self.counts(clock, 0)
        if during is False:
            return
        guard, goal = values[self.anchor.guard.slot], values[self.anchor.goal.slot]
        counts = self.counts(clock, self.first)
        if counts is not False:
            wanted = choose(counts, goal, NEUTRAL[self.anchor.most])
            self.most(self.goal, self.least(self.guard, wanted), out=self.goal)
        self.least(self.guard, choose(during, guard, -NEUTRAL[self.anchor.most]), out=self.guard)

    def bounds(self, clock: Clock, *, closed: bool) -> Bounds:
        """What follows is between false and true; after the window it is false, for weak until true."""
        over = True if closed else self.over(clock)
        near, far = self.goal, self.most(self.goal, self.guard)
        end = far if self.anchor.weak else near
        low, high = (near, far) if self.anchor.most == "max" else (far, near)
        return choose(over, end[0], low[0]), choose(over, end[-1], high[-1])


@final
class KnownTracker(Tracker):
    """A value that the network gives itself."""

    ARRAYS = ("lower", "upper")
    lower: Array
    upper: Array

    def __init__(self, anchor: Known, lanes: int, streams: int) -> None:
        super().__init__(lanes, streams, anchor.value.delay, 0, 0)
        self.slot = anchor.value.slot
        self.start(lower=-INF, upper=INF)

    def advance(self, values: list[Array], clock: Clock) -> None:
        """Taken once."""
        counts = self.counts(clock, 0)
        if counts is not False:
            value = values[self.slot]
            self.lower, self.upper = choose(counts, value, self.lower).copy(), choose(counts, value, self.upper).copy()

    def bounds(self, clock: Clock, *, closed: bool) -> Bounds:
        """Unknown until it came out."""
        return self.lower[0], self.upper[-1]


@final
class JoinTracker(Tracker):
    """A connective of two others."""

    def __init__(self, anchor: Join, left: Tracker, right: Tracker) -> None:
        super().__init__(*left.shape, 0, 0, None)
        self.fold, self.left, self.right = EXTREMUM[anchor.which], left, right

    def advance(self, values: list[Array], clock: Clock) -> None:
        """Its parts are advanced by the network."""

    def settled(self, clock: Clock) -> bool:
        """When both parts are."""
        return self.left.settled(clock) and self.right.settled(clock)

    def bounds(self, clock: Clock, *, closed: bool) -> Bounds:
        """Side by side."""
        left, right = self.left.bounds(clock, closed=closed), self.right.bounds(clock, closed=closed)
        return self.fold(left[0], right[0]), self.fold(left[1], right[1])


@final
class MeetTracker(Tracker):
    """The tighter of two others."""

    def __init__(self, left: Tracker, right: Tracker) -> None:
        super().__init__(*left.shape, 0, 0, None)
        self.left, self.right = left, right

    def advance(self, values: list[Array], clock: Clock) -> None:
        """Its parts are advanced by the network."""

    def settled(self, clock: Clock) -> bool:
        """When both parts are: one that missed a sample would read its own clock wrongly."""
        return self.left.settled(clock) and self.right.settled(clock)

    def bounds(self, clock: Clock, *, closed: bool) -> Bounds:
        """The larger lower and the smaller upper bound."""
        left, right = self.left.bounds(clock, closed=closed), self.right.bounds(clock, closed=closed)
        return np.maximum(left[0], right[0]), np.minimum(left[1], right[1])


def trackers_of(anchor: Anchor, lanes: int, streams: int) -> list[Tracker]:
    """The trackers of an anchor, parts first, so that the last one is the formula's."""
    match anchor:
        case Known():
            return [KnownTracker(anchor, lanes, streams)]
        case Fold():
            return [FoldTracker(anchor, lanes, streams)]
        case Clamp():
            return [ClampTracker(anchor, lanes, streams)]
        case Join(left=left, right=right):
            one, other = trackers_of(left, lanes, streams), trackers_of(right, lanes, streams)
            return [*one, *other, JoinTracker(anchor, one[-1], other[-1])]
        case Meet(left=left, right=right):
            one, other = trackers_of(left, lanes, streams), trackers_of(right, lanes, streams)
            return [*one, *other, MeetTracker(one[-1], other[-1])]
