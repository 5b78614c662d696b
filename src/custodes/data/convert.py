"""Convert any source to a Parquet file in the event schema, in one pass of bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import polars as pl
from polars.io.plugins import register_io_source

from custodes.data.config import DataConfig
from custodes.data.reader import checked, open_readings
from custodes.data.rejects import RejectLog
from custodes.data.sources.files import ORDER_MARK, RECORDED
from custodes.data.sources.reading import Reading, first_line, translated
from custodes.errors import CustodesError

_ROW_GROUP: Final = 131_072


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What a conversion wrote."""

    path: str
    """File that was written."""
    source: str
    """Source that read the input."""
    records: int
    """Rows written."""
    rejected: int
    """Malformed lines left out."""


def convert(config: DataConfig, out: Path, *, rejects: Path | None = None, overwrite: bool = False) -> Converted:
    """Write the data that a configuration names as Parquet in the event schema.

    The file is written aside, flushed to the disk and only then given its name, so that a conversion that fails or is
    killed leaves what stood there before.

    Args:
        config: `path`, `test_path`, `source`, `max_rejects` and `synthetic` are read.
        out: File to write.
        rejects: Where to keep malformed lines; None only counts them.
        overwrite: Whether an existing file may be replaced.

    Returns:
        What was written.

    Raises:
        CustodesError: What `load` refuses is refused; or `out` exists, is the input, or cannot be written.
    """
    _check_target(config, out, overwrite)
    aside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        others = (config.path, config.test_path, out)
        with RejectLog(path=rejects, limit=config.max_rejects, apart_from=others) as log:
            readings = open_readings(config, log)
            records = _write(readings, log, aside, where=str(out))
        _publish(aside, out)
    finally:
        aside.unlink(missing_ok=True)
    return Converted(path=str(out), source=readings[0].source, records=records, rejected=log.rejected)


def _check_target(config: DataConfig, out: Path, overwrite: bool) -> None:
    for path in filter(None, (config.path, config.test_path)):
        if out.exists() and Path(path).exists() and out.samefile(path):
            raise CustodesError("the output is the input", where=str(out), fix="name another file")
    if out.exists() and not overwrite:
        raise CustodesError("the file exists", where=str(out), fix="name another file or give --overwrite")
    if out.is_dir() or not out.parent.is_dir():
        raise CustodesError("not a file in an existing folder", where=str(out), fix="make the folder or name a file")


def _write(readings: list[Reading], log: RejectLog, aside: Path, *, where: str) -> int:
    """Stream checked batches into a Parquet file; returns the number of rows."""
    batches = _all_batches(readings, log)
    first = next(batches, None)
    if first is None:
        raise CustodesError("no event in the file", where=readings[0].where, fix="name another file")
    source = _Tap(first, batches)
    marks = {ORDER_MARK: RECORDED} if readings[0].recorded_order else {}
    frame = register_io_source(source.run, schema=first.schema)
    try:
        with _written(where):
            frame.sink_parquet(aside, row_group_size=_ROW_GROUP, maintain_order=True, metadata=marks)
    except CustodesError:
        # Polars wraps what a source raises; the source's own words say more.
        if source.error is not None:
            raise source.error from None
        raise
    return source.rows


def _all_batches(readings: list[Reading], log: RejectLog) -> Iterator[pl.DataFrame]:
    for reading in readings:
        with translated(reading.where):
            for events in checked(reading, reading.batches()):
                if events.height:
                    yield events
        log.check(where=reading.where)


class _Tap:
    """Feeds batches to a Polars sink, counts them, and keeps the error that stopped them."""

    def __init__(self, first: pl.DataFrame, rest: Iterator[pl.DataFrame]) -> None:
        self._first, self._rest = first, rest
        self.rows = 0
        self.error: CustodesError | None = None

    def run(
        self, columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
    ) -> Iterator[pl.DataFrame]:
        """Batches for the sink, which asks for all columns and rows."""
        try:
            for events in chain([self._first], self._rest):
                yield self._count(events)
        except CustodesError as error:
            self.error = error
            raise

    def _count(self, events: pl.DataFrame) -> pl.DataFrame:
        if events.columns != self._first.columns:
            raise CustodesError("data.path and data.test_path have different columns", fix="make the two files alike")
        self.rows += events.height
        return events


def _publish(aside: Path, out: Path) -> None:
    """Flush the file to the disk, give it its name, and flush the folder."""
    with _written(str(out)):
        _flush(aside)
        aside.replace(out)
        _flush(out.parent)


@contextmanager
def _written(where: str) -> Iterator[None]:
    """Explain what the operating system and Polars raise over a file that cannot be written."""
    try:
        yield
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise CustodesError(
            f"cannot write: {first_line(error)}", where=where, fix="check space and permissions"
        ) from error


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
