"""The certificate of a decision: one file that anyone who has the team file can check, without any replica.

It holds the decided block with its payload (the agents' signed votes and the decisions), the headers from there to the
block b' whose certificate committed it, and the two consecutive quorum certificates: of the parent of b' (view v) and
of b' (view v + 1). That is the commit rule of two-chain HotStuff itself, so who holds the file needs to trust nobody.

Layout, little-endian: magic with version 8 | chain id u8 length, bytes | epoch u64 | number of headers u16 | headers,
the decided block's first (145 bytes each) | both quorum certificates as in `encoding` | payload u32 length, bytes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, final

from custodes.bft.ballots import Ballot, ballot_fault, decode_payload
from custodes.bft.encoding import MAX_PAYLOAD, Reader, read_qc, write_qc
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Block, Header, Qc
from custodes.bft.statements import header_id, header_of, qc_digest
from custodes.bft.team import Team
from custodes.bft.verify import Verifier

MAGIC: Final = b"custcrt\x01"
MAX_HEADERS: Final = 4096
"""Blocks from the decided one to the one that committed it; more than two only after views without a commit."""
_HEADER: Final = struct.Struct("<QQ32sB32s32s32s")
_COUNT: Final = struct.Struct("<H")
_LENGTH: Final = struct.Struct("<I")
_EPOCH: Final = struct.Struct("<Q")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """Proof that a block was decided."""

    chain: str
    """Chain id of the team, to say what is wrong when it is another's."""
    epoch: int
    """Epoch of the team, for the same reason."""
    headers: tuple[Header, ...]
    """The decided block first, then each child, up to the block b' whose certificate committed it; at least two."""
    lower: Qc
    """Certificate of the last but one of them."""
    upper: Qc
    """Certificate of the last one, of the very next view."""
    payload: bytes
    """Payload of the decided block."""


def make_certificate(team: Team, blocks: Sequence[Block], upper: Qc) -> Certificate:
    """The certificate of a decision.

    Args:
        team: Whose chain.
        blocks: The decided block, then each child, up to the block that `upper` certifies; at least two.
        upper: The quorum certificate that committed it.
    """
    return Certificate(
        chain=team.chain,
        epoch=team.epoch,
        headers=tuple(map(header_of, blocks)),
        lower=blocks[-1].qc,
        upper=upper,
        payload=blocks[0].payload,
    )


def certificate_fault(certificate: Certificate, verifier: Verifier) -> str | None:
    """Why a certificate does not prove its decision; None when it does."""
    team, headers = verifier.team, certificate.headers
    if (certificate.chain, certificate.epoch) != (team.chain, team.epoch):
        return f"it is of chain {certificate.chain!r}, epoch {certificate.epoch}, not of this team"
    if len(headers) < 2:
        return "the chain of headers is too short"
    if hashlib.sha256(certificate.payload).digest() != headers[0].payload:
        return "the payload is not that of the decided block"
    names = [header_id(team, header) for header in headers]
    for (name, header), (_, child) in pairwise(zip(names, headers, strict=True)):
        if child.parent != name or child.height != header.height + 1 or child.view <= header.view:
            return "the headers are no chain"
    return _commit_fault(certificate, names, verifier) or _payload_fault(certificate, verifier)


def _commit_fault(certificate: Certificate, names: list[bytes], verifier: Verifier) -> str | None:
    lower, upper, headers = certificate.lower, certificate.upper, certificate.headers
    for qc, name, header in ((lower, names[-2], headers[-2]), (upper, names[-1], headers[-1])):
        if not qc.signers or (qc.block, qc.view) != (name, header.view):
            return "a quorum certificate is not of its block"
        fault = verifier.qc_fault(qc)
        if fault is not None:
            return fault
    if headers[-1].qc != qc_digest(lower):
        return "the last block does not carry the first quorum certificate"
    return "the two quorum certificates are not of consecutive views" if upper.view != lower.view + 1 else None


def _payload_fault(certificate: Certificate, verifier: Verifier) -> str | None:
    try:
        ballots = decode_payload(certificate.payload, verifier.team.n)
    except DecodeError as error:
        return f"payload: {error.what}"
    return next(filter(None, (ballot_fault(verifier, ballot) for ballot in ballots)), None)


def decided(certificate: Certificate, n: int) -> tuple[Ballot, ...]:
    """What a certificate of a team of n decides.

    Raises:
        DecodeError: The payload is malformed; `certificate_fault` says so too.
    """
    return decode_payload(certificate.payload, n)


def encode_certificate(certificate: Certificate) -> bytes:
    """A certificate as one file.

    Raises:
        DecodeError: It has no encoding.
    """
    count, chain = len(certificate.headers), certificate.chain.encode("ascii")
    if not 1 <= count <= MAX_HEADERS or len(certificate.payload) > MAX_PAYLOAD:
        raise DecodeError("certificate is over a limit")
    parts = [MAGIC, bytes((len(chain),)), chain, _EPOCH.pack(certificate.epoch), _COUNT.pack(count)]
    parts.extend(map(_pack_header, certificate.headers))
    write_qc(certificate.lower, parts)
    write_qc(certificate.upper, parts)
    parts += (_LENGTH.pack(len(certificate.payload)), certificate.payload)
    return b"".join(parts)


def decode_certificate(data: bytes) -> Certificate:
    """A certificate from a file.

    Raises:
        DecodeError: It is not one.
    """
    reader = Reader(data)
    if not data.startswith(MAGIC):
        raise DecodeError("not a decision certificate, or one of another version")
    reader.take(len(MAGIC))
    chain = reader.take(reader.take(1)[0])
    if not chain.isascii():
        raise DecodeError("chain id is not ASCII")
    (epoch,) = reader.fields(_EPOCH)
    (count,) = reader.fields(_COUNT)
    if not 1 <= count <= MAX_HEADERS:
        raise DecodeError("number of headers is out of range")
    headers = tuple(_read_header(reader) for _ in range(count))
    lower, upper = read_qc(reader), read_qc(reader)
    (length,) = reader.fields(_LENGTH)
    if length > MAX_PAYLOAD:
        raise DecodeError("payload is over the limit")
    payload = reader.take(length)
    reader.end()
    return Certificate(
        chain=chain.decode("ascii"), epoch=epoch, headers=headers, lower=lower, upper=upper, payload=payload
    )


def _pack_header(header: Header) -> bytes:
    return _HEADER.pack(
        header.view, header.height, header.parent, header.proposer, header.qc, header.tc, header.payload
    )


def _read_header(reader: Reader) -> Header:
    view, height, parent, proposer, qc, tc, payload = reader.fields(_HEADER)
    return Header(
        view=view,
        height=height,
        parent=parent,  # type: ignore[arg-type]
        proposer=proposer,
        qc=qc,  # type: ignore[arg-type]
        tc=tc,  # type: ignore[arg-type]
        payload=payload,  # type: ignore[arg-type]
    )
