"""Read a file, or the generator, into the event table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.rejects import RejectLog
from custodes.data.schema import digest, steps_back, validate
from custodes.data.sources.base import fill
from custodes.data.sources.files import FileSpec, open_reading
from custodes.data.sources.reading import Batch, Reading, translated
from custodes.data.sources.synthetic import synthetic_events
from custodes.errors import CustodesError


def load(config: DataConfig, *, rejects: Path | None = None) -> Dataset:
    """Read the data that a configuration names.

    Args:
        config: `path`, `test_path`, `source`, `max_rejects` and `synthetic` are read.
        rejects: Where to keep malformed lines; None only counts them.

    Returns:
        The checked table. With `test_path` the rows of both files, and column `part` 0 and 2.

    Raises:
        CustodesError: The file is missing, empty, cut off or not in a known shape; a value is null, not finite or
            outside its set; time steps back and the source does not declare recorded order; or too many lines are
            malformed.
    """
    others = (config.path, config.test_path)
    with RejectLog(path=rejects, limit=config.max_rejects, apart_from=others) as log:
        readings = open_readings(config, log)
        pieces = [_load_one(reading, log) for reading in readings]
    first = readings[0]
    events = pieces[0] if len(pieces) == 1 else _joined(pieces, readings)
    return Dataset(
        name=first.name,
        source=first.source,
        events=events,
        recorded_order=first.recorded_order,
        digest=digest(events),
        rejected=log.rejected,
    )


def _load_one(reading: Reading, log: RejectLog) -> pl.DataFrame:
    with translated(reading.where):
        parts = list(checked(reading, reading.whole()))
    log.check(where=reading.where)
    events = parts[0] if len(parts) == 1 else pl.concat(parts) if parts else pl.DataFrame()
    if events.is_empty():
        raise CustodesError("no event in the file", where=reading.where, fix="name another file")
    return events


def _joined(pieces: list[pl.DataFrame], readings: list[Reading]) -> pl.DataFrame:
    if pieces[0].schema != pieces[1].schema:
        raise CustodesError(
            f"its columns differ from those of {readings[0].where}",
            where=readings[1].where,
            fix="make the two files alike",
        )
    return pl.concat(pieces)


def checked(reading: Reading, batches: Iterator[Batch]) -> Iterator[pl.DataFrame]:
    """Complete and check batches, in the order of the file.

    Args:
        reading: Where the batches come from.
        batches: Its rows.

    Yields:
        Batches of the full event table, valid by `validate`, in order of time unless the source declares recorded
        order.

    Raises:
        CustodesError: names the first offending row or line.
    """
    latest: dict[str, int] = {}
    for batch in batches:
        events = fill(batch.events.lazy()).collect()
        validate(events, where=reading.where, place=batch.place)
        back = None if reading.recorded_order else steps_back(events, latest)
        if back is not None and back.any():
            fault = int(back.arg_max() or 0)
            raise CustodesError(
                f"time steps back at {batch.place(fault)} of stream {events['stream'][fault]!r}",
                where=reading.where,
                fix="sort each stream by time",
            )
        yield events


def open_readings(config: DataConfig, log: RejectLog) -> list[Reading]:
    """Open what a configuration names: the generator, a file, or a file and its official test file.

    Args:
        config: `path`, `test_path`, `source` and `synthetic` are read.
        log: Takes malformed lines while the readings are read.

    Raises:
        CustodesError: A file is missing, empty or not in a known shape, or the two are of different sources.
    """
    if config.source == "synthetic" or (config.source == "auto" and not config.path):
        return [_synthetic(config)]
    if not config.path:
        raise CustodesError(f"source {config.source} needs a file", where="data.path", fix="name one")
    paths = [config.path, config.test_path] if config.test_path else [config.path]
    parts: list[int | None] = [0, 2] if config.test_path else [None]
    readings = [
        open_reading(FileSpec(path=Path(path), number=number, source=config.source, part=part), log)
        for number, (path, part) in enumerate(zip(paths, parts, strict=True))
    ]
    if len({reading.source for reading in readings}) > 1:
        raise CustodesError(
            "data.path and data.test_path are of different sources", where=config.test_path, fix="name data.source"
        )
    return readings


def _synthetic(config: DataConfig) -> Reading:
    if config.path or config.test_path:
        raise CustodesError(
            "source synthetic reads no file", where="data.path", fix="leave it empty or choose another data.source"
        )
    rows = synthetic_events(config.synthetic).lazy()
    return Reading(where="synthetic", name="synthetic", source="synthetic", recorded_order=False, rows=rows)
