"""One cell of a trace: a number, or a moment."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

from custodes.stl.formula import UNITS
from custodes.stl.tokens import shown

_WORDS: Final = {"true": 1.0, "false": 0.0, "": math.nan, "nan": math.nan, "null": math.nan, "na": math.nan}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FINE: Final = re.compile(r"\.\d{6}(\d{1,3})(?!\d)")
_LARGEST: Final = 2**63 - 1


class CellError(ValueError):
    """What is wrong with a cell, without its place."""


def number(cell: object) -> float:
    """A number: true and false are 1 and 0; nothing, null and nan are NaN.

    Args:
        cell: From a CSV (text) or JSON (text, number, boolean or None).

    Raises:
        CellError: It is something else.
    """
    if cell is None:
        return math.nan
    if isinstance(cell, bool | int | float):
        try:
            return float(cell)
        except OverflowError:
            raise CellError("the number is too large") from None
    if isinstance(cell, str):
        text = cell.strip().lower()
        if text in _WORDS:
            return _WORDS[text]
        try:
            if "_" not in text:
                return float(text)
        except ValueError:
            pass
    raise CellError(f"{shown(str(cell))!r} is no number")


def moment(cell: object, unit: str) -> int:
    """A time in nanoseconds since 1970 (of a number: since zero), exactly as written.

    Args:
        cell: A number of `unit`, or a date and time in ISO 8601, UTC unless it says otherwise.
        unit: A key of UNITS.

    Raises:
        CellError: It is neither, or out of range.
    """
    text = "" if cell is None or isinstance(cell, bool) else str(cell).strip()
    if not text:
        raise CellError("there is no time")
    try:
        # A float prints as the shortest text that means it: 0.1 counts as a tenth.
        value = Decimal(text)
        if not value.is_finite() or value.adjusted() > 20:
            raise CellError(f"{shown(text)!r} is no time in range")
        found = round(value * UNITS[unit])
    except InvalidOperation:
        found = _date(text)
    if abs(found) > _LARGEST:
        raise CellError(f"{shown(text)!r} is no time in range")
    return found


def _date(text: str) -> int:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise CellError(f"{shown(text)!r} is neither a number nor a date and time") from None
    since = (date if date.tzinfo else date.replace(tzinfo=UTC)) - _EPOCH
    fine = _FINE.search(text)
    whole = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return whole * 1_000 + (int(fine[1].ljust(3, "0")) if fine else 0)
