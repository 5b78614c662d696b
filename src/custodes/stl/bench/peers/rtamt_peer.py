"""rtamt (Python, discrete time): one trace at a time."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from typing import Any


class Rtamt:
    """Specifications are parsed outside the timing."""

    name = "rtamt"

    def __init__(self) -> None:
        self.rtamt: Any = importlib.import_module("rtamt")

    def versions(self) -> dict[str, str]:
        """By distribution."""
        return {"rtamt": metadata.version("rtamt")}

    def _parsed(self, kind: str, formula: str, names: Iterable[str]) -> Any:
        made = getattr(self.rtamt, kind)()
        for name in names:
            made.declare_var(name, "float")
        made.spec = formula
        made.parse()
        return made

    def offline(self, formula: str, traces: list[dict[str, list[float]]]) -> list[tuple[Callable[[], object], int]]:
        """One item per trace, whole robustness trace."""
        parsed = self._parsed("StlDiscreteTimeOfflineSpecification", formula, traces[0])
        length = len(traces[0]["x"])
        data = [{"time": list(range(length)), **trace} for trace in traces]
        return [(partial(parsed.evaluate, each), length) for each in data]

    def values(self, formula: str, trace: dict[str, list[float]]) -> list[float]:
        """Robustness at every sample."""
        parsed = self._parsed("StlDiscreteTimeOfflineSpecification", formula, trace)
        copied = {name: list(values) for name, values in trace.items()}  # It appends to what it is given.
        times = list(range(len(next(iter(trace.values())))))
        return [row[1] for row in parsed.evaluate({"time": times, **copied})]

    def online(self, formula: str, trace: dict[str, list[float]]) -> list[tuple[Callable[[], object], int]]:
        """Past form (`pastify`). Its values are wrong on 0.4.10 (docs/stl.md); what it costs is right."""
        parsed = self._parsed("StlDiscreteTimeOnlineSpecification", formula, trace)
        parsed.pastify()
        rows = [list(zip(trace, row, strict=True)) for row in zip(*trace.values(), strict=True)]
        clock = [0]

        def feed() -> None:
            for row in rows:
                parsed.update(clock[0], row)
                clock[0] += 1

        return [(feed, len(rows))]

    def many(self, jobs: list[tuple[str, dict[str, list[float]]]]) -> dict[str, list[list[float]]]:
        """Robustness traces of formulas, each on a trace of its own."""
        return {"values": [self.values(formula, trace) for formula, trace in jobs]}

    def streamed(self, formula: str, trace: dict[str, list[float]]) -> dict[str, list[float]]:
        """What the online monitor says, sample by sample, after `pastify`."""
        parsed = self._parsed("StlDiscreteTimeOnlineSpecification", formula, trace)
        parsed.pastify()
        rows = zip(*trace.values(), strict=True)
        return {"values": [parsed.update(t, list(zip(trace, row, strict=True))) for t, row in enumerate(rows)]}


def engine() -> Rtamt:
    """For the driver."""
    return Rtamt()
