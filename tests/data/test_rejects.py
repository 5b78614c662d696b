"""Malformed lines: counted, kept, and too many of them refused."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from custodes.data.config import DataConfig
from custodes.data.convert import convert
from custodes.data.describe import describe
from custodes.data.reader import load
from custodes.data.rejects import RejectLog, left_out_note
from custodes.errors import CustodesError
from tests.data.samples import table


def _lines(events: int = 40) -> list[str]:
    return table(events).write_ndjson().splitlines()


def test_bad_json_lines_are_kept_with_number_reason_and_text(tmp_path: Path) -> None:
    lines = _lines()
    lines[3:3] = ["{broken", "", "[1]", '{"time": "noon", "entity": "p", "kind": "k"}', '{"entity": "p", "kind": "k"}']
    source, kept = tmp_path / "x.jsonl", tmp_path / "rejects.jsonl"
    source.write_text("\n".join(lines) + "\n")
    data = load(DataConfig(path=str(source), max_rejects=0.2), rejects=kept)
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert len(data) == 40
    assert data.rejected == 4
    assert [row["line"] for row in rows] == [4, 6, 7, 8]
    assert [row["text"].strip() for row in rows] == ["{broken", *lines[5:8]]
    assert [row["file"] for row in rows] == ["x.jsonl"] * 4
    assert rows[0]["reason"].startswith("not JSON: ")
    assert rows[1]["reason"] == "not a JSON object"
    assert rows[2]["reason"] == "time is 'noon', not a whole number"
    assert rows[3]["reason"] == "time is missing"


def test_bad_csv_lines_are_kept_with_number_reason_and_text(tmp_path: Path) -> None:
    lines = table(40).write_csv().splitlines()
    lines[2:2] = ["1,2", lines[1].replace("17000", "x7000", 1), 'a,"b', lines[1] + ",9"]
    source, kept = tmp_path / "x.csv", tmp_path / "rejects.jsonl"
    source.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe,1\n")
    data = load(DataConfig(path=str(source), max_rejects=0.2), rejects=kept)
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert (len(data), data.rejected) == (40, 5)
    assert [row["line"] for row in rows] == [3, 4, 5, 6, 46]
    assert rows[0]["reason"] == "2 fields, not 14"
    assert "time is 'x7000" in rows[1]["reason"]
    assert rows[2]["reason"].startswith("not CSV: ")
    assert rows[3]["reason"] == "15 fields, not 14"
    assert rows[4]["reason"] == "not UTF-8"
    assert rows[4]["text"] == "\\xff\\xfe,1\n"


def test_too_many_bad_lines_fail_and_are_still_kept(tmp_path: Path) -> None:
    source, kept = tmp_path / "x.jsonl", tmp_path / "rejects.jsonl"
    source.write_text("\n".join([*_lines(98), "oops", "oops"]) + "\n")
    with pytest.raises(CustodesError, match=r"2 of 100 lines are malformed, more than 1\.00% \(line 99: not JSON"):
        load(DataConfig(path=str(source)), rejects=kept)
    assert len(kept.read_text().splitlines()) == 2
    assert load(DataConfig(path=str(source), max_rejects=0.02)).rejected == 2


def test_a_last_line_that_is_cut_off_says_so(tmp_path: Path) -> None:
    source, kept = tmp_path / "x.jsonl", tmp_path / "rejects.jsonl"
    source.write_text("\n".join(_lines(100))[:-20])
    data = load(DataConfig(path=str(source)), rejects=kept)
    assert (len(data), data.rejected) == (99, 1)
    assert "the file ends within this line" in json.loads(kept.read_text())["reason"]


def test_a_file_of_nothing_but_bad_lines_is_given_up_early(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    source.write_text("nonsense\n" * 50_000)
    with pytest.raises(CustodesError, match="lines are malformed") as caught:
        load(DataConfig(path=str(source)))
    assert "of 16384 lines" in str(caught.value)
    assert "; name --rejects FILE to keep them, repair them or raise data.max_rejects" in str(caught.value)


def test_an_earlier_loads_rejects_do_not_stay(tmp_path: Path) -> None:
    source, kept = tmp_path / "x.jsonl", tmp_path / "rejects.jsonl"
    kept.write_text('{"file": "y.jsonl", "line": 3, "reason": "not JSON", "text": "old"}\n')
    source.write_text("\n".join(_lines()) + "\n")
    assert load(DataConfig(path=str(source)), rejects=kept).rejected == 0
    assert kept.read_text() == ""


def test_an_unwritable_rejects_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(CustodesError, match="cannot write the rejects"),
        RejectLog(path=tmp_path / "file" / "r.jsonl") as log,
    ):
        log.begin()


@pytest.mark.parametrize("content", ["old\n", "{}\n", '{"time": 1}\n', "[" * 100_000])
def test_a_file_that_holds_no_rejects_is_never_replaced(tmp_path: Path, content: str) -> None:
    source, kept = tmp_path / "x.jsonl", tmp_path / "notes.txt"
    source.write_text("\n".join(_lines()) + "\n")
    kept.write_text(content)
    with pytest.raises(CustodesError, match=r"notes\.txt: the file exists and holds no rejects; name another file"):
        load(DataConfig(path=str(source)), rejects=kept)
    assert kept.read_text() == content
    with pytest.raises(CustodesError, match="the file exists and holds no rejects"):
        load(DataConfig(path=str(source)), rejects=tmp_path)


def test_an_earlier_rejects_file_is_replaced_even_after_a_long_line(tmp_path: Path) -> None:
    source, kept = tmp_path / "x.jsonl", tmp_path / "rejects.jsonl"
    source.write_text("\n".join([*_lines(200), "\x01" * 100_000]) + "\n")
    for _ in range(2):
        assert load(DataConfig(path=str(source)), rejects=kept).rejected == 1
    assert len(json.loads(kept.read_text())["text"]) == 1 << 16


@pytest.mark.parametrize("action", [load, describe])
def test_the_input_is_never_taken_for_the_rejects(tmp_path: Path, action: Callable[..., object]) -> None:
    source, test, link = tmp_path / "x.jsonl", tmp_path / "y.jsonl", tmp_path / "link"
    text = "".join(
        json.dumps({"file": "a", "line": k, "reason": "b", "text": "c", "time": k, "entity": "p", "kind": "k"}) + "\n"
        for k in range(9)
    )
    for path in (source, test):
        path.write_text(text)
    link.symlink_to(source)
    config = DataConfig(path=str(source), test_path=str(test))
    for kept in (source, test, link, tmp_path / "." / "x.jsonl"):
        with pytest.raises(CustodesError, match="the rejects would overwrite a file that is read or written here"):
            action(config, rejects=kept)
    assert (source.read_text(), test.read_text()) == (text, text)


def test_the_output_of_a_conversion_is_never_taken_for_the_rejects(tmp_path: Path) -> None:
    source, out = tmp_path / "x.parquet", tmp_path / "out.parquet"
    table().write_parquet(source)
    whole = source.read_bytes()
    for kept in (out, source, tmp_path / "." / "out.parquet"):
        with pytest.raises(CustodesError, match="the rejects would overwrite a file"):
            convert(DataConfig(path=str(source)), out, rejects=kept)
    assert source.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    source, kept = tmp_path / "x.jsonl", tmp_path / "rejects.jsonl"
    source.write_text("\n".join([*_lines(200), "oops"]) + "\n")
    load(DataConfig(path=str(source)), rejects=kept)
    before = kept.read_text()

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync", full) if step == "fsync" else (Path, "replace", full)))
    with pytest.raises(CustodesError, match="cannot write the rejects: No space left on device"):
        load(DataConfig(path=str(source)), rejects=kept)
    assert kept.read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rejects.jsonl", "x.jsonl"]


def test_a_disk_that_fills_up_while_lines_are_kept_leaves_no_litter(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    source.write_text("\n".join([*_lines(9), *["oops" * 20] * 900]) + "\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(CustodesError, match="cannot write the rejects: File too large"):
            load(DataConfig(path=str(source), max_rejects=1.0), rejects=tmp_path / "r.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    ("rejected", "kept", "note"),
    [
        (0, Path("r.jsonl"), None),
        (1, None, "1 malformed line left out (name --rejects FILE to keep it)"),
        (1234, None, "1,234 malformed lines left out (name --rejects FILE to keep them)"),
        (2, Path("r.jsonl"), "2 malformed lines left out (kept in r.jsonl)"),
    ],
)
def test_the_note_on_lines_left_out(rejected: int, kept: Path | None, note: str | None) -> None:
    assert left_out_note(rejected, kept) == note


@pytest.mark.parametrize("limit", [-0.1, 1.5, float("nan")])
def test_a_limit_that_is_no_share_is_refused(limit: float) -> None:
    with pytest.raises(CustodesError, match=r"data\.max_rejects: .* is not a share from 0 to 1"):
        load(DataConfig(max_rejects=limit))
