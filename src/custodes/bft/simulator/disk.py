"""A write-ahead log in memory that forgets at a crash what was not made durable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from custodes.bft.safety.records import Record, SnapshotRecord

_LONG: Final = 48
"""Records after which the log asks to be replaced by a snapshot: few, so that every longer run does it."""


@final
class MemoryLog:
    """The records of one replica. `SafetyRules` appends and syncs; the simulator crashes it.

    A record that a crash cut in two was never released; a log on a file drops it when it is opened (its checksum
    fails), so here it is simply gone. What a file log does about lost durable records is tested with files.
    """

    __slots__ = ("_first", "_records", "_synced", "syncs")

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._first = 0
        self._synced = 0
        self.syncs = 0

    def records(self) -> Sequence[Record]:
        """Every record that is there, oldest first."""
        return tuple(self._records)

    def reserve(self, view: int, batch: int) -> None:
        """Nothing to do: this log never loses a durable record."""

    def append(self, record: Record) -> int:
        """Add a record, not yet durable; returns its number, from 1."""
        self._records.append(record)
        return self._first + len(self._records)

    def sync(self) -> int:
        """Make every record durable; returns the number of the last."""
        self._synced = self._first + len(self._records)
        self.syncs += 1
        return self._synced

    def wants_snapshot(self) -> bool:
        """Whether the log is long."""
        return len(self._records) > _LONG

    def compact(self, snapshot: SnapshotRecord) -> int:
        """Replace every record by one, durably; returns the number of the last."""
        last = self._first + len(self._records) + 1
        self._records = [snapshot]
        self._first, self._synced = last - 1, last
        return last

    def crash(self, kept: float) -> None:
        """Lose what was not durable, but for a share of its oldest part.

        Args:
            kept: 0 (all of it is lost) to 1 (the disk had written all of it all the same).
        """
        durable = self._synced - self._first
        waiting = len(self._records) - durable
        del self._records[durable + int(waiting * kept) :]
        self._synced = self._first + len(self._records)
