"""Measures every engine in turns, so that neighbours in time see the same machine."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from statistics import median
from typing import Any, Final, final

from custodes.stl.bench.environments import ENVIRONMENTS, interpreter
from custodes.stl.bench.worker import Worker, WorkerEndedError, WorkerError

FORMULAS: Final[Mapping[str, str]] = {
    "phi1": "always[0,50]((x < 0.5) -> eventually[0,10](y > 0.2))",
    "phi2": "(x > 0) until[5,20] (y > 0)",
}
"""In a spelling that custodes, sentil and rtamt all read."""
WHOLE: Final = {"phi1": 60, "phi2": 20}
"""Horizons: engines are compared on samples whose whole future is in the trace, where all end policies agree."""
LENGTH: Final = 1_000
"""Samples of a trace."""
BATCHES: Final = (1, 64, 1024)
STREAMS: Final = (1, 64, 1024, 16384)
WINDOWS: Final = (10, 100, 1000)
WINDOW_STREAMS: Final = 1024
MEMORY_BATCH: Final = 1024
MEMORY_LENGTHS: Final = (250, 500, 1000, 2000)
FULL: Final = 80
"""Steps that fill the windows of phi1."""
NO_ONLINE: Final = {"stlcgpp": "has no streaming monitor", "custodes64": "streams are float64 anyway"}
PRECISION: Final = {"custodes": "float32", "sentil": "float64", "rtamt": "float64", "stlcgpp": "float32"}
"""Of whole traces; streams are float64 in every engine."""


def run_bench(*, rounds: int = 5, seconds: float = 0.5, peers: bool = True) -> dict[str, Any]:
    """Measure.

    Args:
        rounds: Turns of every engine at every job; the median counts.
        seconds: Length of a turn; the call under way at the end is finished and counted.
        peers: Also sentil, rtamt and stlcg++, where they are installed.

    Returns:
        offline: `{phi1|phi2: {engine: {batch: samples per second}}}`, whole robustness traces, T = 1,000. An engine
        that is missing or failed has null for every batch, and its reason in `missing` or `failed`.
        `precision` says which engine computes in what: custodes here in float32, as in training, and in float64,
        as sentil and rtamt do, under offline_float64 and ratios_float64. ratios: `{phi: {peer: how many times as
        fast custodes is at batch 64}}`. online: `{phi: {engine: us per sample}}`, one stream. fleet: `{streams: us
        per stream and sample}` and fleet_window `{window: us}` at 1,024 streams. memory: `{T: bytes}`, growth of the
        peak at batch 1,024 on phi1. agreement: `{phi: {engine: largest difference from custodes in float64}}` on
        samples with a whole future (null for phi2 of stlcg++, whose guard is inclusive).
    """
    names = ("custodes", *(ENVIRONMENTS if peers else ()), "custodes64")
    board = _Board(rounds, seconds)
    with ExitStack() as stack:
        workers = board.start(names, stack)
        board.compare(workers)
        board.rounds(workers)
    board.fleet()
    board.memory()
    return board.result(names)


@final
class _Board:
    """Gathers measurements by key."""

    def __init__(self, rounds: int, seconds: float) -> None:
        self._rounds, self._seconds = rounds, seconds
        self._speeds: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        self._missing: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self._versions: dict[str, dict[str, str]] = {}
        self._agreement: dict[str, dict[str, float | None]] = {phi: {} for phi in FORMULAS}
        self._fleet: dict[str, list[float]] = defaultdict(list)
        self._window: dict[str, list[float]] = defaultdict(list)
        self._memory: dict[str, int | None] = {}

    def start(self, names: tuple[str, ...], stack: ExitStack) -> dict[str, Worker]:
        """Every engine that there is an interpreter for."""
        workers: dict[str, Worker] = {}
        for name in names:
            python, reason = interpreter(name)
            if python is None:
                self._missing[name] = reason
                continue
            worker = stack.enter_context(Worker(name, python))
            if (answer := self._ask(name, worker, "hello")) is not None:
                workers[name] = worker
                self._versions[name] = answer["versions"]
        return workers

    def _ask(self, name: str, worker: Worker, kind: str, **job: Any) -> dict[str, Any] | None:
        if name in self._failed:
            return None
        try:
            return worker.ask(kind, **job)
        except WorkerEndedError as error:
            self._failed[name] = str(error)
        except WorkerError as error:
            self._failed[f"{name}, {kind} {job.get('formula', '')}".strip()] = str(error)
        return None

    def compare(self, workers: Mapping[str, Worker]) -> None:
        """Who is measured computes the same thing: the largest difference of the first trace's robustness."""
        for phi, text in FORMULAS.items():
            found = {
                name: answer["values"]
                for name, worker in workers.items()
                if (answer := self._ask(name, worker, "values", formula=text, length=LENGTH)) is not None
            }
            ours = found.get("custodes64")
            for name, values in found.items():
                inclusive = name == "stlcgpp" and phi == "phi2"
                whole = range(LENGTH - WHOLE[phi])
                self._agreement[phi][name] = (
                    None if ours is None or inclusive else max(abs(values[t] - ours[t]) for t in whole)
                )

    def rounds(self, workers: Mapping[str, Worker]) -> None:
        """A B C, A B C, ... for every job."""
        for number in range(self._rounds):
            for kind, phi, batch in _jobs():
                for name, worker in workers.items():
                    if kind == "online" and name in NO_ONLINE:
                        continue
                    job: dict[str, Any] = {"formula": FORMULAS[phi], "length": LENGTH, "seconds": self._seconds}
                    job |= {"batch": batch} if kind == "offline" else {}
                    answer = self._ask(name, worker, kind, **job)
                    if answer is not None:
                        speed = answer["samples"] / answer["seconds"]
                        self._speeds[name, phi, str(batch) if kind == "offline" else kind].append(speed)
            print(f"round {number + 1}/{self._rounds}", file=sys.stderr)  # noqa: T201 - progress

    def fleet(self) -> None:
        """Streams in lockstep, and windows of several lengths."""
        python, _ = interpreter("custodes")
        assert python is not None
        with Worker("custodes", python) as worker:
            for _ in range(self._rounds):
                for streams in STREAMS:
                    self._step(worker, self._fleet[str(streams)], FORMULAS["phi1"], streams, FULL)
                for window in WINDOWS:
                    text = f"always[0,{window}]((x < 0.5) -> eventually[0,10](y > 0.2))"
                    self._step(worker, self._window[str(window)], text, WINDOW_STREAMS, window + 20)

    def _step(self, worker: Worker, into: list[float], text: str, streams: int, warmup: int) -> None:
        job = {"formula": text, "streams": streams, "seconds": self._seconds, "warmup": warmup}
        answer = self._ask("fleet", worker, "fleet", **job)
        if answer is not None:
            into.append(1e6 * answer["seconds"] / answer["steps"] / streams)

    def memory(self) -> None:
        """A process per length: a peak only ever grows."""
        python, _ = interpreter("custodes")
        assert python is not None
        for length in MEMORY_LENGTHS:
            with Worker("custodes", python) as worker:
                job = {"formula": FORMULAS["phi1"], "batch": MEMORY_BATCH, "length": length}
                answer = self._ask("memory", worker, "memory", **job)
            self._memory[str(length)] = None if answer is None else int(answer["peak"])

    def result(self, names: tuple[str, ...]) -> dict[str, Any]:
        """One object, as `run_bench` says."""
        public = [name for name in names if name != "custodes64"]
        return {
            "offline": {phi: {name: self._offline(name, phi) for name in public} for phi in FORMULAS},
            "offline_float64": {phi: {"custodes": self._offline("custodes64", phi)} for phi in FORMULAS},
            "precision": dict(PRECISION),
            "online": {phi: {name: self._online(name, phi) for name in public} for phi in FORMULAS},
            "fleet": {streams: _middle(costs) for streams, costs in self._fleet.items()},
            "fleet_window": {window: _middle(costs) for window, costs in self._window.items()},
            "memory": self._memory,
            "ratios": {phi: self._ratios("custodes", phi, public) for phi in FORMULAS},
            "ratios_float64": {phi: self._ratios("custodes64", phi, public) for phi in FORMULAS},
            "agreement": self._agreement,
            "formulas": dict(FORMULAS),
            "length": LENGTH,
            "rounds": self._rounds,
            "seconds": self._seconds,
            "threads": 1,
            "statistic": "median over the rounds",
            "versions": self._versions,
            "missing": self._missing,
            "no_online": {name: NO_ONLINE[name] for name in public if name in NO_ONLINE},
            "failed": self._failed,
        }

    def _offline(self, name: str, phi: str) -> dict[str, float | None]:
        return {str(batch): _middle(self._speeds.get((name, phi, str(batch)), [])) for batch in BATCHES}

    def _online(self, name: str, phi: str) -> float | None:
        speed = _middle(self._speeds.get((name, phi, "online"), []))
        return None if speed is None else 1e6 / speed

    def _ratios(self, ours_is: str, phi: str, names: list[str]) -> dict[str, float | None]:
        """How many times as fast as each peer custodes is at batch 64."""
        ours = self._offline(ours_is, phi)["64"]
        theirs = {name: self._offline(name, phi)["64"] for name in names if name != "custodes"}
        return {name: None if ours is None or speed is None else ours / speed for name, speed in theirs.items()}


def _jobs() -> Iterator[tuple[str, str, int]]:
    for phi in FORMULAS:
        yield from (("offline", phi, batch) for batch in BATCHES)
        yield "online", phi, 1


def _middle(values: list[float]) -> float | None:
    return median(values) if values and all(map(math.isfinite, values)) else None
