"""What a replica has applied: the committed blocks with what proves them, in order, each once.

The journal is the application's durable state. A block is applied by being appended here; after a restart the replica
goes on behind the last whole record, so that a block whose record was torn is delivered and appended again, and no
other is. It also answers peers that lag further behind than the core remembers.

Segments of `SEGMENT_BYTES`, named by their first height; the oldest are dropped when `keep_bytes` are exceeded. Record:
length u32 | CRC-32 u32 | height u64 | view u64 | block id | length of the block u32 | block | certificate, without the
payload that stands in the block.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

from custodes.bft.certificates import Certificate, decode_certificate, encode_certificate
from custodes.bft.core.events import Root
from custodes.bft.encoding import decode, encode
from custodes.bft.errors import BftError
from custodes.bft.messages import Block, Blocks

SEGMENT_BYTES: Final = 64 * 2**20
_FRAME: Final = struct.Struct("<II")
_HEAD: Final = struct.Struct("<QQ32sI")


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


@final
class Journal:
    """Append-only; one writer.

    Args:
        folder: Where the segments are; made when missing.
        durable: Make every append durable before it returns. Without, the last records may be lost with the power (and
            are then delivered again), never with the process.
        keep_bytes: Oldest segments beyond this many bytes in all are dropped; the last two stay.

    Raises:
        BftError: A segment is damaged elsewhere than at the end of the last one.
    """

    def __init__(self, folder: Path, *, durable: bool, keep_bytes: int = 16 * SEGMENT_BYTES) -> None:
        self._folder, self._durable, self._keep = folder, durable, keep_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._where: dict[bytes, tuple[Path, int]] = {}
        self._segments = sorted(folder.glob("*.journal"))
        self.last: Root | None = None
        for segment in self._segments:
            self._index(segment, last=segment is self._segments[-1])
        self._file = self._open(self._segments[-1]) if self._segments else -1
        self._size = self._segments[-1].stat().st_size if self._segments else 0

    def append(self, entry: Entry) -> None:
        """Add the next block; returns when it is as durable as asked for.

        Raises:
            BftError: The block is not the next one.
        """
        expected = self.last.height + 1 if self.last else entry.root.height
        if entry.root.height != expected:
            raise BftError(f"block of height {entry.root.height} was to be applied after {expected - 1}")
        if self._file < 0 or self._size >= SEGMENT_BYTES:
            self._rotate(entry.root.height)
        root = entry.root
        body = _encode(entry)
        record = _FRAME.pack(len(body), zlib.crc32(body)) + body
        _write_all(self._file, record)
        if self._durable:
            os.fdatasync(self._file)
        self._where[root.block] = (self._segments[-1], self._size)
        self._size += len(record)
        self.last = root

    def find(self, block: bytes) -> Entry | None:
        """An applied block that is still kept, by its id."""
        place = self._where.get(block)
        if place is None:
            return None
        with place[0].open("rb") as file:
            file.seek(place[1])
            size, _ = _FRAME.unpack(file.read(_FRAME.size))
            return _entry(file.read(size))

    def entries(self) -> Iterator[Entry]:
        """All that is kept, in order."""
        return read_entries(self._folder)

    def close(self) -> None:
        """Make it durable and close it."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
            self._file = -1

    def _index(self, segment: Path, *, last: bool) -> None:
        """Read one segment; cut a torn end off the last one."""
        data = segment.read_bytes()
        end = 0
        for start, body in _records(data):
            root = _root(body)
            if self.last is not None and root.height != self.last.height + 1:
                raise BftError(
                    "records are missing", where=str(segment), fix="restore it or start from an empty folder"
                )
            self._where[root.block] = (segment, start)
            self.last = root
            end = start + _FRAME.size + len(body)
        if end == len(data):
            return
        (announced, _) = _FRAME.unpack_from(data, end) if len(data) - end >= _FRAME.size else (0, 0)
        if not last or (announced and end + _FRAME.size + announced < len(data)):
            raise BftError("a record is damaged", where=f"{segment}, byte {end}", fix="restore it from a copy")
        # An append that did not finish: nothing stands behind it. It is kept aside, and delivered again.
        segment.with_suffix(".torn").write_bytes(data[end:])
        with segment.open("r+b") as file:
            file.truncate(end)
            os.fsync(file.fileno())

    def _rotate(self, height: int) -> None:
        """Begin a new segment and drop the oldest."""
        if self._file >= 0:
            os.fsync(self._file)
            os.close(self._file)
        path = self._folder / f"{height:020d}.journal"
        self._segments.append(path)
        self._file, self._size = self._open(path), 0
        _sync_folder(self._folder)
        while len(self._segments) > 2 and sum(each.stat().st_size for each in self._segments) > self._keep:
            dropped = self._segments.pop(0)
            self._where = {block: place for block, place in self._where.items() if place[0] != dropped}
            dropped.unlink()

    def _open(self, path: Path) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def read_entries(folder: Path) -> Iterator[Entry]:
    """The whole records of a journal, in order; changes nothing, so the replica may be running."""
    for segment in sorted(folder.glob("*.journal")):
        for _, body in _records(segment.read_bytes()):
            yield _entry(body)


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Whole records with their places, up to the first that is torn."""
    start = 0
    while start + _FRAME.size <= len(data):
        size, crc = _FRAME.unpack_from(data, start)
        body = data[start + _FRAME.size : start + _FRAME.size + size]
        if size < _HEAD.size or len(body) != size or zlib.crc32(body) != crc:
            return
        yield start, body
        start += _FRAME.size + size


def _encode(entry: Entry) -> bytes:
    block = encode(Blocks(blocks=(entry.block,)))
    root = entry.root
    head = _HEAD.pack(root.height, root.view, root.block, len(block))
    return b"".join((head, block, encode_certificate(replace(entry.certificate, payload=b""))))


def _root(body: bytes) -> Root:
    height, view, block, _ = _HEAD.unpack_from(body)
    return Root(block=block, height=height, view=view)


def _entry(body: bytes) -> Entry:
    size = _HEAD.unpack_from(body)[3]
    message = decode(body[_HEAD.size : _HEAD.size + size])
    assert isinstance(message, Blocks)
    (block,) = message.blocks
    certificate = replace(decode_certificate(body[_HEAD.size + size :]), payload=block.payload)
    return Entry(root=_root(body), block=block, certificate=certificate)


def _write_all(file: int, data: bytes) -> None:
    """A write may be cut short by a signal or a full disk."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    """A new file is only there after a crash when its folder is durable, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
