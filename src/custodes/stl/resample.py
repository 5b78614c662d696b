"""Samples at irregular times made regular, the way that the user declares; a whole trace or one sample at a time.

Operators count samples, so a trace whose samples are not one period apart has no meaning until it is said what to do.
The grid starts at the first sample. Both forms give the same floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from custodes.stl.durations import readable
from custodes.stl.errors import StlError
from custodes.stl.policy import SAMPLINGS, Sampling

TOLERANCE: Final = 1000
"""reject: a distance may differ from the period by one part in so many."""
LIMIT: Final = 10_000_000
"""Most grid points that one distance may span, unless set otherwise."""

Times: TypeAlias = NDArray[np.int64]
Column: TypeAlias = NDArray[np.float64]


def regular(
    times_ns: ArrayLike,
    columns: Mapping[str, ArrayLike],
    *,
    period_ns: int,
    sampling: Sampling,
    limit: int = LIMIT,
) -> tuple[Times, dict[str, Column]]:
    """Make a whole trace regular.

    Args:
        times_ns: Time of each sample, nanoseconds, integers [samples].
        columns: Signal to values [samples].
        period_ns: Distance of the grid's points, > 0; not used by samples.
        sampling: What to do about distances.
        limit: Most points that one distance may span.

    Returns:
        Times [points] and values [points] of each signal; new arrays.

    Raises:
        StlError: A time repeats or goes back, a distance is refused, or the shapes differ.
    """
    _check(period_ns, sampling, limit)
    times = np.asarray(times_ns)
    if times.ndim != 1 or times.dtype.kind not in "iu":
        raise StlError(f"times are {times.dtype} {list(times.shape)}, not a list of integers", fix="give nanoseconds")
    times = times.astype(np.int64)
    values = {name: _column(name, column, len(times)) for name, column in columns.items()}
    gaps = np.diff(times)
    wrong = (gaps <= 0) | _refused(gaps, period_ns, sampling, limit)
    if wrong.any():
        after = int(np.argmax(wrong)) + 1
        raise _refusal(after, int(times[after - 1]), int(times[after]), period_ns, sampling, limit)
    if sampling in ("reject", "samples") or len(times) == 0:
        return times, {name: column.copy() for name, column in values.items()}
    grid = np.arange(times[0], times[-1] + 1, period_ns, dtype=np.int64)
    before = np.searchsorted(times, grid, side="right") - 1
    if sampling == "hold":
        return grid, {name: column[before] for name, column in values.items()}
    after_each = np.minimum(before + 1, len(times) - 1)
    share = (grid - times[before]) / np.maximum(times[after_each] - times[before], 1)
    return grid, {name: _between(column[before], column[after_each], share) for name, column in values.items()}


def _column(name: str, column: ArrayLike, length: int) -> Column:
    try:
        values = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        raise StlError("is not made of numbers", where=f"signal {name!r}", fix="give floats") from None
    if values.shape != (length,):
        raise StlError(f"has shape {list(values.shape)}, not [{length}]", where=f"signal {name!r}")
    if np.isinf(values).any():
        where = f"signal {name!r}, sample {int(np.argmax(np.isinf(values)))}"
        raise StlError("the sample is infinite", where=where, fix="replace it")
    return values


def _between(left: Any, right: Any, share: Any) -> Any:
    """A point on the line; the left sample itself at share 0, whatever the right one is."""
    return np.where(share == 0, left, left * (1 - share) + right * share)


def _check(period_ns: int, sampling: str, limit: int) -> None:
    if sampling not in SAMPLINGS:
        raise StlError(f"sampling {sampling!r} is not known", fix=f"write one of {', '.join(SAMPLINGS)}")
    if type(period_ns) is not int or period_ns < 1:
        raise StlError(f"a period of {period_ns} ns is no distance", fix="give a positive integer")
    if limit < 1:
        raise StlError(f"a limit of {limit} points lets nothing through", fix="give at least 1")


def _refused(gap: Any, period: int, sampling: str, limit: int) -> Any:
    if sampling == "reject":
        return abs(gap - period) > period // TOLERANCE
    return (sampling in ("hold", "linear")) & (gap // period > limit)


def _refusal(sample: int, before: int, now: int, period: int, sampling: str, limit: int) -> StlError:
    where = f"sample {sample}"
    if now <= before:
        what = "has the time of the sample before it" if now == before else "goes back in time"
        return StlError(
            f"{what} ({readable(now)} after {readable(before)})", where=where, fix="sort the trace, keep one per time"
        )
    if sampling == "reject":
        since = f"{readable(now - before)} after the one before it ({readable(before)})"
        what = f"comes {since}, not {readable(period)}"
        return StlError(what, where=where, fix="declare sampling = samples, hold or linear")
    what = f"lies {(now - before) // period} periods after the one before it ({readable(before)}), more than {limit}"
    return StlError(what, where=where, fix="split the trace there")


@final
class Resampler:
    """Makes a stream regular, sample by sample.

    Args:
        period_ns: Distance of the grid's points, > 0; not used by samples.
        sampling: What to do about distances.
        limit: Most points that one distance may span.

    Raises:
        StlError: The arguments are no sampling.
    """

    def __init__(self, period_ns: int, sampling: Sampling, *, limit: int = LIMIT) -> None:
        _check(period_ns, sampling, limit)
        self.period_ns, self.sampling, self.limit = period_ns, sampling, limit
        self._count = 0
        self._time, self._next = 0, 0
        self._last: dict[str, float] = {}

    def push(self, time_ns: int, sample: Mapping[str, float]) -> list[tuple[int, dict[str, float]]]:
        """Take one sample.

        Returns:
            The regular samples that are certain now, as (time, signal to value), oldest first.

        Raises:
            StlError: Its time repeats or goes back, its distance is refused, or its signals are others than before.
                The stream is then as it was before the call.
        """
        if not isinstance(time_ns, int | np.integer) or isinstance(time_ns, bool):
            raise StlError(f"{time_ns!r} is no time in nanoseconds", where=f"sample {self._count}", fix="give integers")
        time = int(time_ns)
        values = self._read(sample)
        if self._count == 0:
            self._count, self._time, self._last, self._next = 1, time, values, time + self.period_ns
            return [(time, dict(values))]
        gap = time - self._time
        if gap <= 0 or _refused(gap, self.period_ns, self.sampling, self.limit):
            raise _refusal(self._count, self._time, time, self.period_ns, self.sampling, self.limit)
        points = [(time, dict(values))] if self.sampling in ("reject", "samples") else self._points(time, values)
        self._count, self._time, self._last = self._count + 1, time, values
        return points

    def _read(self, sample: Mapping[str, float]) -> dict[str, float]:
        where = f"sample {self._count}"
        if self._count and sample.keys() != self._last.keys():
            other = sorted(map(str, set(sample) ^ set(self._last)))
            raise StlError(f"has other signals than the samples before: {', '.join(other)}", where=where)
        values: dict[str, float] = {}
        for name, value in sample.items():
            try:
                values[name] = float(value)
            except (TypeError, ValueError, OverflowError):
                raise StlError("is no number", where=f"signal {name!r}, {where}", fix="give floats") from None
            if np.isinf(values[name]):
                what = "the sample is infinite"
                raise StlError(what, where=f"signal {name!r}, {where}", fix="replace it")
        return values

    def _points(self, time: int, values: dict[str, float]) -> list[tuple[int, dict[str, float]]]:
        """Grid points after the last sample up to this one."""
        grid = range(self._next, time + 1, self.period_ns)
        self._next += len(grid) * self.period_ns
        if self.sampling == "hold":
            return [(point, dict(values if point == time else self._last)) for point in grid]
        points = []
        for point in grid:
            share = (point - self._time) / (time - self._time)
            now = {name: self._last[name] * (1 - share) + value * share for name, value in values.items()}
            points.append((point, dict(values) if point == time else now))
        return points

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs: numbers and text."""
        last, next_ns = dict(self._last), self._next
        settings = {"period_ns": self.period_ns, "sampling": self.sampling}
        return settings | {"count": self._count, "time_ns": self._time, "next_ns": next_ns, "last": last}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a saved one stopped.

        Raises:
            StlError: The state is damaged or of another sampling.
        """
        if state.get("period_ns") != self.period_ns or state.get("sampling") != self.sampling:
            raise StlError("a saved resampler has another period or sampling", fix="restore it in its own")
        count, time, following, last = (state.get(key) for key in ("count", "time_ns", "next_ns", "last"))
        numbers = all(type(each) is int for each in (count, time, following)) and isinstance(last, Mapping)
        if not numbers or count < 0 or not all(type(each) is float for each in last.values()):  # type: ignore[operator, union-attr]
            raise StlError("a saved resampler is damaged", fix="save it again")
        self._count, self._time, self._next, self._last = count, time, following, dict(last)  # type: ignore[assignment, arg-type]
