"""Whether anybody signed two things that do not go together, in all the traffic that a team's replicas received."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from custodes.bft.ballots import decode_payload
from custodes.bft.crypto import Ed25519Crypto
from custodes.bft.encoding import decode
from custodes.bft.evidence import MAGIC, conflict, decode_proof, unsound
from custodes.bft.messages import Block, Blocks, Column, Fetch, Message, Proposal, Qc, Status, Tc, Timeout, Vote
from custodes.bft.statements import (
    TIMEOUT,
    VOTE,
    Statement,
    parse,
    statement_of_column,
    statement_of_proposal,
    statement_of_qc,
    statement_of_timeout,
    statement_of_vote,
    timeout_statement,
)
from custodes.bft.team import Team

_HEAD: Final = struct.Struct("<BI")

Said = tuple[int, bytes, bytes]
"""Signer, statement, signature."""


def read_capture(path: Path) -> Iterator[tuple[int, bytes]]:
    """Senders and frames of a capture file; a frame that a kill tore at the end is left out."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            sender, size = _HEAD.unpack(head)
            frame = file.read(size)
            if len(frame) < size:
                return
            yield sender, frame


@final
@dataclass(kw_only=True)
class Traffic:
    """Everything that was signed, by signer. Every statement's signature is verified once."""

    team: Team
    """Whose traffic."""
    frames: int = 0
    """Frames read."""
    statements: int = 0
    """Different signed statements."""
    faults: list[str] = field(default_factory=list)
    """What no honest replica does."""
    _said: list[dict[tuple[str, int], Statement]] = field(default_factory=list)
    _known: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._said = [{} for _ in range(self.team.n)]
        self._crypto = Ed25519Crypto(self.team.keys)

    def read(self, path: Path) -> None:
        """Take a capture file in."""
        for sender, frame in read_capture(path):
            self.frames += 1
            if frame.startswith(MAGIC):
                proof = decode_proof(frame)
                self.faults.append(f"replica {sender} sent a proof of {proof.kind} against replica {proof.culprit}")
                continue
            for signer, statement, signature in said(self.team, decode(frame)):
                self._take(signer, statement, signature)

    def finish(self) -> None:
        """Look for contradictions across views: a certificate that was shown, and denied in a later timeout."""
        for signer, statements in enumerate(self._said):
            best: Statement | None = None
            # Of one view the vote comes first: a replica may give up on what it voted in, never the other way round.
            for statement in sorted(statements.values(), key=lambda each: (each.slot, each.kind == TIMEOUT)):
                if statement.kind not in (VOTE, TIMEOUT):
                    continue
                if best is not None and (kind := conflict(best, statement)):
                    self.faults.append(f"replica {signer}: {kind} in views {best.slot} and {statement.slot}")
                if best is None or statement.qc_view > best.qc_view:
                    best = statement

    def _take(self, signer: int, statement: bytes, signature: bytes) -> None:
        key = hashlib.blake2b(bytes((signer,)) + statement, digest_size=16).digest()
        if key in self._known:
            return
        self._known.add(key)
        self.statements += 1
        if not self._crypto.verify(signer, statement, signature):
            self.faults.append(f"a signature of replica {signer} is not valid")
            return
        told = parse(self.team, statement)
        if told is None or unsound(self.team, signer, told):
            self.faults.append(f"replica {signer} signed what no honest replica signs: {told}")
            return
        before = self._said[signer].setdefault((told.kind, told.slot), told)
        if before != told:
            self.faults.append(f"replica {signer}: {conflict(before, told)} at {told.slot}")


def said(team: Team, message: Message) -> Iterator[Said]:
    """Every signed statement in a message."""
    if isinstance(message, Vote):
        yield message.voter, statement_of_vote(team, message), message.signature
    elif isinstance(message, Timeout):
        yield message.voter, statement_of_timeout(team, message), message.signature
        yield from _of_certificates(team, message.high_qc, message.tc)
    elif isinstance(message, Proposal):
        yield message.block.proposer, statement_of_proposal(team, message.block), message.signature
        yield from _of_block(team, message.block)
    elif isinstance(message, Column):
        yield message.agent, statement_of_column(team, message), message.signature
    elif isinstance(message, Status):
        yield from _of_certificates(team, message.high_qc, message.tc)
    elif isinstance(message, Blocks):
        for block in message.blocks:
            yield from _of_block(team, block)
    else:
        assert isinstance(message, Fetch)


def _of_block(team: Team, block: Block) -> Iterator[Said]:
    yield from _of_certificates(team, block.qc, block.tc)
    for ballot in decode_payload(block.payload, team.n):
        for column in ballot.columns:
            if column is not None:
                yield column.agent, statement_of_column(team, column), column.signature


def _of_certificates(team: Team, qc: Qc, tc: Tc | None) -> Iterator[Said]:
    if qc.signers:
        statement = statement_of_qc(team, qc)
        for signer, signature in zip(qc.signers, qc.signatures, strict=True):
            yield signer, statement, signature
    if tc is not None:
        for signer, high, signature in zip(tc.signers, tc.high_views, tc.signatures, strict=True):
            yield signer, timeout_statement(team, tc.view, high), signature
