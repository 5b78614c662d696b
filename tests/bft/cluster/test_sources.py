"""Votes from lines, and made-up ones."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import numpy as np
import pytest

from custodes.bft.ballots import entities_of, times_of
from custodes.bft.cluster import stdin
from custodes.bft.cluster.sources import Lines, Synthetic
from custodes.bft.errors import BftError

GOOD = {"entities": [5, 2**64 - 1], "times": [-1, 2**62], "severities": [0, 3]}


def test_a_line_is_a_batch() -> None:
    lines = Lines(7)
    lines.feed("\n")
    lines.feed(json.dumps(GOOD | {"scores": [0.0, 1.0]}))
    lines.feed(json.dumps(GOOD))
    assert lines.waiting == 2
    votes = lines.take(7)
    assert votes is not None
    assert votes.batch == 7
    assert entities_of(votes.items).tolist() == [5, 2**64 - 1]
    assert times_of(votes.items).tolist() == [-1, 2**62]
    assert (votes.severities, votes.scores) == (b"\0\3", b"\0\0\xff\xff")
    assert lines.take(7) is None
    later = lines.take(8)
    assert later is not None
    assert later.scores == b""
    assert lines.take(9) is None


def test_lines_about_decided_batches_are_dropped() -> None:
    lines = Lines(0)
    for _ in range(3):
        lines.feed(json.dumps(GOOD))
    votes = lines.take(2)
    assert votes is not None
    assert votes.batch == 2
    assert lines.waiting == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not a batch of votes"),
        ("[]", "not a batch of votes"),
        ("3", "not a batch of votes"),
        ("{}", "no 'entities'"),
        (json.dumps(GOOD | {"severities": [0]}), "need one length"),
        (json.dumps(GOOD | {"severities": [0, 4]}), r"severities are 0 \(Allow\) to 3 \(Block\)"),
        (json.dumps(GOOD | {"severities": [0, -1]}), "severities are 0"),
        (json.dumps(GOOD | {"severities": [0, True]}), "lists of integers"),
        (json.dumps(GOOD | {"entities": [1.5, 2]}), "lists of integers"),
        (json.dumps(GOOD | {"entities": [-1, 2]}), "not a batch of votes"),
        (json.dumps(GOOD | {"times": [2**63, 0]}), "not a batch of votes"),
        (json.dumps(GOOD | {"scores": [0.5]}), "one number per entity"),
        (json.dumps(GOOD | {"scores": [0.5, float("nan")]}), "finite"),
        (json.dumps(GOOD | {"scores": 3}), "one number per entity"),
        (json.dumps(GOOD | {"scores": ["a", "b"]}), "not a batch of votes"),
        (json.dumps({"entities": [], "times": [], "severities": []}), "need one length"),
        (json.dumps(GOOD | {"severity": []}), "unknown 'severity'"),
    ],
)
def test_bad_lines(line: str, reason: str) -> None:
    lines = Lines(0)
    lines.feed(json.dumps(GOOD))
    with pytest.raises(BftError, match=rf"standard input, line 2: .*{reason}") as caught:
        lines.feed(line)
    assert "\n" not in str(caught.value)


def test_made_up_batches_are_the_same_for_all_but_for_votes() -> None:
    first, second = Synthetic(500, 0), Synthetic(500, 1)
    for batch in (0, 3, 40):
        mine, yours = first.take(batch), second.take(batch)
        assert mine.items == yours.items
        assert mine.severities != yours.severities
        same = np.frombuffer(mine.severities, np.uint8) == np.frombuffer(yours.severities, np.uint8)
        assert 0.9 < same.mean() < 1.0


def read(path: Path) -> list[str]:
    handle = os.open(path, os.O_RDONLY)
    try:

        async def collect() -> list[str]:
            return [line async for line in stdin.standard_input(handle)]

        return asyncio.run(collect())
    finally:
        os.close(handle)


def test_lines_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "in"
    long = "x" * 200_000
    path.write_text(f"a\n\n{long}\nlast")
    assert read(path) == ["a", "", long, "last"]
    assert read(Path(os.devnull)) == []


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdin, "MAX_LINE", 1_000)
    path = tmp_path / "in"
    path.write_text("short\n" + "x" * 100_000)
    with pytest.raises(BftError, match="standard input: a line is longer than"):
        read(path)
