"""Whether a message is what it claims to be: the reasons for which an honest replica drops one.

Every check returns None when all is well and otherwise the reason, a constant string: a liar can send any number of
bad messages, so saying no must be cheap.
"""

from __future__ import annotations

from typing import Final, final

from custodes.bft.crypto import SIGNATURE_BYTES, Crypto
from custodes.bft.messages import NO_TC, Block, Column, Proposal, Qc, Tc, Timeout, Vote
from custodes.bft.recent import RecentSet
from custodes.bft.statements import (
    genesis_qc,
    qc_digest,
    statement_of_column,
    statement_of_proposal,
    statement_of_qc,
    statement_of_timeout,
    statement_of_vote,
    tc_digest,
    timeout_statement,
)
from custodes.bft.team import Team

MAX_VIEW: Final = 2**62
"""Views (and heights, batches) beyond this are refused, so that no sum overflows its 64 bits on the wire."""
_CERTIFICATES: Final = 1024


def basis_fault(view: int, qc_view: int, tc_high: int) -> str | None:
    """Whether a block of `view` may rest on a certificate of `qc_view` and a timeout certificate with `tc_high`.

    The voting rule of two-chain HotStuff (Jolteon, Gelashvili et al. 2022, section 3): the certificate is of the view
    before, or a timeout certificate of the view before shows that a quorum knew of nothing higher.
    """
    if not 1 <= view <= MAX_VIEW:
        return "view out of range"
    if not 0 <= qc_view < view:
        return "certificate is not of an earlier view"
    if qc_view == view - 1:
        return None if tc_high == NO_TC else "timeout certificate without need"
    if tc_high < 0:
        return "certificate is not of the view before, and no timeout certificate says why"
    return "certificate is lower than one that the timeout certificate shows" if qc_view < tc_high else None


@final
class Verifier:
    """Checks messages for one team. Remembers certificates that it found valid (bounded).

    Chain and epoch are part of every signed statement, so a message of another chain or epoch fails as a bad
    signature does.

    Args:
        team: Keys, chain and epoch.
        crypto: Checks single signatures.
    """

    __slots__ = ("_genesis", "_valid", "crypto", "team")

    def __init__(self, team: Team, crypto: Crypto) -> None:
        self.team = team
        self.crypto = crypto
        self._genesis = genesis_qc(team)
        self._valid: RecentSet[bytes] = RecentSet(_CERTIFICATES)

    def qc_fault(self, qc: Qc) -> str | None:
        """A quorum of distinct known replicas signed the one statement; or it is genesis itself."""
        if qc.view == 0 or not qc.signers:
            return None if qc == self._genesis else "not the certificate of genesis"
        fault = basis_fault(qc.view, qc.qc_view, qc.tc_high) or self._signers_fault(qc.signers, qc.signatures)
        if fault is not None:
            return fault
        # After the checks of form: only then the digest stands for one certificate.
        digest = qc_digest(qc)
        if digest in self._valid:
            return None
        statement = statement_of_qc(self.team, qc)
        verify = self.crypto.verify
        for signer, signature in zip(qc.signers, qc.signatures, strict=True):
            if not verify(signer, statement, signature):
                return "certificate holds a bad signature"
        self._valid.add(digest)
        return None

    def tc_fault(self, tc: Tc) -> str | None:
        """A quorum of distinct known replicas gave up on the view, each with a high view below it."""
        if not 1 <= tc.view <= MAX_VIEW:
            return "view out of range"
        if len(tc.high_views) != len(tc.signers):
            return "not one high view per signer"
        fault = self._signers_fault(tc.signers, tc.signatures)
        if fault is not None:
            return fault
        if any(not 0 <= high < tc.view for high in tc.high_views):
            return "high view is not below the view that was given up"
        digest = tc_digest(tc)
        if digest in self._valid:
            return None
        verify = self.crypto.verify
        for signer, high, signature in zip(tc.signers, tc.high_views, tc.signatures, strict=True):
            if not verify(signer, timeout_statement(self.team, tc.view, high), signature):
                return "timeout certificate holds a bad signature"
        self._valid.add(digest)
        return None

    def block_fault(self, block: Block) -> str | None:
        """Everything that can be said without the parent and without reading the payload."""
        return self.shape_fault(block) or self.qc_fault(block.qc) or (self.tc_fault(block.tc) if block.tc else None)

    def shape_fault(self, block: Block) -> str | None:
        """Whether the fields of a block fit each other; signatures are not looked at."""
        qc, tc = block.qc, block.tc
        fault = basis_fault(block.view, qc.view, NO_TC if tc is None else tc.high)
        if fault is not None:
            return fault
        if tc is not None and tc.view != block.view - 1:
            return "timeout certificate is not of the view before"
        if block.parent != qc.block:
            return "certificate is not of the parent"
        if block.proposer != self.team.leader(block.view):
            return "proposer does not lead this view"
        if not 1 <= block.height <= block.view or (qc.view == 0) != (block.height == 1):
            return "height out of range"
        return None

    def proposal_fault(self, proposal: Proposal) -> str | None:
        """A well-formed block with its leader's signature."""
        block = proposal.block
        fault = self.shape_fault(block)
        if fault is not None:
            return fault
        if not self.crypto.verify(block.proposer, statement_of_proposal(self.team, block), proposal.signature):
            return "bad signature of a proposal"
        return self.qc_fault(block.qc) or (self.tc_fault(block.tc) if block.tc else None)

    def vote_fault(self, vote: Vote) -> str | None:
        """A signed vote on a sound basis. One that is signed but not sound is evidence: see `evidence`."""
        if not self.crypto.verify(vote.voter, statement_of_vote(self.team, vote), vote.signature):
            return "bad signature of a vote"
        return basis_fault(vote.view, vote.qc_view, vote.tc_high)

    def timeout_fault(self, timeout: Timeout) -> str | None:
        """A signed timeout whose certificates hold."""
        if not timeout.high_qc.view < timeout.view <= MAX_VIEW:
            return "high view is not below the view that is given up"
        if not self.crypto.verify(timeout.voter, statement_of_timeout(self.team, timeout), timeout.signature):
            return "bad signature of a timeout"
        return self.qc_fault(timeout.high_qc) or (self.tc_fault(timeout.tc) if timeout.tc else None)

    def column_fault(self, column: Column) -> str | None:
        """An agent's signature over its votes. Their number and range are checked with the batch (`ballots`)."""
        if not 0 <= column.batch <= MAX_VIEW:
            return "batch out of range"
        if not self.crypto.verify(column.agent, statement_of_column(self.team, column), column.signature):
            return "bad signature of a column"
        return None

    def _signers_fault(self, signers: tuple[int, ...], signatures: tuple[bytes, ...]) -> str | None:
        # Counted are distinct known signers, never messages or signatures.
        if len(signatures) != len(signers):
            return "not one signature per signer"
        before = -1
        for signer, signature in zip(signers, signatures, strict=True):
            if signer <= before:
                return "signers are not ascending and distinct"
            if len(signature) != SIGNATURE_BYTES:
                return "signature of a wrong length"
            before = signer
        if before >= self.team.n:
            return "signer is not of this team"
        return "too few signers" if len(signers) < self.team.quorum else None
