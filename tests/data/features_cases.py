"""Small event tables for the tests of features, views and audit."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st

from custodes.data.dataset import Dataset
from custodes.data.schema import CHANNELS, DEFAULTS, EVENT_SCHEMA

KINDS = ("open", "read", "spawn")


def dataset(columns: dict[str, Any], *, name: str = "case", recorded_order: bool = True) -> Dataset:
    """Dataset of some columns; the schema's other columns hold their defaults."""
    rows = len(next(iter(columns.values())))
    filled = {key: columns.get(key, [DEFAULTS.get(key, "p" if key == "entity" else 0)] * rows) for key in EVENT_SCHEMA}
    filled["kind"] = columns.get("kind", ["open"] * rows)
    events = pl.DataFrame(filled, schema=EVENT_SCHEMA)
    extra = pl.DataFrame({key: value for key, value in columns.items() if key not in EVENT_SCHEMA})
    events = events.hstack(extra) if extra.width else events
    return Dataset(name=name, source="table", events=events, recorded_order=recorded_order, digest="", rejected=0)


def random_dataset(rows: int, seed: int = 0) -> Dataset:
    """Random events of two streams, three entities and every channel."""
    rng = np.random.default_rng(seed)
    people = np.array(["", "p", "q", "r"])
    return dataset(
        {
            "time": rng.integers(0, 5, rows).cumsum() * 10**8,
            "stream": rng.choice(["one", "two"], rows),
            "entity": rng.choice(people[1:], rows),
            "parent": rng.choice(people, rows),
            "channel": rng.choice(CHANNELS, rows),
            "kind": rng.choice(KINDS, rows),
            "object": rng.choice(["", "x", "y"], rows),
            "object_kind": rng.choice(["file", "key"], rows),
            "image": rng.choice(["a.exe", "b.exe"], rows),
            "parent_image": rng.choice(["a.exe", "c.exe"], rows),
            "size": rng.choice([0.0, 1.0, 4096.0, 5e6], rows),
            "label": rng.integers(0, 2, rows),
            "number": rng.choice([0, 0, 7, 9, -12345], rows),
            "port": rng.choice([0.0, 443.0, 80.5], rows),
        }
    )


@st.composite
def datasets(draw: st.DrawFn, least: int = 2) -> Dataset:
    """Random datasets of some 2 to 25 rows."""
    return random_dataset(draw(st.integers(least, 25)), draw(st.integers(0, 10_000)))
