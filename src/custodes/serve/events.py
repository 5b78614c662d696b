"""One event as it arrives: checked against the event table's schema, alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, final

import polars as pl

from custodes.data.schema import CHANNELS, DEFAULTS, EVENT_SCHEMA, LABELS, REQUIRED
from custodes.errors import CustodesError

_LIMIT: Final = 1 << 63
_TEXT: Final = tuple(name for name, kind in EVENT_SCHEMA.items() if kind == pl.String)
_FIX: Final = "see the event table in docs/data.md"


@final
class EventCheck:
    """Turns what arrived into an event, or says why it is none.

    The rules are those by which a file of JSON lines is read: a missing or null optional column has its default, whole
    numbers pass for text, nothing else is converted. Columns that nobody reads are left out.

    Args:
        numeric: Numeric columns that the run reads beside the event table; they must be there, and null counts as 0.
    """

    def __init__(self, numeric: Sequence[str] = ()) -> None:
        self._numeric = tuple(numeric)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The event.

        Raises:
            CustodesError: It is none; the message names the column.
        """
        event: dict[str, Any] = {}
        for name in _TEXT:
            value = row.get(name)
            if type(value) is str:
                event[name] = value
            elif type(value) is int:
                event[name] = str(value)
            elif value is None:
                event[name] = _default(name)
            else:
                raise _wrong(name, value, "text")
        if event["channel"] not in CHANNELS:
            raise _refused(f"channel is {event['channel']!r}, not one of {', '.join(CHANNELS)}")
        event["time"] = _time(row.get("time"))
        event["size"] = _number("size", row.get("size"))
        event["label"] = _label(row.get("label"))
        for name in self._numeric:
            if name not in row:
                raise _refused(f"column {name} is missing")
            event[name] = _number(name, row[name])
        # Not every run reads it, and of those that do not every recording has it.
        if "ext_program" not in event and row.get("ext_program") is not None:
            event["ext_program"] = _number("ext_program", row["ext_program"])
        return event


def _default(name: str) -> Any:
    if name in REQUIRED:
        raise _refused(f"column {name} is missing")
    return DEFAULTS[name]


def _time(value: Any) -> int:
    if value is None:
        raise _refused("column time is missing")
    if type(value) is not int:
        raise _wrong("time", value, "a whole number of nanoseconds")
    if not -_LIMIT <= value < _LIMIT:
        raise _refused("time is beyond 64 bits of nanoseconds")
    return value


def _number(name: str, value: Any) -> float:
    if value is None:
        return 0.0
    if type(value) not in (int, float, bool):
        raise _wrong(name, value, "a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _refused(f"column {name} is not finite")
    return number


def _label(value: Any) -> int:
    if value is None:
        return int(DEFAULTS["label"])
    if type(value) not in (int, bool) or int(value) not in LABELS:
        raise _refused(f"column label is {_short(value)}, not one of {', '.join(map(str, LABELS))}")
    return int(value)


def _wrong(name: str, value: Any, wanted: str) -> CustodesError:
    return _refused(f"{name} is {_short(value)}, not {wanted}")


def _refused(what: str) -> CustodesError:
    return CustodesError(what, where="event", fix=_FIX)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
