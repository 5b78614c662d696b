"""An agent's own signed votes on batches that are not decided yet, across a restart.

Nobody may sign twice for a batch, so a replica that was killed cannot vote on its open batches again. If all replicas
are killed at once, nobody else has those votes either, and a batch that fewer than n - f agents have votes for is never
decided. But the log holds every column before its signature leaves: from there the same signatures are made again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, final

from custodes.bft.crypto import Signer
from custodes.bft.encoding import HASH, Reader, decode, encode
from custodes.bft.errors import BftError
from custodes.bft.messages import Column
from custodes.bft.safety import SafetyRules
from custodes.bft.safety.filelog import FileLog
from custodes.bft.safety.files import write_aside
from custodes.bft.safety.log import Log
from custodes.bft.safety.records import ColumnRecord, Record, SnapshotRecord
from custodes.bft.team import Team
from custodes.bft.verify import Verifier

KEPT: Final = 64
"""Columns that are kept: at least the window of open batches."""
_LENGTH: Final = struct.Struct("<I")
_NO_SIGNATURE: Final = bytes(64)


@final
class KeepingLog(Log):
    """A file log that loses no open votes when its segment is replaced: they are written to a file beside it before.

    Args:
        log: The log.
        path: The file; it changes nothing about what may be signed.

    Raises:
        BftError: The file is damaged.
    """

    def __init__(self, log: FileLog, path: Path) -> None:
        self._log, self._path = log, path
        self._columns = {column.batch: column for column in _load(path)}
        for record in log.records():
            self._keep(record)

    def columns(self, first: int) -> tuple[Column, ...]:
        """The columns that were written down for batches from `first` on; not signed."""
        return tuple(column for batch, column in sorted(self._columns.items()) if batch >= first)

    def records(self) -> Sequence[Record]:
        """See `Log`."""
        return self._log.records()

    def reserve(self, view: int, batch: int) -> None:
        """See `Log`."""
        self._log.reserve(view, batch)

    def append(self, record: Record) -> int:
        """See `Log`."""
        self._keep(record)
        return self._log.append(record)

    def sync(self) -> int:
        """See `Log`."""
        return self._log.sync()

    def wants_snapshot(self) -> bool:
        """See `Log`."""
        return self._log.wants_snapshot()

    def compact(self, snapshot: SnapshotRecord) -> int:
        """See `Log`."""
        parts = [encode(replace(column, signature=_NO_SIGNATURE)) for column in self._columns.values()]
        body = b"".join(_LENGTH.pack(len(part)) + part for part in parts)
        write_aside(self._path, hashlib.sha256(body).digest() + body)
        return self._log.compact(snapshot)

    def _keep(self, record: Record) -> None:
        if isinstance(record, ColumnRecord):
            self._columns[record.column.batch] = record.column
            if len(self._columns) > KEPT:
                del self._columns[min(self._columns)]


def _load(path: Path) -> Iterator[Column]:
    if not path.exists():
        return
    data = path.read_bytes()
    body = data[HASH:]
    if hashlib.sha256(body).digest() != data[:HASH]:
        raise BftError("the open votes are damaged", where=str(path), fix="remove this file")
    reader = Reader(body)
    while reader.at < len(body):
        (size,) = reader.fields(_LENGTH)
        column = decode(reader.take(size))
        assert isinstance(column, Column)
        yield replace(column, signature=b"")


@final
class _Recorded(Log):
    """A log that holds one record and takes no other."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def records(self) -> Sequence[Record]:
        return (self._record,)

    def reserve(self, view: int, batch: int) -> None:
        raise AssertionError("nothing is to be written")

    def append(self, record: Record) -> int:
        raise AssertionError("nothing is to be written")

    def sync(self) -> int:
        return 0

    def wants_snapshot(self) -> bool:
        return False

    def compact(self, snapshot: SnapshotRecord) -> int:
        raise AssertionError("nothing is to be written")


def sign_again(
    columns: Iterable[Column], *, team: Team, index: int, signer: Signer, verifier: Verifier
) -> list[Column]:
    """Columns that stand in the log, with signatures: `SafetyRules` answers a request that it has written down.

    Args:
        columns: Without signatures, from `KeepingLog.columns`.
        team: The team.
        index: Whose columns.
        signer: The key; for `SafetyRules`.
        verifier: For `SafetyRules`.
    """
    signed = []
    for column in columns:
        safety = SafetyRules(
            team=team, index=index, signer=signer, log=_Recorded(ColumnRecord(column=column)), verifier=verifier
        )
        signed.append(
            safety.sign_column(
                batch=column.batch,
                items_digest=column.items_digest,
                severities=column.severities,
                scores=column.scores,
                model=column.model,
            )
        )
    return signed
