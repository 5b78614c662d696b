"""The records of a journal as bytes.

Record: magic | length u32 | CRC-32 u32 | height u64 | view u64 | block id | height up to which all was durable when
this was written u64 | length of the block u32 | block | certificate, without the payload that stands in the block.
Behind the last record a segment may have zeros: room for more.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Final, final

from custodes.bft.certificates import Certificate, decode_certificate, encode_certificate
from custodes.bft.core.events import Root
from custodes.bft.encoding import decode, encode
from custodes.bft.errors import BftError
from custodes.bft.messages import Block, Blocks

MAGIC: Final = b"cjr\x01"
MAX_RECORD: Final = 32 * 2**20
"""Bytes of a record: a block with the largest payload, twice over."""
_FRAME: Final = struct.Struct("<4sII")
FRAME_BYTES: Final = _FRAME.size
"""Bytes of a record before its body."""
_HEAD: Final = struct.Struct("<QQ32sQI")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One applied block."""

    root: Root
    """Height, view and id of the block."""
    block: Block
    """The block."""
    certificate: Certificate
    """What proves that it was decided."""


def pack(entry: Entry, synced: int) -> bytes:
    """A record.

    Args:
        entry: What it holds.
        synced: Height up to which the journal is durable.
    """
    block = encode(Blocks(blocks=(entry.block,)))
    certificate = encode_certificate(replace(entry.certificate, payload=b""))
    root = entry.root
    body = b"".join((_HEAD.pack(root.height, root.view, root.block, synced, len(block)), block, certificate))
    return _FRAME.pack(MAGIC, len(body), zlib.crc32(body)) + body


def unpack(body: bytes) -> Entry:
    """What an intact record holds."""
    size = _HEAD.unpack_from(body)[4]
    message = decode(body[_HEAD.size : _HEAD.size + size])
    assert isinstance(message, Blocks)
    (block,) = message.blocks
    certificate = replace(decode_certificate(body[_HEAD.size + size :]), payload=block.payload)
    return Entry(root=read_root(body), block=block, certificate=certificate)


def read_root(body: bytes) -> Root:
    """Height, view and id of an intact record's block."""
    height, view, block, _, _ = _HEAD.unpack_from(body)
    return Root(block=block, height=height, view=view)


def durable_height(body: bytes) -> int:
    """Height up to which the journal was durable when an intact record was written."""
    return int(_HEAD.unpack_from(body)[3])


def scan(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Whole records with their places, up to the first that is not one."""
    while start + _FRAME.size <= len(data):
        magic, size, crc = _FRAME.unpack_from(data, start)
        if magic != MAGIC or not _HEAD.size <= size <= len(data) - start - _FRAME.size:
            return
        body = data[start + _FRAME.size : start + _FRAME.size + size]
        if zlib.crc32(body) != crc:
            return
        yield start, body
        start += _FRAME.size + size


def record_at(file: IO[bytes], start: int) -> bytes:
    """The body of the record at a place.

    Raises:
        BftError: There is no whole record any more.
    """
    file.seek(start)
    head = file.read(_FRAME.size)
    if len(head) == _FRAME.size:
        magic, size, crc = _FRAME.unpack(head)
        if magic == MAGIC and size <= MAX_RECORD:
            body = file.read(size)
            if len(body) == size and zlib.crc32(body) == crc:
                return body
    raise BftError("a record is damaged", where=f"{file.name}, byte {start}", fix="restore the journal from a copy")
