"""rtamt (Python, discrete time): one trace at a time."""

from __future__ import annotations

import importlib
from collections.abc import Callable
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

    def _parsed(self, kind: str, formula: str) -> Any:
        made = getattr(self.rtamt, kind)()
        for name in ("x", "y"):
            made.declare_var(name, "float")
        made.spec = formula
        made.parse()
        return made

    def offline(self, formula: str, traces: list[dict[str, list[float]]]) -> list[tuple[Callable[[], object], int]]:
        """One item per trace, whole robustness trace."""
        parsed = self._parsed("StlDiscreteTimeOfflineSpecification", formula)
        length = len(traces[0]["x"])
        data = [{"time": list(range(length)), **trace} for trace in traces]
        return [(partial(parsed.evaluate, each), length) for each in data]

    def values(self, formula: str, trace: dict[str, list[float]]) -> list[float]:
        """Robustness at every sample."""
        parsed = self._parsed("StlDiscreteTimeOfflineSpecification", formula)
        copied = {name: list(values) for name, values in trace.items()}
        return [row[1] for row in parsed.evaluate({"time": list(range(len(trace["x"]))), **copied})]

    def online(self, formula: str, trace: dict[str, list[float]]) -> list[tuple[Callable[[], object], int]]:
        """Past form (`pastify`). Its values are wrong on 0.4.10 (docs/stl.md); what it costs is right."""
        parsed = self._parsed("StlDiscreteTimeOnlineSpecification", formula)
        parsed.pastify()
        rows = [list(zip(trace, row, strict=True)) for row in zip(*trace.values(), strict=True)]
        clock = [0]

        def feed() -> None:
            for row in rows:
                parsed.update(clock[0], row)
                clock[0] += 1

        return [(feed, len(rows))]


def engine() -> Rtamt:
    """For the driver."""
    return Rtamt()
