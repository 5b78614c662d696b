"""The high-water mark: kept apart from the log, it knows how far the log must reach.

Two files in a folder of their own (best on another disk, never in a backup together with the log):

- `lease`: "may have signed up to view V and batch B; the log held sequence S by then". Replaced atomically and durably
  *before* the first signature beyond V or B, once in `lease` views, so it costs nothing per vote. Never torn, so any
  damage to it is damage.
- `released`: the log's last durable sequence R, written over in place after every sync and before any signature that
  waited for it, but not synced itself.

What they say after

- kill -9 (or any end of the process): the kernel keeps what was written, so R is exact: a log that ends before R lost
  released records, and one that reaches R lost none.
- power loss, or a crash of the machine: R may be old, torn or gone, S is surely there. Released records are durable in
  the log by fdatasync, so a disk that keeps its word loses none. One that breaks its word is noticed as far as S and
  the R that reached the disk; with `distrust_disk` the replica abstains after every power loss until the lease is
  over. That is not the default because a power loss of all replicas at once would then stop the team for good: each
  would wait for certificates that only the others could make.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from custodes.bft.errors import BftError
from custodes.bft.safety.files import boot_id, sync_folder, write_all, write_aside
from custodes.bft.team import Team

_LEASE_MAGIC: Final = b"custlea\x01"
_RELEASED_MAGIC: Final = b"custrel\x01"
_LEASE: Final = struct.Struct("<8s16s16s16sQqQB")
_RELEASED: Final = struct.Struct("<8s16s16sQ")
_SEAL: Final = 16
OWNER: Final = 16


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """What the mark knew at some time."""

    log_id: bytes
    """Which log it is of (16 bytes)."""
    owner: bytes
    """Which replica of which team signs from it (16 bytes; see `owner_of`)."""
    boot: bytes
    """Which start of the machine wrote it (16 bytes)."""
    view: int
    """Nothing beyond this view was signed."""
    batch: int
    """Nothing beyond this batch was signed; -1 for none."""
    sequence: int
    """The log durably reached this sequence."""
    clean: bool
    """Whether the replica ended in an orderly way after it was written."""


@final
class Mark:
    """The two files, opened.

    Args:
        folder: Where they are, or shall be.
        owner: Who signs (16 bytes); the mark of anybody else is refused.
    """

    def __init__(self, folder: Path, owner: bytes) -> None:
        self._owner = owner
        self._lease_path = folder / "lease"
        self._released_path = folder / "released"
        self._boot = boot_id()
        self._handle = -1
        self._log_id = b""

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return self._lease_path.exists() or self._released_path.exists()

    def read(self) -> tuple[Lease, int]:
        """The lease, and the sequence that the log must reach.

        Raises:
            BftError: It is damaged.
        """
        data = self._lease_path.read_bytes() if self._lease_path.exists() else b""
        if len(data) != _LEASE.size + _SEAL or data[_LEASE.size :] != _seal(data[: _LEASE.size]):
            raise BftError("the high-water mark is damaged", where=str(self._lease_path), fix=DAMAGED)
        magic, log_id, owner, boot, view, batch, sequence, clean = _LEASE.unpack_from(data)
        if magic != _LEASE_MAGIC:
            raise BftError("the high-water mark is of another version", where=str(self._lease_path), fix=DAMAGED)
        if owner != self._owner:
            raise BftError(
                "the log is of another replica, chain or epoch",
                where=str(self._lease_path),
                fix="point to the replica's own folders",
            )
        lease = Lease(
            log_id=log_id, owner=owner, boot=boot, view=view, batch=batch, sequence=sequence, clean=bool(clean)
        )
        return lease, max(sequence, self._read_released(lease))

    def same_boot(self, lease: Lease) -> bool:
        """Whether the machine has run on since the lease was written."""
        return lease.boot == self._boot and any(self._boot)

    def start(self, log_id: bytes, view: int, batch: int, sequence: int) -> None:
        """Begin to mark: both files say what holds now."""
        self._put_lease(log_id, view, batch, sequence)
        self._handle = os.open(self._released_path, os.O_CREAT | os.O_RDWR, 0o600)
        self.release(sequence)
        os.fsync(self._handle)
        sync_folder(self._released_path.parent)

    def extend(self, view: int, batch: int, sequence: int) -> None:
        """Durably allow signatures up to a view and a batch."""
        self._put_lease(self._log_id, view, batch, sequence)

    def release(self, sequence: int) -> None:
        """Note that the log is durable up to a sequence."""
        fields = _RELEASED.pack(_RELEASED_MAGIC, self._log_id, self._boot, sequence)
        write_all(self._handle, fields + _seal(fields), 0)

    def close(self, view: int, batch: int, sequence: int) -> None:
        """End in an orderly way: the mark is exact."""
        self._put_lease(self._log_id, view, batch, sequence, clean=True)
        self.drop()

    def drop(self) -> None:
        """Let go of the files as they are."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _put_lease(self, log_id: bytes, view: int, batch: int, sequence: int, *, clean: bool = False) -> None:
        fields = _LEASE.pack(_LEASE_MAGIC, log_id, self._owner, self._boot, view, batch, sequence, clean)
        write_aside(self._lease_path, fields + _seal(fields))
        self._log_id = log_id

    def _read_released(self, lease: Lease) -> int:
        """The released sequence; 0 where a power loss may have taken it."""
        data = self._released_path.read_bytes() if self._released_path.exists() else b""
        sound = len(data) == _RELEASED.size + _SEAL and data[_RELEASED.size :] == _seal(data[: _RELEASED.size])
        if sound:
            magic, log_id, _, sequence = _RELEASED.unpack_from(data)
            sound = magic == _RELEASED_MAGIC and log_id == lease.log_id
        if sound:
            return int(sequence)
        if self.same_boot(lease):
            # No power was lost since it was written, so nothing but damage explains it.
            raise BftError("the high-water mark is damaged", where=str(self._released_path), fix=DAMAGED)
        return 0


def owner_of(team: Team, index: int) -> bytes:
    """Who signs as a replica of a team (16 bytes): its chain, epoch, and key."""
    return hashlib.sha256(b"custodes/owner" + team.context + team.keys[index]).digest()[:OWNER]


DAMAGED: Final = (
    "nobody knows what this replica signed: restore this file, or give the replica a new key in a new epoch"
)


def _seal(fields: bytes) -> bytes:
    return hashlib.sha256(fields).digest()[:_SEAL]
