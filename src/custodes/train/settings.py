"""Settings as text and as dataclasses: strict both ways, with the dotted place of whatever does not fit.

Works on any frozen dataclass of strings, numbers, booleans, tuples and further dataclasses. The ranges are each
dataclass's own business: its `__post_init__` raises `ValueError`, best beginning with the field's name, and the place
is put in front here.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import tomli_w

from custodes.errors import CustodesError

T = TypeVar("T")

_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<place>[^`]*)`)?$", re.DOTALL)
_TYPE_NAMES = {
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
    "`null`": "nothing",
}


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Read TOML.

    Args:
        text: The document.
        where: Its file, for the error.

    Returns:
        The document as nested tables.

    Raises:
        CustodesError: It is not TOML; the message names line and column.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CustodesError(f"not valid TOML: {error}", where=where, fix="correct that line") from error


def to_toml(table: Mapping[str, Any]) -> str:
    """Write TOML; the inverse of `parse_toml` for tables of text, finite numbers, booleans, lists and tables."""
    return tomli_w.dumps(table)


def to_table(settings: Any) -> dict[str, Any]:
    """A dataclass as nested tables of plain values, every default spelled out.

    Args:
        settings: A dataclass instance.

    Returns:
        What `from_table` turns back into an equal instance.
    """
    # Not msgspec.to_builtins: it leaves out the defaults of instances that msgspec itself has made.
    return {item.name: _plain(getattr(settings, item.name)) for item in dataclasses.fields(settings)}


def from_table(table: Mapping[str, Any], kind: type[T], *, where: str = "", prefix: str = "") -> T:
    """Nested tables as a dataclass, refusing whatever is not known, of another type or out of range.

    Args:
        table: Values by field name; missing ones take the field's default.
        kind: The dataclass.
        where: The file that the values are from, for the error.
        prefix: Dotted place of the table in that file.

    Returns:
        The settings.

    Raises:
        CustodesError: Something does not fit; the message begins with its dotted key.
    """
    _refuse_unknown(table, kind, where, prefix)
    try:
        return msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        assert found is not None, "the pattern matches any text"
        what, place = found["what"], _join(prefix, found["place"] or "")
        raise _refusal(what, place, _kind_at(kind, found["place"] or ""), where) from error


def apply_overrides(table: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Put `a.b=value` settings into a table.

    Args:
        table: The settings so far; not changed.
        overrides: Each a dotted key, `=`, and a TOML value; text that is no TOML value stands for itself.

    Returns:
        A new table. Whether keys and types fit is for `from_table` to say.

    Raises:
        CustodesError: No `=`, an empty key, or a key below a value that is no table.
    """
    result: dict[str, Any] = _copy(table)
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            raise CustodesError(
                "a setting is written key=value", where=f"--set {override}", fix="for example --set rl.gamma=0.9"
            )
        target = result
        for part in parts[:-1]:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise CustodesError(
                    f"{part} is a value, not a table", where=f"--set {override}", fix="leave out what follows it"
                )
        target[parts[-1]] = _parse_value(text.strip())
    return result


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """What to do about an unknown name: the nearest known one, or all of them.

    Args:
        name: As the user wrote it.
        known: What there is.

    Returns:
        A clause that ends an error line.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"


def _refuse_unknown(table: Mapping[str, Any], kind: Any, where: str, prefix: str) -> None:
    """Walk tables and dataclasses together: unknown keys, and numbers that are none (msgspec lets both pass)."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}
    for key, value in table.items():
        place = _join(prefix, key)
        if key not in fields:
            raise CustodesError("unknown setting", where=_at(where, place), fix=did_you_mean(key, fields))
        if dataclasses.is_dataclass(fields[key]) and isinstance(value, Mapping):
            _refuse_unknown(value, fields[key], where, place)
        for number in value if isinstance(value, list | tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise CustodesError(f"{number} is no usable number", where=_at(where, place), fix="give a finite one")


def _refusal(what: str, place: str, kind: Any, where: str) -> CustodesError:
    """Say what msgspec or a `__post_init__` said, in the user's words and with the nearest dotted key."""
    for name, plain in _TYPE_NAMES.items():
        what = what.replace(name, plain)
    what = re.sub(r"^Expected (.*), got (.*)$", r"expected \1, got \2", what)
    missing = re.match(r"^Object missing required field `(.*)`$", what)
    if missing:
        return CustodesError("this setting is missing", where=_at(where, _join(place, missing[1])), fix="add it")
    choice = re.match(r"^Invalid enum value (.*)$", what)
    if choice:
        options = ", ".join(str(option) for option in typing.get_args(kind))
        return CustodesError(f"unknown value {choice[1]}", where=_at(where, place), fix=f"known: {options}")
    first = re.match(r"^(\w+)[\w.]*", what)
    if dataclasses.is_dataclass(kind) and first and first[1] in {field.name for field in dataclasses.fields(kind)}:
        place = _join(place, first[0])
        # The place stands in front already.
        what = what.removeprefix(f"{first[0]} ")
    return CustodesError(what, where=_at(where, place), fix="change it and try again")


def _kind_at(kind: Any, place: str) -> Any:
    """The type of the setting at a dotted place (list positions left out)."""
    for part in filter(None, re.sub(r"\[.*?\]", "", place).split(".")):
        if not dataclasses.is_dataclass(kind):
            break
        kind = typing.get_type_hints(kind)[part]
    return kind


def _parse_value(text: str) -> Any:
    """A TOML value, or the text itself."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    # Text that holds a line break could smuggle in a second key.
    return parsed["value"] if len(parsed) == 1 else text


def _plain(value: Any) -> Any:
    """A setting's value as TOML holds it."""
    if dataclasses.is_dataclass(value):
        return to_table(value)
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _copy(value: Any) -> Any:
    """Tables copied all the way down; other values are never changed in place."""
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _join(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix and key else prefix or key


def _at(where: str, place: str) -> str:
    return f"{where}: {place}" if where and place else where or place
