"""The table of rules off, penalised and multiplied, on a training of seconds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.rules_ablation import main
from tests.train.test_resume import SMALL


def test_one_row_for_each_run_and_no_run_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [part for change in (*SMALL, "train.iterations=2") for part in ("--set", change)]
    command = ["--seeds", "0", "--methods", "off", "lagrangian", "--out", str(tmp_path), *small]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["run"] for row in rows] == ["off 0", "lagrangian 0"]
    for row in rows:
        spared = row["specs"]["innocents-left-alone"]
        assert 0 <= spared["satisfied"] <= spared["triggered"]
        assert spared["triggered"] > 0
    made = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*/evaluation-test.json")}
    assert main(command) == 0
    untold = any(spec["triggered"] == 0 for row in rows for spec in row["specs"].values())
    assert ("not shown" in capsys.readouterr().out) == untold
    assert {file: file.stat().st_mtime_ns for file in made} == made


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--specs", "nowhere.toml", "--out", str(tmp_path)]) == 2
    assert "cannot read it" in capsys.readouterr().err
