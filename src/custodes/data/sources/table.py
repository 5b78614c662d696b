"""Source `table`: a file that is in the event schema already."""

from __future__ import annotations

from typing import Final

import polars as pl

from custodes.data.schema import EVENT_SCHEMA, REQUIRED
from custodes.data.sources.base import FILE, ROW, Source


def _to_events(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame.drop(FILE, ROW)


TABLE: Final = Source(
    name="table",
    columns=EVENT_SCHEMA,
    required=frozenset(REQUIRED),
    signature=frozenset(),
    extras=True,
    recorded_order=False,
    to_events=_to_events,
)
