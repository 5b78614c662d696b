"""The table of rules off, penalised, multiplied and enforced, on a training of seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rules_ablation import main
from tests.train.test_resume import SMALL

TINY = [part for change in (*SMALL, "train.iterations=2") for part in ("--set", change)]


def test_one_row_for_each_run_and_no_run_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--seeds", "0", "--methods", "off", "lagrangian", "shield", "--out", str(tmp_path), *TINY]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["run"] for row in rows] == ["off 0", "lagrangian 0", "shield 0"]
    for row in rows:
        spared = row["specs"]["innocents-left-alone"]
        assert 0 <= spared["satisfied"] <= spared["triggered"]
        assert spared["triggered"] > 0
        assert ("shield" in row) == (row["run"] == "shield 0")
    shielded = rows[-1]
    assert shielded["shield"]["unavoidable"] == 0
    for name in shielded["shield"]["by_rule"]:
        assert shielded["specs"][name]["satisfied"] == shielded["specs"][name]["triggered"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lagrangian-0", "off-0"]
    made = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/evaluation-test*.json")}
    assert len(made) == 3
    assert main(command) == 0
    told = capsys.readouterr().out
    untold = any(spec["triggered"] == 0 for row in rows for spec in row["specs"].values())
    assert ("not shown" in told) == untold
    assert told.count("replaced by the shield: ") == 1
    assert {file: file.stat().st_mtime_ns for file in made} == made


def test_a_shield_alone_trains_what_it_needs_and_jobs_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for jobs in ("1", "2"):
        out = tmp_path / jobs
        flags = ["--seeds", "0", "1", "--methods", "shield", "--jobs", jobs, "--out", str(out)]
        assert main([*flags, "--json", *TINY]) == 0
        found.append(json.loads(capsys.readouterr().out)["rows"])
        assert sorted(path.name for path in out.iterdir()) == ["lagrangian-0", "lagrangian-1"]
    assert found[0] == found[1]
    assert [row["run"] for row in found[0]] == ["shield 0", "shield 1"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    assert main(["--specs", "nowhere.toml", "--out", str(tmp_path), "--seeds", "0", "--jobs", jobs]) == 2
    assert "nowhere.toml: cannot be read" in capsys.readouterr().err
