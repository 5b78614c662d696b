"""What a source is: the foreign columns that it reads and the expressions that turn them into the event table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from custodes.data.schema import DEFAULTS, EVENT_SCHEMA

ROW: Final = "__row"
"""Column that the reader adds: number of the row in its file, from 0."""

FILE: Final = "__file"
"""Column that the reader adds: number of the file, 0 for `data.path` and 1 for `data.test_path`."""


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
    """Foreign columns, and the columns `ROW` and `FILE`, to event columns; what it leaves out gets its default."""

    def map(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """Map a frame of (some of) the foreign columns, `ROW` and `FILE`; absent optional columns count as null.

        Args:
            frame: Columns of the declared types.

        Returns:
            Columns of the event table that the mapping gives, in the order of the schema, nulls left as they are,
            then pass-through columns.
        """
        given = frame.collect_schema()
        absent = {name: pl.lit(None, dtype=kind) for name, kind in self.columns.items() if name not in given}
        mapped = self.to_events(frame.with_columns(**absent))
        names = mapped.collect_schema().names()
        return mapped.select(
            *(name for name in EVENT_SCHEMA if name in names), *(name for name in names if name not in EVENT_SCHEMA)
        )


def nanoseconds(time: pl.Expr, unit: int) -> pl.Expr:
    """Times in some unit as nanoseconds; null, which every check refuses, where 64 bits do not hold them.

    Args:
        time: Times, Int64.
        unit: Nanoseconds of the unit, at least 1.
    """
    most = ((1 << 63) - 1) // unit
    return pl.when(time.is_between(-most, most)).then(time * unit)


def fill(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Complete mapped events: defaults for absent optional columns and nulls; 0 for nulls of pass-through columns."""
    given = frame.collect_schema()
    columns = []
    for name, kind in EVENT_SCHEMA.items():
        default = pl.lit(DEFAULTS.get(name), dtype=kind)
        column = pl.col(name).fill_null(default) if name in DEFAULTS else pl.col(name)
        columns.append(column if name in given else default.alias(name))
    extras = (pl.col(name).fill_null(0) for name in given if name not in EVENT_SCHEMA)
    return frame.select(*columns, *extras)
