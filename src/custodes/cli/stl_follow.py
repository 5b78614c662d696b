"""Rules on a stream: a JSON line as soon as something is decided.

The end of a stream decides every rule whose windows ahead end soon, from what its monitor remembers. For the others
samples are kept, up to a limit, and evaluated as a stored trace is: the monitor alone would know bounds only, or would
have to be fed as many samples as the windows are long.
"""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, final

from custodes.cli.output import say
from custodes.stl.errors import StlError
from custodes.train.jsontext import json_line

if TYPE_CHECKING:
    from custodes.cli.stl_kept import Kept
    from custodes.stl.formula import Formula
    from custodes.stl.policy import End, Nan
    from custodes.stl.specfile import Spec, SpecFile
    from custodes.stl.traces import Sample


LONG: Final = 10_000
"""Longest reach of a rule, samples, that its monitor is fed at the end."""


def follow(file: SpecFile, spec: str, data: str, end: End) -> bool:
    """Watch a stream to its end, in memory that does not grow beyond what `Kept` holds.

    Args:
        file: The rules.
        spec: Where they came from, for errors.
        data: A CSV or JSON-lines file, or "-".
        end: What lies after the last sample.

    Returns:
        Whether no rule was violated.
    """
    from custodes.cli.stl_kept import Kept
    from custodes.cli.stl_load import signal_names
    from custodes.stl.traces import STANDARD_INPUT, open_rows, stream_regular

    names = signal_names(file)
    source = "standard input" if data == STANDARD_INPUT else data
    with open_rows(data, names, time_unit=file.time_unit) as rows:
        period, samples = stream_regular(rows, names, file, source)
        watches = [_watch(each, period, file.nan, spec) for each in file.specs]
        kept = Kept(names) if any(watch.keeps for watch in watches) else None
        empty = True
        for sample in samples:
            empty = False
            _check(sample, file.nan, source)
            if kept is not None:
                kept.take(sample.values)
            for watch in watches:
                _print(watch.take(sample))
        if empty:
            raise StlError("the trace is empty", where=source, fix="give at least one sample")
    for watch in watches:
        _print(watch.finish(end, kept))
        if watch.open:
            say(
                f"Note: {watch.name} is open at the end of the stream, which is too long to keep; "
                "`custodes stl monitor` on the stored trace decides it."
            )
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
        self._formula, self._nan, self._bounded = formula, nan, horizon(body) is not None
        self.keeps = not self._bounded or self._whole.reach > LONG
        """Whether its end is decided on the samples, not by its monitor."""
        self.open = False
        """Whether the end left a verdict open that a stored trace would decide."""
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

    def finish(self, end: End, kept: Kept | None) -> Iterator[dict[str, Any]]:
        """What the end decides: samples still open, then the whole.

        Args:
            end: What lies after the last sample.
            kept: The samples, if any rule asked for them.
        """
        if self.keeps and kept is not None and kept.whole:
            yield from self._decide(end, kept)
            return
        if self._bounded:
            rest = self._each.finish(end)
            for time, lower, upper in zip(rest.times[:, 0], rest.lower[:, 0], rest.upper[:, 0], strict=True):
                if time >= 0:
                    yield self._line(int(time), float(lower), float(lower if end == "pessimistic" else upper))
        last = self._whole.finish(end)
        lower, upper = float(last.first_lower[0]), float(last.first_upper[0])
        if end == "pessimistic" and self._bounded:
            upper = lower
        satisfied = _satisfied(lower, upper)
        # Here a window without end is known by its bounds only; a lower bound of them is not yet the pessimistic value.
        self.open = satisfied is None and not self._bounded and end != "interval"
        broken = {"broken_at": self._broken_at} if self._bounded else {}
        yield self._final(satisfied, lower, upper, broken | ({"open": True} if self.open else {}))

    def _decide(self, end: End, kept: Kept) -> Iterator[dict[str, Any]]:
        """The end as a stored trace has it."""
        from custodes.cli.stl_whole import evaluate_rule, first_broken

        found, body = evaluate_rule(self._formula, kept.signals(), end, self._nan)
        if self._bounded:
            lowers = body.lower.tolist()
            uppers = lowers if end == "pessimistic" else body.upper.tolist()
            for time in range(self.samples - len(self._times), self.samples):
                yield self._line(time, lowers[time], uppers[time])
        lower = float(found.lower[0])
        upper = lower if end == "pessimistic" else float(found.upper[0])
        yield self._final(_satisfied(lower, upper), lower, upper, {"broken_at": first_broken(body, end)})

    def _final(self, satisfied: bool | None, lower: float, upper: float, more: dict[str, Any]) -> dict[str, Any]:
        self.violated = satisfied is False
        line = {"spec": self.name, "final": True, "satisfied": satisfied, **_robustness(lower, upper)}
        return line | more | {"samples": self.samples}

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
