"""The training period as something to replay on, in pieces that look like the part that will be scored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ALLOW
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.evaluate.response.outcome import oracle, outcome, response_score


@dataclass(frozen=True, kw_only=True, eq=False)
class Rehearsal:
    """T events of a training period, replayed in G pieces apart from each other."""

    whole: Recording
    """The period as one recording; T events."""
    pieces: tuple[Recording, ...]
    """What is replayed; the pieces hold each event of the period once, with the harm that it does in the whole."""
    places: tuple[NDArray[np.int64], ...]
    """For each piece, where its events stand among the T."""
    costs: ResponseCosts
    """Costs and times."""

    @classmethod
    def of(cls, whole: Recording, costs: ResponseCosts, pieces: int = 1) -> Rehearsal:
        """Deal the processes of a period to pieces, round robin in the order of their first event.

        A part that holds every fifth process is no recording of a fifth of the time: parents stand outside of it, so
        that a Block prunes less, and the analysts have less to do. A period five times as large, replayed in one
        piece, would teach thresholds that are wrong for it.

        Args:
            whole: The period.
            costs: Costs and times.
            pieces: How many, 1 or more; 1 where the part is a stretch of time, as the period is.
        """
        entity = whole.forest.entity[whole.rows]
        distinct, first = np.unique(entity, return_index=True)
        turn = np.zeros(whole.forest.entities, dtype=np.int64)
        turn[distinct[np.argsort(first)]] = np.arange(len(distinct)) % pieces
        places = tuple(place for piece in range(pieces) if len(place := np.flatnonzero(turn[entity] == piece)))
        parts = tuple(replace(whole, rows=whole.rows[place], source=whole.source[place]) for place in places)
        return cls(whole=whole, pieces=parts if pieces > 1 else (whole,), places=places, costs=costs)

    def cost(self, decisions: NDArray[np.integer[Any]]) -> float:
        """Cost of decisions, int [T] or [T, 3], over all pieces."""
        return sum(
            outcome(piece, decisions[place], self.costs).cost
            for piece, place in zip(self.pieces, self.places, strict=True)
        )

    @cached_property
    def cost_allow(self) -> float:
        """Cost of doing nothing."""
        return self.cost(np.full(len(self.whole.rows), ALLOW, dtype=np.int8))

    @cached_property
    def cost_oracle(self) -> float:
        """Cost of blocking every process at its first malicious event."""
        return self.cost(oracle(self.whole))

    def score(self, cost: float) -> float | None:
        """The response score that a cost comes to; None where the period holds no attack."""
        return response_score(cost, self.cost_allow, self.cost_oracle)
