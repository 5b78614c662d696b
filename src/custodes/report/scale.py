"""Numbers made ready for drawing: axis limits, ticks, thinning, and how a number is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_POINTS = 400
"""Points of a drawn line at most; more cannot be told apart at the width of a chart."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis, in data units."""

    low: float
    """Value at the start."""
    high: float
    """Value at the end, above `low`."""
    ticks: tuple[float, ...]
    """Where it is labelled, all within the limits."""
    log: bool = False
    """Equal ratios take equal lengths; `low` is then above 0."""

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the start and 1 at the end; outside that range for values off the axis."""
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        # Zero and below have no place on such an axis: they are drawn at its foot.
        return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)


def linear_axis(values: Floats, *, zero: bool = False, fixed: tuple[float, float] | None = None) -> Axis:
    """An axis that shows the bulk of the values.

    A few values far off (a first iteration a hundred times higher than the rest) would flatten all others, so limits
    follow the 2nd to 98th percentile where the extremes lie more than twice that range away; what is off the axis is
    for the caller to count and to say.

    Args:
        values: Floats of any shape; what is not finite is ignored.
        zero: Include 0.
        fixed: Limits to use instead.
    """
    if fixed is not None:
        low, high = fixed
    else:
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        if known.size >= 20:
            inner = np.percentile(known, (2, 98))
            reach = 2.0 * float(inner[1] - inner[0])
            low, high = max(low, float(inner[0]) - reach), min(high, float(inner[1]) + reach)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)) + 1e-30:
        # Next to no range: ticks closer than floats can tell apart would all read the same.
        middle, half = low, max(abs(low) * 0.1, 1e-9)
        low, high = middle - half, middle + half
    ticks = linear_ticks(low, high)
    if fixed is None:
        step = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
        low, high = min(low, math.floor(low / step) * step), max(high, math.ceil(high / step - 1e-9) * step)
        ticks = linear_ticks(low, high)
    return Axis(low=low, high=high, ticks=ticks)


def log_axis(values: Floats) -> Axis:
    """An axis over whole decades that holds every finite value above 0."""
    known = values[np.isfinite(values) & (values > 0)]
    bottom, top = (float(known.min()), float(known.max())) if known.size else (0.1, 1.0)
    first = math.floor(math.log10(bottom))
    last = max(math.ceil(math.log10(top)), first + 1)
    every = max(1, math.ceil((last - first) / 5))
    ticks = tuple(10.0**power for power in range(first, last + 1, every))
    return Axis(low=10.0**first, high=10.0**last, ticks=ticks, log=True)


def linear_ticks(low: float, high: float, about: int = 5) -> tuple[float, ...]:
    """Round values (1, 2 or 5 times a power of ten apart) within the limits, about as many as asked for."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))


def thin(x: Floats, y: Floats, limit: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """At most `limit` of the points, first and last included, with each stretch's lowest and highest value kept.

    Args:
        x: Floats [N], rising.
        y: Floats [N]; NaN is a gap, and a stretch that is all gap stays one.
        limit: 4 or more.

    Returns:
        Floats [M] and [M], M <= limit, points of the input in their order.
    """
    if len(x) <= limit:
        return x, y
    picked = [0, len(x) - 1]
    for stretch in np.array_split(np.arange(1, len(x) - 1), (limit - 2) // 2):
        part = y[stretch]
        known = stretch[np.isfinite(part)]
        picked += [known[np.argmin(y[known])], known[np.argmax(y[known])]] if known.size else [stretch[0]]
    keep = np.unique(picked)
    return x[keep], y[keep]


def to_floats(values: Iterable[float | str | None]) -> Floats:
    """Numbers of a JSON record as floats: None is NaN, "inf" and "-inf" are infinities."""
    return np.array([math.nan if value is None else float(value) for value in values], dtype=np.float64)


def number(value: float | str | None, digits: int = 4) -> str:
    """A number for a reader: about `digits` significant digits, thousands set apart, "n/a" where there is none."""
    if value is None or isinstance(value, str):
        return value if isinstance(value, str) else "n/a"
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Labels of an axis: all with the same decimals, in thousands (k) or millions (M) where that is shorter."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if largest < 1e-3:
        return [f"{tick:.3g}" for tick in ticks]
    unit, suffix = (1e6, "M") if largest >= 1e6 else (1e3, "k") if largest >= 1e4 else (1.0, "")
    scaled = [tick / unit for tick in ticks]
    for decimals in range(4):
        labels = [f"{tick:,.{decimals}f}" for tick in scaled]
        if all(math.isclose(float(f"{tick:.{decimals}f}"), tick, rel_tol=1e-6, abs_tol=1e-9) for tick in scaled):
            return [label + (suffix if float(tick) else "") for label, tick in zip(labels, ticks, strict=True)]
    return [f"{tick:.3g}{suffix}" for tick in scaled]
