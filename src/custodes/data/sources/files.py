"""Open a file of any format as a reading of the event table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Final

import polars as pl

from custodes.data.rejects import RejectLog
from custodes.data.schema import PART
from custodes.data.sources import choose
from custodes.data.sources.avro import avro_records
from custodes.data.sources.base import FILE, ROW, Source
from custodes.data.sources.cdm import CdmState, MalformedRecordError, Record, event_frame
from custodes.data.sources.lines import CHUNK_LINES, Bad, Chunk, csv_chunks, json_chunks, open_file, tell_format
from custodes.data.sources.reading import Batch, Reading, numbered_by, translated
from custodes.data.sources.typed import cast_columns, find_extras, require_columns, typed_frame
from custodes.errors import CustodesError

ORDER_MARK: Final = "custodes.order"
"""Key of a Parquet file's own metadata that says how its rows are ordered; `convert` writes it."""

RECORDED: Final = "recorded"
"""Value of `ORDER_MARK` for rows in the recorder's order, whose time may step back."""


@dataclass(frozen=True, kw_only=True)
class FileSpec:
    """One file of a data set."""

    path: Path
    """File to read."""
    number: int
    """0 for `data.path`, 1 for `data.test_path`."""
    source: str
    """Source to read it with, or auto."""
    part: int | None
    """Value of column `part` for all its rows; None leaves the column as the file has it."""


def open_reading(spec: FileSpec, log: RejectLog) -> Reading:
    """Open a file.

    Args:
        spec: File and how to read it.
        log: Takes malformed lines while the reading is read.

    Raises:
        CustodesError: The file is missing, empty or not in a known shape.
    """
    where = str(spec.path)
    with translated(where):
        if not spec.path.exists():
            raise CustodesError("no such file", where=where, fix="check the path")
        if not spec.path.is_file():
            raise CustodesError("not a file", where=where, fix="name one file")
        if spec.path.stat().st_size == 0:
            raise CustodesError("the file is empty", where=where, fix="name another file")
        kind = tell_format(spec.path)
        log.begin()
        if kind == "parquet":
            return _open_parquet(spec)
        if spec.source == "cdm" and kind == "csv":
            raise CustodesError(
                "source cdm reads JSON lines and Avro, not CSV", where=where, fix="name another data.source"
            )
        if kind == "avro":
            if spec.source not in ("auto", "cdm"):
                raise CustodesError(f"source {spec.source} reads no Avro", where=where, fix="use data.source cdm")
            return _reading(spec, "cdm", True, _cdm_batches(spec, _avro_records(spec, log), "record", log))
        return _open_text(spec, kind == "json", log)


def _reading(spec: FileSpec, source: str, recorded: bool, rows: pl.LazyFrame | Iterator[Batch]) -> Reading:
    return Reading(where=str(spec.path), name=spec.path.name, source=source, recorded_order=recorded, rows=rows)


def _map(source: Source, frame: pl.LazyFrame, spec: FileSpec) -> pl.LazyFrame:
    """Foreign columns and `ROW` to event columns, with the part that the file stands for."""
    mapped = source.map(frame.with_columns(pl.lit(spec.number).alias(FILE)))
    return mapped if spec.part is None else mapped.with_columns(pl.lit(spec.part, dtype=pl.Int8).alias(PART))


def _open_parquet(spec: FileSpec) -> Reading:
    where = str(spec.path)
    scan = pl.scan_parquet(spec.path, glob=False, row_index_name=ROW)
    schema = {name: kind for name, kind in scan.collect_schema().items() if name != ROW}
    if spec.source == "cdm":
        raise CustodesError(
            "source cdm reads JSON lines and Avro, not Parquet", where=where, fix="name another data.source"
        )
    source = choose(spec.source, frozenset(schema), where)
    frame = scan.select(ROW, *cast_columns(source, schema, where))
    recorded = source.recorded_order or pl.read_parquet_metadata(spec.path).get(ORDER_MARK) == RECORDED
    return _reading(spec, source.name, recorded, _map(source, frame, spec))


def _open_text(spec: FileSpec, is_json: bool, log: RejectLog) -> Reading:
    chunks = _counted(spec, is_json, log)
    first = next(chunks, None)
    if first is None:
        raise CustodesError("no line in the file", where=str(spec.path), fix="name another file")
    if not first.lines:
        _log(spec, log, first.bad)
        log.check(where=str(spec.path))
        raise CustodesError("no well-formed line at its start", where=str(spec.path), fix="name another file")
    names = first.names
    rest = chain([first], chunks)
    if spec.source == "cdm" or (spec.source == "auto" and is_json and "datum" in names):
        return _reading(spec, "cdm", True, _cdm_batches(spec, _json_records(rest), "line", log))
    source = choose(spec.source, names, str(spec.path))
    require_columns(source, names, str(spec.path))
    return _reading(spec, source.name, source.recorded_order, _typed_batches(spec, source, rest, log))


def _counted(spec: FileSpec, is_json: bool, log: RejectLog) -> Iterator[Chunk]:
    """Chunks of a text file, its lines counted."""
    with open_file(spec.path) as file:
        for chunk in json_chunks(file) if is_json else csv_chunks(file, str(spec.path)):
            log.saw(len(chunk.lines) + len(chunk.bad))
            yield chunk


def _typed_batches(spec: FileSpec, source: Source, chunks: Iterator[Chunk], log: RejectLog) -> Iterator[Batch]:
    first_row = 0
    extras: dict[str, pl.DataType] | None = None
    for chunk in chunks:
        extras = find_extras(source, chunk) if extras is None else extras
        frame, lines, bad = typed_frame(source, extras, chunk)
        _log(spec, log, [*chunk.bad, *bad])
        numbered = frame.lazy().with_row_index(ROW, offset=first_row)
        first_row += frame.height
        yield Batch(events=_map(source, numbered, spec).collect(), place=numbered_by("line", lines))


def _log(spec: FileSpec, log: RejectLog, bad: list[Bad]) -> None:
    for line in sorted(bad, key=lambda one: one.line):
        log.add(file=spec.path.name, line=line.line, reason=line.reason, text=line.text)


_Records = list[tuple[int, Record, bytes]]


def _json_records(chunks: Iterator[Chunk]) -> Iterator[tuple[_Records, list[Bad]]]:
    """Numbered CDM records of a JSON-lines file, with the lines that are none."""
    for chunk in chunks:
        yield list(zip(chunk.lines, chunk.rows, chunk.texts, strict=True)), chunk.bad


def _avro_records(spec: FileSpec, log: RejectLog) -> Iterator[tuple[_Records, list[Bad]]]:
    """Numbered CDM records of an Avro file, from 1."""
    with open_file(spec.path) as file:
        numbered = enumerate(avro_records(file, str(spec.path)), start=1)
        while some := list(islice(numbered, CHUNK_LINES)):
            log.saw(len(some))
            yield [(number, record, b"") for number, record in some], []


def _cdm_batches(
    spec: FileSpec, groups: Iterator[tuple[_Records, list[Bad]]], word: str, log: RejectLog
) -> Iterator[Batch]:
    state = CdmState()
    for records, malformed in groups:
        rows, numbers, bad = [], [], list(malformed)
        for number, record, text in records:
            try:
                row = state.take(record)
            except MalformedRecordError as error:
                bad.append(Bad(line=number, reason=str(error), text=text or str(record).encode()))
            else:
                if row is not None:
                    rows.append(row)
                    numbers.append(number)
        _log(spec, log, bad)
        events = event_frame(rows)
        if spec.part is not None:
            events = events.with_columns(pl.lit(spec.part, dtype=pl.Int8).alias(PART))
        yield Batch(events=events, place=numbered_by(word, numbers))
