"""Windows as they are written: `[0,5]`, `[0:5s]`, `[2,]`, `5s`, or names of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping

from custodes.stl import formula as f
from custodes.stl.cursor import Cursor, nearest
from custodes.stl.durations import DurationError, exact_duration, nanoseconds
from custodes.stl.errors import FormulaError
from custodes.stl.tokens import Token, shown, tokenize

Parameters = Mapping[str, float | str]


def read_bounds(cursor: Cursor, parameters: Parameters) -> f.Bounds:
    """The window in brackets that comes next; without end where none comes.

    Raises:
        FormulaError: It is malformed, empty, negative, or mixes samples and units.
    """
    if not cursor.at_sign("["):
        return f.Bounds()
    opened = cursor.advance()
    lower = read_duration(cursor, parameters)
    if cursor.at_sign("]"):
        raise cursor.error(
            "a window has two bounds",
            cursor.now.span,
            "write [0,5] for up to 5, [5,5] for exactly 5, [5,] for 5 or more",
        )
    if not cursor.at_sign(":"):
        cursor.expect(",", fix="write the window as [0,5] or [0:5]")
    else:
        cursor.advance()
    upper = None
    if cursor.at_word("inf"):
        cursor.advance()
    elif not cursor.at_sign("]"):
        upper = read_duration(cursor, parameters)
    if cursor.at_sign(")"):
        last = "write ] and the last sample that belongs to it"
        fix = last if upper is not None else f"write [{lower.amount}{lower.unit},inf]"
        raise cursor.error("windows are closed", cursor.now.span, fix)
    closed = cursor.expect("]", opened=opened)
    _check_order(cursor, lower, upper, f.Span(start=opened.start, end=closed.end))
    return f.Bounds(lower=lower, upper=upper)


def read_window(cursor: Cursor, parameters: Parameters, what: str) -> f.Duration:
    """The length of an aggregate's window, which comes next.

    Raises:
        FormulaError: It is no length, or holds no sample.
    """
    token = cursor.now
    if what in ("min", "max") and (token.kind == "quoted" or (token.kind == "name" and token.text not in parameters)):
        sign = ">" if what == "min" else "<"
        raise cursor.error(
            f"{what} takes a term and a window of time, and {shown(token.text)} is no window",
            token.span,
            f"write {what}(x, 5) or {what}(x, 5s) for the past window; for two signals write x {sign} 1 and y {sign} 1",
        )
    window = read_duration(cursor, parameters, apart=what != "at least")
    if window.amount < 1:
        place = f.Span(start=token.start, end=cursor.tokens[cursor.index - 1].end)
        raise cursor.error("a window of length 0 holds no sample", place, "write 1 for the present sample only")
    return window


def read_duration(cursor: Cursor, parameters: Parameters, *, apart: bool = True) -> f.Duration:
    """A count of samples, a length of time, or a parameter that is one.

    Args:
        cursor: Where to read.
        parameters: Names and what they stand for.
        apart: A unit may stand apart from its number (`5 s`).

    Raises:
        FormulaError: Something else comes, or it is negative or no whole number of samples or nanoseconds.
    """
    token = cursor.now
    if token.kind == "name" and token.text in parameters:
        return _parameter(cursor, cursor.advance(), parameters[token.text])
    if token.kind != "number":
        raise _no_duration(cursor, parameters)
    cursor.advance()
    after = cursor.now
    adjacent = after.start == token.end
    if after.kind != "name" or not (adjacent or (apart and after.text in f.UNITS)):
        return _exact(cursor, token.text, "", token.span)
    if after.text not in f.UNITS:
        fix = f"write one of {', '.join(f.UNITS)}"
        if after.text == "ps":
            fix = "a nanosecond is the shortest unit: write a whole number of ns"
        raise cursor.error(f"unknown unit {shown(after.text)}", after.span, fix)
    cursor.advance()
    return _exact(cursor, token.text, after.text, f.Span(start=token.start, end=after.end))


def read_need(cursor: Cursor, parameters: Parameters) -> int:
    """The k of `at least k of w`.

    Raises:
        FormulaError: It is no whole number of at least 1.
    """
    start = cursor.now
    need = read_duration(cursor, parameters, apart=False)
    place = f.Span(start=start.start, end=cursor.tokens[cursor.index - 1].end)
    if need.unit:
        raise cursor.error(
            "at least counts samples", place, "write a whole number without a unit, such as at least 3 of 5s"
        )
    if need.amount < 1:
        raise cursor.error("at least 0 always holds", place, "write a number of at least 1")
    return need.amount


def _no_duration(cursor: Cursor, parameters: Parameters) -> FormulaError:
    token = cursor.now
    if cursor.at_sign("-"):
        return cursor.error(
            "a bound is negative", token.span, "write bounds from 0 up; once, historically and since look back"
        )
    if cursor.at_word("inf"):
        return cursor.error("inf only ends a window", token.span, "write [5,inf]")
    if token.kind == "name":
        near = nearest(token.text, tuple(parameters))
        fix = f"did you mean {near}?" if near else "declare it as a parameter, or write a number such as 5 or 5s"
        return cursor.error(f"unknown parameter {shown(token.text)} in a bound", token.span, fix)
    return cursor.unexpected("a count of samples or a length of time", fix="write a number such as 5 or 5s")


def _exact(cursor: Cursor, number: str, unit: str, place: f.Span) -> f.Duration:
    try:
        return exact_duration(number, unit)
    except DurationError as error:
        raise cursor.error(error.what, place, error.fix) from None


def _parameter(cursor: Cursor, token: Token, value: float | str) -> f.Duration:
    where = f"parameter {shown(token.text)}"
    if isinstance(value, str):
        parts = tokenize(value, where)
        kinds = [part.kind for part in parts]
        if kinds == ["number", "end"]:
            return _exact(cursor, parts[0].text, "", token.span)
        if kinds == ["number", "name", "end"] and parts[1].text in f.UNITS:
            return _exact(cursor, parts[0].text, parts[1].text, token.span)
        raise cursor.error(f"{where} is {shown(value)!r}, no length of time", token.span, 'give it as 5 or "5s"')
    if not math.isfinite(value) or value < 0:
        raise cursor.error(
            f"{where} is {value}, no bound", token.span, 'give it a whole number from 0 up, or a length such as "5s"'
        )
    return _exact(cursor, repr(value), "", token.span)


def _check_order(cursor: Cursor, lower: f.Duration, upper: f.Duration | None, place: f.Span) -> None:
    if upper is None or not lower.amount:
        return
    if upper.amount and bool(lower.unit) != bool(upper.unit):
        unit = lower.unit or upper.unit
        low, high = (f"{each.amount}{each.unit or unit}" for each in (lower, upper))
        raise cursor.error("one bound has a unit and the other counts samples", place, f"write [{low},{high}]")
    far, near = (nanoseconds(each) if each.unit else each.amount for each in (upper, lower))
    if near > far:
        low, high = (f"{each.amount}{each.unit}" for each in (lower, upper))
        raise cursor.error("the window is empty, its bounds are reversed", place, f"write [{high},{low}]")
