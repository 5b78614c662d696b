"""A small team with real keys, and honest blocks, certificates and ballots made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from custodes.bft import ballots, statements
from custodes.bft.crypto import Ed25519Crypto, Ed25519Signer
from custodes.bft.messages import NO_TC, Block, Column, Proposal, Qc, Tc, Timeout, Vote
from custodes.bft.team import Team
from custodes.bft.verify import Verifier


@dataclass(frozen=True, kw_only=True)
class Material:
    """Keys of everybody."""

    team: Team
    """The team."""
    signers: tuple[Ed25519Signer, ...]
    """Keys by replica index."""

    @property
    def verifier(self) -> Verifier:
        """A fresh verifier."""
        return Verifier(self.team, Ed25519Crypto(self.team.keys))

    def sign(self, index: int, statement: bytes) -> bytes:
        return self.signers[index].sign(statement)

    def vote(self, block: Block, voter: int, **changes: Any) -> Vote:
        vote = Vote(
            view=block.view,
            block=statements.block_id(self.team, block),
            qc_view=block.qc.view,
            tc_high=NO_TC if block.tc is None else block.tc.high,
            voter=voter,
            signature=b"",
        )
        vote = replace(vote, **changes)
        return replace(vote, signature=self.sign(voter, statements.statement_of_vote(self.team, vote)))

    def qc(self, block: Block, signers: Sequence[int] = (0, 1, 2)) -> Qc:
        votes = [self.vote(block, signer) for signer in signers]
        return Qc(
            view=block.view,
            block=votes[0].block,
            qc_view=votes[0].qc_view,
            tc_high=votes[0].tc_high,
            signers=tuple(signers),
            signatures=tuple(vote.signature for vote in votes),
        )

    def timeout(self, view: int, high_qc: Qc, voter: int, tc: Tc | None = None) -> Timeout:
        statement = statements.timeout_statement(self.team, view, high_qc.view)
        return Timeout(view=view, high_qc=high_qc, tc=tc, voter=voter, signature=self.sign(voter, statement))

    def tc(self, view: int, highs: Sequence[int], signers: Sequence[int] = (0, 1, 2)) -> Tc:
        signatures = tuple(
            self.sign(signer, statements.timeout_statement(self.team, view, high))
            for signer, high in zip(signers, highs, strict=True)
        )
        return Tc(view=view, signers=tuple(signers), high_views=tuple(highs), signatures=signatures)

    def block(self, view: int, qc: Qc, *, height: int, tc: Tc | None = None, payload: bytes = b"") -> Block:
        return Block(
            view=view,
            height=height,
            parent=qc.block,
            proposer=self.team.leader(view),
            qc=qc,
            tc=tc,
            payload=payload,
        )

    def chain(self, length: int, payload: bytes = b"") -> list[Block]:
        """Blocks of views 1, 2, ... each certified by the next; the first has the payload."""
        qc, blocks = statements.genesis_qc(self.team), []
        for view in range(1, length + 1):
            block = self.block(view, qc, height=view, payload=payload if view == 1 else b"")
            blocks.append(block)
            qc = self.qc(block)
        return blocks

    def proposal(self, block: Block) -> Proposal:
        statement = statements.statement_of_proposal(self.team, block)
        return Proposal(block=block, signature=self.sign(block.proposer, statement))

    def column(self, agent: int, batch: int, items: ballots.Items, severities: bytes, **changes: Any) -> Column:
        column = Column(
            agent=agent,
            batch=batch,
            items_digest=ballots.items_digest(batch, items),
            severities=severities,
            scores=b"",
            model=bytes(32),
            signature=b"",
        )
        column = replace(column, **changes)
        return replace(column, signature=self.sign(agent, statements.statement_of_column(self.team, column)))

    def ballot(self, count: int = 5, *, batch: int = 0, seed: int = 0, missing: Sequence[int] = ()) -> ballots.Ballot:
        random = np.random.default_rng(seed)
        items = ballots.make_items(
            random.integers(0, 2**63, count, dtype=np.uint64), random.integers(-(2**40), 2**62, count)
        )
        columns = tuple(
            None
            if agent in missing
            else self.column(
                agent,
                batch,
                items,
                random.integers(0, 4, count).astype(np.uint8).tobytes(),
                scores=ballots.fixed_point(random.random(count)) if agent % 2 else b"",
            )
            for agent in range(self.team.n)
        )
        return ballots.make_ballot(self.team, batch, items, columns)


@cache
def material(n: int = 4, chain: str = "test", epoch: int = 3) -> Material:
    """The same keys in every test."""
    signers = tuple(Ed25519Signer(bytes([index + 1]) * 32) for index in range(n))
    team = Team(chain=chain, epoch=epoch, keys=tuple(signer.public for signer in signers))
    return Material(team=team, signers=signers)
