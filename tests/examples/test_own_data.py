"""The example on a file of one's own runs, at a small size, and refuses what cannot be learned from in one line."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pytest

from custodes.data.config import DataConfig
from custodes.data.reader import load
from custodes.data.split import split
from custodes.data.synthetic import SyntheticConfig, generate

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_data.py"
LEAST = ("time", "stream", "entity", "parent", "channel", "kind", "label")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE), *arguments],
        env={**os.environ, "CUSTODES_EXAMPLE_DECISIONS": "9000", "TMPDIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    """A tiny recording with no more columns than a user must have."""
    return generate(SyntheticConfig(hosts=2, processes=60, events=3_000, campaigns=14)).select(LEAST)


@pytest.mark.slow
def test_it_trains_acts_and_reports_on_a_csv(tmp_path: Path, events: pl.DataFrame) -> None:
    events.write_csv(tmp_path / "my own.csv")
    done = run(tmp_path, "my own.csv")
    assert done.returncode == 0, done.stderr
    *scores, last = done.stdout.splitlines()
    found = [re.fullmatch(r"(\S+) +response score (-?[\d.]+)", line) for line in scores]
    named = {match[1]: float(match[2]) for match in found if match is not None}
    assert list(named) == ["team", "block-all", "event-kind", "trees"]
    page = Path(last.removeprefix("report: "))
    assert tmp_path in page.parents
    assert "response score" in page.read_text(encoding="utf-8")
    record = json.loads((page.parent / "evaluation-test.json").read_text(encoding="utf-8"))
    assert record["response"]["score"] == pytest.approx(named["team"])
    assert record["dataset"] == "my own.csv"


@pytest.mark.parametrize(
    ("leave_out", "says"),
    [("label", "no malicious record among"), ("kind", "column kind is missing")],
)
def test_a_csv_that_cannot_be_learned_from_is_one_line(
    tmp_path: Path,
    events: pl.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    leave_out: str,
    says: str,
) -> None:
    events.drop(leave_out).write_csv(tmp_path / "my.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), "my.csv"])
    assert runpy.run_path(str(EXAMPLE))["main"]() == 2
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 1
    assert "my.csv" in shown.err
    assert says in shown.err
    assert shown.out == ""


def test_the_made_up_file_has_attacks_in_every_part(tmp_path: Path) -> None:
    path = runpy.run_path(str(EXAMPLE))["made_up"](tmp_path)
    config = DataConfig(path=str(path), source="table", split="entity")
    dataset = load(config)
    summary = split(dataset, config).summary(dataset.labels)
    assert all((part["threats"] or 0) > 50 for part in summary.values())
