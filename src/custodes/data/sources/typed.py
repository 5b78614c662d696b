"""Values from text, or columns from a columnar file, to the types that a source declares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from custodes.data.schema import PART
from custodes.data.sources.base import Source, nanoseconds
from custodes.data.sources.lines import Bad, Chunk
from custodes.errors import CustodesError

_WORDS: Final = {
    pl.Int64: "a whole number",
    pl.Int8: "a small whole number",
    pl.Float64: "a number",
    pl.Boolean: "true or false",
}
_UNITS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000}
_JSON_TYPES: Final[dict[type[pl.DataType], frozenset[type]]] = {
    pl.Int64: frozenset({int}),
    pl.Int8: frozenset({int, bool}),
    pl.Float64: frozenset({int, float}),
    pl.Boolean: frozenset({bool}),
    pl.String: frozenset({str, int}),
}
_TRUE_FALSE: Final = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}


def require_columns(source: Source, names: frozenset[str], where: str) -> None:
    """Refuse a file that lacks columns which its source cannot do without.

    Raises:
        CustodesError: names them.
    """
    missing = sorted(source.required - names)
    if missing:
        raise CustodesError(
            f"column {', '.join(missing)} is missing for source {source.name}",
            where=where,
            fix="see docs/data.md or name data.source",
        )


def cast_columns(source: Source, schema: Mapping[str, pl.DataType], where: str) -> list[pl.Expr]:
    """Expressions that bring a columnar file's columns to the types of a source, pass-through columns included.

    Args:
        source: What is read.
        schema: Columns of the file.
        where: Name of the file, for messages.

    Raises:
        CustodesError: A required column is missing, or a column's type cannot be taken for the wanted one.
    """
    require_columns(source, frozenset(schema), where)
    chosen = [_cast(name, schema[name], wanted, where) for name, wanted in source.columns.items() if name in schema]
    if source.extras:
        chosen += [_pass(name, kind) for name, kind in schema.items() if name not in source.columns and _numeric(kind)]
    return chosen


def _numeric(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind == pl.Boolean


def _pass(name: str, kind: pl.DataType) -> pl.Expr:
    if name == PART or kind == pl.Boolean:
        return pl.col(name).cast(pl.Int8)
    return pl.col(name).cast(pl.Float64) if isinstance(kind, pl.Decimal) else pl.col(name)


def _cast(name: str, found: pl.DataType, wanted: pl.DataType, where: str) -> pl.Expr:
    column = pl.col(name)
    if found == wanted:
        return column
    if name == "time" and isinstance(found, pl.Datetime):
        return nanoseconds(column.to_physical(), _UNITS[found.time_unit])
    fits = {
        pl.Int64: found.is_integer(),
        pl.Int8: found.is_integer() or found == pl.Boolean,
        pl.Float64: found.is_numeric(),
        pl.Boolean: found.is_integer(),
        pl.String: found.is_integer() or isinstance(found, (pl.Categorical, pl.Enum)),
    }
    if not (fits[type(wanted)] or found == pl.Null):
        raise CustodesError(
            f"column {name} is {found}, not {wanted}", where=where, fix="cast it, or name another data.source"
        )
    return column.cast(wanted)


def find_extras(source: Source, chunk: Chunk) -> dict[str, pl.DataType]:
    """Numeric pass-through columns of a text file, told from its first chunk: `part` is Int8, others Float64."""
    if not source.extras:
        return {}
    extras: dict[str, pl.DataType] = {}
    for name, values in chunk.columns.items():
        if name not in source.columns and _all_numbers(values, chunk.typed):
            extras[name] = pl.Int8() if name == PART else pl.Float64()
    return extras


def _all_numbers(values: list[object], typed: bool) -> bool:
    if typed:
        kinds = set(map(type, values)) - {type(None)}
        return bool(kinds) and kinds <= {int, float, bool}
    column = pl.Series(values, dtype=pl.String)
    filled = column.filter(column != "")
    return len(filled) > 0 and filled.cast(pl.Float64, strict=False).null_count() == 0


def typed_frame(
    source: Source, extras: Mapping[str, pl.DataType], chunk: Chunk
) -> tuple[pl.DataFrame, list[int], list[Bad]]:
    """Bring a chunk of text to the types of its source.

    Args:
        source: What is read.
        extras: Pass-through columns, from `find_extras` on the file's first chunk.
        chunk: Lines to type, K of them well formed.

    Returns:
        Frame of the source's columns and the extras, the line number of each of its rows, and the lines left out
        because a value is not of its column's type, a required one is missing, or a numeric column appears that the
        first chunk did not have.
    """
    reasons: dict[int, str] = {}
    columns = []
    wanted = {**{name: kind for name, kind in source.columns.items() if name in chunk.columns}, **extras}
    for name, kind in wanted.items():
        values = chunk.columns.get(name, [None] * len(chunk.lines))
        column, faults = (_from_json if chunk.typed else _from_text)(name, values, kind)
        columns.append(column)
        for row in faults:
            reasons.setdefault(row, f"{name} is {_short(values[row])}, not {_WORDS.get(type(kind), 'text')}")
        if name in source.required:
            for row in column.is_null().arg_true().to_list():
                reasons.setdefault(row, f"{name} is missing")
    _refuse_late(source, extras, chunk, reasons)
    frame = pl.DataFrame(columns)
    bad = [Bad(line=chunk.lines[row], reason=reasons[row], text=chunk.texts[row]) for row in sorted(reasons)]
    if not bad:
        return frame, chunk.lines, bad
    keep = [row for row in range(len(chunk.lines)) if row not in reasons]
    return frame[keep], [chunk.lines[row] for row in keep], bad


def _refuse_late(source: Source, extras: Mapping[str, pl.DataType], chunk: Chunk, reasons: dict[int, str]) -> None:
    for name in source.required - chunk.columns.keys():
        for row in range(len(chunk.lines)):
            reasons.setdefault(row, f"{name} is missing")
    if not (source.extras and chunk.typed):
        return
    for name in chunk.columns.keys() - source.columns.keys() - extras.keys():
        for row, value in enumerate(chunk.columns[name]):
            if isinstance(value, int | float) and _all_numbers(chunk.columns[name], True):
                reasons.setdefault(row, f"numeric column {name} is not among the file's first lines")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _from_json(name: str, values: list[object], kind: pl.DataType) -> tuple[pl.Series, list[int]]:
    allowed = _JSON_TYPES[type(kind)] | {type(None)}
    wrong: list[int] = []
    clean = values
    if not set(map(type, values)) <= allowed:
        wrong = [row for row, value in enumerate(values) if type(value) not in allowed]
        clean = [value if type(value) in allowed else None for value in values]
    if kind == pl.String:
        clean = [str(value) if type(value) is int else value for value in clean]
    column = pl.Series(name, clean, dtype=kind, strict=False)
    if column.null_count():
        given = pl.Series([value is not None for value in clean])
        wrong += (column.is_null() & given).arg_true().to_list()
    return column, wrong


def _from_text(name: str, values: list[object], kind: pl.DataType) -> tuple[pl.Series, list[int]]:
    text = pl.Series(name, values, dtype=pl.String)
    if kind == pl.String:
        return text, []
    given = text != ""
    if kind == pl.Boolean:
        column = text.replace_strict(_TRUE_FALSE, default=None, return_dtype=pl.Boolean)
    else:
        column = text.cast(kind, strict=False)
    if kind == pl.Int8:
        column = column.fill_null(text.replace_strict(_TRUE_FALSE, default=None, return_dtype=pl.Boolean).cast(pl.Int8))
    return column, (column.is_null() & given).arg_true().to_list()
