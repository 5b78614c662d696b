"""Every byte cut and every bit flipped in the last three records: recovered, stopped or abstaining, never a lie."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from custodes.bft import statements
from custodes.bft.errors import BftError
from custodes.bft.safety import Refused, SafetyRules, mark, segment
from tests.bft.material import material
from tests.bft.safety.test_filelog import CHAIN, Disk

M = material()
LEASE = 20
CONFLICTS = [dataclasses.replace(block, payload=b"conflict") for block in CHAIN[:6]]
LOWER = [M.qc(block) for block in CHAIN[:4]]
"""Certificates of views 1 to 4."""


def signed(disk: Disk, released: int, written: int = 0) -> list[int]:
    """A replica that released votes and was killed with further ones written. Gives the offsets of all records."""
    safety = disk.rules(create=True, lease=LEASE, segment_bytes=1000)
    disk.open_logs[0]._limit = 10**9
    ends = []
    for block in CHAIN[:released]:
        safety.sign_vote(block)
        ends.append(disk.open_logs[0]._end)
    for block in CHAIN[released : released + written]:
        safety.prepare_vote(block)
        ends.append(disk.open_logs[0]._end)
    disk.kill()
    return ends


def outcome(disk: Disk, released: int) -> str:
    """What the damaged log led to; fails when a released vote can be contradicted."""
    try:
        safety = disk.rules()
    except BftError as error:
        clear = "damaged" in error.what or "cut within its header" in error.what
        return "stopped" if clear and error.where and error.fix else f"unclear: {error}"
    try:
        for other in CONFLICTS[:released]:
            with pytest.raises(Refused):
                safety.sign_vote(other)
        _cannot_hide(safety, released)
        abstaining = safety.state.abstain_view > 0
        if not abstaining:
            assert safety.state.voted_view >= released
            assert safety.prepare_vote(CHAIN[safety.state.voted_view - 1]).sequence == safety.state.voted_view
        return "abstaining" if abstaining else "recovered"
    finally:
        disk.kill()


def _cannot_hide(safety: SafetyRules, released: int) -> None:
    """The last released vote rested on the certificate before it: no timeout may show less."""
    for view in (released, released + 1, LEASE + 2, 10**6):
        with pytest.raises(Refused):
            safety.sign_timeout(view, LOWER[released - 3], None)


def each(
    root: Path, disk: Disk, positions: range, damage: Callable[[bytes, int], bytes], released: int
) -> Counter[str]:
    original = disk.segment.read_bytes()
    counted: Counter[str] = Counter()
    scratch = disk.copy(root / "scratch")
    for position in positions:
        scratch = disk.copy(root / "scratch")
        scratch.segment.write_bytes(damage(original, position))
        counted[outcome(scratch, released)] += 1
    return counted


def cut(data: bytes, at: int) -> bytes:
    return data[:at]


def flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where the system has one: tens of thousands of small files are made."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def disk(root: Path) -> Disk:
    return Disk(root / "replica")


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of restarts: the disk need not really write."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def test_every_cut_of_released_records(disk: Disk, root: Path) -> None:
    ends = signed(disk, 6)
    counted = each(root, disk, range(ends[2], ends[5]), cut, 6)
    # Whole records gone: exactly at their three starts. Within one: damaged.
    assert counted == {"abstaining": 3, "stopped": ends[5] - ends[2] - 3}


def test_every_cut_of_unreleased_records(disk: Disk, root: Path) -> None:
    ends = signed(disk, 3, written=3)
    counted = each(root, disk, range(ends[2], ends[5] + 1), cut, 3)
    assert counted == {"recovered": ends[5] - ends[2] + 1}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_flipped_bit_of_released_records(disk: Disk, root: Path, part: int) -> None:
    ends = signed(disk, 6)
    bits = range(8 * ends[2] + part, 8 * ends[5], 4)
    assert each(root, disk, bits, flip, 6) == {"stopped": len(bits)}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_every_flipped_bit_of_unreleased_records(disk: Disk, root: Path, part: int) -> None:
    ends = signed(disk, 3, written=3)
    bits = range(8 * ends[2] + part, 8 * ends[5], 4)
    assert each(root, disk, bits, flip, 3) == {"recovered": len(bits)}


def test_every_damage_after_a_power_loss_took_the_marks_last_note(
    disk: Disk, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the lease is left. What the disk had made durable is still told by the records after it."""
    ends = signed(disk, 6)
    (disk.mark / "released").write_bytes(bytes(20))
    monkeypatch.setattr(mark, "boot_id", lambda: b"another start..!")
    damaged = range(8 * ends[2], 8 * ends[4], 13)
    assert each(root, disk, damaged, flip, 6) == {"stopped": len(damaged)}
    # The end of the log may have been torn, for all that anyone can know; then the replica trusts the disk's sync.
    assert each(root, disk, range(ends[5], ends[5] + 1), cut, 6) == {"recovered": 1}


def test_every_flipped_bit_of_header_and_mark(disk: Disk, root: Path) -> None:
    signed(disk, 4)
    bits = range(8 * segment.HEADER.size)
    assert each(root, disk, bits, flip, 4) == {"stopped": len(bits)}
    for name in ("lease", "released"):
        original = (disk.mark / name).read_bytes()
        counted: Counter[str] = Counter()
        for bit in range(0, 8 * len(original), 3):
            scratch = disk.copy(root / "scratch")
            (scratch.mark / name).write_bytes(flip(original, bit))
            counted[outcome(scratch, 4)] += 1
        for length in range(len(original)):
            scratch = disk.copy(root / "scratch")
            (scratch.mark / name).write_bytes(original[:length])
            counted[outcome(scratch, 4)] += 1
        assert set(counted) == {"stopped"}


def test_a_snapshot_that_is_damaged_stops_the_replica(disk: Disk, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when power was lost: a segment got its name only when its first records were durable."""
    safety = disk.rules(create=True, lease=LEASE, segment_bytes=10)
    for block in CHAIN[:4]:
        safety.sign_vote(block)
    disk.kill()
    (disk.mark / "released").unlink()
    monkeypatch.setattr(mark, "boot_id", lambda: b"another start..!")
    start = 8 * segment.HEADER.size
    bits = range(start, start + 8 * 300, 7)
    assert each(root, disk, bits, flip, 4) == {"stopped": len(bits)}


def test_a_record_removed_from_the_middle_stops_the_replica(disk: Disk, root: Path) -> None:
    ends = signed(disk, 6)
    data = disk.segment.read_bytes()
    disk.segment.write_bytes(data[: ends[2]] + data[ends[3] :])
    assert outcome(disk, 6) == "stopped"
    disk.segment.write_bytes(data[: ends[2]] + bytes(ends[3] - ends[2]) + data[ends[3] :])
    assert outcome(disk, 6) == "stopped"


def test_a_hole_before_unreleased_records_is_a_torn_tail(disk: Disk) -> None:
    """Of records written before one sync, a power loss may keep a later one and take an earlier one."""
    ends = signed(disk, 3, written=3)
    data = disk.segment.read_bytes()
    disk.segment.write_bytes(data[: ends[2]] + bytes(ends[3] - ends[2]) + data[ends[3] :])
    assert outcome(disk, 3) == "recovered"


def test_a_torn_tail_is_kept_aside(disk: Disk) -> None:
    ends = signed(disk, 3, written=1)
    data = disk.segment.read_bytes()
    for number in range(2):
        disk.segment.write_bytes(data[: ends[2] + 50])
        safety = disk.rules()
        assert safety.state.voted_view == 3
        disk.kill()
        aside = sorted(disk.folder.glob("torn-*"))
        assert [path.read_bytes() for path in aside] == [data[ends[2] : ends[2] + 50]] * (number + 1)
        assert disk.segment.read_bytes()[ends[2] :].rstrip(b"\0") == b""


def test_a_payload_cannot_pass_for_a_record(disk: Disk) -> None:
    """A liar may put bytes into a block that look like a later record; without the log's own id they do not hold."""
    safety = disk.rules(create=True)
    fake, _ = segment.record(bytes(16), kind=6, parts=[b"x" * 16], sequence=9, synced=10**6, before=bytes(16))
    safety.sign_vote(CHAIN[0])
    end = disk.open_logs[0]._end
    safety.prepare_vote(dataclasses.replace(CHAIN[1], payload=fake * 3))
    torn = disk.open_logs[0]._end - 5
    disk.kill()
    data = disk.segment.read_bytes()
    assert fake in data[end:torn]
    disk.segment.write_bytes(data[:torn])
    assert disk.rules().state.voted_view == 1
    disk.kill()


def test_two_genuine_blocks_conflict_only_when_the_vote_was_lost_unreleased(disk: Disk) -> None:
    ends = signed(disk, 3, written=1)
    disk.segment.write_bytes(disk.segment.read_bytes()[: ends[2]])
    safety = disk.rules()
    other = dataclasses.replace(CHAIN[3], payload=b"other")
    assert safety.sign_vote(other).block == statements.block_id(M.team, other)
    disk.kill()
