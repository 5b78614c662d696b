"""What an adapter is, and the gate through which a program's own training loop is timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from benchmarks.train_peers.workload import LanePlayer

Boundary = Callable[[], None]
"""To be called by a program once per iteration, always at the same place of its loop."""


class Program(Protocol):
    """One trainer on the workload, constructed as `Program(workload, seed)`."""

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        ...

    @property
    def note(self) -> str:
        """What to know of its network or settings, in a few words."""
        ...

    @property
    def players(self) -> Sequence[LanePlayer]:
        """The environments that it plays; empty where it plays something else."""
        ...

    def train(self, boundary: Boundary) -> None:
        """Run the program's own loop until `boundary` raises `Finished`."""
        ...


class Finished(BaseException):
    """Ends a training loop; not an `Exception`, so that no trainer swallows it."""


def count_parameters(parameters: Iterable[Any]) -> int:
    """Numbers held by distinct torch parameters."""
    return sum(parameter.numel() for parameter in {id(p): p for p in parameters}.values())


class Gate:
    """Makes a closed training loop take turns.

    Args:
        warmup: Iterations before the first turn; they are not measured.
        wait: Blocks until the next turn; returns its length in seconds, or None to end.
        report: Receives the measurement of a turn.
        players: Whose rewards a turn reports.
        samples: Environment steps in an iteration.
    """

    def __init__(
        self,
        *,
        warmup: int,
        wait: Callable[[], float | None],
        report: Callable[[dict[str, float | None]], None],
        players: Sequence[LanePlayer],
        samples: int,
    ) -> None:
        self._left, self._wait, self._report = warmup, wait, report
        self._players, self._samples = players, samples
        self._seconds = 0.0
        self._iterations = -1

    def __call__(self) -> None:
        """Mark the end of an iteration."""
        if self._left > 0:
            self._left -= 1
        if self._left > 0:
            return
        self._iterations += 1
        elapsed = time.perf_counter() - self._start if self._iterations else 0.0
        if self._iterations and elapsed < self._seconds:
            return
        if self._iterations:
            self._report(self._measurement(elapsed))
        self._begin()

    def _begin(self) -> None:
        seconds = self._wait()
        if seconds is None:
            raise Finished
        self._seconds, self._iterations = seconds, 0
        self._before = self._tally()
        self._cpu, self._start = time.process_time(), time.perf_counter()

    def _tally(self) -> tuple[int, float]:
        return sum(p.played for p in self._players), sum(p.rewarded for p in self._players)

    def _measurement(self, elapsed: float) -> dict[str, float | None]:
        played, rewarded = (now - before for now, before in zip(self._tally(), self._before, strict=True))
        return {
            "steps": self._iterations * self._samples,
            "seconds": elapsed,
            "cpu_seconds": time.process_time() - self._cpu,
            "reward": rewarded / played if played else None,
        }
