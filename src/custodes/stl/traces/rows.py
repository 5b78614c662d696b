"""Traces line by line, from CSV or JSON lines: only one line is held at a time."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, final

import msgspec

from custodes.stl.errors import StlError
from custodes.stl.tokens import shown
from custodes.stl.traces.cells import CellError, moment, number

TIME: Final = "time"
"""Name of the column that holds the time."""
TextFormat: TypeAlias = Literal["csv", "jsonl"]


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One sample."""

    line: int
    """Line that it ends on, from 1."""
    time_ns: int | None
    """Nanoseconds; None when the trace has no column `time`."""
    values: tuple[float, ...]
    """In the order of the names that were asked for; NaN where there is none."""


def read_rows(
    lines: Iterable[str], names: Sequence[str], *, source: str, form: TextFormat, time_unit: str
) -> Iterator[Row]:
    """Read samples one by one.

    Args:
        lines: Text, line by line. Empty lines are passed over.
        names: Columns that are needed; others are not looked at.
        source: What to call the text in errors.
        form: CSV with a header, or one JSON object per line.
        time_unit: Unit of the column `time`, where it holds numbers.

    Raises:
        StlError: Naming the line: it can't be read, lacks a column, or holds text where a number belongs.
    """
    table = _csv(lines, source) if form == "csv" else _json(lines, source)
    cells: Callable[[Any], Sequence[object]] | None = None
    timed = False
    for line, record in table:
        if cells is None:
            header = list(record) if isinstance(record, dict) else record
            timed = TIME in header
            wanted = (*((TIME,) if timed else ()), *names)
            for name in names:
                check_column(name, header, source)
            cells = _picker(header, wanted, isinstance(record, dict))
            if form == "csv":
                continue
        if not timed and isinstance(record, dict) and TIME in record:
            where = f"{source}, line {line}, column {TIME!r}"
            raise StlError("the first line has no time, and this one has", where=where, fix="give all a time, or none")
        found = cells(record)
        try:
            time = moment(found[0], time_unit) if timed else None
        except CellError as error:
            raise StlError(str(error), where=f"{source}, line {line}, column {TIME!r}", fix="correct it") from None
        yield Row(line, time, _numbers(found[1:] if timed else found, names, source, line))


def check_column(name: str, header: Sequence[str], source: str) -> None:
    """Refuse a trace without a column.

    Raises:
        StlError: With the nearest name that there is.
    """
    if name not in header:
        near = difflib.get_close_matches(name, header, n=1, cutoff=0.5)
        columns = ", ".join(shown(each) for each in header[:12]) + (", ..." if len(header) > 12 else "")
        fix = f"did you mean {near[0]!r}?" if near else f"the columns are {columns or 'none'}"
        raise StlError(f"there is no column {name!r}, which a rule reads", where=source, fix=fix)


def _numbers(cells: Sequence[object], names: Sequence[str], source: str, line: int) -> tuple[float, ...]:
    values = []
    for name, cell in zip(names, cells, strict=True):
        try:
            values.append(number(cell))
        except CellError as error:
            raise StlError(
                str(error), where=f"{source}, line {line}, column {name!r}", fix="write a number, or leave it empty"
            ) from None
    return tuple(values)


def _picker(header: Sequence[str], wanted: Sequence[str], keyed: bool) -> Callable[[Any], Sequence[object]]:
    """What takes the wanted cells out of a record."""
    if keyed:
        return lambda record: [record.get(name) for name in wanted]
    places = [header.index(name) for name in wanted]
    return lambda record: [record[place] for place in places]


def _csv(lines: Iterable[str], source: str) -> Iterator[tuple[int, list[str]]]:
    """Records with the line that each ends on; the first is the header."""
    reader = csv.reader(lines, strict=True)
    width = 0
    try:
        for record in reader:
            if not record:
                continue
            if not width:
                width, record = len(record), [name.strip() for name in record]
                twice = next((name for name in record if record.count(name) > 1 and name), None)
                if twice is not None:
                    raise StlError(f"two columns are named {shown(twice)!r}", where=source, fix="rename one")
            if len(record) != width:
                raise StlError(
                    f"{len(record)} cells, not {width} as in the header",
                    where=f"{source}, line {reader.line_num}",
                    fix="correct the line",
                )
            yield reader.line_num, record
    except csv.Error as error:
        raise StlError(f"no CSV: {error}", where=f"{source}, line {reader.line_num}", fix="correct the line") from None


def _json(lines: Iterable[str], source: str) -> Iterator[tuple[int, dict[str, Any]]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    for line, text in enumerate(lines, start=1):
        if line == 1:
            # A file's mark of UTF-8 is taken off where it is opened; standard input is open already.
            text = text.removeprefix("\ufeff")
        if not text.strip():
            continue
        try:
            yield line, decoder.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise StlError(
                f"no JSON object: {error}", where=f"{source}, line {line}", fix='write one object per line: {"x": 1}'
            ) from None
