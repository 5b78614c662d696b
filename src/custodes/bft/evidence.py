"""Proofs of lying that anyone can check, and the memory that finds them.

A proof is one or two signed statements which an honest replica never signs together. `SafetyRules` signs nothing that
its log does not hold, so what follows holds across crashes and lost logs as well:

- `double-vote`, `double-proposal`, `double-timeout`, `double-column`: two different statements of one kind for one
  view (batch). An honest replica signs one per view: the second request is refused, or answered with the first.
- `unsound`: one statement that the rules forbid by itself. A vote on a basis that `basis_fault` refuses, a timeout
  that shows a certificate of its own view or a later one, a proposal in a view that another replica leads, votes in
  another agent's name. An honest replica checks each before it signs.
- `hidden-certificate`: a vote in view v for a block that rests on a certificate of view q, or a timeout of view v < w
  that shows q, and a timeout of view w >= v that shows less than q. An honest replica raises its high view to q with
  the first, never lowers it, and never signs the first after the second (it votes in no view that it gave up on, and
  gives up on no view before one that it gave up on). This is the proof across views: two conflicting commits at
  different views need f + 1 replicas that did this (a quorum voted in view v + 1 on the certificate of the committed
  block of view v, and a quorum's timeouts of a view > v let the conflicting block rest on less), and both statements
  of each stand in the certificates of the two chains.

A later vote that rests on a lower certificate is no proof: a timeout certificate of others may allow it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from custodes.bft import statements
from custodes.bft.crypto import Crypto
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Block, Column, Proposal, Qc, Tc, Timeout, Vote
from custodes.bft.statements import COLUMN, PROPOSAL, TIMEOUT, VOTE, Statement, parse
from custodes.bft.team import Team
from custodes.bft.verify import MAX_VIEW, basis_fault

UNSOUND: Final = "unsound"
HIDDEN: Final = "hidden-certificate"
DOUBLE: Final = {kind: f"double-{kind}" for kind in (VOTE, PROPOSAL, TIMEOUT, COLUMN)}
PROOF_KINDS: Final = (*DOUBLE.values(), UNSOUND, HIDDEN)
"""Kinds of proof; their order is their number on the wire."""
SIGNATURE: Final = 64
MAX_STATEMENT: Final = 512
"""Bytes of one signed statement in a proof."""
MAGIC: Final = b"custodes-proof\x01"
_PROOF: Final = struct.Struct("<BBHH")

Signed: TypeAlias = bytes
"""A signature (64 bytes), then the statement that it is over."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What one replica signed and no honest one signs."""

    kind: str
    """One of `PROOF_KINDS`."""
    culprit: int
    """Replica index."""
    first: Signed
    """A signed statement."""
    second: Signed
    """Another one, or empty for `UNSOUND`."""


def check_proof(proof: Proof, team: Team, crypto: Crypto) -> int | None:
    """Check a proof offline.

    Returns:
        The culprit, or None when the proof does not hold.
    """
    said = [part for part in (proof.first, proof.second) if part]
    for part in said:
        if not crypto.verify(proof.culprit, part[SIGNATURE:], part[:SIGNATURE]):
            return None
    read = [parse(team, part[SIGNATURE:]) for part in said]
    if proof.kind == UNSOUND:
        holds = len(read) == 1 and read[0] is not None and unsound(team, proof.culprit, read[0])
    else:
        holds = len(read) == 2 and read[0] is not None and read[1] is not None
        holds = holds and conflict(read[0], read[1]) == proof.kind  # type: ignore[arg-type]
    return proof.culprit if holds else None


def unsound(team: Team, signer: int, said: Statement) -> bool:
    """Whether no honest replica signs this, whatever else it signed."""
    if said.kind == VOTE:
        return basis_fault(said.slot, said.qc_view, said.tc_high) is not None
    if said.kind == TIMEOUT:
        return not _timeout_sound(said.slot, said.qc_view)
    if said.kind == PROPOSAL:
        return team.leader(said.slot) != signer
    return said.agent != signer


def conflict(first: Statement, second: Statement) -> str | None:
    """The kind of proof that two statements of one signer make, in either order; None when they may stand together."""
    if first.kind == second.kind and first.slot == second.slot:
        return DOUBLE[first.kind] if first != second else None
    if _hides(first, second) or _hides(second, first):
        return HIDDEN
    return None


def _hides(before: Statement, after: Statement) -> bool:
    if after.kind != TIMEOUT or before.kind not in (VOTE, TIMEOUT):
        return False
    return before.slot <= after.slot and before.qc_view > after.qc_view


def _timeout_sound(view: int, high: int) -> bool:
    return 1 <= view <= MAX_VIEW and 0 <= high < view


def encode_proof(proof: Proof) -> bytes:
    """A proof as one file: magic with version, kind, culprit, lengths, the two signed statements."""
    head = _PROOF.pack(PROOF_KINDS.index(proof.kind), proof.culprit, len(proof.first), len(proof.second))
    return b"".join((MAGIC, head, proof.first, proof.second))


def decode_proof(data: bytes) -> Proof:
    """A proof from bytes.

    Raises:
        DecodeError: They are not the encoding of any proof.
    """
    start = len(MAGIC) + _PROOF.size
    if not data.startswith(MAGIC) or len(data) < start:
        raise DecodeError("not a proof, or one of another version")
    kind, culprit, first, second = _PROOF.unpack_from(data, len(MAGIC))
    bound = SIGNATURE + MAX_STATEMENT
    if kind >= len(PROOF_KINDS) or max(first, second) > bound or len(data) != start + first + second:
        raise DecodeError("proof has a kind or length that no proof has")
    cut = start + first
    return Proof(kind=PROOF_KINDS[kind], culprit=culprit, first=data[start:cut], second=data[cut:])


@final
class EvidencePool:
    """Remembers what each replica signed lately and says when it contradicts itself.

    Fed only with statements whose signature was verified. Bounded: per signer at most one statement per kind and view
    (batch) of the window around this replica's own view (batch), so that nobody can push the memory away by signing
    for far views; and one proof per signer and kind.

    Args:
        team: Whose statements.
        window: Views (batches) that are remembered on either side of the own one.
    """

    __slots__ = ("_batch", "_last_timeout", "_proven", "_said", "_top", "_view", "_window", "team")

    def __init__(self, team: Team, *, window: int = 256) -> None:
        self.team = team
        self._window = window
        self._view = self._batch = 0
        self._said: list[dict[tuple[str, int], Signed]] = [{} for _ in range(team.n)]
        self._top = [-1] * team.n
        """Highest certificate that each signer showed."""
        self._last_timeout = [-1] * team.n
        """Last view that each signer gave up on."""
        self._proven: set[tuple[int, str]] = set()

    def advance(self, view: int, batch: int) -> None:
        """Move the window to this replica's view and batch, and forget what fell out of it."""
        # In steps, so that the cost per view stays constant on average.
        if view - self._view < self._window // 4 and batch - self._batch < self._window // 4:
            return
        self._view, self._batch = max(view, self._view), max(batch, self._batch)
        for signer, said in enumerate(self._said):
            self._said[signer] = {key: value for key, value in said.items() if self._near(*key)}

    def vote(self, vote: Vote) -> Proof | None:
        """Take a vote in."""
        statement = statements.statement_of_vote(self.team, vote)
        sound = basis_fault(vote.view, vote.qc_view, vote.tc_high) is None
        return self._take(vote.voter, VOTE, vote.view, statement, vote.signature, vote.qc_view, sound)

    def timeout(self, timeout: Timeout) -> Proof | None:
        """Take a timeout in."""
        statement = statements.statement_of_timeout(self.team, timeout)
        view, high = timeout.view, timeout.high_qc.view
        sound = _timeout_sound(view, high)
        return self._take(timeout.voter, TIMEOUT, view, statement, timeout.signature, high, sound)

    def proposal(self, proposal: Proposal) -> Proof | None:
        """Take a proposal in (its own signature only; see `block` for the certificates in it)."""
        block = proposal.block
        statement = statements.statement_of_proposal(self.team, block)
        sound = self.team.leader(block.view) == block.proposer
        return self._take(block.proposer, PROPOSAL, block.view, statement, proposal.signature, -1, sound)

    def column(self, column: Column) -> Proof | None:
        """Take an agent's votes in."""
        statement = statements.statement_of_column(self.team, column)
        return self._take(column.agent, COLUMN, column.batch, statement, column.signature, -1, True)

    def qc(self, qc: Qc) -> list[Proof]:
        """Take the votes of a verified quorum certificate in."""
        if not qc.signers:
            return []
        statement = statements.statement_of_qc(self.team, qc)
        sound = basis_fault(qc.view, qc.qc_view, qc.tc_high) is None
        pairs = zip(qc.signers, qc.signatures, strict=True)
        found = [self._take(signer, VOTE, qc.view, statement, signed, qc.qc_view, sound) for signer, signed in pairs]
        return [proof for proof in found if proof is not None]

    def tc(self, tc: Tc) -> list[Proof]:
        """Take the timeouts of a verified timeout certificate in."""
        found = []
        for signer, high, signed in zip(tc.signers, tc.high_views, tc.signatures, strict=True):
            statement = statements.timeout_statement(self.team, tc.view, high)
            found.append(self._take(signer, TIMEOUT, tc.view, statement, signed, high, _timeout_sound(tc.view, high)))
        return [proof for proof in found if proof is not None]

    def block(self, block: Block) -> list[Proof]:
        """Take the verified certificates of a block in: they hold what no message may have brought."""
        return self.qc(block.qc) + (self.tc(block.tc) if block.tc is not None else [])

    def _take(
        self, signer: int, kind: str, slot: int, statement: bytes, signature: bytes, high: int, sound: bool
    ) -> Proof | None:
        said = self._said[signer]
        key = (kind, slot)
        known = said.get(key)
        if known is not None:
            if known[SIGNATURE:] == statement:
                return None
            return self._prove(signer, DOUBLE[kind], known, signature + statement)
        if not sound:
            return self._prove(signer, UNSOUND, signature + statement, b"")
        if not self._near(kind, slot):
            return None
        said[key] = signature + statement
        # Only a timeout that shows less than the signer's best, or a vote in a view that it gave up on, needs a search.
        suspect = high < self._top[signer] if kind == TIMEOUT else False
        suspect = suspect or (kind in (VOTE, TIMEOUT) and slot <= self._last_timeout[signer])
        self._top[signer] = max(self._top[signer], high)
        if kind == TIMEOUT:
            self._last_timeout[signer] = max(self._last_timeout[signer], slot)
        return self._search(signer, said[key]) if suspect else None

    def _search(self, signer: int, signed: Signed) -> Proof | None:
        new = parse(self.team, signed[SIGNATURE:])
        assert new is not None
        for (kind, _), other in self._said[signer].items():
            if kind not in (VOTE, TIMEOUT):
                continue
            old = parse(self.team, other[SIGNATURE:])
            assert old is not None
            if conflict(old, new) == HIDDEN:
                return self._prove(signer, HIDDEN, other, signed)
        return None

    def _prove(self, culprit: int, kind: str, first: Signed, second: Signed) -> Proof | None:
        if (culprit, kind) in self._proven:
            return None
        self._proven.add((culprit, kind))
        return Proof(kind=kind, culprit=culprit, first=first, second=second)

    def _near(self, kind: str, slot: int) -> bool:
        own = self._batch if kind == COLUMN else self._view
        return abs(slot - own) <= self._window
