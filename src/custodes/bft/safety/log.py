"""What `SafetyRules` needs of a write-ahead log."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from custodes.bft.safety.records import Record, SnapshotRecord


class Log(Protocol):
    """An append-only log of records. See `custodes.bft.safety.filelog.FileLog`."""

    @abstractmethod
    def records(self) -> Sequence[Record]:
        """What survived, oldest first, as found when the log was opened.

        When records that had been made durable are gone, an `AbstainRecord` is the last of them.
        """

    @abstractmethod
    def reserve(self, view: int, batch: int) -> None:
        """Called before a record that speaks of this view or batch is appended; a promise that must survive a loss."""

    @abstractmethod
    def append(self, record: Record) -> int:
        """Add a record; it survives a crash for sure only after `sync`.

        Returns:
            Its sequence number, growing by one from record to record.
        """

    @abstractmethod
    def sync(self) -> int:
        """Make everything that was appended before this call durable.

        Returns:
            The highest sequence number that is durable now.

        Raises:
            BftError: It could not; nothing may be appended or signed any more.
        """

    @abstractmethod
    def wants_snapshot(self) -> bool:
        """Whether the log has grown so long that it should be replaced."""

    @abstractmethod
    def compact(self, snapshot: SnapshotRecord) -> int:
        """Replace everything by one record, durably and at once or not at all.

        Returns:
            The highest sequence number, which is durable.
        """
