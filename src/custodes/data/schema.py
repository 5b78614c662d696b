"""The event table: what a column is called, what it holds, and the checks that every table passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import polars as pl

from custodes.errors import CustodesError

BENIGN: Final = 0
MALICIOUS: Final = 1
CONTAMINATED: Final = 2
UNKNOWN: Final = -1
LABELS: Final = (UNKNOWN, BENIGN, MALICIOUS, CONTAMINATED)

CHANNELS: Final = ("file", "registry", "module", "process", "network", "script", "memory", "other")

EVENT_SCHEMA: Final[dict[str, pl.DataType]] = {
    "time": pl.Int64(),
    "stream": pl.String(),
    "entity": pl.String(),
    "parent": pl.String(),
    "channel": pl.String(),
    "kind": pl.String(),
    "object": pl.String(),
    "object_kind": pl.String(),
    "image": pl.String(),
    "parent_image": pl.String(),
    "size": pl.Float64(),
    "label": pl.Int8(),
    "phase": pl.String(),
}
"""Column name to type, in the order of the table; `time` is nanoseconds UTC, `size` is bytes."""

REQUIRED: Final = ("time", "entity", "kind")
"""Columns that a file in the schema must have; nulls in them are refused."""

DEFAULTS: Final[dict[str, str | float | int]] = {
    "stream": "host",
    "parent": "",
    "channel": "other",
    "object": "",
    "object_kind": "",
    "image": "",
    "parent_image": "",
    "size": 0.0,
    "label": UNKNOWN,
    "phase": "",
}
"""What stands in an optional column that a file lacks, and in place of its nulls."""

PART: Final = "part"
"""Optional pass-through column of an official split: 0 train, 1 validation, 2 test."""

_DIGEST_ROWS: Final = 1 << 16
_EARLIEST: Final = -(1 << 63)


def extra_columns(schema: Mapping[str, pl.DataType]) -> tuple[str, ...]:
    """Names of the numeric pass-through columns of a table, in its order."""
    return tuple(name for name, kind in schema.items() if name not in EVENT_SCHEMA and kind.is_numeric())


def _row(row: int) -> str:
    return f"row {row}"


def validate(events: pl.DataFrame, *, where: str, place: Callable[[int], str] = _row) -> None:
    """Check a table (or one batch of it) against the schema.

    Args:
        events: Table to check.
        where: File or source that the table came from, for the message.
        place: Row of the table, from 0, to words for where it stands in its file.

    Raises:
        CustodesError: A column is missing, of the wrong type, null, not finite, or holds a value outside its set; the
            message names the column and the first offending row.
    """
    _check_columns(events, where)
    for name in events.columns:
        column = events[name]
        if column.null_count():
            what = "null or beyond 64 bits of nanoseconds" if name == "time" else "null"
            _refuse(column.is_null(), f"column {name} is {what}", where, place)
        if column.dtype.is_float() and not column.is_finite().all():
            _refuse(~column.is_finite(), f"column {name} is not finite", where, place)
    _check_values(events["label"], LABELS, where, place)
    _check_values(events["channel"], CHANNELS, where, place)
    if PART in events.columns:
        _check_values(events[PART], (0, 1, 2), where, place)


def _check_columns(events: pl.DataFrame, where: str) -> None:
    missing = [name for name in EVENT_SCHEMA if name not in events.columns]
    if missing:
        raise CustodesError(
            f"column {', '.join(missing)} is missing", where=where, fix="see the event table in docs/data.md"
        )
    for name, kind in events.schema.items():
        wanted = EVENT_SCHEMA.get(name)
        if wanted is None and not kind.is_numeric():
            raise CustodesError(
                f"pass-through column {name} is {kind}, not a number", where=where, fix="drop or encode it"
            )
        if wanted is not None and kind != wanted:
            raise CustodesError(f"column {name} is {kind}, not {wanted}", where=where, fix="cast it")


def _check_values(column: pl.Series, allowed: tuple[object, ...], where: str, place: Callable[[int], str]) -> None:
    known = column.is_in(list(allowed))
    if not known.all():
        row = int((~known).arg_max() or 0)
        _refuse(
            ~known,
            f"column {column.name} is {column[row]!r}, not one of {', '.join(map(str, allowed))}",
            where,
            place,
        )


def _refuse(bad: pl.Series, what: str, where: str, place: Callable[[int], str]) -> None:
    row = int(bad.arg_max() or 0)
    raise CustodesError(f"{what} at {place(row)}", where=where, fix="repair or drop that row")


def steps_back(events: pl.DataFrame, latest: dict[str, int]) -> pl.Series:
    """Say of each row whether its time lies before the last known time of the rows before it in its stream.

    A row whose time is 0 (or null) carries no time: it steps nowhere, and the rows after it are held against the last
    one that carries a time.

    Args:
        events: Table or batch with columns `time` [ns] and `stream`, N rows.
        latest: Last known time of each stream in earlier batches [ns]; brought up to date in place.

    Returns:
        Boolean series [N].
    """
    known = pl.when(pl.col("time") != 0).then(pl.col("time"))
    frame = events.select("stream", known.alias("time"))
    if frame["stream"].n_unique() == 1:
        before = frame["time"].forward_fill().shift(1).fill_null(latest.get(frame["stream"][0], _EARLIEST))
    else:
        seen = pl.DataFrame(
            {"stream": list(latest), "seen": list(latest.values())}, schema={"stream": pl.String, "seen": pl.Int64}
        )
        frame = frame.join(seen, on="stream", how="left", maintain_order="left")
        earlier = pl.col("time").forward_fill().shift(1).over("stream").fill_null(pl.col("seen")).fill_null(_EARLIEST)
        before = frame.select(before=earlier)["before"]
    timed = frame.filter(pl.col("time").is_not_null())
    latest.update(timed.group_by("stream").agg(pl.col("time").last()).iter_rows())
    return (frame["time"] < before).fill_null(False).rename("back")


def digest(events: pl.DataFrame) -> str:
    """SHA-256 of a table's names, types and values: equal tables have equal digests on every machine.

    Numbers enter as little-endian bytes and strings as UTF-8 with their lengths (65,536 rows at a time, lengths first),
    a column that holds one value throughout enters as that value and the number of rows, so the digest does not depend
    on the file format, the row groups or the byte order of the machine.
    """
    total = hashlib.sha256()
    # Columns hash side by side: both the joining and the hashing leave the interpreter's lock.
    with ThreadPoolExecutor(max_workers=4) as pool:
        for column, inner in zip(events, pool.map(_column_digest, events), strict=True):
            total.update(f"{column.name}:{column.dtype}:{len(column)};".encode())
            total.update(inner)
    return total.hexdigest()


def _column_digest(column: pl.Series) -> bytes:
    inner = hashlib.sha256()
    # Many columns of a recording hold one value throughout; hashing that once saves half of the time.
    if len(column) > 1 and column.null_count() == 0 and (column == column[0]).all():
        inner.update(b"throughout;" + _column_digest(column.head(1)))
        return inner.digest()
    for start in range(0, len(column), _DIGEST_ROWS):
        piece = column.slice(start, _DIGEST_ROWS)
        if column.dtype == pl.String:
            lengths = piece.str.len_bytes().to_numpy()
            inner.update(lengths.astype("<u4").tobytes())
            inner.update(piece.str.join("").item().encode())
        else:
            values = piece.to_numpy()
            inner.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
    return inner.digest()
