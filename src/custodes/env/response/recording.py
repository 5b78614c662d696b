"""What a replay needs to know of a part of a recording, worked out once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custodes.data.dataset import Dataset, codes
from custodes.data.schema import BENIGN, MALICIOUS
from custodes.env.response.costs import ResponseCosts, harm_of_rows, phase_codes
from custodes.env.response.forest import Forest, IntArray, forest_of
from custodes.errors import CustodesError

_SECOND = 1e9


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """N events of E entities in the order of their times, of which the M of one part are replayed.

    Several hosts that were recorded one after the other happened at once: here they stand in one order, by time.
    """

    source: IntArray
    """int64 [M]: row of the data set of each event of the part."""
    rows: IntArray
    """int64 [M]: its place among all N events in the order of time, ascending."""
    forest: Forest
    """Who started whom, over all N events."""
    clock: NDArray[np.float64]
    """float64 [N]: seconds, never stepping back; an event without a time has that of the one before it."""
    labels: NDArray[np.int8]
    """int8 [N]: 0 benign, 1 malicious, 2 contaminated, -1 unknown."""
    phase: IntArray
    """int64 [N]: attack phase, -1 where the event is not malicious."""
    phases: tuple[str, ...]
    """Names of the phases."""
    harm: NDArray[np.float64]
    """float64 [N]: harm of each event if it executes; 0 outside the part."""

    def __post_init__(self) -> None:
        """Refuse a part without events."""
        if not len(self.rows):
            raise CustodesError("the part holds no events", where="response", fix="choose another split or more data")

    @cached_property
    def benign(self) -> NDArray[np.bool_]:
        """Bool [N]: whose delay or suppression costs; unknown and contaminated events are left out."""
        inside = np.zeros(len(self.labels), dtype=np.bool_)
        inside[self.rows] = True
        inside &= self.labels == BENIGN
        return inside

    @cached_property
    def malicious(self) -> NDArray[np.bool_]:
        """Bool [E]: entities that do anything malicious in the recording."""
        return _any(self.forest, self.labels == MALICIOUS)

    @cached_property
    def innocent(self) -> NDArray[np.bool_]:
        """Bool [E]: entities whose containment is false: something benign and nothing else is known of them."""
        return _any(self.forest, self.labels == BENIGN) & ~self.malicious

    @cached_property
    def acting(self) -> IntArray:
        """Entities with events in the part."""
        return np.unique(self.forest.entity[self.rows])


def _any(forest: Forest, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Entities [E] with at least one of the marked rows [N]."""
    found = np.zeros(forest.entities, dtype=np.bool_)
    found[forest.entity[rows]] = True
    return found


def seconds(time: NDArray[np.int64], stream: IntArray) -> NDArray[np.float64]:
    """Seconds since the first known time of the recording, never stepping back within a stream, float64 [N].

    Args:
        time: Nanoseconds [N]; 0 or less is unknown and reads as the last one known in the stream.
        stream: Stream of each row [N].
    """
    known = time > 0
    start = int(time[known].min()) if known.any() else 0
    since = np.where(known, time - start, 0) / _SECOND
    result = np.empty(len(time))
    for one in np.unique(stream):
        mine = stream == one
        result[mine] = np.maximum.accumulate(since[mine])
    return result


def recording_of(dataset: Dataset, rows: NDArray[np.integer[Any]], costs: ResponseCosts) -> Recording:
    """Prepare a part for replay.

    Args:
        dataset: N events.
        rows: Rows of the part.
        costs: Harm of a phase.

    Raises:
        CustodesError: The part holds no events.
    """
    clock = seconds(dataset.events["time"].fill_null(0).to_numpy(), codes(dataset.events, "stream"))
    order = np.argsort(clock, kind="stable")
    ordered = replace(dataset, events=dataset.events[order])
    inside = np.zeros(len(dataset), dtype=np.bool_)
    inside[rows] = True
    part = np.flatnonzero(inside[order])
    phase, phases = phase_codes(ordered)
    return Recording(
        source=order[part],
        rows=part,
        forest=forest_of(ordered),
        clock=clock[order],
        labels=ordered.labels,
        phase=phase,
        phases=phases,
        harm=harm_of_rows(phase, part, costs.phase_harm),
    )
