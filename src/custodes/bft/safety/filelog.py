"""The write-ahead log of a replica as files.

One folder holds one segment (`wal-<first sequence>.log`), replaced by a snapshot when it has grown; another holds the
high-water mark (see `mark`, which says what is known after which crash). Opening ends in one of three ways:

- recovered: all that was released is there. A torn tail, which was never released, is cut off and kept aside
  (`torn-<sequence>`);
- abstaining: whole released records are gone. The log goes on with an `AbstainRecord`, and the replica signs nothing
  that could conflict with anything that it may have signed;
- stopped, with a `BftError`: a released record is damaged, a file is missing or of another log, or another process
  uses it. What the replica signed cannot be known, so nothing is guessed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, final

from custodes.bft.errors import BftError
from custodes.bft.safety import segment
from custodes.bft.safety.codec import decode_record, encode_record
from custodes.bft.safety.files import make_room, sync_folder, write_all, write_aside
from custodes.bft.safety.mark import OWNER, Mark
from custodes.bft.safety.records import AbstainRecord, Record, SnapshotRecord
from custodes.bft.safety.segment import Scan

SEGMENT_BYTES: Final = 64 * 2**20
"""A segment is replaced when it has grown by this much."""
LEASE: Final = 256
"""Views (and batches) that one lease of the mark allows."""
CHUNK: Final = 4 * 2**20
"""The file is given room in pieces of this size, so that a sync need not wait for its new length as well. Written zeros
make the single sync cheaper still, but cost several milliseconds per piece (measured: mean and tail are worse)."""

_flush: Final = getattr(os, "fdatasync", os.fsync)
"""Not every system can leave the file's times out."""


@final
class FileLog:
    """A `Log` in files, with one writer.

    `sync` may run in another thread; everything else belongs to one thread.

    Args:
        folder: Where the segment is.
        mark: Where the high-water mark is; another folder.
        owner: Who signs (`owner_of`). A log of anybody else is refused: who starts from the log of another key, chain
            or epoch has forgotten all that it signed itself.
        create: Whether to start a new log when neither folder holds one. Only for a key that never signed: a replica
            that lost both and starts afresh contradicts itself.
        durable: Whether `sync` waits for the disk. False only to measure what that costs.
        distrust_disk: Abstain after every power loss (see `mark`).
        segment_bytes: See `SEGMENT_BYTES`.
        lease: See `LEASE`.

    Raises:
        BftError: It cannot be used; see above.
    """

    def __init__(
        self,
        folder: Path,
        mark: Path,
        *,
        owner: bytes = bytes(OWNER),
        create: bool = False,
        durable: bool = True,
        distrust_disk: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        lease: int = LEASE,
    ) -> None:
        if folder.resolve() == mark.resolve():
            raise BftError("the high-water mark must be apart from the log", where=str(mark), fix="use two folders")
        self._folder, self._durable, self._lease = folder, durable, lease
        self._segment_bytes = self._limit = segment_bytes
        self._disk = threading.Lock()
        self._failed = False
        self._handle = self._lock = -1
        self._id = self._seal = b""
        self._view, self._batch = 0, -1
        self._last = self._synced = self._end = self._size = 0
        self._records: list[Record] = []
        for place in (folder, mark):
            place.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / "lock")
        self._mark = Mark(mark, owner)
        try:
            self._open(create, distrust_disk)
        except BaseException:
            self.drop()
            raise

    def records(self) -> Sequence[Record]:
        """What survived, oldest first."""
        return self._records

    def reserve(self, view: int, batch: int) -> None:
        """Extend the lease of the mark where needed, durably."""
        if view <= self._view and batch <= self._batch:
            return
        self._check()
        self._view = max(self._view, view + self._lease if view > self._view else 0)
        self._batch = max(self._batch, batch + self._lease if batch > self._batch else -1)
        with self._poison("the high-water mark"):
            self._mark.extend(self._view, self._batch, self._synced)

    def append(self, record: Record) -> int:
        """Write a record behind the others."""
        self._check()
        kind, parts = encode_record(record)
        data, seal = segment.record(
            self._id, kind=kind, parts=parts, sequence=self._last + 1, synced=self._synced, before=self._seal
        )
        with self._poison("the log"):
            self._grow(len(data))
            write_all(self._handle, data, self._end)
        self._end += len(data)
        self._seal = seal
        self._last += 1
        return self._last

    def sync(self) -> int:
        """Make what was appended durable, then note it in the mark."""
        self._check()
        with self._disk, self._poison("the log"):
            target = self._last
            if target > self._synced:
                if self._durable:
                    _flush(self._handle)
                self._mark.release(target)
                self._synced = target
        return self._synced

    def wants_snapshot(self) -> bool:
        """Whether the segment has grown enough."""
        return self._end >= self._limit

    def compact(self, snapshot: SnapshotRecord) -> int:
        """Go on in a new segment that starts with a snapshot."""
        self._check()
        with self._disk, self._poison("the log"):
            self._replace([snapshot], self._last + 1)
        return self._synced

    def close(self) -> None:
        """End in an orderly way."""
        if self._handle >= 0 and not self._failed:
            self.sync()
            self._mark.close(self._view, self._batch, self._synced)
        self.drop()

    def drop(self) -> None:
        """Let go of all files as they are."""
        self._mark.drop()
        for handle in (self._handle, self._lock):
            if handle >= 0:
                os.close(handle)
        self._handle = self._lock = -1

    def _open(self, create: bool, distrust_disk: bool) -> None:
        name = _newest(self._folder)
        if not self._mark.exists:
            self._begin(name, create)
            return
        lease, released = self._mark.read()
        self._view, self._batch = lease.view, lease.batch
        self._id = lease.log_id
        lost = distrust_disk and not lease.clean and not self._mark.same_boot(lease)
        if name is None:
            # Before the first lease nothing can have been signed.
            lost = lost or released > 0 or lease.view > 0 or lease.batch >= 0
        else:
            found = segment.scan(name.read_bytes(), str(name))
            released = max(released, found.durable)
            self._accept(name, found, released)
            self._records = [decode_record(entry.kind, entry.body) for entry in found.entries]
            self._last = found.last
            lost = lost or found.last < released
            if not lost:
                self._continue(name, found)
        if lost:
            self._records.append(AbstainRecord(view=lease.view, batch=lease.batch))
        if self._handle < 0:
            # In one step: the shorter log and the promise to abstain exist together or not at all.
            self._replace(self._records, max(self._last, released) + 1, marked=False)
        self._mark.start(self._id, self._view, self._batch, self._synced)

    def _begin(self, name: Path | None, create: bool) -> None:
        """The first start of a replica."""
        if name is not None:
            raise BftError("the log has no high-water mark", where=str(name), fix="point to the mark's folder")
        if not create:
            raise BftError(
                "there is no log", where=str(self._folder), fix="create one only for a key that never signed"
            )
        self._id = os.urandom(segment.LOG_ID)
        # The mark comes first: a log without a mark is refused, a mark of nothing is not.
        self._mark.start(self._id, self._view, self._batch, 0)
        self._replace([], 1)

    def _accept(self, name: Path, found: Scan, released: int) -> None:
        """Refuse a segment of another log, or one with a damaged record that was released; cut a torn tail off."""
        if found.log_id != self._id:
            raise BftError("the high-water mark is of another log", where=str(name), fix="point to the mark's folder")
        if not found.broken:
            return
        if released > found.last:
            raise BftError(
                f"record {found.last + 1} at byte {found.end} is damaged, and it was released",
                where=str(name),
                fix=segment.DAMAGED,
            )
        _cut(name, found)

    def _continue(self, name: Path, found: Scan) -> None:
        """Append to the segment as it is."""
        self._handle = os.open(name, os.O_RDWR)
        # A replica that was killed may have written records that never became durable; from now on they count.
        os.fsync(self._handle)
        self._end, self._size = found.end, os.fstat(self._handle).st_size
        self._seal, self._last, self._synced = found.seal, found.last, found.last
        self._tidy(name)

    def _replace(self, records: Sequence[Record], first: int, *, marked: bool = True) -> None:
        """Start a new segment with these records and remove the others, durably and at once or not at all."""
        data = [segment.header(self._id, first, first + len(records) - 1)]
        seal = data[0][-segment.SEAL :]
        for number, record in enumerate(records, first):
            kind, parts = encode_record(record)
            sealed, seal = segment.record(
                self._id, kind=kind, parts=parts, sequence=number, synced=first - 1, before=seal
            )
            data.append(sealed)
        name = self._folder / f"wal-{first:020d}.log"
        content = b"".join(data)
        write_aside(name, content)
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = os.open(name, os.O_RDWR)
        self._end = self._size = len(content)
        self._limit = max(self._segment_bytes, 2 * len(content))
        self._seal, self._last = seal, first + len(records) - 1
        self._synced = self._last
        if marked:
            self._mark.release(self._synced)
        self._tidy(name)

    def _tidy(self, name: Path) -> None:
        """Remove what a replaced segment, or a crash meanwhile, left behind."""
        for other in self._folder.glob("wal-*"):
            if other != name:
                other.unlink()
        sync_folder(self._folder)

    def _grow(self, room: int) -> None:
        if self._end + room > self._size:
            more = max(CHUNK, room) if self._segment_bytes >= CHUNK else room
            make_room(self._handle, self._size, more)
            self._size += more

    def _check(self) -> None:
        if self._failed or self._handle < 0:
            raise BftError("the log is closed, or its disk failed", where=str(self._folder), fix="restart the replica")

    @contextlib.contextmanager
    def _poison(self, what: str) -> Iterator[None]:
        """After a failed write or sync nobody knows what the disk holds: this log is never used again."""
        try:
            yield
        except OSError as error:
            self._failed = True
            raise BftError(
                f"{what} could not be written: {error.strerror or error}",
                where=str(self._folder),
                fix="check the disk, then restart the replica",
            ) from error


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise BftError("another process uses this log", where=str(path.parent), fix="run one replica per key") from None
    return handle


def _newest(folder: Path) -> Path | None:
    """The segment that counts. An older one is left over from a crash while it was replaced."""
    return max(folder.glob("wal-*.log"), default=None)


def _cut(name: Path, found: Scan) -> None:
    """Keep what follows the intact records aside, then cut it off."""
    data = name.read_bytes()
    aside = name.with_name(f"torn-{found.last + 1:020d}")
    number = 0
    while aside.exists():
        number += 1
        aside = name.with_name(f"torn-{found.last + 1:020d}.{number}")
    write_aside(aside, data[found.end :].rstrip(b"\0"))
    with name.open("r+b") as file:
        file.truncate(found.end)
        os.fsync(file.fileno())
