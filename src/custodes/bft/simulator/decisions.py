"""Whether a ballot is right, by definition: a loop over items and agents, apart from the code that the replicas use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from custodes.bft import ballots, statements
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Block
from custodes.bft.team import Team

Verify = Callable[[int, bytes, bytes], bool]
"""Replica, statement, signature: whether it is that one's. The simulator's own, never the one that replicas use."""
_BARS: Final = ((1, 1), (2, 1), (3, 2))
"""Level, and how many times f votes at or above it are not enough for it."""


def read(block: Block, n: int) -> tuple[ballots.Ballot, ...] | None:
    """The ballots of a block; None when they cannot be read."""
    try:
        return ballots.decode_payload(block.payload, n)
    except DecodeError:
        return None


def ballot_fault(team: Team, verify: Verify, ballot: ballots.Ballot) -> str | None:
    """Why a ballot proves nothing: too few columns, one not signed by its agent, decisions that do not follow."""
    f = (team.n - 1) // 3
    given = [column for column in ballot.columns if column is not None]
    if len(given) < team.n - f:
        return f"batch {ballot.batch} is decided on {len(given)} columns"
    for column in given:
        digest = statements.votes_digest(column)
        statement = statements.column_statement(team, ballot.batch, column.agent, digest)
        if not verify(column.agent, statement, column.signature):
            return f"column of {column.agent} on batch {ballot.batch} is not signed by it"
    for item in range(len(ballot.items)):
        votes = [0 if column is None else column.severities[item] for column in ballot.columns]
        levels = sum(sum(vote >= level for vote in votes) > bar * f for level, bar in _BARS)
        if ballot.decisions[item] != levels:
            return f"decision on item {item} of batch {ballot.batch} does not follow from the votes"
    return None
