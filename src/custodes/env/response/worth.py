"""What each action is worth at each event of a process's life: the cost that it saves against doing nothing.

Nothing here depends on what is done in play. One process is acted upon alone, so that an analyst is always free and an
alert is answered exactly `analyst_s` later; then everything an action leads to is known when it is taken. It is paid at
once, and a lane's rewards add up to what a replay of the same decisions saves (`custodes.env.response.replay`).

Sums are over the whole entity, not over the lane: a Block also ends what comes after a gap in the part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from custodes.env.lanes import Lanes
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.forest import IntArray
from custodes.env.response.recording import Recording
from custodes.errors import CustodesError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Worth:
    """For each of M places of the lanes. Costs in the units of `ResponseCosts`; the later places of a lane count on.

    An alert raised here is answered before the place `verdict`. Withholding from here on costs
    `delayed` if the answer is benign, and saves `own` if it is not; what is not withheld by then is worth `alerted`.
    """

    block: FloatArray
    """float64 [M]: saved by a Block of a free entity: its events from here on, its descendants, less a false Block."""
    own: FloatArray
    """float64 [M]: harm less suppression of the entity's events from here on."""
    delay: FloatArray
    """float64 [M]: minus the delay of all benign events of the entity from here on."""
    known: NDArray[np.bool_]
    """bool [M]: an alert raised here finds that the entity is malicious, and the analyst blocks it."""
    base: FloatArray
    """float64 [M]: under an alert raised here, a Quarantine from place q on is worth own (if known) or delay of q, less
    this."""
    alerted: FloatArray
    """float64 [M]: saved by the verdict on an alert raised here without a Quarantine; the alert itself not counted."""
    verdict: IntArray
    """int64 [M]: first place after the verdict on an alert raised here; may lie beyond the lane."""
    clear_end: IntArray
    """int64 [M]: first place at which a benign verdict on that alert no longer stands; may lie beyond the lane."""
    false_quarantine: FloatArray
    """float64 [M]: cost of a Quarantine of this entity."""
    malicious: NDArray[np.bool_]
    """bool [M]: the entity does something malicious in the part."""


def worth_of(recording: Recording, lanes: Lanes, costs: ResponseCosts) -> Worth:
    """Work out what actions are worth.

    Args:
        recording: The part.
        lanes: Runs of single entities' events of the part, in order and without a gap (`build_lanes`, by_entity).
        costs: Costs and times.

    Raises:
        CustodesError: A lane holds an event outside of the part, or more than one entity; or a Quarantine would run
            out before the analyst answers.
    """
    if costs.quarantine_s <= costs.analyst_s:
        raise CustodesError(
            f"a Quarantine of {costs.quarantine_s:g} s runs out before an analyst answers in {costs.analyst_s:g} s",
            where="costs.quarantine_s",
            fix="make quarantine_s longer than analyst_s",
        )
    lives = _lives(recording)
    tree = _Tree(recording)
    rows, entity = lives.rows, lives.entity
    answered = recording.clock[rows] + costs.analyst_s
    verdict = lives.first_after(answered)
    harm, benign = lives.sum_from(recording.harm), lives.sum_from(recording.benign)
    own, delay = harm - costs.suppressed * benign, -costs.delayed * benign
    seen = lives.sum_until(recording.phase >= 0)
    known = seen[verdict] > seen[lives.begin]
    below = tree.born_from(entity, rows, costs)
    below_verdict = tree.born_from(entity, np.searchsorted(recording.clock, answered, side="right"), costs)
    innocent = recording.innocent[entity].astype(np.float64)
    # At the end of a life nothing follows; elsewhere the verdict's place is one of the same life.
    over = verdict == lives.end
    own_then, delay_then = (np.where(over, 0.0, values[np.where(over, 0, verdict)]) for values in (own, delay))
    at = _places(recording, lanes, lives)
    to_lane = np.arange(len(at)) - at
    return Worth(
        block=(own + below - costs.false_block * innocent)[at],
        own=own[at],
        delay=delay[at],
        known=known[at],
        base=np.where(known, -below_verdict, delay_then)[at],
        alerted=np.where(known, own_then + below_verdict, 0.0)[at],
        verdict=verdict[at] + to_lane,
        clear_end=lives.first_after(answered + costs.cleared_s)[at] + to_lane,
        false_quarantine=(costs.false_quarantine * innocent)[at],
        malicious=(seen[lives.end] > seen[lives.begin])[at],
    )


@dataclass(frozen=True, kw_only=True)
class _Lives:
    """The part's M events, entity after entity, each in the order of time."""

    rows: IntArray
    """[M]: place among all N events."""
    entity: IntArray
    """[M]."""
    begin: IntArray
    """[M]: where the entity's events begin."""
    end: IntArray
    """[M]: where they end."""
    clock: FloatArray
    """[N]: of the recording."""

    def sum_until(self, per_row: NDArray[np.float64] | NDArray[np.bool_]) -> FloatArray:
        """Sum of a value per row [N] over the places before each, float64 [M + 1]."""
        return np.concatenate(([0.0], np.cumsum(per_row[self.rows], dtype=np.float64)))

    def sum_from(self, per_row: NDArray[np.float64] | NDArray[np.bool_]) -> FloatArray:
        """Sum of a value per row [N] over the entity's events from each on, float64 [M]."""
        until = self.sum_until(per_row)
        return until[self.end] - until[:-1]

    def first_after(self, moment: FloatArray) -> IntArray:
        """First event of each place's entity that comes later than a moment [M]; the end of its events if none does."""
        times = np.unique(self.clock[self.rows])
        keys = self.entity * (len(times) + 1)
        own = keys + np.searchsorted(times, self.clock[self.rows])
        return np.searchsorted(own, keys + np.searchsorted(times, moment, side="right"))


def _lives(recording: Recording) -> _Lives:
    entity = recording.forest.entity[recording.rows]
    order = np.argsort(entity, kind="stable")
    entity = entity[order]
    return _Lives(
        rows=recording.rows[order],
        entity=entity,
        begin=np.searchsorted(entity, entity),
        end=np.searchsorted(entity, entity, side="right"),
        clock=recording.clock,
    )


class _Tree:
    """Whole subtrees by the time of their birth."""

    def __init__(self, recording: Recording) -> None:
        forest = recording.forest
        children = np.flatnonzero(forest.parent >= 0)
        children = children[np.lexsort((forest.birth[children], forest.parent[children]))]
        self._rows = len(recording.labels) + 1
        self._parent = forest.parent[children]
        self._key = self._parent * self._rows + forest.birth[children]
        self._harm, self._benign = (
            np.concatenate(([0.0], np.cumsum(forest.total(values.astype(np.float64))[children])))
            for values in (recording.harm, recording.benign)
        )

    def born_from(self, entity: IntArray, row: IntArray, costs: ResponseCosts) -> FloatArray:
        """Harm less suppression of all descendants of entities [K] that are born at rows [K] or later, float64 [K]."""
        begin = np.searchsorted(self._key, entity * self._rows + row)
        end = np.searchsorted(self._parent, entity, side="right")
        harm, benign = (total[end] - total[begin] for total in (self._harm, self._benign))
        return harm - costs.suppressed * benign


def _places(recording: Recording, lanes: Lanes, lives: _Lives) -> IntArray:
    """Where among the lives each place of the lanes is, int64 [places of the lanes]."""
    size = 1 + max(int(lanes.order.max()), int(recording.source.max()))
    life_of = np.full(size, -1, dtype=np.int64)
    part_of_row = np.searchsorted(recording.rows, lives.rows)
    life_of[recording.source[part_of_row]] = np.arange(len(lives.rows))
    at = life_of[lanes.order]
    if at.min() < 0:
        row = int(lanes.order[at < 0][0])
        raise CustodesError(f"lanes play row {row}, which the recorded part does not hold", where="lanes")
    follows = np.ones(len(at), dtype=np.bool_)
    follows[lanes.start] = False
    inside = np.flatnonzero(follows)
    if (at[inside] != at[inside - 1] + 1).any() or (lives.entity[at[inside]] != lives.entity[at[inside - 1]]).any():
        raise CustodesError("a lane is not a run of one process's events", where="env.lanes", fix="use by_entity")
    return at
