"""The journal: in order, once, and never less than what was durable."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from custodes.bft.ballots import encode_payload
from custodes.bft.certificates import certificate_fault, make_certificate
from custodes.bft.cluster import journal as module
from custodes.bft.cluster.journal import Journal, read_entries
from custodes.bft.cluster.records import Entry, pack
from custodes.bft.core.events import Root
from custodes.bft.errors import BftError
from custodes.bft.statements import block_id
from tests.bft.material import material

M = material()
COUNT = 8


@cache
def entries() -> tuple[Entry, ...]:
    """A chain of blocks, each with what proves it."""
    blocks = M.chain(COUNT + 1, encode_payload((M.ballot(30, missing=(2,)),)))
    made = []
    for block, child in pairwise(blocks):
        root = Root(block=block_id(M.team, block), height=block.height, view=block.view)
        made.append(Entry(root=root, block=block, certificate=make_certificate(M.team, (block, child), M.qc(child))))
    return tuple(made)


def fill(folder: Path, count: int = COUNT, *, sync: bool = True, segment: int = 2**26) -> None:
    journal = Journal(folder, segment_bytes=segment)
    for entry in entries()[journal.height : count]:
        journal.append(entry, lambda: b"state")
        if sync:
            assert journal.sync() == entry.root.height
    journal.drop()


def places(folder: Path) -> list[int]:
    """Where each record begins, and where the last ends."""
    at, found = 0, [0]
    for number, entry in enumerate(entries()):
        at += len(pack(entry, number))
        found.append(at)
    data = only(folder).read_bytes()
    assert not data[at:].strip(b"\0")
    return found


def only(folder: Path) -> Path:
    (path,) = folder.glob("*.journal")
    return path


def heights(folder: Path) -> list[int]:
    return [entry.root.height for entry in read_entries(folder)]


def test_what_was_appended_is_there_again(tmp_path: Path) -> None:
    fill(tmp_path)
    journal = Journal(tmp_path)
    assert journal.last == entries()[-1].root
    assert journal.synced == COUNT
    assert tuple(read_entries(tmp_path)) == entries()
    for entry in entries():
        found = journal.find(entry.root.block)
        assert found == entry
        assert certificate_fault(found.certificate, M.verifier) is None
    assert journal.find(bytes(32)) is None
    with pytest.raises(BftError, match=f"height {COUNT - 1} was to be applied after {COUNT}"):
        journal.append(entries()[-2])
    journal.close()
    assert heights(tmp_path) == list(range(1, COUNT + 1))


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    fill(tmp_path, 5)
    fill(tmp_path)
    assert tuple(read_entries(tmp_path)) == entries()


def test_every_cut_of_the_last_record_is_recovered(tmp_path: Path) -> None:
    fill(tmp_path)
    whole, (start, end) = only(tmp_path).read_bytes(), places(tmp_path)[-2:]
    for number, cut in enumerate([*range(start, end, 97), end - 1]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / only(tmp_path).name).write_bytes(whole[:cut])
        journal = Journal(folder)
        assert journal.height == COUNT - 1
        kept = [path.read_bytes() for path in folder.glob("*.torn-*")]
        assert kept == ([whole[start:cut].rstrip(b"\0")] if cut > start else [])
        journal.append(entries()[-1])
        journal.close()
        assert tuple(read_entries(folder)) == entries()


def test_damage_in_the_middle_is_refused(tmp_path: Path) -> None:
    fill(tmp_path)
    path, starts = only(tmp_path), places(tmp_path)
    whole = path.read_bytes()
    for at in (starts[0], starts[2] + 5, starts[2] + 9, starts[3] + 40, starts[COUNT - 2] + 100):
        data = bytearray(whole)
        data[at] ^= 0x10
        path.write_bytes(data)
        with pytest.raises(BftError, match=r"journal, byte \d+: a record is damaged; restore"):
            Journal(tmp_path)
        assert path.read_bytes() == data


def test_what_was_never_durable_may_be_torn_anywhere(tmp_path: Path) -> None:
    # A power loss may keep a later page and lose an earlier one; neither was acknowledged.
    fill(tmp_path, 5)
    fill(tmp_path, COUNT, sync=False)
    path = only(tmp_path)
    data, starts = bytearray(path.read_bytes()), places_unsynced()
    data[starts[6] + 50 : starts[7]] = bytes(starts[7] - starts[6] - 50)
    path.write_bytes(data)
    journal = Journal(tmp_path)
    assert journal.height == 6
    journal.close()
    assert len(list(tmp_path.glob("*.torn-0"))) == 1


def places_unsynced() -> list[int]:
    at, found = 0, [0]
    for number, entry in enumerate(entries()):
        at += len(pack(entry, min(number, 5)))
        found.append(at)
    return found


def segments(folder: Path) -> Iterator[int]:
    return (int(path.stem) for path in sorted(folder.glob("*.journal")))


def test_segments_are_rotated_and_the_oldest_dropped(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=1, keep_bytes=1)
    for number, entry in enumerate(entries()):
        journal.append(entry, (b"%d" % number).strip)
    assert list(segments(tmp_path)) == [COUNT - 1, COUNT]
    assert sorted(int(path.stem) for path in tmp_path.glob("*.state")) == [COUNT - 1, COUNT]
    assert journal.find(entries()[0].root.block) is None
    assert journal.find(entries()[-2].root.block) == entries()[-2]
    journal.close()
    again = Journal(tmp_path)
    state, rest = again.recall()
    assert (state, list(rest)) == (b"%d" % (COUNT - 1), [entries()[-1]])
    again.drop()


def test_a_state_that_is_missing(tmp_path: Path) -> None:
    fill(tmp_path, segment=1)
    (tmp_path / f"{COUNT:020d}.state").unlink()
    journal = Journal(tmp_path)
    state, rest = journal.recall()
    assert (state, [entry.root.height for entry in rest]) == (b"state", [COUNT - 1, COUNT])
    for path in tmp_path.glob("*.state"):
        path.unlink()
    state, rest = journal.recall()
    assert (state, len(list(rest))) == (b"", COUNT)
    journal.drop()
    (tmp_path / f"{1:020d}.journal").unlink()
    journal = Journal(tmp_path)
    with pytest.raises(BftError, match="what the dropped blocks came to is missing"):
        journal.recall()
    journal.drop()


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, segment=1)
    (tmp_path / f"{3:020d}.journal").unlink()
    with pytest.raises(BftError, match="records are missing"):
        Journal(tmp_path)


def test_a_full_disk_says_so_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int, data: bytes, at: int) -> None:
        raise OSError(28, "No space left on device")

    journal = Journal(tmp_path)
    monkeypatch.setattr(module, "write_all", full)
    with pytest.raises(BftError, match="the journal cannot be used: No space left on device; check the disk"):
        journal.append(entries()[0])
    journal.drop()
    monkeypatch.undo()
    fill(tmp_path)
    assert tuple(read_entries(tmp_path)) == entries()
