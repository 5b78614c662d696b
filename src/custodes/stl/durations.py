"""Lengths of time in formulas: exact, in samples or in a unit, and turned into samples by a sampling period."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, Final, TypeVar

from custodes.stl import formula as f
from custodes.stl.errors import FormulaError
from custodes.stl.tokens import tokenize

LONGEST: Final = 10**12
"""Largest distance that a bound may have, samples: sums of many still fit 64 bits."""
LONGEST_NS: Final = 2**63 - 1
"""Largest distance with a unit, nanoseconds (292 years)."""
MOST_DIGITS: Final = 40
"""Longest number in a bound, characters: keeps exact arithmetic cheap."""

_Tree = TypeVar("_Tree", bound=f.Node)


class DurationError(ValueError):
    """A length of time that can't be used: what is wrong, and the fix."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


def exact_duration(number: str, unit: str) -> f.Duration:
    """A duration from its text, as a whole number of the unit or of the largest finer one that makes it whole.

    Args:
        number: Decimal text that is not negative, such as "1.5" or "2e3".
        unit: A key of UNITS; empty for samples.

    Raises:
        DurationError: Not a whole number of samples or nanoseconds, or too long.
    """
    value = _decimal(number)
    if not unit:
        if value != value.to_integral_value():
            raise DurationError(
                f"{number} is no whole number of samples",
                f"write {int(value)} or {int(value) + 1}, or add a unit: {number}s",
            )
        return f.Duration(amount=int(value))
    if value * f.UNITS[unit] > LONGEST_NS:
        raise DurationError(f"{number}{unit} is longer than 292 years", "leave the upper bound out for no bound")
    for name, scale in sorted(f.UNITS.items(), key=lambda item: -item[1]):
        amount = value * f.UNITS[unit] / scale
        if scale <= f.UNITS[unit] and amount == amount.to_integral_value():
            return f.Duration(amount=int(amount), unit=name)
    raise DurationError(f"{number}{unit} is no whole number of nanoseconds", "round it")


def _decimal(number: str) -> Decimal:
    if len(number) > MOST_DIGITS:
        raise DurationError("the bound has too many digits", "leave the upper bound out for no bound")
    try:
        value = Decimal(number)
    except InvalidOperation:
        raise DurationError(f"{number} is no number", "write a number, such as 5 or 1.5s") from None
    if value and not -18 <= value.adjusted() <= 18:
        raise DurationError(f"{number} is out of range", "leave the upper bound out for no bound")
    if value > LONGEST:
        raise DurationError(f"{number} is more than {LONGEST}", "leave the upper bound out for no bound")
    return value


def nanoseconds(duration: f.Duration) -> int:
    """Length in nanoseconds of a duration that has a unit (or is zero)."""
    return duration.amount * f.UNITS[duration.unit] if duration.amount else 0


def in_samples(formula: f.Formula, period_ns: int | None, *, text: str = "", source: str = "formula") -> f.Formula:
    """A formula with every bound in samples.

    Args:
        formula: With bounds in samples or units.
        period_ns: Sampling period, nanoseconds; None when it is not known.
        text: The text it was read from, for the place in an error.
        source: Name of the formula or file.

    Raises:
        FormulaError: A bound with a unit and no period, or one that is no multiple of the period.
    """

    def convert(duration: f.Duration, node: f.Node) -> f.Duration:
        try:
            samples = to_samples(duration, period_ns)
            if isinstance(node, f.AtLeast) and node.need > samples.amount:
                raise DurationError(f"{node.need} of {samples.amount} samples is never reached", "lengthen the window")
            return samples
        except DurationError as error:
            place = _written(text, node.span, duration) if node.span else f.Span(start=0, end=len(text))
            raise FormulaError(error.what, text=text, span=place, source=source, fix=error.fix) from None

    return _converted(formula, convert)


def _written(text: str, span: f.Span, duration: f.Duration) -> f.Span:
    """Where a node's duration is written; the node's place when a parameter stands for it.

    An equal duration of an operator inside is as wrong, so that the first one will do.
    """
    try:
        tokens = tokenize(text[span.start : span.end])
        for number, unit in pairwise(tokens):
            known = number.kind == "number" and unit.kind == "name" and unit.text in f.UNITS
            if known and exact_duration(number.text, unit.text) == duration:
                return f.Span(start=span.start + number.start, end=span.start + unit.end)
    except (FormulaError, DurationError):
        return span
    return span


def to_samples(duration: f.Duration, period_ns: int | None) -> f.Duration:
    """A duration as a count of samples.

    Raises:
        DurationError: No period, or the duration is no multiple of it.
    """
    if not duration.unit or not duration.amount:
        return f.Duration(amount=duration.amount)
    written = f"{duration.amount}{duration.unit}"
    if period_ns is None:
        raise DurationError(f"the bound {written} needs the sampling period", 'state it: period = "1s"')
    count, rest = divmod(nanoseconds(duration), period_ns)
    if rest:
        near = " or ".join(readable(each * period_ns) for each in (count, count + 1) if each)
        raise DurationError(f"{written} is no multiple of the sampling period {readable(period_ns)}", f"write {near}")
    if count > LONGEST:
        raise DurationError(f"{written} is more than {LONGEST} samples", "leave the upper bound out for no bound")
    return f.Duration(amount=count)


def readable(length: int) -> str:
    """Nanoseconds as a whole number of the largest unit that divides them."""
    for name, scale in sorted(f.UNITS.items(), key=lambda item: -item[1]):
        if length % scale == 0 and length >= scale:
            return f"{length // scale}{name}"
    return f"{length}ns"


def _converted(node: _Tree, convert: Callable[[f.Duration, f.Node], f.Duration]) -> _Tree:
    changed: dict[str, Any] = {}
    for each in fields(node):
        old = getattr(node, each.name)
        if isinstance(old, f.Node):
            new: Any = _converted(old, convert)
        elif isinstance(old, f.Bounds):
            upper = None if old.upper is None else convert(old.upper, node)
            new = f.Bounds(lower=convert(old.lower, node), upper=upper)
        elif isinstance(old, f.Duration):
            new = convert(old, node)
        else:
            continue
        if new is not old:
            changed[each.name] = new
    return replace(node, **changed) if changed else node
