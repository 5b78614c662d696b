"""How far rules look, in seconds, before any sampling period is known."""

from __future__ import annotations

import math
from collections.abc import Iterator

from custodes.stl import formula as f
from custodes.stl.analysis import horizon, in_samples, memory


def seconds_ahead(formula: f.Formula) -> float | None:
    """How far a formula with bounds in units of time looks ahead; None without end, or where samples are counted."""
    period = _grid(formula)
    far = None if period is None else horizon(in_samples(formula, period))
    return None if far is None or period is None else far * period / f.UNITS["s"]


def seconds_behind(formula: f.Formula) -> float | None:
    """How far it looks back; None without end, or where samples are counted."""
    period = _grid(formula)
    far = None if period is None else memory(in_samples(formula, period))
    return None if far is None or period is None else far * period / f.UNITS["s"]


def _grid(formula: f.Formula) -> int | None:
    """The longest period, nanoseconds, that all its bounds are multiples of; None where one counts samples."""
    lengths = [each for node in f.walk(formula) for each in _durations(node) if each.amount]
    if any(not each.unit for each in lengths):
        return None
    return math.gcd(*(each.amount * f.UNITS[each.unit] for each in lengths)) or f.UNITS["s"]


def _durations(node: f.Term | f.Formula) -> Iterator[f.Duration]:
    if (bounds := getattr(node, "bounds", None)) is not None:
        yield bounds.lower
        if bounds.upper is not None:
            yield bounds.upper
    if (window := getattr(node, "window", None)) is not None:
        yield window
