"""Small recordings for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from custodes.data.dataset import Dataset
from custodes.data.schema import DEFAULTS, EVENT_SCHEMA


def recording(
    streams: Sequence[str], entities: Sequence[str] | None = None, kinds: Sequence[str] | None = None
) -> Dataset:
    """A recording with one event per stream name."""
    count = len(streams)
    given = {
        "time": range(count),
        "stream": streams,
        "entity": entities if entities is not None else ["p"] * count,
        "kind": kinds if kinds is not None else ["read"] * count,
    }
    columns = {name: given.get(name, [DEFAULTS.get(name)] * count) for name in EVENT_SCHEMA}
    events = pl.DataFrame(columns, schema=EVENT_SCHEMA)
    return Dataset(name="test", source="table", events=events, recorded_order=True, digest="", rejected=0)


def random_recording(events: int, seed: int = 0, streams: int = 2, entities: int = 7) -> Dataset:
    """A recording in which a tenth of the events end their process."""
    draw = np.random.default_rng(seed)
    return recording(
        [f"host{i}" for i in draw.integers(0, streams, events)],
        [f"process{i}" for i in draw.integers(0, entities, events)],
        list(draw.choice(["read", "exit"], events, p=[0.9, 0.1])),
    )
