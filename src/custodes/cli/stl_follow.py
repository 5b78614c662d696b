"""Rules on a stream: a JSON line as soon as something is decided."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, final

from custodes.stl.errors import StlError
from custodes.train.jsontext import json_line

if TYPE_CHECKING:
    from custodes.stl.formula import Formula
    from custodes.stl.policy import End, Nan
    from custodes.stl.specfile import Spec, SpecFile
    from custodes.stl.traces import Sample


def follow(file: SpecFile, spec: str, data: str, end: End) -> bool:
    """Watch a stream to its end, in memory that does not grow.

    Args:
        file: The rules.
        spec: Where they came from, for errors.
        data: A CSV or JSON-lines file, or "-".
        end: What lies after the last sample.

    Returns:
        Whether no rule was violated.
    """
    from custodes.cli.stl_load import signal_names
    from custodes.stl.traces import STANDARD_INPUT, open_rows, stream_regular

    names = signal_names(file)
    source = "standard input" if data == STANDARD_INPUT else data
    with open_rows(data, names, time_unit=file.time_unit) as rows:
        period, samples = stream_regular(rows, names, file, source)
        watches = [_watch(each, period, file.nan, spec) for each in file.specs]
        empty = True
        for sample in samples:
            empty = False
            _check(sample, file.nan, source)
            for watch in watches:
                _print(watch.take(sample))
        if empty:
            raise StlError("the trace is empty", where=source, fix="give at least one sample")
    for watch in watches:
        _print(watch.finish(end))
    return not any(watch.violated for watch in watches)


def _check(sample: Sample, nan: Nan, source: str) -> None:
    """Refuse an infinite value, and a missing one where the rules do not mask it."""
    from custodes.cli.stl_load import no_number

    for name, value in sample.values.items():
        if math.isinf(value) or (math.isnan(value) and nan == "reject"):
            raise no_number(value, f"{source}, line {sample.line}, column {name!r}")


def _watch(spec: Spec, period: int | None, nan: Nan, source: str) -> Watch:
    from custodes.stl.traces import formula_in_samples

    formula = formula_in_samples(spec, period, source)
    try:
        return Watch(spec.name, formula, nan)
    except StlError as error:
        raise StlError(error.what, where=f"{source}, spec {spec.name}", fix=error.fix) from None


def _print(lines: Iterator[dict[str, Any]]) -> None:
    for line in lines:
        sys.stdout.write(json_line(line) + "\n")
        sys.stdout.flush()


@final
class Watch:
    """One rule on one stream.

    A rule that is an `always` over all the future is watched twice: what it asks of each sample, sample by sample, and
    the whole, for the verdict at the first sample.

    Args:
        name: Of the rule.
        formula: Bounds in samples.
        nan: NaN policy.
    """

    def __init__(self, name: str, formula: Formula, nan: Nan) -> None:
        from custodes.stl.analysis import horizon
        from custodes.stl.explain import per_sample
        from custodes.stl.streaming import SingleMonitor

        body = per_sample(formula)
        self.name, self.samples, self.violated = name, 0, False
        self._whole = SingleMonitor(formula, nan=nan)
        self._each = self._whole if body is formula else SingleMonitor(body, nan=nan)
        self._bounded = horizon(body) is not None
        self._determined = False
        self._broken_at: int | None = None
        self._times: deque[int | None] = deque()

    def take(self, sample: Sample) -> Iterator[dict[str, Any]]:
        """What one sample decides."""
        values: dict[str, float] = sample.values
        point = self._each.update(values)
        whole = point if self._each is self._whole else self._whole.update(values)
        self.samples += 1
        if self._bounded:
            # The times of samples whose verdict is still to come: as many as the rule looks ahead.
            self._times.append(sample.time_ns)
            if point.time >= 0:
                yield self._line(point.time, point.lower, point.upper)
        if whole.determined and not self._determined:
            self._determined = True
            self.violated |= whole.first_upper < 0
            word = "satisfied" if whole.first_lower >= 0 else "violated"
            yield {"spec": self.name, "determined": word, "by_sample": self.samples - 1, **_moment(sample.time_ns)}

    def finish(self, end: End) -> Iterator[dict[str, Any]]:
        """What the end decides: samples still open, then the whole."""
        if self._bounded:
            rest = self._each.finish(end)
            for time, lower, upper in zip(rest.times[:, 0], rest.lower[:, 0], rest.upper[:, 0], strict=True):
                if time >= 0:
                    yield self._line(int(time), float(lower), float(lower if end == "pessimistic" else upper))
        last = self._whole.finish(end)
        lower, upper = float(last.first_lower[0]), float(last.first_upper[0])
        if end == "pessimistic":
            upper = lower
        satisfied = _satisfied(lower, upper)
        self.violated = satisfied is False
        line = {"spec": self.name, "final": True, "satisfied": satisfied, **_robustness(lower, upper)}
        yield line | {"broken_at": self._broken_at, "samples": self.samples}

    def _line(self, time: int, lower: float, upper: float) -> dict[str, Any]:
        satisfied = _satisfied(lower, upper)
        if satisfied is False and self._broken_at is None:
            self._broken_at = time
        moment = _moment(self._times.popleft())
        return {"spec": self.name, "sample": time, **moment, "satisfied": satisfied, **_robustness(lower, upper)}


def _satisfied(lower: float, upper: float) -> bool | None:
    return True if lower >= 0 else False if upper < 0 else None


def _robustness(lower: float, upper: float) -> dict[str, float]:
    return {"robustness": lower} if lower == upper else {"robustness": lower, "lower": lower, "upper": upper}


def _moment(time_ns: int | None) -> dict[str, float]:
    return {} if time_ns is None else {"time_s": time_ns / 1e9}
