"""The shape of a spec file: its keys and their types, before any formula is read."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args

import msgspec

from custodes.stl import formula as f
from custodes.stl.errors import StlError
from custodes.stl.policy import End, Nan, Sampling
from custodes.stl.tokens import shown

Severity: TypeAlias = Literal["info", "warning", "critical"]
"""How bad a violation is."""

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_CHOICES: Final = {
    name: f"write one of {', '.join(get_args(choice))}"
    for name, choice in {"severity": Severity, "sampling": Sampling, "end": End, "nan": Nan}.items()
}
_EXAMPLES: Final = {
    "spec": "[[spec]] with a name and a formula below it",
    "name": 'name = "contained in time"',
    "formula": 'formula = "always (load < 0.9)"',
    "description": 'description = "what it asks for"',
    "severity": 'severity = "warning"',
    "tags": 'tags = ["hard"]',
    "target": "target = 0.05, a share from 0 to 1",
    "period": 'period = "1s"',
    "time_unit": 'time_unit = "s"',
    "sampling": 'sampling = "reject"',
    "end": 'end = "truncate"',
    "nan": 'nan = "reject"',
    "parameters": "[parameters] with lines such as limit = 0.9",
    "formulas": '[formulas] with lines such as busy = "load > 0.9"',
    "signals": '[signals.NAME] with unit = "s" below it',
    "unit": 'unit = "s"',
}
"""What to write, by key."""
_SORTS: Final = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time of day",
}
"""Sorts of values of TOML in words."""
_TYPES: Final = re.compile(r"^Expected `(\w+)(?: \| null)?`, got `(\w+)`")
_PLACE: Final = re.compile(r" - at `(?:key in )?\$(.*)`$")


class RawSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [[spec]]."""

    name: str
    formula: str
    description: str = ""
    severity: Severity = "warning"
    tags: list[str] = []
    target: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05
    """Share of violations that is allowed."""


class RawSignal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One [signals.NAME]."""

    unit: str = ""
    description: str = ""


class RawFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file."""

    spec: list[dict[str, Any]] = []
    period: str | None = None
    sampling: Sampling = "reject"
    time_unit: str = "s"
    end: End = "truncate"
    nan: Nan = "reject"
    parameters: dict[str, Any] = {}
    formulas: dict[str, Any] = {}
    signals: dict[str, Any] = {}


def read_raw(tables: dict[str, Any], source: str) -> RawFile:
    """Check the keys and types of a file.

    Raises:
        StlError: An unknown key, or a value of the wrong type.
    """
    raw = _convert(tables, RawFile, source)
    if raw.time_unit not in f.UNITS:
        fix = f"write one of {', '.join(f.UNITS)}"
        raise StlError(f"unknown unit {shown(raw.time_unit)!r}", where=f"{source}, time_unit", fix=fix)
    return raw


def read_spec(table: dict[str, Any], index: int, source: str) -> RawSpec:
    """Check the keys and types of a spec, the index-th from 1.

    Raises:
        StlError: A missing or unknown key, or a value of the wrong type.
    """
    name = table.get("name")
    known = isinstance(name, str) and bool(name.strip())
    return _convert(table, RawSpec, f"{source}, spec {shown(str(name)) if known else f'number {index}'}")


def read_signal(table: object, name: str, source: str) -> RawSignal:
    """Check the keys and types of a signal.

    Raises:
        StlError: An unknown key, or a value of the wrong type.
    """
    if not name:
        raise StlError("a signal has no name", where=f"{source}, signals", fix="name it")
    return _convert(table, RawSignal, f"{source}, signals.{shown(name)}")


def _convert(table: object, kind: type[_Struct], where: str) -> _Struct:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        place = _PLACE.search(message)
        key = "" if place is None else shown(place[1].strip("."))
        what = (
            _PLACE.sub("", message)
            .replace("Object contains", "it has an")
            .replace("an unknown field", "an unknown key")
        )
        what = (
            what.replace("Object missing required field", "it lacks the key").replace("`", "'").replace(" | null", "")
        )
        types = _TYPES.match(message)
        if types is not None:
            wanted, found = (_SORTS.get(sort, sort) for sort in types.groups())
            what = f"it is {found}, not {wanted}"
        known = f"keys are {', '.join(kind.__struct_fields__)}"
        if types is not None and key == "":
            known = f"write a table, {known}"
        example = _EXAMPLES.get(key.partition("[")[0])
        advice = "correct its value" if example is None else f"write {example}"
        fix = known if key == "" else _CHOICES.get(key, advice)
        raise StlError(what, where=f"{where}, {key}" if key else where, fix=fix) from None
