"""The file format of the log: a header, then records, each sealed and chained to the one before.

Header (56 bytes): magic 8 | log id 16 | first sequence u64 | last sequence that it was made with u64 | seal 16.
Record (57 bytes and its body): magic 4 | kind u8 | body's length u32 | sequence u64 | synced u64 | seal of the record
before 16 | seal 16 | body.

A seal is the first 16 bytes of SHA-256 over log id, fields and body. The log id is random and never leaves the machine,
so bytes that a liar puts into a block can never look like a record. `synced` is the highest sequence that was durable
when the record was written. It tells a record that was broken before it was released from one that was broken later:

- a broken stretch with nothing intact after it, or only records that were written before a sync covered the broken
  one, is a torn tail: nothing of it was released, because release follows the sync;
- a broken record which a later intact one, or the high-water mark, says was durable is damage.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final, final

from custodes.bft.errors import BftError

MAGIC: Final = b"custwal\x01"
LOG_ID: Final = 16
SEAL: Final = 16
HEADER: Final = struct.Struct("<8s16sQQ16s")
_RECORD_MAGIC: Final = b"\xc5rec"
RECORD: Final = struct.Struct("<4sBIQQ16s16s")
_SEALED: Final = RECORD.size - SEAL


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A record as it stands in a segment."""

    sequence: int
    """Its number."""
    kind: int
    """See `codec`."""
    body: bytes
    """See `codec`."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What a segment holds."""

    log_id: bytes
    """Which log it is of."""
    entries: tuple[Entry, ...]
    """The intact records from the start on."""
    last: int
    """Sequence of the last of them; first sequence - 1 when there is none."""
    seal: bytes
    """Seal to chain the next record to."""
    end: int
    """Offset behind them."""
    broken: bool
    """Whether anything but zeros follows."""
    durable: int
    """Highest sequence that anything intact in the file says was durable; above `last` when records are gone."""


def header(log_id: bytes, first: int, born: int) -> bytes:
    """The start of a segment whose first record is `first` and which got its name when all up to `born` was durable."""
    fields = HEADER.pack(MAGIC, log_id, first, born, bytes(SEAL))[:-SEAL]
    return fields + _seal(log_id, fields)


def record(
    log_id: bytes, *, kind: int, parts: list[bytes], sequence: int, synced: int, before: bytes
) -> tuple[bytes, bytes]:
    """A record as bytes, and its seal."""
    length = sum(map(len, parts))
    fields = RECORD.pack(_RECORD_MAGIC, kind, length, sequence, synced, before, bytes(SEAL))[:_SEALED]
    seal = _seal(log_id, fields, *parts)
    return b"".join((fields, seal, *parts)), seal


def scan(data: bytes, where: str) -> Scan:
    """Read a segment.

    Raises:
        BftError: Its header is damaged. A segment gets its name only when its header is durable.
    """
    if len(data) < HEADER.size:
        raise BftError("log segment is cut within its header", where=where, fix=DAMAGED)
    magic, log_id, first, born, seal = HEADER.unpack_from(data)
    if magic != MAGIC or header(log_id, first, born) != data[: HEADER.size]:
        raise BftError("log segment has a damaged header, or is of another version", where=where, fix=DAMAGED)
    entries: list[Entry] = []
    at, expected, durable = HEADER.size, first, born
    while (found := _entry(data, at, log_id)) is not None:
        entry, synced, before, own = found
        if entry.sequence != expected or before != seal:
            break
        entries.append(entry)
        durable = max(durable, synced)
        at, expected, seal = at + RECORD.size + len(entry.body), expected + 1, own
    rest = data[at:]
    return Scan(
        log_id=log_id,
        entries=tuple(entries),
        last=expected - 1,
        seal=seal,
        end=at,
        broken=bool(rest.strip(b"\0")),
        durable=max(durable, _durable_after(rest, log_id)),
    )


DAMAGED: Final = (
    "do not start this replica from it: restore the disk's own copy, or give the replica a new key in a new epoch"
)


def _durable_after(rest: bytes, log_id: bytes) -> int:
    """The highest sequence that any intact record in a broken stretch says was durable."""
    durable, at = 0, rest.find(_RECORD_MAGIC)
    while at >= 0:
        found = _entry(rest, at, log_id)
        if found is not None:
            durable = max(durable, found[1])
        at = rest.find(_RECORD_MAGIC, at + 1)
    return durable


def _entry(data: bytes, at: int, log_id: bytes) -> tuple[Entry, int, bytes, bytes] | None:
    """The intact record at an offset with its synced, previous and own seal; None for anything else."""
    if at + RECORD.size > len(data):
        return None
    magic, kind, length, sequence, synced, before, seal = RECORD.unpack_from(data, at)
    start = at + RECORD.size
    if magic != _RECORD_MAGIC or length > len(data) - start:
        return None
    body = data[start : start + length]
    if _seal(log_id, data[at : at + _SEALED], body) != seal:
        return None
    return Entry(sequence=sequence, kind=kind, body=body), synced, before, seal


def _seal(log_id: bytes, *parts: bytes) -> bytes:
    digest = hashlib.sha256(log_id)
    for part in parts:
        digest.update(part)
    return digest.digest()[:SEAL]
