"""What the liars have heard, shared among them, and the certificates that they can make of it."""

from __future__ import annotations

import random
from typing import final

from custodes.bft import statements
from custodes.bft.messages import Block, Blocks, Column, Message, Proposal, Qc, Status, Tc, Timeout, Vote
from custodes.bft.simulator.crafting import Crafter
from custodes.bft.simulator.trace import Said
from custodes.bft.team import Team

VoteKey = tuple[int, bytes, int, int]
"""View, block, qc_view and tc_high of a vote."""
_KEPT = 40
"""Messages kept to be sent again."""


@final
class Knowledge:
    """Everything that any liar has received; certificates are completed with the liars' own signatures."""

    def __init__(self, team: Team, crafter: Crafter) -> None:
        self._team = team
        self._crafter = crafter
        genesis = statements.genesis_qc(team)
        self.blocks: dict[bytes, Block] = {}
        self.qcs: dict[int, dict[bytes, Qc]] = {0: {team.genesis: genesis}}
        self.votes: dict[VoteKey, dict[int, bytes]] = {}
        self.timeouts: dict[int, dict[int, Timeout]] = {}
        self.tcs: dict[int, Tc] = {}
        self.columns: dict[tuple[int, int], Column] = {}
        self.liked: dict[tuple[int, int], bytes] = {}
        self.old: list[Message] = []
        self.view = 1

    def learn(self, message: Said) -> bool:
        """Takes a message in; returns whether it was new."""
        match message:
            case Proposal(block=block):
                new = self.learn_block(block)
            case Vote():
                new = self._learn_vote(message)
            case Timeout():
                new = self._learn_timeout(message)
            case Status():
                new = self.learn_qc(message.high_qc) | self.learn_tc(message.tc)
            case Blocks(blocks=blocks):
                new = sum(self.learn_block(block) for block in blocks) > 0
            case Column():
                new = self.columns.setdefault((message.batch, message.agent), message) is message
            case _:
                return False
        if new and len(self.old) < _KEPT:
            self.old.append(message)
        return new

    def learn_block(self, block: Block) -> bool:
        """Takes a block and its certificates in; returns whether it was new."""
        name = statements.block_id(self._team, block)
        if name in self.blocks:
            return False
        self.blocks[name] = block
        self.learn_qc(block.qc)
        self.learn_tc(block.tc)
        return True

    def learn_qc(self, qc: Qc) -> bool:
        """Takes a certificate in; returns whether it was new."""
        of_view = self.qcs.setdefault(qc.view, {})
        if qc.block in of_view:
            return False
        of_view[qc.block] = qc
        self.view = max(self.view, qc.view + 1)
        return True

    def learn_tc(self, tc: Tc | None) -> bool:
        """Takes a timeout certificate in; returns whether it was new."""
        if tc is None or tc.view in self.tcs:
            return False
        self.tcs[tc.view] = tc
        self.view = max(self.view, tc.view + 1)
        return True

    def _learn_vote(self, vote: Vote) -> bool:
        key = (vote.view, vote.block, vote.qc_view, vote.tc_high)
        votes = self.votes.setdefault(key, {})
        if vote.voter in votes:
            return False
        votes[vote.voter] = vote.signature
        self.liked[vote.voter, vote.view] = vote.block
        if self._crafter.with_own(votes) >= self._team.quorum:
            self.learn_qc(self._crafter.qc(key, votes))
        return True

    def another(self, qc: Qc, rng: random.Random) -> Qc:
        """A certificate of the same block by other signers, if enough are known: a block on it is another block."""
        votes = self.votes.get((qc.view, qc.block, qc.qc_view, qc.tc_high), {})
        if self._crafter.with_own(votes) < self._team.quorum:
            return qc
        return self._crafter.qc((qc.view, qc.block, qc.qc_view, qc.tc_high), votes, rng)

    def _learn_timeout(self, timeout: Timeout) -> bool:
        known = self.timeouts.setdefault(timeout.view, {})
        if timeout.voter in known:
            return False
        known[timeout.voter] = timeout
        self.learn_qc(timeout.high_qc)
        self.learn_tc(timeout.tc)
        if timeout.view not in self.tcs and self._crafter.with_own(known) >= self._team.quorum:
            self.learn_tc(self.lowest_tc(timeout.view))
        return True

    def lowest_tc(self, view: int) -> Tc | None:
        """The timeout certificate of a view that lets the next block rest on as little as possible."""
        known = self.timeouts.get(view, {})
        return self._crafter.tc(view, sorted(known.values(), key=lambda item: (item.high_qc.view, item.voter)))

    def known_qcs(self) -> list[Qc]:
        """Every certificate, highest view first."""
        return [qc for view in sorted(self.qcs, reverse=True) for qc in self.qcs[view].values()]
