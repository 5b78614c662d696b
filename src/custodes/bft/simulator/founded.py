"""Whether an honest replica could vote for a block: checked apart from the code that the replicas use."""

from __future__ import annotations

from typing import Final, final

from custodes.bft import statements
from custodes.bft.messages import Block, Column, Proposal, Qc, Tc
from custodes.bft.simulator import decisions
from custodes.bft.simulator.decisions import Verify
from custodes.bft.team import Team

INCLUSION: Final = 6.5
"""Units after which a replica that holds a column must not release a vote for a block without it: the delay of
`apps.DUTY`, and what the disk may take between the decision to vote and the vote."""


@final
class Certificates:
    """Checks certificates by counting distinct members whose signatures hold.

    Args:
        team: The members.
        verify: Checks a signature.
    """

    def __init__(self, team: Team, verify: Verify) -> None:
        self._team = team
        self._verify = verify
        self._sound: set[bytes] = set()
        # Its own formula, so that a wrong one in the protocol is seen: any two quorums share f + 1 members.
        self._needed = (team.n + (team.n - 1) // 3 + 1 + 1) // 2

    def qc_fault(self, qc: Qc) -> str | None:
        """Why a quorum certificate proves nothing."""
        if qc.view == 0:
            genesis = qc.block == self._team.genesis and not qc.signers
            return None if genesis else "certificate of view 0 is not that of genesis"
        digest = statements.qc_digest(qc)
        if digest in self._sound:
            return None
        statement = statements.statement_of_qc(self._team, qc)
        pairs = zip(qc.signers, qc.signatures, strict=False)
        signed = {signer for signer, signature in pairs if self._verify(signer, statement, signature)}
        if len(signed) < self._needed or len(signed) != len(qc.signers):
            return f"certificate of view {qc.view} has {len(signed)} distinct signers of {len(qc.signers)}"
        self._sound.add(digest)
        return None

    def tc_fault(self, tc: Tc | None) -> str | None:
        """Why a timeout certificate proves nothing."""
        if tc is None:
            return None
        digest = statements.tc_digest(tc)
        if digest in self._sound:
            return None
        signed = set()
        for signer, high, signature in zip(tc.signers, tc.high_views, tc.signatures, strict=False):
            if self._verify(signer, statements.timeout_statement(self._team, tc.view, high), signature):
                signed.add(signer)
        if len(signed) < self._needed or len(signed) != len(tc.signers):
            return f"timeout certificate of view {tc.view} has {len(signed)} distinct signers of {len(tc.signers)}"
        self._sound.add(digest)
        return None


@final
class Founded:
    """Proposals that were seen, and why a vote for one would be wrong.

    Args:
        team: The replicas.
        honest: Those that follow the protocol.
        certificates: Checks certificates.
        verify: Checks a signature.
    """

    def __init__(self, team: Team, honest: frozenset[int], certificates: Certificates, verify: Verify) -> None:
        self._team = team
        self._honest = honest
        self._certificates = certificates
        self._verify = verify
        self._blocks: dict[bytes, Block] = {}
        self._made: set[bytes] = set()
        self._signed: set[bytes] = set()
        self._faults: dict[bytes, str | None] = {}
        self._held: dict[int, dict[tuple[int, int], float]] = {}

    def proposed(self, proposal: Proposal, *, by_honest: bool) -> None:
        """Takes in a proposal that somebody sent."""
        block = proposal.block
        name = statements.block_id(self._team, block)
        self._blocks[name] = block
        if by_honest:
            self._made.add(name)
        if name not in self._signed:
            statement = statements.proposal_statement(self._team, block.view, name)
            if self._verify(block.proposer, statement, proposal.signature):
                self._signed.add(name)
                self._faults.pop(name, None)

    def column(self, holder: int, column: Column, now: float) -> None:
        """Takes in a column that a replica received or signed."""
        statement = statements.column_statement(self._team, column.batch, column.agent, statements.votes_digest(column))
        if self._verify(column.agent, statement, column.signature):
            self._held.setdefault(holder, {}).setdefault((column.batch, column.agent), now)

    def forget(self, holder: int) -> None:
        """A replica has lost its memory."""
        self._held.pop(holder, None)

    def fault(self, voter: int, name: bytes, now: float) -> str | None:
        """Why this replica should not have voted for this block now; None when it was right to."""
        block = self._blocks.get(name)
        if block is None:
            return "which nobody proposed"
        return self.block_fault(name) or self._left_out(voter, block, now)

    def block_fault(self, name: bytes) -> str | None:
        """What is wrong with a proposed block, whoever votes for it."""
        if name not in self._faults:
            self._faults[name] = self._block_fault(name, self._blocks[name])
        return self._faults[name]

    def _block_fault(self, name: bytes, block: Block) -> str | None:
        if name not in self._signed:
            return "which its proposer did not sign"
        if block.proposer != self._team.leader(block.view):
            return "of a replica that does not lead the view"
        if block.proposer in self._honest and name not in self._made:
            return "which its honest proposer never made in this run"
        if block.parent != block.qc.block:
            return "whose certificate is not of its parent"
        if (block.qc.view == 0) != (block.height == 1) or not 1 <= block.height <= block.view:
            return "of an impossible height"
        if block.qc.view != block.view - 1 and (block.tc is None or block.tc.view != block.view - 1):
            return "that skips a view without a timeout certificate"
        if block.tc is not None and block.qc.view < max(block.tc.high_views):
            return "that rests on less than its timeout certificate shows"
        return (
            self._certificates.qc_fault(block.qc) or self._certificates.tc_fault(block.tc) or self._payload_fault(block)
        )

    def _payload_fault(self, block: Block) -> str | None:
        if not block.payload:
            return None
        found = decisions.read(block, self._team.n)
        if found is None:
            return "whose payload cannot be read"
        before = self._decided_before(block)
        for at, ballot in enumerate(found):
            if before is not None and ballot.batch != before + at:
                return f"that decides batch {ballot.batch} after {before + at} batches"
            fault = decisions.ballot_fault(self._team, self._verify, ballot)
            if fault is not None:
                return f"in which {fault}"
        return None

    def _decided_before(self, block: Block) -> int | None:
        """Batches that the ancestors of a block decide; None when not all of them were seen as proposals."""
        count = 0
        while block.parent != self._team.genesis:
            parent = self._blocks.get(block.parent)
            if parent is None:
                return None
            block = parent
            count += block.payload[0] if block.payload else 0
        return count

    def _left_out(self, voter: int, block: Block, now: float) -> str | None:
        if not block.payload:
            return None
        found = decisions.read(block, self._team.n) or ()
        held = self._held.get(voter, {})
        for ballot in found:
            for agent, column in enumerate(ballot.columns):
                since = held.get((ballot.batch, agent))
                if column is None and since is not None and now - since > INCLUSION:
                    return f"that leaves out the column of {agent}, held for {now - since:.1f}"
        return None
