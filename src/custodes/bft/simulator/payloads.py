"""What the agents of a run vote on, what liars make of it, and whether what was decided is right."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Final, final

import numpy as np

from custodes.bft import ballots, statements
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Block, Column
from custodes.bft.simulator import decisions
from custodes.bft.simulator.crafting import Crafter
from custodes.bft.simulator.decisions import Verify
from custodes.bft.team import Team
from custodes.bft.votes import QUARANTINE

HEALTHY: Final = 0
"""Item on which every honest agent votes Allow."""
MALICIOUS: Final = 1
"""Item on which every honest agent votes Block."""
ITEMS: Final = 3
"""Items of a batch; on the third one honest agents differ."""


@cache
def items_of(batch: int) -> ballots.Items:
    """The items of a batch, the same in every run."""
    first = ITEMS * batch
    entities = np.arange(first, first + ITEMS, dtype=np.uint64)
    return ballots.make_items(entities, entities.astype(np.int64) * 1_000_000_000)


@cache
def digest_of(batch: int) -> bytes:
    """The digest of those items."""
    return ballots.items_digest(batch, items_of(batch))


def honest_votes(agent: int, batch: int) -> bytes:
    """Severities of an honest agent."""
    return bytes((0, 3, (agent + batch) % 4))


def draft(agent: int, batch: int, severities: bytes) -> Column:
    """A column without a signature."""
    return Column(
        agent=agent,
        batch=batch,
        items_digest=digest_of(batch),
        severities=severities,
        scores=b"",
        model=bytes(32),
        signature=b"",
    )


@final
class Liars:
    """Makes the columns and payloads of the liars.

    Args:
        team: The replicas.
        batches: Batches that there are.
        crafter: Signs for the liars.
    """

    def __init__(self, team: Team, batches: int, crafter: Crafter) -> None:
        self._team = team
        self._batches = batches
        self._craft = crafter
        self._counted: dict[bytes, int] = {}

    def columns(self, liar: int, batch: int, rng: random.Random, *, two: bool) -> list[Column]:
        """A liar's votes: contain the healthy, save the malicious; or two different ones."""
        lies = [bytes((3, 0, rng.randrange(4)))]
        if two:
            lies.append(bytes((rng.randrange(4), 3, 0)))
        return [self._craft.column(draft(liar, batch, votes)) for votes in lies]

    def payload(
        self,
        chain: Sequence[Block],
        columns: Mapping[tuple[int, int], Column],
        rng: random.Random,
        *,
        wrong: bool,
        censor: bool,
    ) -> bytes:
        """A payload for a block after `chain` (from genesis): right, wrong, or with somebody left out."""
        batch = self._next(chain)
        if wrong and rng.random() < 0.3:
            batch = max(0, batch + rng.choice((-1, 1)))
        given = [columns.get((batch, agent)) for agent in range(self._team.n)]
        held = [agent for agent, column in enumerate(given) if column is not None]
        if censor and held:
            given[rng.choice(held)] = None
        if batch >= self._batches or len(held) < ballots.needed(self._team) or rng.random() < 0.2:
            return rng.randbytes(9) if wrong and rng.random() < 0.3 else b""
        ballot = ballots.make_ballot(self._team, batch, items_of(batch), tuple(given))
        if wrong:
            ballot = self._spoil(ballot, rng)
        return ballots.encode_payload((ballot,))

    def _spoil(self, ballot: ballots.Ballot, rng: random.Random) -> ballots.Ballot:
        kind = rng.randrange(3)
        if kind == 0:
            return replace(ballot, decisions=bytes((3, 0, 0)))
        agent = rng.randrange(self._team.n)
        column = ballot.columns[agent]
        if kind == 1 and column is not None:
            changed = list(ballot.columns)
            changed[agent] = replace(column, severities=bytes((3, 0, 0)))
            return ballots.make_ballot(self._team, ballot.batch, ballot.items, tuple(changed))
        return ballots.make_ballot(self._team, ballot.batch, items_of(ballot.batch + 1), ballot.columns)

    def _next(self, chain: Sequence[Block]) -> int:
        """How many batches a chain has decided."""
        return sum(self._decided(block) for block in chain)

    def _decided(self, block: Block) -> int:
        if not block.payload:
            return 0
        name = statements.block_id(self._team, block)
        if name not in self._counted:
            try:
                self._counted[name] = len(ballots.decode_payload(block.payload, self._team.n))
            except DecodeError:
                self._counted[name] = 0
        return self._counted[name]


@final
class Judge:
    """Looks at each committed block: every batch once, in order, signed votes, decisions that follow from them.

    Args:
        team: The replicas.
        honest: Replicas that do not lie.
        verify: Checks a signature.
    """

    def __init__(self, team: Team, honest: frozenset[int], verify: Verify) -> None:
        self._team = team
        self._honest = honest
        self._verify = verify
        self.decided = 0

    def fault(self, block: Block) -> str | None:
        """What is wrong with a block that was committed; None when nothing is."""
        if not block.payload:
            return None
        found = decisions.read(block, self._team.n)
        if found is None:
            return "payload cannot be read"
        for ballot in found:
            fault = self._ballot_fault(ballot)
            if fault is not None:
                return fault
            self.decided += 1
        return None

    def _ballot_fault(self, ballot: ballots.Ballot) -> str | None:
        if ballot.batch != self.decided:
            return f"batch {ballot.batch} is decided, not {self.decided}"
        if ballot.items != items_of(ballot.batch):
            return f"batch {ballot.batch} has other items"
        fault = decisions.ballot_fault(self._team, self._verify, ballot)
        if fault is not None:
            return fault
        for agent in sorted(self._honest):
            column = ballot.columns[agent]
            if column is not None and column.severities != honest_votes(agent, ballot.batch):
                return f"column of honest {agent} on batch {ballot.batch} was changed"
        if ballot.decisions[HEALTHY] != 0:
            return f"healthy item of batch {ballot.batch} is decided {ballot.decisions[HEALTHY]}"
        if ballot.decisions[MALICIOUS] < QUARANTINE:
            return f"malicious item of batch {ballot.batch} is not contained"
        return None
