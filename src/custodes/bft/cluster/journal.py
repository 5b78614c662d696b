"""What a replica has applied: the committed blocks with what proves them, in order, each once.

The journal is the application's durable state. A block is applied by being appended here; after a restart the replica
goes on behind the last whole record, so that a block whose record was torn is delivered and appended again, and no
other is. It also answers peers that lag further behind than the core remembers.

Segments of `SEGMENT_BYTES`, named by their first height; the oldest are dropped when `keep_bytes` are exceeded. What
all blocks before a segment came to stands beside it (`.state`), so that a restart reads one segment and not all. See
`records` for what stands in a segment.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, final

from custodes.bft.cluster.records import (
    FRAME_BYTES,
    MAGIC,
    Entry,
    durable_height,
    pack,
    read_root,
    record_at,
    scan,
    unpack,
)
from custodes.bft.core.events import Root
from custodes.bft.errors import BftError
from custodes.bft.safety.files import make_room, sync_folder, write_all, write_aside

SEGMENT_BYTES: Final = 64 * 2**20
KEEP_BYTES: Final = 16 * SEGMENT_BYTES
_CHUNK: Final = 4 * 2**20
"""A file is given room in pieces of this size, so that a sync need not wait for its new length as well."""
_OFFSET: Final = 2**40
_flush: Final = getattr(os, "fdatasync", os.fsync)


@final
class Journal:
    """Append-only; one writer. `sync` may run in another thread; everything else belongs to one thread.

    Args:
        folder: Where the segments are; made when missing.
        keep_bytes: Oldest segments beyond this many bytes in all are dropped; the last two stay.
        segment_bytes: See `SEGMENT_BYTES`.

    Raises:
        BftError: A record is damaged that was durable, or records are missing.
    """

    def __init__(self, folder: Path, *, keep_bytes: int = KEEP_BYTES, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder, self._keep, self._segment_bytes = folder, keep_bytes, segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._where: dict[int, int] = {}
        self._first: list[int] = []
        self.last: Root | None = None
        self._handle, self._end, self._room = -1, 0, 0
        self._syncing = threading.Lock()
        segments = _segments(folder)
        for segment in segments:
            self._index(segment, last=segment == segments[-1])
        if segments:
            self._handle = os.open(segments[-1], os.O_RDWR)
            self._room = os.fstat(self._handle).st_size
            # What a killed process left unsynced counts from now on.
            os.fsync(self._handle)
        self._synced = self.height

    @property
    def height(self) -> int:
        """Height of the last block, 0 for none."""
        return self.last.height if self.last else 0

    @property
    def synced(self) -> int:
        """Height up to which all is durable."""
        return self._synced

    def append(self, entry: Entry, state: Callable[[], bytes] = bytes) -> None:
        """Add the next block; it outlives the process, and a power loss once `sync` has returned.

        Args:
            entry: The block with its certificate.
            state: Makes what all blocks before this one came to; only called where a segment begins.

        Raises:
            BftError: The block is not the next one, or the disk failed.
        """
        root = entry.root
        expected = self.last.height + 1 if self.last else root.height
        if root.height != expected:
            raise BftError(f"block of height {root.height} was to be applied after {expected - 1}")
        record = pack(entry, self._synced)
        with self._disk():
            if self._handle < 0 or self._end >= self._segment_bytes:
                self._rotate(root.height, state())
            if self._end + len(record) > self._room:
                more = max(_CHUNK, len(record))
                make_room(self._handle, self._room, more)
                self._room += more
            write_all(self._handle, record, self._end)
        self._note(root, self._first[-1], self._end)
        self._end += len(record)

    def sync(self) -> int:
        """Make everything that was appended before this call durable.

        Returns:
            The height up to which all is durable now.

        Raises:
            BftError: The disk failed.
        """
        height = self.height
        if height > self._synced:
            with self._syncing, self._disk():
                _flush(self._handle)
                self._synced = max(self._synced, height)
        return self._synced

    def find(self, block: bytes) -> Entry | None:
        """An applied block that is still kept, by its id."""
        place = self._where.get(_key(block))
        if place is None:
            return None
        first, start = divmod(place, _OFFSET)
        with self._disk(), _path(self._folder, first).open("rb") as file:
            entry = unpack(record_at(file, start))
        return entry if entry.root.block == block else None

    def recall(self) -> tuple[bytes, Iterator[Entry]]:
        """What to start from: the newest state that is whole, and all entries after it.

        Raises:
            BftError: There is none, and the first entry kept is not the first of all.
        """
        for first in reversed(self._first):
            with contextlib.suppress(FileNotFoundError):
                return _state(self._folder, first).read_bytes(), _entries(self._folder, first)
        if self._first and self._first[0] > 1:
            raise BftError(
                "what the dropped blocks came to is missing", where=str(self._folder), fix="restore the .state files"
            )
        return b"", _entries(self._folder, 0)

    def close(self) -> None:
        """Make it durable and close it."""
        if self._handle >= 0:
            try:
                self.sync()
            finally:
                self.drop()

    def drop(self) -> None:
        """Let go of the file as it is."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _index(self, segment: Path, *, last: bool) -> None:
        """Read one segment; cut a torn end off the last one."""
        data = segment.read_bytes()
        first, end = int(segment.stem), 0
        self._first.append(first)
        for start, body in scan(data):
            root = read_root(body)
            if root.height != (self.last.height + 1 if self.last else first):
                raise BftError("records are missing", where=str(segment), fix="restore the journal from a copy")
            self._note(root, first, start)
            end = start + FRAME_BYTES + len(body)
        self._end = end
        rest = data[end:].rstrip(b"\0")
        if not rest and (last or end):
            return
        if not last or self._was_durable(data, end):
            raise BftError("a record is damaged", where=f"{segment}, byte {end}", fix="restore the journal from a copy")
        _cut(segment, end, rest)

    def _was_durable(self, data: bytes, end: int) -> bool:
        """Whether an intact record behind a damaged one says that the damaged one was durable."""
        at = end
        while (at := data.find(MAGIC, at + 1)) >= 0:
            for _, body in scan(data, at):
                if durable_height(body) > self.height:
                    return True
                break
        return False

    def _note(self, root: Root, first: int, start: int) -> None:
        self._where[_key(root.block)] = first * _OFFSET + start
        self.last = root

    def _rotate(self, height: int, state: bytes) -> None:
        """Begin a new segment and drop the oldest."""
        if state:
            write_aside(_state(self._folder, height), state)
        path = _path(self._folder, height)
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        sync_folder(self._folder)
        with self._syncing:
            if self._handle >= 0:
                os.fsync(self._handle)
                self._synced = self.height
                os.close(self._handle)
            self._handle = handle
        self._first.append(height)
        self._end = self._room = 0
        while len(self._first) > 2 and self._total() > self._keep:
            self._forget(self._first.pop(0))

    def _forget(self, first: int) -> None:
        low, high = first * _OFFSET, (first + 1) * _OFFSET
        self._where = {block: place for block, place in self._where.items() if not low <= place < high}
        for path in (_path(self._folder, first), _state(self._folder, first)):
            path.unlink(missing_ok=True)

    def _total(self) -> int:
        return sum(_path(self._folder, first).stat().st_size for first in self._first)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise BftError(
                f"the journal cannot be used: {error.strerror or error}",
                where=str(self._folder),
                fix="check the disk, then restart the replica",
            ) from error


def read_entries(folder: Path) -> Iterator[Entry]:
    """The whole records of a journal, in order; changes nothing, so the replica may be running."""
    return _entries(folder, 0)


def _entries(folder: Path, first: int) -> Iterator[Entry]:
    for segment in _segments(folder):
        if int(segment.stem) >= first:
            with contextlib.suppress(FileNotFoundError):  # The replica may drop it meanwhile.
                for _, body in scan(segment.read_bytes()):
                    yield unpack(body)


def _segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.journal") if path.stem.isdigit())


def _path(folder: Path, first: int) -> Path:
    return folder / f"{first:020d}.journal"


def _state(folder: Path, first: int) -> Path:
    return folder / f"{first:020d}.state"


def _key(block: bytes) -> int:
    return int.from_bytes(block[:8], "little")


def _cut(segment: Path, end: int, rest: bytes) -> None:
    """An append that did not finish, or was not durable. It is kept aside, and delivered again."""
    number = 0
    while (aside := segment.with_suffix(f".torn-{number}")).exists():
        number += 1
    write_aside(aside, rest)
    with segment.open("r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())
