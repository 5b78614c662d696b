"""The shield as the agreement's safeguard: every replica judges every ballot by itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.ballots import Ballot, entities_of, scores_of, times_of
from custodes.bft.safeguard import Guarded, Safeguard
from custodes.bft.votes import ACTIONS
from custodes.team.shield.shield import Shield
from custodes.team.shield.state import ShieldState
from custodes.team.shield.verdicts import Judgement, Voted


@final
class BallotShield(Safeguard):
    """Judges the items of ballots, one after the other.

    Args:
        shield: The rules. Entities are the numbers of the ballots' items.
    """

    def __init__(self, shield: Shield) -> None:
        self._shield = shield
        self._digest = hashlib.sha256(json.dumps(shield.describe()).encode()).digest()

    @property
    def digest(self) -> bytes:
        """See `Safeguard.digest`."""
        return self._digest

    def begin(self) -> ShieldState:
        """See `Safeguard.begin`."""
        return self._shield.begin()

    def judge(self, state: ShieldState, ballot: Ballot, f: int) -> Guarded:
        """See `Safeguard.judge`."""
        after = state.fork()
        actions = bytearray(ballot.decisions)
        notes = []
        for item, voted in enumerate(voted_items(ballot, f)):
            said = self._shield.judge(after, voted)
            actions[item] = said.action
            if said.action != voted.decision:
                notes.append(_note(item, voted, said))
        return Guarded(actions=bytes(actions), state=after, notes=tuple(notes))

    def dump(self, state: ShieldState) -> Any:
        """See `Safeguard.dump`."""
        return state.dump()

    def load(self, row: Any) -> ShieldState:
        """See `Safeguard.load`."""
        return ShieldState.load(row)


def voted_items(ballot: Ballot, f: int) -> list[Voted]:
    """The items of a ballot as the shield is told of them."""
    columns = _Columns.of(ballot, f)
    rows = zip(
        entities_of(ballot.items).tolist(),
        times_of(ballot.items).tolist(),
        columns.votes.T.tolist(),
        columns.score.tolist(),
        ballot.decisions,
        strict=True,
    )
    return [
        Voted(
            entity=entity,
            time=time,
            votes=tuple(votes),
            score=score / 65_535,
            decision=decision,
            reporting=columns.reporting,
        )
        for entity, time, votes, score, decision in rows
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Columns:
    """Votes and scores side by side."""

    votes: NDArray[np.uint8]
    """[n, K]; a missing one is Allow."""
    score: NDArray[np.uint16]
    """[K]: the (f+1)-th largest, fixed-point; a missing one is 0."""
    reporting: int
    """Columns that are there."""

    @classmethod
    def of(cls, ballot: Ballot, f: int) -> _Columns:
        n, count = len(ballot.columns), len(ballot.items)
        votes, scores = np.zeros((n, count), dtype=np.uint8), np.zeros((n, count), dtype=np.uint16)
        given = [(agent, column) for agent, column in enumerate(ballot.columns) if column is not None]
        for agent, column in given:
            votes[agent] = np.frombuffer(column.severities, dtype=np.uint8)
            if column.scores:
                scores[agent] = scores_of(column)
        return cls(votes=votes, score=np.sort(scores, axis=0)[n - 1 - f], reporting=len(given))


def _note(item: int, voted: Voted, said: Judgement) -> dict[str, Any]:
    return {
        "item": item,
        "entity": voted.entity,
        "time": voted.time,
        "voted": ACTIONS[voted.decision],
        "action": ACTIONS[said.action],
        "spec": said.spec,
        "why": said.why,
        "safe": said.safe,
    }
