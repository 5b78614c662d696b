"""What can be proven once more than f replicas have lied and the honest ones have parted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from custodes.bft import evidence, statements
from custodes.bft.crypto import Crypto
from custodes.bft.messages import Block, Blocks, Proposal, Qc, Status, Tc, Timeout, Vote
from custodes.bft.simulator.trace import Said
from custodes.bft.team import Team


@final
class Prosecutor:
    """Puts together what the honest replicas of all sides received, and looks for contradictions.

    Only statements with a good signature count, each signer's against its own others; proofs are checked as anybody
    would check them offline.

    Args:
        team: The replicas.
        crypto: Checks signatures.
    """

    def __init__(self, team: Team, crypto: Crypto) -> None:
        self._team = team
        self._crypto = crypto
        self._said: dict[int, dict[bytes, bytes]] = {}

    def hear(self, messages: Iterable[Said]) -> None:
        """Takes messages in, with the certificates in them."""
        for message in messages:
            match message:
                case Vote():
                    self._take(message.voter, statements.statement_of_vote(self._team, message), message.signature)
                case Timeout():
                    said = statements.statement_of_timeout(self._team, message)
                    self._take(message.voter, said, message.signature)
                    self._certificates(message.high_qc, message.tc)
                case Proposal(block=block):
                    said = statements.statement_of_proposal(self._team, block)
                    self._take(block.proposer, said, message.signature)
                    self._block(block)
                case Status():
                    self._certificates(message.high_qc, message.tc)
                case Blocks(blocks=blocks):
                    for block in blocks:
                        self._block(block)

    def culprits(self) -> dict[int, evidence.Proof]:
        """A proof against each replica that contradicts itself."""
        found: dict[int, evidence.Proof] = {}
        for signer, said in sorted(self._said.items()):
            proof = self._against(signer, said)
            if proof is not None:
                found[signer] = proof
        return found

    def _block(self, block: Block) -> None:
        self._certificates(block.qc, block.tc)

    def _certificates(self, qc: Qc, tc: Tc | None) -> None:
        statement = statements.statement_of_qc(self._team, qc)
        for signer, signature in zip(qc.signers, qc.signatures, strict=False):
            self._take(signer, statement, signature)
        if tc is not None:
            for signer, high, signature in zip(tc.signers, tc.high_views, tc.signatures, strict=False):
                self._take(signer, statements.timeout_statement(self._team, tc.view, high), signature)

    def _take(self, signer: int, statement: bytes, signature: bytes) -> None:
        said = self._said.setdefault(signer, {})
        if statement not in said and self._crypto.verify(signer, statement, signature):
            said[statement] = signature

    def _against(self, signer: int, said: dict[bytes, bytes]) -> evidence.Proof | None:
        signed = [
            (statements.parse(self._team, statement), signature + statement) for statement, signature in said.items()
        ]
        for at, (first, one) in enumerate(signed):
            for second, other in signed[:at]:
                assert first is not None
                assert second is not None
                kind = evidence.conflict(second, first)
                if kind is not None:
                    proof = evidence.Proof(kind=kind, culprit=signer, first=other, second=one)
                    # Some kinds have an order; whichever holds is shown.
                    swapped = evidence.Proof(kind=kind, culprit=signer, first=one, second=other)
                    for shown in (proof, swapped):
                        if evidence.check_proof(shown, self._team, self._crypto) == signer:
                            return shown
        return None
