"""Signed bytes, block ids and digests: all domain-separated, all bound to chain and epoch.

Layout of a statement: kind's domain (length-prefixed ASCII) | chain id (length-prefixed) | epoch u64 | fixed fields,
little-endian. All fields after the two length-prefixed ones have a fixed size, so no two different statements share
bytes, and `parse` reads a statement back for evidence.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final, final

from custodes.bft.messages import Block, Column, Header, Qc, Tc, Timeout, Vote
from custodes.bft.team import Team

PROPOSAL: Final = "proposal"
VOTE: Final = "vote"
TIMEOUT: Final = "timeout"
COLUMN: Final = "column"
KINDS: Final = (PROPOSAL, VOTE, TIMEOUT, COLUMN)

_LAYOUT: Final = {
    PROPOSAL: struct.Struct("<Q32s"),
    VOTE: struct.Struct("<Q32sqq"),
    TIMEOUT: struct.Struct("<Qq"),
    COLUMN: struct.Struct("<QB32s"),
}


def _domain(name: str) -> bytes:
    return struct.pack("<B", len(name)) + name.encode("ascii")


_DOMAIN: Final = {kind: _domain(f"custodes/{kind}") for kind in KINDS}
_PROPOSAL, _VOTE, _TIMEOUT, _COLUMN = (_DOMAIN[kind] for kind in KINDS)
_PACK_PROPOSAL, _PACK_VOTE, _PACK_TIMEOUT, _PACK_COLUMN = (_LAYOUT[kind].pack for kind in KINDS)
_BLOCK: Final = _domain("custodes/block")
_QC: Final = _domain("custodes/qc")
_TC: Final = _domain("custodes/tc")
_VOTES: Final = _domain("custodes/votes")
_NOTHING: Final = bytes(32)
_pack_block: Final = struct.Struct("<QQ32sB32s32s32s").pack
_pack_votes: Final = struct.Struct("<32s32sII").pack
_pack_qc: Final = struct.Struct("<Q32sqqB").pack
_pack_tc: Final = struct.Struct("<QB").pack


def proposal_statement(team: Team, view: int, block: bytes) -> bytes:
    """What a leader signs: this is my block (its id) of this view."""
    return _PROPOSAL + team.context + _PACK_PROPOSAL(view, block)


def vote_statement(team: Team, view: int, block: bytes, qc_view: int, tc_high: int) -> bytes:
    """What a voter signs: this block in this view, resting on these certificates."""
    return _VOTE + team.context + _PACK_VOTE(view, block, qc_view, tc_high)


def timeout_statement(team: Team, view: int, high_view: int) -> bytes:
    """What a replica signs that gives up on a view: the highest certificate that it knows is of `high_view`."""
    return _TIMEOUT + team.context + _PACK_TIMEOUT(view, high_view)


def column_statement(team: Team, batch: int, agent: int, digest: bytes) -> bytes:
    """What an agent signs: these votes (their digest, `votes_digest`) are mine on this batch."""
    return _COLUMN + team.context + _PACK_COLUMN(batch, agent, digest)


def statement_of_vote(team: Team, vote: Vote) -> bytes:
    """The signed bytes of a vote."""
    return vote_statement(team, vote.view, vote.block, vote.qc_view, vote.tc_high)


def statement_of_qc(team: Team, qc: Qc) -> bytes:
    """The signed bytes of every vote in a certificate."""
    return vote_statement(team, qc.view, qc.block, qc.qc_view, qc.tc_high)


def statement_of_timeout(team: Team, timeout: Timeout) -> bytes:
    """The signed bytes of a timeout."""
    return timeout_statement(team, timeout.view, timeout.high_qc.view)


def statement_of_column(team: Team, column: Column) -> bytes:
    """The signed bytes of an agent's votes."""
    return column_statement(team, column.batch, column.agent, votes_digest(column))


def statement_of_proposal(team: Team, block: Block) -> bytes:
    """The signed bytes of a proposal."""
    return proposal_statement(team, block.view, block_id(team, block))


def votes_digest(column: Column) -> bytes:
    """SHA-256 over everything in a column that its statement does not name itself (32 bytes), computed once."""
    if column._digest is None:
        head = _pack_votes(column.items_digest, column.model, len(column.severities), len(column.scores))
        digest = hashlib.sha256(b"".join((_VOTES, head, column.severities, column.scores))).digest()
        object.__setattr__(column, "_digest", digest)
    assert column._digest is not None
    return column._digest


def block_id(team: Team, block: Block) -> bytes:
    """Name of a block on this team's chain (32 bytes), computed once per block and chain."""
    known = block._id
    if known is not None and known[0] == team.context:
        return known[1]
    name = header_id(team, header_of(block))
    # A cache of what the fields determine; `dataclasses.replace` starts without it.
    object.__setattr__(block, "_id", (team.context, name))
    return name


def header_of(block: Block) -> Header:
    """What the id of a block is made of, computed once per block."""
    if block._header is None:
        header = Header(
            view=block.view,
            height=block.height,
            parent=block.parent,
            proposer=block.proposer,
            qc=qc_digest(block.qc),
            tc=tc_digest(block.tc),
            payload=hashlib.sha256(block.payload).digest(),
        )
        object.__setattr__(block, "_header", header)
    assert block._header is not None
    return block._header


def header_id(team: Team, header: Header) -> bytes:
    """Name of the block with this header on this team's chain (32 bytes)."""
    fields = _pack_block(
        header.view, header.height, header.parent, header.proposer, header.qc, header.tc, header.payload
    )
    return hashlib.sha256(_BLOCK + team.context + fields).digest()


def qc_digest(qc: Qc) -> bytes:
    """SHA-256 of a quorum certificate, signatures included (32 bytes)."""
    if qc._digest is None:
        head = _pack_qc(qc.view, qc.block, qc.qc_view, qc.tc_high, len(qc.signers))
        parts = (_QC, head, bytes(qc.signers), *qc.signatures)
        object.__setattr__(qc, "_digest", hashlib.sha256(b"".join(parts)).digest())
    assert qc._digest is not None
    return qc._digest


def tc_digest(tc: Tc | None) -> bytes:
    """SHA-256 of a timeout certificate, signatures included (32 bytes); zeros for none."""
    if tc is None:
        return _NOTHING
    if tc._digest is None:
        highs = struct.pack(f"<{len(tc.high_views)}q", *tc.high_views)
        parts = (_TC, _pack_tc(tc.view, len(tc.signers)), bytes(tc.signers), highs, *tc.signatures)
        object.__setattr__(tc, "_digest", hashlib.sha256(b"".join(parts)).digest())
    assert tc._digest is not None
    return tc._digest


def tc_high(tc: Tc | None) -> int:
    """The largest high view of a timeout certificate; `NO_TC` for none."""
    return -1 if tc is None else tc.high


def genesis_qc(team: Team) -> Qc:
    """The one certificate without signatures: it names genesis."""
    return Qc(view=0, block=team.genesis, qc_view=-1, tc_high=-1, signers=(), signatures=())


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """Signed bytes, read back."""

    kind: str
    """One of `KINDS`."""
    slot: int
    """View, or batch of a column: what one key may speak about only once per kind."""
    digest: bytes
    """Block id or digest of a column's votes (32 bytes); empty for a timeout."""
    qc_view: int
    """Of a vote; the high view of a timeout; 0 otherwise."""
    tc_high: int
    """Of a vote; 0 otherwise."""
    agent: int
    """Of a column; -1 otherwise."""


def parse(team: Team, statement: bytes) -> Statement | None:
    """Read a statement of this chain and epoch back; None for any other bytes."""
    for kind in KINDS:
        head = _DOMAIN[kind] + team.context
        layout = _LAYOUT[kind]
        if statement.startswith(head) and len(statement) == len(head) + layout.size:
            return _read(kind, layout.unpack_from(statement, len(head)))
    return None


def _read(kind: str, fields: tuple[int | bytes, ...]) -> Statement:
    slot, digest, qc_view, high, agent = fields[0], b"", 0, 0, -1
    if kind == TIMEOUT:
        qc_view = fields[1]  # type: ignore[assignment]
    elif kind == COLUMN:
        agent, digest = fields[1], fields[2]  # type: ignore[assignment]
    elif kind == VOTE:
        digest, qc_view, high = fields[1:]  # type: ignore[assignment]
    else:
        digest = fields[1]  # type: ignore[assignment]
    return Statement(kind=kind, slot=slot, digest=digest, qc_view=qc_view, tc_high=high, agent=agent)  # type: ignore[arg-type]
