"""Text files line by line: long lines are rejected, and no chunk holds more than its bytes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from custodes.data.config import DataConfig
from custodes.data.reader import load
from custodes.data.sources.lines import CHUNK_BYTES, LINE_LIMIT, Chunk, csv_chunks, json_chunks
from custodes.errors import CustodesError


def _chunks(text: bytes, suffix: str) -> list[Chunk]:
    file = io.BytesIO(text)
    return list(json_chunks(file) if suffix == "jsonl" else csv_chunks(file, "x"))


def _line(number: int, suffix: str, fill: int = 0) -> bytes:
    """An event whose object has some letters."""
    text = f'{{"time": {number}, "entity": "p", "kind": "k", "object": "' if suffix == "jsonl" else f"{number},p,k,"
    return text.encode() + b"x" * fill + (b'"}\n' if suffix == "jsonl" else b"\n")


def _header(suffix: str) -> bytes:
    return b"time,entity,kind,object\n" if suffix == "csv" else b""


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_that_is_too_long_is_rejected_and_those_around_it_are_kept(
    tmp_path: Path, suffix: str, end: bytes
) -> None:
    long = _line(7, suffix, LINE_LIMIT * 2).removesuffix(b"\n") + end
    before, after = (b"".join(_line(k, suffix) for k in part) for part in (range(1, 5), range(8, 12)))
    path, kept = tmp_path / f"x.{suffix}", tmp_path / "rejects.jsonl"
    path.write_bytes(_header(suffix) + before + long + (after if end else b""))
    data = load(DataConfig(path=str(path), max_rejects=0.5), rejects=kept)
    assert data.events["time"].to_list() == [1, 2, 3, 4, *(range(8, 12) if end else ())]
    row = json.loads(kept.read_text())
    assert (row["line"], row["reason"]) == (6 if suffix == "csv" else 5, "longer than 16,777,216 bytes")
    assert row["text"].encode() == long[: 1 << 16]
    assert data.rejected == 1


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_limit_itself_is_allowed(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    line = _line(1, suffix, 30)
    for spare, good in ((0, 1), (-1, 0)):
        monkeypatch.setattr("custodes.data.sources.lines.LINE_LIMIT", len(line) + spare)
        (chunk,) = _chunks(_header(suffix) + line, suffix)
        assert (len(chunk.lines), len(chunk.bad)) == (good, 1 - good)


def test_a_header_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.data.sources.lines.LINE_LIMIT", 10)
    with pytest.raises(CustodesError, match="the header is longer than 10 bytes"):
        _chunks(b"time,entity,kind\n1,a,b\n", "csv")


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_long_lines_make_small_chunks(suffix: str) -> None:
    size = 1 << 22
    text = _header(suffix) + b"".join(_line(k, suffix, size) for k in range(40))
    chunks = _chunks(text, suffix)
    assert [number for chunk in chunks for number in chunk.lines] == [k + (suffix == "csv") for k in range(1, 41)]
    assert len(chunks) == 3
    assert all(sum(map(len, chunk.texts)) < CHUNK_BYTES + 2 * size for chunk in chunks)
