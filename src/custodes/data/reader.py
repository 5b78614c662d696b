"""Read a file into the event table."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.schema import DEFAULTS, EVENT_SCHEMA, digest, validate
from custodes.data.sources.trace import TRACE


def load(config: DataConfig, *, rejects: Path | None = None) -> Dataset:
    """Read the data that a configuration names."""
    path = Path(config.path)
    frame = TRACE.to_events(pl.scan_parquet(path).select(*TRACE.columns)).collect()
    missing: dict[str, pl.Expr] = {
        n: pl.lit(v, dtype=EVENT_SCHEMA[n]) for n, v in DEFAULTS.items() if n not in frame.columns
    }
    frame = frame.with_columns(**missing)
    events = frame.select(*EVENT_SCHEMA, *(n for n in frame.columns if n not in EVENT_SCHEMA))
    validate(events, where=str(path))
    return Dataset(
        name=path.name, source="trace", events=events, recorded_order=True, digest=digest(events), rejected=0
    )
