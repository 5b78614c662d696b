"""From scores to actions: three thresholds, tuned for the response cost on a part that is not scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.evaluate.response.rehearsal import Rehearsal

CANDIDATES: Final = 24
"""Thresholds tried for each action."""
_PASSES: Final = 3


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Act from this score on; the severest action whose threshold is reached is taken. inf for never."""

    alert: float = np.inf
    """Alert from here on."""
    quarantine: float = np.inf
    """Quarantine from here on."""
    block: float = np.inf
    """Block from here on."""

    def decide(self, score: NDArray[np.floating]) -> NDArray[np.int8]:
        """Actions for scores [M], int8 [M]."""
        decisions = np.zeros(len(score), dtype=np.int8)
        for action, threshold in ((ALERT, self.alert), (QUARANTINE, self.quarantine), (BLOCK, self.block)):
            decisions[score >= threshold] = action
        return decisions


def candidates(score: NDArray[np.floating], entity: NDArray[np.integer]) -> NDArray[np.float64]:
    """Thresholds worth trying: scores that set apart different numbers of processes, float64 [at most CANDIDATES].

    Args:
        score: Score of each event [M].
        entity: Its process [M].
    """
    highest = np.full(int(entity.max()) + 1, -np.inf)
    np.maximum.at(highest, entity, score)
    ranked = np.unique(highest[np.isfinite(highest)])[::-1]
    # Dense at the top, where one more process more or less decides, sparse below.
    places = np.unique(np.geomspace(1, len(ranked), CANDIDATES).astype(np.int64) - 1)
    middle = (ranked[places] + ranked[np.minimum(places + 1, len(ranked) - 1)]) / 2
    return np.asarray(middle, dtype=np.float64)


def tune(rehearsal: Rehearsal, score: NDArray[np.floating]) -> tuple[Thresholds, float]:
    """Thresholds with the lowest cost on a training period, by coordinate descent from doing nothing.

    Args:
        rehearsal: The period, T events.
        score: Score of each of them, float [T].

    Returns:
        The thresholds and their cost; never more than that of doing nothing.
    """
    whole = rehearsal.whole
    tried = [*candidates(score, whole.forest.entity[whole.rows]).tolist(), np.inf]
    bounds = [
        _Bound.of(piece, score[place], rehearsal.costs)
        for piece, place in zip(rehearsal.pieces, rehearsal.places, strict=True)
    ]
    best, lowest = Thresholds(), rehearsal.cost_allow
    for _ in range(_PASSES):
        before = lowest
        for name in ("block", "quarantine", "alert"):
            for value in tried:
                now = Thresholds(**{**vars(best), name: value})
                if now == best or sum(bound(now) for bound in bounds) >= lowest:
                    continue
                cost = rehearsal.cost(now.decide(score))
                if cost < lowest:
                    best, lowest = now, cost
        if lowest == before:
            break
    return best, lowest


@dataclass(frozen=True, kw_only=True)
class _Bound:
    """What thresholds cost at the very least: the replays of those that flag half of the processes take longest."""

    peak: NDArray[np.float64]
    """float64 [E]: highest score of each entity in the part, -inf without any."""
    innocent: NDArray[np.bool_]
    """bool [E]: whose containment is false."""
    above: NDArray[np.float64]
    """float64 [E]: highest score among the ancestors; inf below a malicious one, which may be blocked at any time."""
    costs: ResponseCosts
    """Prices."""

    @classmethod
    def of(cls, recording: Recording, score: NDArray[np.floating], costs: ResponseCosts) -> _Bound:
        forest = recording.forest
        peak = np.full(forest.entities, -np.inf)
        np.maximum.at(peak, forest.entity[recording.rows], score)
        ends = np.where(recording.malicious, np.inf, peak)
        above = np.full(forest.entities, -np.inf)
        for level in forest.levels[1:]:
            parent = forest.parent[level]
            above[level] = np.maximum(above[parent], ends[parent])
        return cls(peak=peak, innocent=recording.innocent, above=above, costs=costs)

    def __call__(self, now: Thresholds) -> float:
        """Only processes that surely live to be acted on count, and only what the first action on them costs."""
        living = (self.above < now.block) & (self.peak > -np.inf)
        blocked = living & (self.peak >= now.block)
        asked = living & ~blocked & (self.peak >= min(now.alert, now.quarantine))
        # An alert that comes before the Quarantine may clear the process, which then costs no more.
        held = asked & (self.peak >= now.quarantine) & (now.quarantine <= now.alert)
        return (
            self.costs.false_block * int((blocked & self.innocent).sum())
            + self.costs.false_quarantine * int((held & self.innocent).sum())
            + self.costs.alert * int(asked.sum())
        )
