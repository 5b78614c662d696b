"""The log in files: what comes back after a clean end, a kill, a power loss, and a loss of the files."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from custodes.bft import statements
from custodes.bft.errors import BftError, DecodeError
from custodes.bft.messages import Block
from custodes.bft.safety import Refused, SafetyRules, filelog, mark
from custodes.bft.safety.codec import decode_record, encode_record
from custodes.bft.safety.filelog import FileLog
from custodes.bft.safety.mark import owner_of
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
from tests.bft.material import material

M = material()
CHAIN = M.chain(40)
GENESIS = statements.genesis_qc(M.team)


class Disk:
    """The two folders of a replica, and ways in which they fail."""

    def __init__(self, root: Path) -> None:
        self.folder, self.mark = root / "log", root / "mark"
        self.open_logs: list[FileLog] = []

    def log(self, **options: object) -> FileLog:
        log = FileLog(self.folder, self.mark, **options)  # type: ignore[arg-type]
        self.open_logs.append(log)
        return log

    def rules(self, **options: object) -> SafetyRules:
        log = self.log(**options)
        return SafetyRules(team=M.team, index=0, signer=M.signers[0], log=log, verifier=M.verifier)

    def kill(self) -> None:
        """The process ends without a word."""
        for log in self.open_logs:
            log.drop()
        self.open_logs = []

    @property
    def segment(self) -> Path:
        (path,) = self.folder.glob("wal-*")
        return path

    def copy(self, to: Path) -> Disk:
        made = Disk(to)
        for old, new in ((self.folder, made.folder), (self.mark, made.mark)):
            new.mkdir(parents=True, exist_ok=True)
            for path in new.iterdir():
                path.unlink()
            for path in old.iterdir():
                (new / path.name).write_bytes(path.read_bytes())
        return made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path)
    yield made
    made.kill()


def power_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine starts anew."""
    monkeypatch.setattr(mark, "boot_id", lambda: b"another start..!")


COLUMN = M.ballot(3).columns[1]
assert COLUMN is not None
UNSIGNED = dataclasses.replace(COLUMN, signature=b"")
STATE = SafetyState(
    high_qc=M.qc(CHAIN[2]),
    high_view=9,
    voted_view=4,
    voted_block=b"v" * 32,
    timeout_view=5,
    timeout_qc=M.qc(CHAIN[1]),
    timeout_tc=M.tc(4, (1, 0, 0)),
    proposed_view=6,
    proposed_block=b"p" * 32,
    batch=3,
    committed_height=2,
    committed_block=b"c" * 32,
    abstain_view=1,
)
RECORDS: list[Record] = [
    VoteRecord(block=CHAIN[1], id=b"i" * 32),
    TimeoutRecord(view=4, high_qc=M.qc(CHAIN[0]), tc=None),
    TimeoutRecord(view=4, high_qc=GENESIS, tc=M.tc(3, (0, 1, 0))),
    ProposalRecord(view=7, id=b"i" * 32),
    ColumnRecord(column=UNSIGNED),
    CommitRecord(height=3, id=b"i" * 32),
    AbstainRecord(view=9, batch=-1),
    SnapshotRecord(state=SafetyState(high_qc=GENESIS)),
    SnapshotRecord(
        state=STATE,
        blocks=(CHAIN[0], CHAIN[1]),
        columns=(dataclasses.replace(COLUMN, signature=b"", batch=2), UNSIGNED),
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_come_back(record: Record, disk: Disk) -> None:
    kind, parts = encode_record(record)
    assert decode_record(kind, b"".join(parts)) == record
    log = disk.log(create=True)
    assert log.append(record) == 1
    assert log.sync() == 1
    log.close()
    assert disk.log().records() == [record]


def test_a_record_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(DecodeError, match="unknown kind 99"):
        decode_record(99, b"")


def test_a_log_is_created_only_when_asked(disk: Disk) -> None:
    with pytest.raises(BftError, match="there is no log"):
        disk.log()
    disk.log(create=True).close()
    assert disk.log(create=True).records() == []


@pytest.mark.parametrize("end", ["close", "kill", "power"])
def test_all_that_was_released_is_there(disk: Disk, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    safety = disk.rules(create=True)
    votes = [safety.sign_vote(block) for block in CHAIN[:5]]
    if end == "close":
        disk.open_logs[0].close()
    disk.kill()
    if end == "power":
        power_loss(monkeypatch)
    again = disk.rules()
    assert (again.state, again.blocks) == (safety.state, safety.blocks)
    assert again.state.abstain_view == 0
    assert again.sign_vote(CHAIN[4]) == votes[-1]
    assert again.sign_vote(CHAIN[5]).view == 6


def _sign_until_killed(root: Path, writer: Connection) -> None:
    safety = Disk(root).rules(create=True)
    for block in CHAIN:
        ticket = safety.prepare_vote(block)
        if block.view == 30:
            safety.sync()
            writer.send(safety.release(ticket))
    writer.send(None)
    threading.Event().wait()


def test_a_process_that_is_killed_leaves_a_log(disk: Disk, tmp_path: Path) -> None:
    """Killed for real, by the kernel, in the middle of its work."""
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_sign_until_killed, args=(tmp_path, writer))
    process.start()
    try:
        assert reader.poll(60)
        vote, _ = reader.recv(), reader.recv()
    finally:
        process.kill()
        process.join()
        reader.close()
        writer.close()
    again = disk.rules()
    # What was written but not released may be there or not; here the kernel kept it.
    assert again.state.voted_view == 40
    assert vote.view == 30


def test_the_log_of_another_replica_chain_or_epoch_is_refused(disk: Disk) -> None:
    disk.rules(create=True, owner=owner_of(M.team, 0)).sign_vote(CHAIN[0])
    disk.kill()
    others = [owner_of(M.team, 1), owner_of(material(chain="other").team, 0), owner_of(material(epoch=4).team, 0)]
    for other in others:
        with pytest.raises(BftError, match="of another replica, chain or epoch"):
            disk.log(owner=other)
    assert disk.rules(owner=owner_of(M.team, 0)).state.voted_view == 1


def test_one_process_at_a_time(disk: Disk) -> None:
    disk.log(create=True)
    with pytest.raises(BftError, match="another process uses this log"):
        disk.log()
    disk.kill()
    disk.log()


def test_log_and_mark_are_apart(disk: Disk) -> None:
    with pytest.raises(BftError, match="must be apart"):
        FileLog(disk.folder, disk.folder, create=True)


def test_a_log_without_its_mark_is_refused(disk: Disk) -> None:
    disk.rules(create=True).sign_vote(CHAIN[0])
    disk.kill()
    (disk.mark / "lease").rename(disk.mark / "aside")
    with pytest.raises(BftError, match="high-water mark is damaged"):
        disk.log(create=True)
    (disk.mark / "released").unlink()
    with pytest.raises(BftError, match="no high-water mark"):
        disk.log(create=True)


def test_the_mark_of_another_log_is_refused(disk: Disk, tmp_path: Path) -> None:
    disk.rules(create=True).sign_vote(CHAIN[0])
    other = Disk(tmp_path / "other")
    other.rules(create=True).sign_vote(CHAIN[0])
    disk.kill()
    other.kill()
    with pytest.raises(BftError, match="of another log"):
        FileLog(disk.folder, other.mark)


@pytest.mark.parametrize("power", [False, True])
def test_a_lost_log_makes_the_replica_abstain(disk: Disk, power: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.rules(create=True, lease=10).sign_vote(CHAIN[2])
    disk.kill()
    disk.segment.unlink()
    if power:
        power_loss(monkeypatch)
        (disk.mark / "released").write_bytes(b"")
    for _ in range(2):
        safety = disk.rules()
        assert safety.state.abstain_view == 13
        assert safety.state.high_view == 12
        with pytest.raises(Refused):
            safety.sign_vote(CHAIN[12])
        disk.kill()
    assert disk.rules().sign_vote(CHAIN[13]).view == 14


def test_a_log_from_a_backup_makes_the_replica_abstain(disk: Disk, tmp_path: Path) -> None:
    safety = disk.rules(create=True, lease=10)
    safety.sign_vote(CHAIN[0])
    disk.kill()
    shutil.copytree(disk.folder, tmp_path / "backup")
    disk.rules().sign_vote(CHAIN[1])
    disk.kill()
    shutil.rmtree(disk.folder)
    (tmp_path / "backup").rename(disk.folder)
    safety = disk.rules()
    assert safety.state.abstain_view == 11
    assert safety.blocks == (CHAIN[0],)


def test_an_abstention_outlives_a_crash_while_it_is_written(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    disk.rules(create=True, lease=10).sign_vote(CHAIN[2])
    disk.kill()
    disk.segment.unlink()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(filelog, "write_aside", crash)
        with pytest.raises(KeyboardInterrupt):
            disk.log()
    with monkeypatch.context() as patch:
        patch.setattr(mark.Mark, "start", crash)
        with pytest.raises(KeyboardInterrupt):
            disk.log()
    assert disk.rules().state.abstain_view == 13


def test_a_distrusted_disk_makes_the_replica_abstain_after_a_power_loss(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.rules(create=True, lease=10).sign_vote(CHAIN[0])
    disk.kill()
    assert disk.rules(distrust_disk=True).state.abstain_view == 0
    disk.open_logs[0].close()
    power_loss(monkeypatch)
    assert disk.rules(distrust_disk=True).state.abstain_view == 0
    disk.kill()
    monkeypatch.setattr(mark, "boot_id", lambda: b"yet another one.")
    assert disk.rules(distrust_disk=True).state.abstain_view == 11


def test_the_lease_is_renewed_before_the_first_signature_beyond_it(disk: Disk) -> None:
    safety = disk.rules(create=True, lease=3)
    seen = set()
    for block in CHAIN[:9]:
        safety.sign_vote(block)
        lease, released = disk.open_logs[0]._mark.read()
        assert lease.view >= block.view
        assert released == block.view
        seen.add(lease.view)
    assert seen == {4, 8, 12}
    safety.sign_column(batch=5, items_digest=bytes(32), severities=b"\1")
    assert disk.open_logs[0]._mark.read()[0].batch == 8


def test_a_grown_log_is_replaced_by_a_snapshot(disk: Disk) -> None:
    safety = disk.rules(create=True, segment_bytes=2000)
    for block in CHAIN:
        safety.sign_vote(block)
        safety.committed(block.height, statements.block_id(M.team, block))
        assert disk.segment.stat().st_size < 6000
    disk.kill()
    again = disk.rules()
    assert (again.state.voted_view, again.state.committed_height) == (40, 40)
    assert again.blocks == ()


def test_a_crash_while_the_log_is_replaced_loses_nothing(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    safety = disk.rules(create=True, segment_bytes=10)
    safety.sign_vote(CHAIN[0])

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("os.replace", "os.fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(name, crash)
            with pytest.raises(KeyboardInterrupt):
                safety.sign_vote(CHAIN[1])
        disk.kill()
        safety = disk.rules(segment_bytes=10)
        assert safety.state.voted_view == 1
    with monkeypatch.context() as patch:
        patch.setattr(FileLog, "_tidy", crash)
        with pytest.raises(KeyboardInterrupt):
            safety.sign_vote(CHAIN[1])
    disk.kill()
    assert len(list(disk.folder.glob("wal-*.log"))) == 2
    assert disk.rules().state.voted_view == 1
    assert disk.segment.exists()


@pytest.mark.parametrize("call", ["os.fdatasync", "os.pwrite"])
def test_a_disk_that_fails_stops_the_replica(disk: Disk, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    safety = disk.rules(create=True)
    safety.sign_vote(CHAIN[0])

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(call, fail)
        patch.setattr(filelog, "_flush", os.fdatasync)
        with pytest.raises(BftError, match="No space left on device"):
            safety.sign_vote(CHAIN[1])
    # Even when the disk is well again: nobody knows what it holds.
    for block in CHAIN[1:3]:
        with pytest.raises(BftError, match="its disk failed"):
            safety.sign_vote(block)
    disk.kill()
    assert disk.rules().state.voted_view in (1, 2)


def test_many_records_share_one_sync(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    safety = disk.rules(create=True)
    calls: list[int] = []
    monkeypatch.setattr(filelog, "_flush", calls.append)
    tickets = [safety.prepare_vote(block) for block in CHAIN[:5]]
    tickets.append(safety.prepare_timeout(5, M.qc(CHAIN[3]), None))
    safety.sync()
    assert len(calls) == 1
    assert [safety.release(ticket).view for ticket in tickets] == [1, 2, 3, 4, 5, 5]  # type: ignore[union-attr]
    safety.sync()
    assert len(calls) == 1


def test_a_sync_in_another_thread_covers_only_what_came_before(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    safety = disk.rules(create=True)
    started, go = threading.Event(), threading.Event()

    def slow(_: int) -> None:
        started.set()
        assert go.wait(5)

    monkeypatch.setattr(filelog, "_flush", slow)
    first = safety.prepare_vote(CHAIN[0])
    thread = threading.Thread(target=safety.sync)
    thread.start()
    assert started.wait(5)
    second = safety.prepare_vote(CHAIN[1])
    go.set()
    thread.join()
    assert safety.release(first).signature
    with pytest.raises(Refused, match="not durable yet"):
        safety.release(second)
    safety.sync()
    assert safety.release(second).signature


def test_large_blocks_fit(disk: Disk) -> None:
    block = dataclasses.replace(CHAIN[0], payload=bytes(range(256)) * 4096 * 8)
    safety = disk.rules(create=True)
    safety.sign_vote(block)
    disk.kill()
    (kept,) = disk.rules().blocks
    assert isinstance(kept, Block)
    assert kept == block


def test_what_is_not_durable_is_only_for_measuring(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(filelog, "_flush", calls.append)
    assert disk.rules(create=True, durable=False).sign_vote(CHAIN[0]).view == 1
    assert calls == []
