"""The table of single inputs: figures of the recording where it lies beside the checkout, one line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.response_rules import RULES, main


@pytest.mark.slow
def test_the_rule_that_hindsight_picks_scores_as_known(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(shared_data / "carbanak-h3.parquet"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) == 2 * (len(RULES) + 1)
    hindsight = next(row for row in rows if row["part"] == "test" and row["rule"].startswith("image"))
    assert hindsight["score"] == pytest.approx(0.903, abs=5e-4)
    assert hindsight["false_blocks"] == 0


def test_no_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path / "none.parquet")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
