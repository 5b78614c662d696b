"""What one set of decisions comes to, in both tasks, as the attack table needs it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from custodes.data.schema import BENIGN, MALICIOUS
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import replay
from custodes.evaluate.metrics import confusion, contains
from custodes.evaluate.response.detection import highest_so_far
from custodes.evaluate.response.figures import falsely_contained, quantile, times_to_contain
from custodes.evaluate.response.outcome import price, reference_of, response_score


@dataclass(frozen=True, kw_only=True, eq=False)
class Gauged:
    """What decisions came to. T threats: malicious processes (response) or events (triage) of the part."""

    score: float | None
    """Response score; None in triage, and without an attack."""
    cost: float | None
    """Response cost; None in triage."""
    f1: float | None
    """Of events, by what is decided about a free entity."""
    false_containments: int
    """Innocent processes (response) or benign events (triage) that were contained."""
    population: int
    """Processes of the part (response), or its benign events (triage)."""
    contained: NDArray[np.bool_]
    """bool [T]: threats that were contained at all."""
    malicious_prevented: int
    """Malicious events that never executed (response) or were contained (triage)."""
    waits: tuple[float, float] | None
    """Median and 95th percentile of the seconds to contain a malicious process; None without any, and in triage."""


Judge = Callable[[NDArray[np.int8]], Mapping[str, float | None]]
"""From decisions int8 [M, S] to the share of windows in which each rule holds; None where there is none."""


class Gauge(ABC):
    """Measures decisions on a part; equal decisions are measured once, as many attacks come to the same.

    Args:
        labels: Of the M events in the order in which they happened, 0 benign, 1 malicious, others left out.
        judge: Says how rules hold; None without rules.
    """

    def __init__(self, labels: NDArray[np.integer[Any]], judge: Judge | None = None) -> None:
        self._labels, self._judge = labels, judge
        self._known: dict[bytes, Gauged] = {}
        self._held: dict[bytes, Mapping[str, float | None]] = {}

    def __call__(self, decisions: NDArray[np.integer[Any]]) -> Gauged:
        """Measure decisions.

        Args:
            decisions: Int [M, S], one column for each state.
        """
        said, digest = _identified(decisions)
        if digest not in self._known:
            self._known[digest] = self._measure(said)
        return self._known[digest]

    def held(self, decisions: NDArray[np.integer[Any]]) -> Mapping[str, float | None] | None:
        """How rules hold under decisions, int [M, S], by name; None without rules."""
        if self._judge is None:
            return None
        said, digest = _identified(decisions)
        if digest not in self._held:
            self._held[digest] = self._judge(said)
        return self._held[digest]

    @property
    def measured(self) -> int:
        """Different decisions measured so far."""
        return len(self._known)

    @abstractmethod
    def _measure(self, decisions: NDArray[np.int8]) -> Gauged:
        """Measure int8 [M, S]."""

    def _f1(self, decisions: NDArray[np.int8]) -> float | None:
        return confusion(self._labels, contains(decisions[:, 0])).f1


def _identified(decisions: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int8], bytes]:
    """Decisions as int8, and what tells them from others."""
    said = np.ascontiguousarray(decisions, dtype=np.int8)
    return said, hashlib.blake2b(said.tobytes()).digest()


@final
class ResponseGauge(Gauge):
    """Replays decisions on the whole part, in recorded order with tree effects.

    Args:
        recording: The part.
        costs: Costs and times.
        judge: Says how rules hold; None without rules.
    """

    def __init__(self, recording: Recording, costs: ResponseCosts, judge: Judge | None = None) -> None:
        super().__init__(recording.labels[recording.rows], judge)
        self._recording, self._costs = recording, costs
        self._ends = reference_of(recording, costs)
        forest, rows = recording.forest, recording.rows
        self._threats = np.unique(forest.entity[rows[recording.phase[rows] >= 0]])

    def _measure(self, decisions: NDArray[np.int8]) -> Gauged:
        recording, ends = self._recording, self._ends
        played = replay(recording, decisions, self._costs)
        result = price(recording, played, self._costs)
        waits = np.sort(times_to_contain(recording, played))
        return Gauged(
            score=response_score(result.cost, ends.allow.cost, ends.oracle.cost),
            cost=result.cost,
            f1=self._f1(highest_so_far(recording, decisions[:, :1].ravel())[:, None]),
            false_containments=falsely_contained(recording, played),
            population=len(recording.acting),
            contained=np.isfinite(played.contained[self._threats]),
            malicious_prevented=result.malicious_prevented,
            waits=(quantile(waits, 0.5), quantile(waits, 0.95)) if len(waits) else None,
        )


@final
class TriageGauge(Gauge):
    """Counts decisions event by event: nothing follows from them."""

    def _measure(self, decisions: NDArray[np.int8]) -> Gauged:
        contained = contains(decisions[:, 0])
        benign, malicious = self._labels == BENIGN, self._labels == MALICIOUS
        stopped = contained[malicious]
        return Gauged(
            score=None,
            cost=None,
            f1=self._f1(decisions),
            false_containments=int((contained & benign).sum()),
            population=int(benign.sum()),
            contained=stopped,
            malicious_prevented=int(stopped.sum()),
            waits=None,
        )
