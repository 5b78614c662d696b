"""Small recordings with process trees, ties in time, gaps and phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from hypothesis import strategies as st
from numpy.typing import NDArray

from custodes.data.dataset import Dataset
from custodes.data.schema import DEFAULTS, EVENT_SCHEMA
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording, recording_of

SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Event:
    """One row."""

    time: float
    """Seconds; 0 or less is unknown."""
    entity: str
    parent: str = ""
    label: int = 0
    phase: str = ""
    stream: str = "host"
    kind: str = "read"


def dataset_of(events: Sequence[Event]) -> Dataset:
    """The rows as a data set in recorded order."""
    given = {
        name: [getattr(event, name) for event in events]
        for name in ("stream", "entity", "parent", "label", "phase", "kind")
    }
    given["time"] = [round(event.time * SECOND) for event in events]
    columns = {name: given.get(name, [DEFAULTS.get(name)] * len(events)) for name in EVENT_SCHEMA}
    table = pl.DataFrame(columns, schema=EVENT_SCHEMA)
    return Dataset(name="test", source="table", events=table, recorded_order=True, digest="", rejected=0)


@dataclass(frozen=True, kw_only=True)
class World:
    """A recording, the part of it that is played, and what acting costs."""

    events: tuple[Event, ...]
    rows: tuple[int, ...]
    costs: ResponseCosts

    @cached_property
    def dataset(self) -> Dataset:
        """The recording as a data set."""
        return dataset_of(self.events)

    @cached_property
    def recording(self) -> Recording:
        """The part, ready for replay."""
        return recording_of(self.dataset, np.array(self.rows), self.costs)


@st.composite
def costs(draw: st.DrawFn, *, lanes: bool = False) -> ResponseCosts:
    """Costs with times of a few seconds, which meet the events' times; for lanes, a Quarantine outlasts an alert."""
    analyst = draw(st.integers(1, 6))
    return ResponseCosts(
        phase_harm=draw(st.sampled_from((1.0, 100.0))),
        false_block=draw(st.sampled_from((0.0, 5.0))),
        false_quarantine=draw(st.sampled_from((0.0, 1.0))),
        delayed=draw(st.sampled_from((0.0, 0.01, 1.0))),
        suppressed=draw(st.sampled_from((0.0, 0.02, 3.0))),
        alert=draw(st.sampled_from((0.0, 0.1))),
        analyst_s=float(analyst),
        quarantine_s=float(draw(st.integers(analyst + 1, 12) if lanes else st.integers(1, 12))),
        cleared_s=float(draw(st.integers(0, 8))),
        analysts=draw(st.integers(1, 2)),
        queue=draw(st.integers(0, 2)),
    )


@st.composite
def worlds(draw: st.DrawFn, *, lanes: bool = False, most: int = 24) -> World:
    """Up to `most` events of up to 6 names on up to 2 hosts; parents may be anyone, themselves or nobody known."""
    names = [f"p{index}" for index in range(draw(st.integers(1, 6)))]
    parents = {name: draw(st.sampled_from(["", "stranger", *names])) for name in names}
    count = draw(st.integers(1, most))
    time, events = 0, []
    for _ in range(count):
        time = max(0, time + draw(st.sampled_from((0, 0, 1, 1, 2, 3, 9, -4))))
        name = draw(st.sampled_from(["", *names] if draw(st.integers(0, 9)) == 0 else names))
        label = draw(st.sampled_from((0, 0, 0, 1, 1, 2, -1)))
        events.append(
            Event(
                time=time,
                entity=name,
                parent=parents.get(name, "p0"),
                label=label,
                phase=draw(st.sampled_from(("", "a", "b"))),
                stream=draw(st.sampled_from(("one", "one", "two"))),
                kind="exit" if draw(st.integers(0, 11)) == 0 else "read",
            )
        )
    left_out = draw(st.sets(st.integers(0, count - 1), max_size=min(3, count - 1)))
    rows = tuple(row for row in range(count) if row not in left_out)
    return World(events=tuple(events), rows=rows, costs=draw(costs(lanes=lanes)))


def decisions(draw: st.DrawFn, count: int) -> NDArray[np.int8]:
    """Decisions [count] or [count, 3], each severity often."""
    width = draw(st.sampled_from((None, 3)))
    shape = count if width is None else count * width
    values = np.array(draw(st.lists(st.sampled_from((0, 0, 1, 2, 3)), min_size=shape, max_size=shape)), dtype=np.int8)
    return values if width is None else values.reshape(count, width)


@st.composite
def played(draw: st.DrawFn) -> tuple[World, NDArray[np.int8]]:
    """A world and decisions on its part."""
    world = draw(worlds())
    return world, decisions(draw, len(world.rows))
