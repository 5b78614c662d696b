"""Malformed lines: counted, kept, and too many of them refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from custodes.data.config import DataConfig
from custodes.data.reader import load
from custodes.data.rejects import RejectLog
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


def test_an_earlier_loads_rejects_do_not_stay(tmp_path: Path) -> None:
    source, kept = tmp_path / "x.jsonl", tmp_path / "rejects.jsonl"
    kept.write_text("old\n")
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


@pytest.mark.parametrize("limit", [-0.1, 1.5, float("nan")])
def test_a_limit_that_is_no_share_is_refused(limit: float) -> None:
    with pytest.raises(CustodesError, match=r"data\.max_rejects: .* is not a share from 0 to 1"):
        load(DataConfig(max_rejects=limit))
