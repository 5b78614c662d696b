"""Traces in files and on standard input."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import numpy as np
import numpy.typing as npt

from custodes.stl.errors import StlError
from custodes.stl.traces.cells import CellError, moment
from custodes.stl.traces.rows import TIME, Row, TextFormat, check_column, read_rows

if TYPE_CHECKING:
    import polars as pl

PARQUET: Final = ".parquet"
"""Ending of files that are read as a whole."""
STANDARD_INPUT: Final = "-"
"""Stands for JSON lines from standard input."""
_FORMS: Final[dict[str, TextFormat]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    STANDARD_INPUT: "jsonl",
}


@final
@dataclass(frozen=True, kw_only=True)
class Table:
    """The columns of a trace as they were recorded."""

    source: str
    """What to call it in errors."""
    times_ns: npt.NDArray[np.int64] | None
    """Nanoseconds, [samples]; None when there is no column `time`."""
    columns: dict[str, npt.NDArray[np.float64]]
    """By name, [samples]; NaN where there is no number."""
    length: int
    """Samples, >= 1."""


def read_table(source: str | Path, names: Sequence[str], *, time_unit: str = "s") -> Table:
    """Read a whole trace.

    Args:
        source: A CSV, Parquet or JSON-lines file by its ending, or "-" for JSON lines from standard input.
        names: Columns that are needed; with `time`, no others are read.
        time_unit: Unit of the column `time`, where it holds numbers.

    Raises:
        StlError: It can't be read, lacks a column, is empty, or holds text where a number belongs (with its line).
    """
    if Path(source).suffix.lower() == PARQUET:
        return _read_parquet(Path(source), names, time_unit)
    times = array("q")
    columns = [array("d") for _ in names]
    length = 0
    with open_rows(source, names, time_unit=time_unit) as rows:
        for row in rows:
            length += 1
            if row.time_ns is not None:
                times.append(row.time_ns)
            for column, value in zip(columns, row.values, strict=True):
                column.append(value)
    arrays = {name: np.array(column, dtype=np.float64) for name, column in zip(names, columns, strict=True)}
    return _table(str(source), np.array(times, dtype=np.int64) if times else None, arrays, length)


@contextmanager
def open_rows(source: str | Path, names: Sequence[str], *, time_unit: str = "s") -> Iterator[Iterator[Row]]:
    """Read a trace line by line, in memory that does not grow.

    Args:
        source: A CSV or JSON-lines file, or "-".
        names: As for `read_table`.
        time_unit: As for `read_table`.

    Raises:
        StlError: As for `read_table`, while the rows are read.
    """
    name = str(source)
    if Path(name).suffix.lower() == PARQUET:
        raise StlError("Parquet can't be read line by line", where=name, fix="read it whole, or give CSV or JSON lines")
    form = _FORMS.get(STANDARD_INPUT if name == STANDARD_INPUT else Path(name).suffix.lower())
    if form is None:
        raise StlError(
            "the ending names no format that can be read here", where=name, fix="use .csv, .jsonl, .parquet, or - "
        )
    shown = "standard input" if name == STANDARD_INPUT else name
    try:
        if name == STANDARD_INPUT:
            yield read_rows(sys.stdin, names, source=shown, form=form, time_unit=time_unit)
        else:
            with Path(name).open(encoding="utf-8-sig", newline="") as lines:
                yield read_rows(lines, names, source=shown, form=form, time_unit=time_unit)
    except UnicodeDecodeError as error:
        raise StlError(f"byte {error.start} is not UTF-8", where=shown, fix="save it as UTF-8") from None
    except OSError as error:
        if name == STANDARD_INPUT or isinstance(error, BrokenPipeError):
            raise
        raise _unreadable(name, error) from None


def _read_parquet(path: Path, names: Sequence[str], time_unit: str) -> Table:
    import polars as pl

    try:
        header = list(pl.read_parquet_schema(path))
        for name in names:
            check_column(name, header, str(path))
        frame = pl.read_parquet(path, columns=[name for name in dict.fromkeys((TIME, *names)) if name in header])
    except OSError as error:
        raise _unreadable(str(path), error) from None
    except pl.exceptions.PolarsError as error:
        raise StlError(f"no Parquet: {str(error).splitlines()[0]}", where=str(path), fix="check the file") from None
    columns = {name: _floats(frame[name], f"{path}, column {name!r}") for name in names}
    times = _times(frame[TIME], str(path), time_unit) if TIME in frame.columns else None
    return _table(str(path), times, columns, frame.height)


def _floats(column: pl.Series, where: str) -> npt.NDArray[np.float64]:
    import polars as pl

    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise StlError(f"it holds {column.dtype}, not numbers", where=where, fix="convert it to numbers")
    # A copy, as polars' own memory is read-only.
    return np.array(column.cast(pl.Float64).fill_null(np.nan).to_numpy(), dtype=np.float64)


def _times(column: pl.Series, source: str, unit: str) -> npt.NDArray[np.int64]:
    """Nanoseconds, exactly."""
    import polars as pl

    cells: list[object]
    if isinstance(column.dtype, pl.Datetime | pl.Duration):
        cells, unit = column.dt.cast_time_unit("ns").to_physical().to_list(), "ns"
    else:
        cells = column.to_list()
    times = np.empty(len(cells), dtype=np.int64)
    for row, cell in enumerate(cells):
        try:
            times[row] = moment(cell, unit)
        except CellError as error:
            raise StlError(str(error), where=f"{source}, row {row + 1}, column {TIME!r}", fix="correct it") from None
    return times


def _table(
    source: str, times: npt.NDArray[np.int64] | None, columns: dict[str, npt.NDArray[np.float64]], length: int
) -> Table:
    if length == 0:
        raise StlError("the trace is empty", where=source, fix="give at least one sample")
    return Table(source=source, times_ns=times, columns=columns, length=length)


def _unreadable(name: str, error: OSError) -> StlError:
    return StlError(f"cannot be read: {(error.strerror or str(error)).lower()}", where=name, fix="check the path")
