"""custodes itself, in a process of its own like the others."""

from __future__ import annotations

import resource
from collections.abc import Callable
from importlib import metadata
from itertools import cycle
from pathlib import Path

import numpy as np
import torch

from custodes.stl.batched import evaluate
from custodes.stl.parser import parse
from custodes.stl.streaming import Monitor, SingleMonitor

Work = list[tuple[Callable[[], object], int]]


class Custodes:
    """The batched evaluator on float32, the type of training; the monitor of one stream and the fleet on float64."""

    name = "custodes"

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        torch.set_num_threads(1)
        self.dtype = dtype

    def versions(self) -> dict[str, str]:
        """By distribution."""
        return {name: metadata.version(name) for name in ("custodes", "torch", "numpy")}

    def _batch(self, traces: list[dict[str, list[float]]]) -> dict[str, torch.Tensor]:
        return {name: torch.tensor([trace[name] for trace in traces], dtype=self.dtype) for name in traces[0]}

    def offline(self, formula: str, traces: list[dict[str, list[float]]]) -> Work:
        """One item: the whole batch, whole robustness traces and their validity."""
        parsed, batch = parse(formula), self._batch(traces)
        return [(lambda: evaluate(parsed, batch), len(traces) * len(traces[0]["x"]))]

    def values(self, formula: str, trace: dict[str, list[float]]) -> list[float]:
        """Robustness at every sample."""
        found: list[float] = evaluate(parse(formula), self._batch([trace])).value[0].tolist()
        return found

    def online(self, formula: str, trace: dict[str, list[float]]) -> Work:
        """Feed the trace to a monitor that goes on from call to call."""
        monitor = SingleMonitor(parse(formula))
        samples = [dict(zip(trace, row, strict=True)) for row in zip(*trace.values(), strict=True)]

        def feed() -> None:
            for sample in samples:
                monitor.update(sample)

        return [(feed, len(samples))]

    def fleet(self, formula: str, streams: int, seconds: float, warmup: int) -> dict[str, float]:
        """Many streams in lockstep: mean cost over whole periods of the longest window.

        Args:
            formula: Text.
            streams: How many.
            seconds: How long; at least 2 `warmup` steps.
            warmup: Steps before the clock starts: the longest window has to be full.
        """
        import time

        source = np.random.default_rng(0)
        samples = [{name: source.normal(size=streams) for name in ("x", "y")} for _ in range(64)]
        monitor, feed = Monitor(parse(formula), streams=streams), cycle(samples)
        for _ in range(warmup):
            monitor.step(next(feed))
        steps, start, slowest = 0, time.perf_counter(), 0.0
        while True:
            for _ in range(2 * warmup):
                before = time.perf_counter()
                monitor.step(next(feed))
                slowest = max(slowest, time.perf_counter() - before)
            steps += 2 * warmup
            took = time.perf_counter() - start
            if took >= seconds:
                return {"steps": steps, "seconds": took, "slowest": slowest}

    def memory(self, formula: str, batch: int, length: int) -> dict[str, int]:
        """How far the peak of this process grows while it evaluates one batch, bytes; once per process."""
        parsed = parse(formula)
        source = torch.Generator().manual_seed(0)
        evaluate(parsed, {name: torch.zeros(2, 100, dtype=self.dtype) for name in ("x", "y")})
        signals = {name: torch.randn(batch, length, dtype=self.dtype, generator=source) for name in ("x", "y")}
        before = resident()
        evaluate(parsed, signals)
        return {"peak": max(0, peak() - before), "inputs": sum(each.nbytes for each in signals.values())}


def resident() -> int:
    """Memory held now, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return peak()  # pragma: no cover - another system


def peak() -> int:
    """Most memory ever held, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def engine() -> Custodes:
    """For the driver."""
    return Custodes()
