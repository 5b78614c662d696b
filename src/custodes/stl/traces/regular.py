"""Recorded samples made regular as a spec file declares, whole or line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final, final

import numpy as np
import numpy.typing as npt

from custodes.stl.analysis import in_samples
from custodes.stl.errors import StlError
from custodes.stl.formula import UNITS, Formula
from custodes.stl.resample import Resampler, regular
from custodes.stl.specfile import Spec, SpecFile
from custodes.stl.traces.files import Table
from custodes.stl.traces.rows import Row

READABLE: Final = 100_000
"""Times that begin later are shown from the first sample on."""


@final
@dataclass(frozen=True, kw_only=True)
class Trace:
    """One trace that rules can be evaluated on."""

    signals: Mapping[str, npt.NDArray[np.float64]]
    """By name, [samples]; NaN where unknown."""
    times: npt.NDArray[np.float64] | None
    """Time of each sample in `unit`, for people; None when samples are only counted."""
    unit: str
    """A key of UNITS, and from when if not from zero; empty without times."""
    period_ns: int | None
    """Distance of the samples, nanoseconds; None when nothing says it."""
    length: int
    """Samples."""


def make_regular(table: Table, file: SpecFile) -> Trace:
    """Check the times of a trace, and resample it where the spec file says so.

    Without a period in the spec file it is the first step of the times.

    Args:
        table: As recorded.
        file: Declares period, sampling and unit.

    Raises:
        StlError: A time repeats or goes back, or the times are irregular where that is refused.
    """
    times = table.times_ns
    if times is None:
        return Trace(signals=table.columns, times=None, unit="", period_ns=file.period_ns, length=table.length)
    period = file.period_ns if table.length < 2 else _period(file, int(times[0]), int(times[1]), table.source)
    columns = dict(table.columns)
    if period is not None or file.sampling == "samples":
        try:
            times, columns = regular(times, columns, period_ns=period or 1, sampling=file.sampling)
        except StlError as error:
            raise _placed(error, table.source) from None
    scale = UNITS[file.time_unit]
    # A date would take all the digits that a person reads.
    late = abs(int(times[0])) >= READABLE * scale
    unit = f"{file.time_unit} after the first sample" if late else file.time_unit
    shown = (times - times[0] if late else times) / scale
    return Trace(signals=columns, times=shown, unit=unit, period_ns=period, length=len(times))


def _period(file: SpecFile, first: int, second: int, source: str) -> int | None:
    if file.period_ns is not None or file.sampling == "samples":
        return file.period_ns
    if second <= first:
        what = "repeats the first one" if second == first else "goes back"
        raise StlError(f"the second time {what}", where=source, fix="sort the trace, keep one sample per time")
    return second - first


def _placed(error: StlError, source: str) -> StlError:
    return StlError(error.what, where=f"{source}, {error.where}" if error.where else source, fix=error.fix)


def formula_in_samples(spec: Spec, period_ns: int | None, source: str) -> Formula:
    """A rule with its bounds in samples.

    Raises:
        FormulaError: A bound has a unit and the period is unknown, or it is no multiple of the period.
    """
    return in_samples(spec.formula, period_ns, text=spec.text, source=f"{source}, formula of spec {spec.name}")


@final
@dataclass(frozen=True, slots=True)
class Sample:
    """One regular sample of a stream."""

    line: int
    """Line that made it certain."""
    time_ns: int | None
    """Nanoseconds; None without times."""
    values: dict[str, float]
    """By signal; NaN where unknown."""


def stream_regular(
    rows: Iterable[Row], names: Sequence[str], file: SpecFile, source: str
) -> tuple[int | None, Iterator[Sample]]:
    """Like `make_regular`, in memory that does not grow.

    Args:
        rows: As read; up to two are taken right away, to learn the period.
        names: Signals, in the rows' order.
        file: Declares period, sampling and unit.
        source: What to call the stream in errors.

    Returns:
        The period in nanoseconds (None when nothing says it), and the samples.

    Raises:
        StlError: As for `make_regular`, then and while the samples are read, naming the line.
    """
    stream = iter(rows)
    early = list(islice(stream, 1 if file.period_ns is not None else 2))
    period, times = file.period_ns, [row.time_ns for row in early if row.time_ns is not None]
    if len(times) == 2:
        period = _period(file, times[0], times[1], f"{source}, line {early[1].line}")
    return period, _samples(chain(early, stream), names, period, file, source)


def _samples(
    rows: Iterable[Row], names: Sequence[str], period: int | None, file: SpecFile, source: str
) -> Iterator[Sample]:
    resampler = Resampler(period or 1, file.sampling)
    for row in rows:
        values = dict(zip(names, row.values, strict=True))
        if row.time_ns is None:
            yield Sample(row.line, None, values)
            continue
        try:
            made = resampler.push(row.time_ns, values)
        except StlError as error:
            raise _placed(error, f"{source}, line {row.line}") from None
        yield from (Sample(row.line, time, sample) for time, sample in made)
