"""What a source is: the foreign columns that it reads and the expressions that turn them into the event table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, kw_only=True)
class Source:
    """A foreign format whose rows are events: a set of columns and a lazy mapping."""

    name: str
    """Name in `data.source`."""
    columns: Mapping[str, pl.DataType]
    """Foreign columns that the mapping uses, and the type that each is cast to."""
    required: frozenset[str]
    """Columns without which a file is refused; their nulls are refused too."""
    signature: frozenset[str]
    """Columns that tell this format from the others; empty for a format that `auto` falls back on."""
    extras: bool
    """Whether further numeric columns of the file pass through."""
    recorded_order: bool
    """Whether the order of the rows is the recorder's own, so that time may step back."""
    to_events: Callable[[pl.LazyFrame], pl.LazyFrame]
    """Foreign columns to event columns, row by row; event columns that it leaves out get their defaults."""
