"""sentil (Rust): one trace at a time."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any


class Sentil:
    """Formula and traces are built outside the timing."""

    name = "sentil"

    def __init__(self) -> None:
        self.sentil: Any = importlib.import_module("sentil")
        self.numpy: Any = importlib.import_module("numpy")

    def versions(self) -> dict[str, str]:
        """By distribution."""
        return {"sentil": metadata.version("sentil")}

    def _trace(self, trace: dict[str, list[float]]) -> Any:
        columns = {name: self.numpy.array(values) for name, values in trace.items()}
        return self.sentil.Trace(self.numpy.arange(len(next(iter(trace.values()))), dtype=float), columns)

    def offline(self, formula: str, traces: list[dict[str, list[float]]]) -> list[tuple[Callable[[], object], int]]:
        """One item per trace, whole robustness trace."""
        parsed = self.sentil.parse(formula)
        built = [self._trace(trace) for trace in traces]
        return [(partial(parsed.robustness_signal, each), len(traces[0]["x"])) for each in built]

    def values(self, formula: str, trace: dict[str, list[float]]) -> list[float]:
        """Robustness at every sample."""
        found: list[float] = self.sentil.parse(formula).robustness_signal(self._trace(trace)).tolist()
        return found

    def online(self, formula: str, trace: dict[str, list[float]]) -> list[tuple[Callable[[], object], int]]:
        """Feed the trace to a monitor that goes on from call to call."""
        parsed = self.sentil.parse(formula)
        samples = [dict(zip(trace, row, strict=True)) for row in zip(*trace.values(), strict=True)]
        monitor, clock = self.sentil.OnlineMonitor(parsed), [0.0]

        def feed() -> None:
            now, update = clock[0], monitor.update
            for sample in samples:
                update(now, sample)
                now += 1.0
            clock[0] = now

        return [(feed, len(samples))]

    def many(self, jobs: list[tuple[str, dict[str, list[float]]]]) -> dict[str, list[list[float]]]:
        """Robustness traces of formulas, each on a trace of its own."""
        return {"values": [self.values(formula, trace) for formula, trace in jobs]}


def engine() -> Sentil:
    """For the driver."""
    return Sentil()
