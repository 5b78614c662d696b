"""Looks out for liars: everything that is found to be signed passes by here, and so do the proofs of others.

A proof is reported to the driver and passed on to all peers once; there is at most one per culprit and kind, so neither
the memory nor the gossip can be blown up. Proofs of peers are checked as strictly as own ones before anything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft.core.events import Report
from custodes.bft.evidence import EvidencePool, Proof, check_proof
from custodes.bft.messages import Column, Proposal, Timeout, Vote

if TYPE_CHECKING:
    from custodes.bft.core.outbox import Outbox
    from custodes.bft.crypto import Crypto
    from custodes.bft.messages import Block
    from custodes.bft.team import Team


@final
class Watch:
    """Feeds the evidence pool, reports what it finds."""

    __slots__ = ("_batch", "_crypto", "_known", "_out", "_pool", "_team", "_view")

    def __init__(self, team: Team, crypto: Crypto, out: Outbox) -> None:
        self._team = team
        self._crypto = crypto
        self._out = out
        self._pool = EvidencePool(team)
        self._known: set[tuple[int, str]] = set()
        self._view = 0
        self._batch = 0

    def __len__(self) -> int:
        return len(self._known)

    def advance(self, *, view: int = 0, batch: int = 0) -> None:
        """Notes how far this replica is, so that what is far from it can be forgotten."""
        self._view, self._batch = max(view, self._view), max(batch, self._batch)
        self._pool.advance(self._view, self._batch)

    def see(self, message: Vote | Proposal | Timeout | Column) -> None:
        """Takes a statement whose signature was found good; a proposal with the certificates in it, checked too."""
        if isinstance(message, Vote):
            self._report(self._pool.vote(message))
        elif isinstance(message, Proposal):
            self._report(self._pool.proposal(message))
            self.block(message.block)
        elif isinstance(message, Timeout):
            self._report(self._pool.timeout(message))
        else:
            self._report(self._pool.column(message))

    def block(self, block: Block) -> None:
        """Takes the certificates of a block, checked: they hold what no message may have brought."""
        for proof in self._pool.block(block):
            self._report(proof)

    def receive(self, proof: Proof) -> str | None:
        """Takes a proof of a peer; returns why that peer is at fault."""
        if (proof.culprit, proof.kind) in self._known:
            return None
        if check_proof(proof, self._team, self._crypto) is None:
            return "proof that does not hold"
        self._report(proof)
        return None

    def _report(self, proof: Proof | None) -> None:
        if proof is None or (proof.culprit, proof.kind) in self._known:
            return
        self._known.add((proof.culprit, proof.kind))
        self._out.add(Report(proof=proof))
        self._out.gossip(proof)
