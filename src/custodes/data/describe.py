"""Say what a file holds, in one pass of bounded memory."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl

from custodes.data.config import DataConfig
from custodes.data.reader import open_readings
from custodes.data.rejects import RejectLog
from custodes.data.schema import LABELS, MALICIOUS, steps_back
from custodes.data.sources.base import fill
from custodes.data.sources.reading import Reading, translated
from custodes.errors import CustodesError

Description = dict[str, object]
_COUNTED: Final = ("channel", "kind", "label", "phase", "object_kind", "stream")
_LABEL_NAMES: Final = dict(zip(LABELS, ("unknown", "benign", "malicious", "contaminated"), strict=True))


class _Tally:
    """Counts over batches."""

    def __init__(self) -> None:
        self.records = 0
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
        self.nulls: Counter[str] = Counter()
        self.not_finite: Counter[str] = Counter()
        self.entities: set[tuple[str, str]] = set()
        self.threat_entities: set[tuple[str, str]] = set()
        self.latest: dict[str, int] = {}
        self.steps_back = self.timeless = 0
        self.first: int | None = None
        self.last: int | None = None
        self.columns: dict[str, str] = {}

    def add(self, raw: pl.DataFrame) -> None:
        """Take in a batch of mapped events, nulls still in place."""
        for name in raw.columns:
            self.nulls[name] += raw[name].null_count()
            if raw[name].dtype.is_float():
                self.not_finite[name] += int((~raw[name].is_finite()).sum())
        events = fill(raw.lazy()).collect()
        self.columns = self.columns or {name: str(kind) for name, kind in events.schema.items()}
        self.records += events.height
        for name, counter in self.counts.items():
            for value, count in events[name].value_counts().iter_rows():
                counter[_LABEL_NAMES.get(value, str(value)) if name == "label" else value] += count
        acting = events.filter(pl.col("entity") != "").select("stream", "entity", "label")
        self.entities.update(acting.select("stream", "entity").unique().iter_rows())
        guilty = acting.filter(pl.col("label") == MALICIOUS).select("stream", "entity").unique()
        self.threat_entities.update(guilty.iter_rows())
        self._clock(events)

    def _clock(self, events: pl.DataFrame) -> None:
        self.steps_back += int(steps_back(events, self.latest).sum())
        timed = events.filter(pl.col("time").is_not_null() & (pl.col("time") != 0))
        self.timeless += events.height - timed.height
        if timed.is_empty():
            return
        low, high = timed.select(pl.col("time").min().alias("low"), pl.col("time").max().alias("high")).row(0)
        self.first = low if self.first is None else min(self.first, low)
        self.last = high if self.last is None else max(self.last, high)


def describe(config: DataConfig, *, rejects: Path | None = None) -> Description:
    """Describe the data that a configuration names, without refusing disorder, nulls or numbers that are not finite.

    Args:
        config: `path`, `test_path`, `source`, `max_rejects` and `synthetic` are read.
        rejects: Where to keep malformed lines; None only counts them.

    Returns:
        What JSON can hold: `name`, `source`, `recorded_order`, `records`, `rejected`, `lines` (0 for Parquet),
        `columns` (name to type), `streams`, `entities`, `threat_entities`, `time` (`first` and `last` in ISO 8601,
        `seconds`, `steps_back` records whose time lies before the last known one of their stream, `timeless` records
        with time 0),
        `counts` (for stream, channel, kind, object_kind, label and phase: value to records, falling, ties by value),
        `nulls` and `not_finite` (column to records, only where there are any; nulls include columns that are absent
        and have a default).

    Raises:
        CustodesError: The file cannot be read, or too many lines are malformed.
    """
    tally = _Tally()
    others = (config.path, config.test_path)
    with RejectLog(path=rejects, limit=config.max_rejects, apart_from=others) as log:
        readings = open_readings(config, log)
        for reading in readings:
            with translated(reading.where):
                for batch in reading.batches():
                    tally.add(batch.events)
            tally.latest.clear()
            log.check(where=reading.where)
    if not tally.records:
        raise CustodesError("no event in the file", where=readings[0].where, fix="name another file")
    return _summary(tally, readings[0], log)


def _summary(tally: _Tally, reading: Reading, log: RejectLog) -> Description:
    seconds = None if tally.first is None or tally.last is None else (tally.last - tally.first) / 1e9
    return {
        "name": reading.name,
        "source": reading.source,
        "recorded_order": reading.recorded_order,
        "records": tally.records,
        "rejected": log.rejected,
        "lines": log.lines,
        "columns": tally.columns,
        "streams": len(tally.counts["stream"]),
        "entities": len(tally.entities),
        "threat_entities": len(tally.threat_entities),
        "time": {
            "first": _iso(tally.first),
            "last": _iso(tally.last),
            "seconds": seconds,
            "steps_back": tally.steps_back,
            "timeless": tally.timeless,
        },
        "counts": {name: _falling(counter) for name, counter in tally.counts.items()},
        "nulls": {name: count for name, count in tally.nulls.items() if count},
        "not_finite": {name: count for name, count in tally.not_finite.items() if count},
    }


def _falling(counter: Counter[str]) -> dict[str, int]:
    """Counts, the largest first; equal ones in the order of their values, so that a file is described alike twice."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], str(item[0]))))


def _iso(time: int | None) -> str | None:
    """Nanoseconds UTC to ISO 8601, to the microsecond; as a number where the calendar ends before it."""
    if time is None:
        return None
    try:
        moment = datetime.fromtimestamp(time // 1_000_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{time} ns"
    return moment.replace(microsecond=time % 1_000_000_000 // 1000).isoformat()
