"""The checks of the chaos run and of the fuzzer can fail: each defect that they look for is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.bft_fuzz_codec import fuzz_codec
from benchmarks.bft_traffic import Traffic
from custodes.bft.cluster.link import HEADER
from custodes.bft.encoding import encode
from custodes.bft.messages import Message
from tests.bft.material import material

M = material()
BLOCKS = M.chain(4)


def faults(path: Path, *messages: Message) -> list[str]:
    frames = [encode(message) for message in messages]
    path.write_bytes(b"".join(b"\1" + HEADER.pack(len(frame)) + frame for frame in frames) + b"\1\xff\xff")
    traffic = Traffic(team=M.team)
    traffic.read(path)
    traffic.finish()
    assert traffic.frames == len(messages)
    return traffic.faults


def test_honest_traffic_is_clean(tmp_path: Path) -> None:
    votes = [M.vote(block, voter) for block in BLOCKS for voter in range(4)]
    timeout = M.timeout(BLOCKS[-1].view + 1, M.qc(BLOCKS[-1]), 0)
    assert faults(tmp_path / "a", *votes, timeout, *reversed(votes)) == []


def test_a_double_vote_is_found(tmp_path: Path) -> None:
    other = replace(BLOCKS[2], payload=b"other")
    assert faults(tmp_path / "a", M.vote(BLOCKS[2], 1), M.vote(other, 2)) == []
    (fault,) = faults(tmp_path / "b", M.vote(BLOCKS[2], 1), M.vote(other, 1))
    assert "replica 1: double-vote" in fault


def test_a_hidden_certificate_is_found_in_any_order(tmp_path: Path) -> None:
    vote = M.vote(BLOCKS[3], 2)
    timeout = M.timeout(BLOCKS[3].view, M.qc(BLOCKS[0]), 2)
    for messages in ((vote, timeout), (timeout, vote)):
        (fault,) = faults(tmp_path / "a", *messages)
        assert "replica 2: hidden-certificate" in fault


def test_a_forged_signature_is_found(tmp_path: Path) -> None:
    vote = M.vote(BLOCKS[0], 1)
    (fault,) = faults(tmp_path / "a", replace(vote, voter=2))
    assert "signature of replica 2 is not valid" in fault


def test_decoders_stand_damaged_bytes() -> None:
    found = fuzz_codec(2.0, 5)
    assert found.faults == []
    assert 0 < found.accepted < found.inputs
