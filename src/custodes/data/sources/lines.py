"""Text files, line by line: JSON objects and comma-separated values, in chunks, with bad lines set aside."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple, cast

import msgspec

from custodes.errors import CustodesError

CHUNK_LINES: Final = 16_384
CHUNK_BYTES: Final = 1 << 26
"""Bytes of lines from which a chunk is full, so that long lines do not fill the memory."""
LINE_LIMIT: Final = 1 << 24
"""Bytes that a line may have, its end included."""
_SHOWN: Final = 1 << 16

Format = Literal["parquet", "avro", "json", "csv"]
_SUFFIXES: Final[dict[str, Format]] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".avro": "avro",
    ".csv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
}


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A line that is left out."""

    line: int
    """Number in the file, from 1."""
    reason: str
    """Why, in plain words."""
    text: bytes
    """The line as it stands in the file."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Consecutive lines of a text file, K of them well formed."""

    lines: list[int]
    """Number of each well-formed line, from 1, [K]."""
    texts: list[bytes]
    """Each line as it stands in the file, [K]."""
    rows: list[dict[str, object]] = field(default_factory=list)
    """JSON objects, [K]; empty for CSV."""
    fields: dict[str, list[object]] = field(default_factory=dict)
    """CSV fields, all strings: column name to values, [K] each; empty for JSON lines."""
    typed: bool
    """True when values carry types (JSON), False when all are strings (CSV)."""
    bad: list[Bad] = field(default_factory=list)
    """Lines that are not well formed, in the order of the file."""

    @cached_property
    def columns(self) -> dict[str, list[object]]:
        """Column name to values, [K] each: strings in CSV, any JSON value in JSON lines (None where absent)."""
        if not self.typed:
            return self.fields
        merged: dict[str, object] = {}
        for row in self.rows:
            merged.update(row)
        return {name: list(map(dict.get, self.rows, repeat(name))) for name in merged}

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the columns."""
        return frozenset(self.columns)


@contextmanager
def open_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, through gzip when its first bytes say so."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if not zipped:
            yield raw
            return
        with gzip.open(raw, "rb") as plain:
            yield cast(IO[bytes], plain)


def tell_format(path: Path) -> Format:
    """Tell a file's format from its suffix, or from its first bytes when the suffix says nothing."""
    suffix = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    with open_file(path) as file:
        head = file.read(4096)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"Obj\x01"):
        return "avro"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        raise CustodesError(
            "a JSON array, not JSON lines", where=str(path), fix="write one object per line, as jq -c '.[]' does"
        )
    if b"\0" in head:
        raise CustodesError(
            "neither Parquet, CSV, JSON lines nor Avro", where=str(path), fix="see docs/data.md for what can be read"
        )
    return "json" if text.startswith(b"{") else "csv"


class _Line(NamedTuple):  # made a million times: a frozen dataclass costs nearly twice as much
    """A line that is not blank."""

    number: int
    """Number in the file, from 1."""
    text: bytes
    """The line as it stands in the file, or its beginning when it is too long."""
    too_long: bool = False
    """Whether it has more than `LINE_LIMIT` bytes."""


def _numbered(file: IO[bytes]) -> Iterator[_Line]:
    """Lines that are not blank; of a line that is too long only the beginning is ever held."""
    number = 0
    while line := file.readline(LINE_LIMIT + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > LINE_LIMIT:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(LINE_LIMIT)
            yield _Line(number, line[:_SHOWN], too_long=True)
        elif line.strip():
            yield _Line(number, line)


def _batches(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    batch: list[_Line] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line.text)
        if len(batch) >= CHUNK_LINES or size >= CHUNK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def json_chunks(file: IO[bytes]) -> Iterator[Chunk]:
    """Read JSON lines: one object per line; blank lines are skipped.

    Args:
        file: Open file, at its start.

    Yields:
        Chunks of at most `CHUNK_LINES` lines; fewer where they fill `CHUNK_BYTES`.
    """
    decode = msgspec.json.Decoder().decode
    for batch in _batches(_numbered(file)):
        lines: list[int] = []
        texts: list[bytes] = []
        rows: list[dict[str, object]] = []
        bad: list[Bad] = []
        for line in batch:
            row: object = None
            try:
                row = None if line.too_long else decode(line.text)
                reason = "not a JSON object"
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                reason = f"not JSON: {error}"
            if isinstance(row, dict):
                lines.append(line.number)
                texts.append(line.text)
                rows.append(row)
            else:
                bad.append(_bad(line, reason))
        yield Chunk(lines=lines, texts=texts, rows=rows, typed=True, bad=bad)


def _bad(line: _Line, reason: str) -> Bad:
    """A line that is left out; one that is too long or cut off says so."""
    if line.too_long:
        reason = f"longer than {LINE_LIMIT:,} bytes"
    elif not line.text.endswith(b"\n"):
        reason = f"{reason} (the file ends within this line)"
    return Bad(line=line.number, reason=reason, text=line.text)


def csv_chunks(file: IO[bytes], where: str) -> Iterator[Chunk]:
    """Read comma-separated values: a header, then one record per line; a quoted field holds no line break.

    Args:
        file: Open file, at its start.
        where: Name of the file, for messages.

    Yields:
        Chunks of at most `CHUNK_LINES` lines; fewer where they fill `CHUNK_BYTES`.

    Raises:
        CustodesError: The header is missing or not readable, or names a column twice.
    """
    lines = _numbered(file)
    first = next(lines, None)
    if first is None:
        raise CustodesError("the file is empty", where=where, fix="name another file")
    if first.too_long:
        raise CustodesError(f"the header is longer than {LINE_LIMIT:,} bytes", where=where, fix="see docs/data.md")
    try:
        header = _fields(first.text)
    except (csv.Error, UnicodeDecodeError) as error:
        raise CustodesError(f"the header is not readable: {error}", where=where, fix="see docs/data.md") from None
    twice = {name for name in header if header.count(name) > 1}
    if twice:
        raise CustodesError(f"the header names {', '.join(sorted(twice))} twice", where=where, fix="rename one")
    for batch in _batches(lines):
        yield _csv_chunk(batch, header)


def _csv_chunk(batch: list[_Line], header: list[str]) -> Chunk:
    good: list[_Line] = []
    records: list[list[str]] = []
    bad: list[Bad] = []
    for line in batch:
        record: list[str] | None = None
        try:
            record = None if line.too_long else _fields(line.text)
            reason = f"{len(record or ())} fields, not {len(header)}"
        except UnicodeDecodeError:
            reason = "not UTF-8"
        except csv.Error as error:
            reason = f"not CSV: {error}"
        if record is not None and len(record) == len(header):
            good.append(line)
            records.append(record)
        else:
            bad.append(_bad(line, reason))
    values: list[list[object]] = [list(column) for column in zip(*records, strict=True)] or [[] for _ in header]
    return Chunk(
        lines=[line.number for line in good],
        texts=[line.text for line in good],
        fields=dict(zip(header, values, strict=True)),
        typed=False,
        bad=bad,
    )


def _fields(text: bytes) -> list[str]:
    line = text.decode("utf-8").rstrip("\r\n")
    if '"' not in line:
        return line.split(",")
    return next(csv.reader([line], strict=True))
