"""A log in memory that says what was done to it."""

from __future__ import annotations

from collections.abc import Sequence

from custodes.bft.safety.records import Record, SnapshotRecord


class MemoryLog:
    """Keeps records; a crash may lose those that were not synced."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self.kept = list(records)
        self.synced = len(self.kept)
        self.syncs = 0
        self.reserved = (0, -1)
        self.snapshot_at = 10**9

    def records(self) -> Sequence[Record]:
        return tuple(self.kept)

    def reserve(self, view: int, batch: int) -> None:
        self.reserved = (max(self.reserved[0], view), max(self.reserved[1], batch))

    def append(self, record: Record) -> int:
        self.kept.append(record)
        return len(self.kept)

    def sync(self) -> int:
        self.syncs += self.synced < len(self.kept)
        self.synced = len(self.kept)
        return self.synced

    def wants_snapshot(self) -> bool:
        return len(self.kept) >= self.snapshot_at

    def compact(self, snapshot: SnapshotRecord) -> int:
        self.kept = [snapshot]
        self.syncs += 1
        self.synced = 1
        return 1
