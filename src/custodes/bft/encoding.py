"""The one form that every message has as bytes: version, kind, then fixed fields, little-endian.

Canonical: a value has exactly one encoding, and every other byte string is refused. Signers are a bit mask (so they are
ascending and distinct by construction), flags are 0 or 1, lengths are checked against the limits below and against the
bytes at hand before anything of that size is made, and nothing may follow. Therefore `encode(decode(b)) == b` for all
accepted `b`, and a signature that is checked over bytes made from the decoded value is checked over what was received.

The limits are part of the format: a replica that receives more drops the peer.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, final

from custodes.bft.errors import DecodeError
from custodes.bft.messages import Block, Blocks, Column, Fetch, Message, Proposal, Qc, Status, Tc, Timeout, Vote
from custodes.bft.team import MAX_REPLICAS

VERSION: Final = 1
MAX_ITEMS: Final = 65_536
"""Items of one batch."""
MAX_PAYLOAD: Final = 8 * 2**20
"""Bytes of a block's payload: a batch of `MAX_ITEMS` with scores from 30 agents, or 20 of 10,000 from 7."""
MAX_BLOCKS: Final = 64
"""Blocks of one answer."""
MAX_BYTES: Final = 16 * 2**20
"""Bytes of one message; an answer holds as many blocks as fit."""
HASH: Final = 32
SIGNATURE: Final = 64

_QC: Final = struct.Struct("<QqqQ32s")
_TC: Final = struct.Struct("<QQ")
_BLOCK: Final = struct.Struct("<QQ32sBB")
_VOTE: Final = struct.Struct("<QqqB32s64s")
_TIMEOUT: Final = struct.Struct("<QBB64s")
_FETCH: Final = struct.Struct("<32sQI")
_COLUMN: Final = struct.Struct("<BQ32s32sIB64s")
_LENGTH: Final = struct.Struct("<I")
_LEVELS: Final = bytes(range(4))
_BITS: Final = tuple(1 << index for index in range(MAX_REPLICAS))


@final
class Reader:
    """Takes fields off the front of bytes, never past their end."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def fields(self, layout: struct.Struct) -> tuple[int, ...]:
        """Fixed fields. Typed as integers; a field of bytes is bytes."""
        at = self.at
        if at + layout.size > len(self.data):
            raise DecodeError("message is cut")
        self.at = at + layout.size
        return layout.unpack_from(self.data, at)

    def take(self, count: int) -> bytes:
        """The next bytes."""
        at = self.at
        if count > len(self.data) - at:
            raise DecodeError("message is cut")
        self.at = at + count
        return self.data[at : at + count]

    def flag(self, value: int) -> bool:
        """A field that may only be 0 or 1."""
        if value > 1:
            raise DecodeError("flag is neither 0 nor 1")
        return value == 1

    def end(self) -> None:
        """Nothing may be left."""
        if self.at != len(self.data):
            raise DecodeError("message has trailing bytes")


def encode(message: Message) -> bytes:
    """A message as bytes.

    Raises:
        DecodeError: It has no encoding: over a limit, unordered signers, fields of a wrong size.
    """
    kind, write = _WRITERS[type(message)]
    parts = [bytes((VERSION, kind))]
    try:
        write(message, parts)
    except struct.error as error:
        raise DecodeError(f"message has a field that does not fit: {error}") from None
    data = b"".join(parts)
    if len(data) > MAX_BYTES:
        raise DecodeError(f"message of {len(data)} bytes is over the limit of {MAX_BYTES}")
    return data


def decode(data: bytes) -> Message:
    """A message from bytes that anyone may have sent.

    Raises:
        DecodeError: They are not the encoding of any message.
    """
    if len(data) > MAX_BYTES:
        raise DecodeError("message is over the limit")
    if len(data) < 2 or data[0] != VERSION:
        raise DecodeError("message is of another version")
    kind = data[1]
    if kind >= len(_READERS):
        raise DecodeError("message is of an unknown kind")
    reader = Reader(data, 2)
    message = _READERS[kind](reader)
    reader.end()
    return message


def write_qc(qc: Qc, parts: list[bytes]) -> None:
    """Append a quorum certificate: 64 bytes and 64 per signer."""
    parts.append(_QC.pack(qc.view, qc.qc_view, qc.tc_high, _mask(qc.signers), _hash(qc.block)))
    _put_signatures(qc.signers, qc.signatures, parts)


def read_qc(reader: Reader) -> Qc:
    """Take a quorum certificate."""
    view, qc_view, tc_high, mask, block = reader.fields(_QC)
    signers = _signers(mask)
    signatures = _take_signatures(reader, len(signers))
    return Qc(
        view=view,
        block=block,  # type: ignore[arg-type]
        qc_view=qc_view,
        tc_high=tc_high,
        signers=signers,
        signatures=signatures,
    )


def write_tc(tc: Tc, parts: list[bytes]) -> None:
    """Append a timeout certificate: 16 bytes and 72 per signer."""
    if len(tc.high_views) != len(tc.signers):
        raise DecodeError("not one high view per signer")
    parts.append(_TC.pack(tc.view, _mask(tc.signers)))
    parts.append(struct.pack(f"<{len(tc.high_views)}q", *tc.high_views))
    _put_signatures(tc.signers, tc.signatures, parts)


def read_tc(reader: Reader) -> Tc:
    """Take a timeout certificate."""
    view, mask = reader.fields(_TC)
    signers = _signers(mask)
    highs = struct.unpack(f"<{len(signers)}q", reader.take(8 * len(signers)))
    signatures = _take_signatures(reader, len(signers))
    return Tc(view=view, signers=signers, high_views=highs, signatures=signatures)


def write_block(block: Block, parts: list[bytes]) -> None:
    """Append a block."""
    if len(block.payload) > MAX_PAYLOAD:
        raise DecodeError(f"payload of {len(block.payload)} bytes is over the limit of {MAX_PAYLOAD}")
    has_tc = block.tc is not None
    parts.append(_BLOCK.pack(block.view, block.height, _hash(block.parent), block.proposer, has_tc))
    write_qc(block.qc, parts)
    if block.tc is not None:
        write_tc(block.tc, parts)
    parts.append(_LENGTH.pack(len(block.payload)))
    parts.append(block.payload)


def read_block(reader: Reader) -> Block:
    """Take a block."""
    view, height, parent, proposer, has_tc = reader.fields(_BLOCK)
    flag = reader.flag(has_tc)
    qc = read_qc(reader)
    tc = read_tc(reader) if flag else None
    (length,) = reader.fields(_LENGTH)
    if length > MAX_PAYLOAD:
        raise DecodeError("payload is over the limit")
    payload = reader.take(length)
    return Block(
        view=view,
        height=height,
        parent=parent,  # type: ignore[arg-type]
        proposer=proposer,
        qc=qc,
        tc=tc,
        payload=payload,
    )


def write_column(column: Column, parts: list[bytes]) -> None:
    """Append an agent's votes: 142 bytes and 1 per item, 3 with scores."""
    count = len(column.severities)
    if not 1 <= count <= MAX_ITEMS:
        raise DecodeError(f"column of {count} votes is not between 1 and {MAX_ITEMS}")
    if column.scores and len(column.scores) != 2 * count:
        raise DecodeError("not one score per vote")
    parts.append(
        _COLUMN.pack(
            column.agent,
            column.batch,
            _hash(column.items_digest),
            _hash(column.model),
            count,
            bool(column.scores),
            _signature(column.signature),
        )
    )
    if column.severities.translate(None, _LEVELS):
        raise DecodeError("vote is not 0 to 3")
    parts.append(column.severities)
    parts.append(column.scores)


def read_column(reader: Reader) -> Column:
    """Take an agent's votes."""
    agent, batch, items_digest, model, count, has_scores, signature = reader.fields(_COLUMN)
    flag = reader.flag(has_scores)
    if not 1 <= count <= MAX_ITEMS:
        raise DecodeError("number of votes is out of range")
    severities = reader.take(count)
    if severities.translate(None, _LEVELS):
        raise DecodeError("vote is not 0 to 3")
    return Column(
        agent=agent,
        batch=batch,
        items_digest=items_digest,  # type: ignore[arg-type]
        severities=severities,
        scores=reader.take(2 * count) if flag else b"",
        model=model,  # type: ignore[arg-type]
        signature=signature,  # type: ignore[arg-type]
    )


def _write_proposal(message: Proposal, parts: list[bytes]) -> None:
    parts.append(_signature(message.signature))
    write_block(message.block, parts)


def _read_proposal(reader: Reader) -> Proposal:
    signature = reader.take(SIGNATURE)
    return Proposal(block=read_block(reader), signature=signature)


def _write_vote(vote: Vote, parts: list[bytes]) -> None:
    signature = _signature(vote.signature)
    parts.append(_VOTE.pack(vote.view, vote.qc_view, vote.tc_high, vote.voter, _hash(vote.block), signature))


def _read_vote(reader: Reader) -> Vote:
    view, qc_view, tc_high, voter, block, signature = reader.fields(_VOTE)
    return Vote(
        view=view,
        block=block,  # type: ignore[arg-type]
        qc_view=qc_view,
        tc_high=tc_high,
        voter=voter,
        signature=signature,  # type: ignore[arg-type]
    )


def _write_timeout(timeout: Timeout, parts: list[bytes]) -> None:
    signature = _signature(timeout.signature)
    parts.append(_TIMEOUT.pack(timeout.view, timeout.voter, timeout.tc is not None, signature))
    write_qc(timeout.high_qc, parts)
    if timeout.tc is not None:
        write_tc(timeout.tc, parts)


def _read_timeout(reader: Reader) -> Timeout:
    view, voter, has_tc, signature = reader.fields(_TIMEOUT)
    flag = reader.flag(has_tc)
    high_qc = read_qc(reader)
    tc = read_tc(reader) if flag else None
    return Timeout(view=view, high_qc=high_qc, tc=tc, voter=voter, signature=signature)  # type: ignore[arg-type]


def _write_status(status: Status, parts: list[bytes]) -> None:
    parts.append(bytes((status.tc is not None,)))
    write_qc(status.high_qc, parts)
    if status.tc is not None:
        write_tc(status.tc, parts)


def _read_status(reader: Reader) -> Status:
    flag = reader.flag(reader.take(1)[0])
    high_qc = read_qc(reader)
    return Status(high_qc=high_qc, tc=read_tc(reader) if flag else None)


def _write_fetch(fetch: Fetch, parts: list[bytes]) -> None:
    if not 1 <= fetch.limit <= MAX_BLOCKS:
        raise DecodeError(f"a question for {fetch.limit} blocks is not between 1 and {MAX_BLOCKS}")
    parts.append(_FETCH.pack(_hash(fetch.block), fetch.floor, fetch.limit))


def _read_fetch(reader: Reader) -> Fetch:
    block, floor, limit = reader.fields(_FETCH)
    if not 1 <= limit <= MAX_BLOCKS:
        raise DecodeError("question for too many blocks")
    return Fetch(block=block, floor=floor, limit=limit)  # type: ignore[arg-type]


def _write_blocks(message: Blocks, parts: list[bytes]) -> None:
    if len(message.blocks) > MAX_BLOCKS:
        raise DecodeError(f"answer of {len(message.blocks)} blocks is over the limit of {MAX_BLOCKS}")
    parts.append(bytes((len(message.blocks),)))
    for block in message.blocks:
        write_block(block, parts)


def _read_blocks(reader: Reader) -> Blocks:
    count = reader.take(1)[0]
    if count > MAX_BLOCKS:
        raise DecodeError("answer of too many blocks")
    return Blocks(blocks=tuple(read_block(reader) for _ in range(count)))


def _mask(signers: tuple[int, ...]) -> int:
    mask, before = 0, -1
    for signer in signers:
        if not before < signer < MAX_REPLICAS:
            raise DecodeError("signers are not ascending, distinct and known")
        mask |= _BITS[signer]
        before = signer
    return mask


def _signers(mask: int) -> tuple[int, ...]:
    signers = []
    while mask:
        lowest = mask & -mask
        signers.append(lowest.bit_length() - 1)
        mask ^= lowest
    return tuple(signers)


def _hash(value: bytes) -> bytes:
    # struct would pad or cut silently.
    if len(value) != HASH:
        raise DecodeError(f"digest has {len(value)} bytes, not {HASH}")
    return value


def _signature(value: bytes) -> bytes:
    if len(value) != SIGNATURE:
        raise DecodeError(f"signature has {len(value)} bytes, not {SIGNATURE}")
    return value


def _put_signatures(signers: tuple[int, ...], signatures: tuple[bytes, ...], parts: list[bytes]) -> None:
    if len(signatures) != len(signers):
        raise DecodeError("not one signature per signer")
    parts.extend(map(_signature, signatures))


def _take_signatures(reader: Reader, count: int) -> tuple[bytes, ...]:
    data = reader.take(SIGNATURE * count)
    return tuple(data[at : at + SIGNATURE] for at in range(0, len(data), SIGNATURE))


_READERS: Final[tuple[Callable[[Reader], Message], ...]] = (
    _read_proposal,
    _read_vote,
    _read_timeout,
    _read_status,
    _read_fetch,
    _read_blocks,
    read_column,
)
_WRITERS: Final[dict[type, tuple[int, Callable[..., None]]]] = {
    Proposal: (0, _write_proposal),
    Vote: (1, _write_vote),
    Timeout: (2, _write_timeout),
    Status: (3, _write_status),
    Fetch: (4, _write_fetch),
    Blocks: (5, _write_blocks),
    Column: (6, write_column),
}
