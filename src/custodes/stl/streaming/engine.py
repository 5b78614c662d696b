"""A plan at work on numpy arrays: every step once per sample, for all streams."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from custodes.stl.errors import StlError
from custodes.stl.streaming.cells import STATEFUL, Array, Cell, Clock, Mask
from custodes.stl.streaming.network import Plan
from custodes.stl.streaming.pointwise import POINTWISE
from custodes.stl.streaming.trackers import Bounds, Tracker, trackers_of


@final
class Engine:
    """Values [lanes, streams] through the network of a plan.

    Args:
        plan: What to run.
        lanes: 1 for known values, 2 for bounds.
        streams: How many streams side by side.
    """

    def __init__(self, plan: Plan, *, lanes: int, streams: int) -> None:
        self.plan, self.lanes, self.streams = plan, lanes, streams
        self.clock = Clock(age=np.full(streams, -1, dtype=np.int64), low=-1, high=-1)
        self.values: list[Array] = [np.zeros((lanes, streams))] * len(plan.steps)
        self.inputs = {step.name: slot for slot, step in enumerate(plan.steps) if step.kind == "signal"}
        kinds: dict[str, type[Cell]] = {**STATEFUL, **POINTWISE}
        self.cells = [
            kinds[step.kind](step, slot, lanes, streams)
            for slot, step in enumerate(plan.steps)
            if step.kind != "signal"
        ]
        self.trackers = trackers_of(plan.anchor, lanes, streams)
        self._first: Bounds | None = None

    def advance(self, rows: dict[str, Array]) -> Array:
        """Feed one sample of every signal, [lanes, streams] each.

        Returns:
            The formula's value at time age - plan.root.delay; valid until the next call.
        """
        clock, values = self.clock, self.values
        clock.age += 1
        clock.low += 1
        clock.high += 1
        for name, row in rows.items():
            values[self.inputs[name]] = row
        # an unknown value is infinite, and infinities meet
        with np.errstate(all="ignore"):
            for cell in self.cells:
                cell.run(values, clock)
        if self._first is None or not self.trackers[-1].settled(clock):
            for tracker in self.trackers:
                tracker.advance(values, clock)
            self._first = None
        return values[self.plan.root.slot]

    def first(self, *, closed: bool = False) -> Bounds:
        """Bounds [streams] of the value at each stream's first sample."""
        if self._first is None or closed:
            low, high = self.trackers[-1].bounds(self.clock, closed=closed)
            # the parts that are not over have open sides: a late part can't take back what is known
            self._first = low.copy(), high.copy()
        return self._first

    def forget(self, streams: Mask) -> None:
        """Start some streams anew."""
        self.clock.age[streams] = -1
        self.clock.low, self.clock.high = int(self.clock.age.min()), int(self.clock.age.max())
        for cell in self.cells:
            cell.forget(streams)
        for tracker in self.trackers:
            tracker.forget(streams)
        self._first = None

    def follow(self, other: Engine) -> None:
        """Take over the whole memory of another engine of the same plan, which may have fewer lanes."""
        mine, its = self.clock, other.clock
        mine.age[:] = its.age
        mine.low, mine.high, mine.beyond, mine.cut = its.low, its.high, its.beyond, its.cut
        for cell, source in zip(self.cells, other.cells, strict=True):
            cell.copy_from(source)
        for tracker, origin in zip(self.trackers, other.trackers, strict=True):
            tracker.copy_from(origin)
        self._first = None

    def state(self) -> dict[str, Any]:
        """All memory, as arrays and counters."""
        return {
            "age": self.clock.age.copy(),
            "positions": [cell.position for cell in self.cells],
            "memory": [getattr(owner, name).copy() for owner, name in self._memory()],
        }

    def _memory(self) -> list[tuple[Any, str]]:
        owners: list[Cell | Tracker] = [*self.cells, *self.trackers]
        return [(owner, name) for owner in owners for name in owner.ARRAYS]

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` gave; everything is checked before anything changes.

        Raises:
            StlError: It is damaged or of another shape.
        """
        places = self._memory()
        age, positions, memory = state.get("age"), state.get("positions"), state.get("memory")
        if not isinstance(positions, list) or not isinstance(memory, list):
            raise StlError("a saved monitor lacks its memory", fix="save it again")
        if len(positions) != len(self.cells) or len(memory) != len(places):
            raise StlError("a saved monitor has memory of another formula", fix="restore it with its own formula")
        for cell, position in zip(self.cells, positions, strict=True):
            limit = getattr(cell, cell.LIMIT) if cell.LIMIT else 1
            if type(position) is not int or not 0 <= position < limit:
                raise StlError(f"a saved monitor has position {position!r} in a ring of {limit}", fix="save it again")
        if not isinstance(age, np.ndarray) or age.dtype != np.int64 or age.shape != (self.streams,) or (age < -1).any():
            raise StlError("a saved monitor has no clock for every stream", fix="save it again")
        for (owner, name), array in zip(places, memory, strict=True):
            here: Array = getattr(owner, name)
            fits = isinstance(array, np.ndarray) and array.dtype == np.float64 and array.shape == here.shape
            if not fits or bool(np.isnan(array).any()):
                raise StlError("a saved monitor has memory of another shape, or damaged", fix="save it again")
        self.clock.age[:] = age
        self.clock.low, self.clock.high = int(self.clock.age.min()), int(self.clock.age.max())
        for cell, position in zip(self.cells, positions, strict=True):
            cell.position = position
        for (owner, name), array in zip(places, memory, strict=True):
            np.copyto(getattr(owner, name), array)
        self._first = None
