"""Records of the log as bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from custodes.bft.encoding import (
    SIGNATURE,
    Reader,
    read_block,
    read_column,
    read_qc,
    read_tc,
    write_block,
    write_column,
    write_qc,
    write_tc,
)
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Column, Qc, Tc
from custodes.bft.safety.records import (
    AbstainRecord,
    ColumnRecord,
    CommitRecord,
    ProposalRecord,
    Record,
    SnapshotRecord,
    TimeoutRecord,
    VoteRecord,
)
from custodes.bft.safety.state import SafetyState

_VIEW_ID: Final = struct.Struct("<Q32s")
_ABSTAIN: Final = struct.Struct("<Qq")
_STATE: Final = struct.Struct("<QQ32sQQ32sqQ32sQ")
_COUNT: Final = struct.Struct("<I")
_VIEW: Final = struct.Struct("<Q")
_NONE: Final = bytes(32)


class EncodedRecord(NamedTuple):
    """A record's kind and its bytes, in parts that need not be copied together."""

    kind: int
    parts: list[bytes]


def encode_record(record: Record) -> EncodedRecord:
    """A record as bytes."""
    kind, write = _WRITERS[type(record)]
    parts: list[bytes] = []
    write(record, parts)
    return EncodedRecord(kind, parts)


def decode_record(kind: int, data: bytes) -> Record:
    """A record from bytes whose checksum holds.

    Raises:
        DecodeError: They are of another version of this program, or of none.
    """
    if kind not in _READERS:
        raise DecodeError(f"record is of unknown kind {kind}", fix="it was written by another version")
    reader = Reader(data)
    record = _READERS[kind](reader)
    reader.end()
    return record


def _write_vote(record: VoteRecord, parts: list[bytes]) -> None:
    parts.append(record.id)
    write_block(record.block, parts)


def _read_vote(reader: Reader) -> VoteRecord:
    name = reader.take(32)
    return VoteRecord(id=name, block=read_block(reader))


def _write_timeout(record: TimeoutRecord, parts: list[bytes]) -> None:
    parts.append(_VIEW.pack(record.view))
    write_qc(record.high_qc, parts)
    _write_optional_tc(record.tc, parts)


def _read_timeout(reader: Reader) -> TimeoutRecord:
    (view,) = reader.fields(_VIEW)
    high_qc = read_qc(reader)
    return TimeoutRecord(view=view, high_qc=high_qc, tc=_read_optional_tc(reader))


def _write_proposal(record: ProposalRecord, parts: list[bytes]) -> None:
    parts.append(_VIEW_ID.pack(record.view, record.id))


def _read_proposal(reader: Reader) -> ProposalRecord:
    view, name = reader.fields(_VIEW_ID)
    return ProposalRecord(view=view, id=name)  # type: ignore[arg-type]


def _write_column(record: ColumnRecord, parts: list[bytes]) -> None:
    _write_unsigned(record.column, parts)


def _read_column(reader: Reader) -> ColumnRecord:
    return ColumnRecord(column=_read_unsigned(reader))


def _write_commit(record: CommitRecord, parts: list[bytes]) -> None:
    parts.append(_VIEW_ID.pack(record.height, record.id))


def _read_commit(reader: Reader) -> CommitRecord:
    height, name = reader.fields(_VIEW_ID)
    return CommitRecord(height=height, id=name)  # type: ignore[arg-type]


def _write_abstain(record: AbstainRecord, parts: list[bytes]) -> None:
    parts.append(_ABSTAIN.pack(record.view, record.batch))


def _read_abstain(reader: Reader) -> AbstainRecord:
    view, batch = reader.fields(_ABSTAIN)
    return AbstainRecord(view=view, batch=batch)


def _write_snapshot(record: SnapshotRecord, parts: list[bytes]) -> None:
    state = record.state
    parts.append(
        _STATE.pack(
            state.high_view,
            state.voted_view,
            state.voted_block or _NONE,
            state.timeout_view,
            state.proposed_view,
            state.proposed_block or _NONE,
            state.batch,
            state.committed_height,
            state.committed_block or _NONE,
            state.abstain_view,
        )
    )
    write_qc(state.high_qc, parts)
    _write_optional_qc(state.timeout_qc, parts)
    _write_optional_tc(state.timeout_tc, parts)
    parts.append(_COUNT.pack(len(record.columns)))
    for column in record.columns:
        _write_unsigned(column, parts)
    parts.append(_COUNT.pack(len(record.blocks)))
    for block in record.blocks:
        write_block(block, parts)


def _read_snapshot(reader: Reader) -> SnapshotRecord:
    high_view, voted, voted_block, timeout, proposed, proposed_block, batch, height, committed, abstain = reader.fields(
        _STATE
    )
    state = SafetyState(
        high_qc=read_qc(reader),
        high_view=high_view,
        voted_view=voted,
        voted_block=_named(voted_block),
        timeout_view=timeout,
        timeout_qc=_read_optional_qc(reader),
        timeout_tc=_read_optional_tc(reader),
        proposed_view=proposed,
        proposed_block=_named(proposed_block),
        batch=batch,
        committed_height=height,
        committed_block=_named(committed),
        abstain_view=abstain,
    )
    (count,) = reader.fields(_COUNT)
    columns = tuple(_read_unsigned(reader) for _ in range(count))
    (count,) = reader.fields(_COUNT)
    return SnapshotRecord(state=state, blocks=tuple(read_block(reader) for _ in range(count)), columns=columns)


def _named(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return b"" if value == _NONE else value


def _write_unsigned(column: Column, parts: list[bytes]) -> None:
    # A column in the log is not signed yet; its signature follows from the rest.
    write_column(replace(column, signature=bytes(SIGNATURE)), parts)


def _read_unsigned(reader: Reader) -> Column:
    return replace(read_column(reader), signature=b"")


def _write_optional_qc(qc: Qc | None, parts: list[bytes]) -> None:
    parts.append(bytes((qc is not None,)))
    if qc is not None:
        write_qc(qc, parts)


def _read_optional_qc(reader: Reader) -> Qc | None:
    return read_qc(reader) if reader.flag(reader.take(1)[0]) else None


def _write_optional_tc(tc: Tc | None, parts: list[bytes]) -> None:
    parts.append(bytes((tc is not None,)))
    if tc is not None:
        write_tc(tc, parts)


def _read_optional_tc(reader: Reader) -> Tc | None:
    return read_tc(reader) if reader.flag(reader.take(1)[0]) else None


_WRITERS: Final[dict[type, tuple[int, Callable[..., None]]]] = {
    VoteRecord: (1, _write_vote),
    TimeoutRecord: (2, _write_timeout),
    ProposalRecord: (3, _write_proposal),
    ColumnRecord: (4, _write_column),
    CommitRecord: (5, _write_commit),
    AbstainRecord: (6, _write_abstain),
    SnapshotRecord: (7, _write_snapshot),
}
_READERS: Final[dict[int, Callable[[Reader], Record]]] = {
    1: _read_vote,
    2: _read_timeout,
    3: _read_proposal,
    4: _read_column,
    5: _read_commit,
    6: _read_abstain,
    7: _read_snapshot,
}
