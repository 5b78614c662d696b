"""Rules on the command line: trained under, shown, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import SMALL_FLAGS, custodes


def test_a_team_is_trained_under_rules_and_shown_beside_them(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = custodes("train", "--specs", "default", "--out", out, *SMALL_FLAGS, "--set", "train.iterations=2")
    assert done.code == 0
    assert (out / "rules.toml").is_file()
    line = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert "innocents-left-alone" in line["specs"]
    shown = custodes("evaluate", out, "--baselines", "none").out
    assert "Rules:" in shown
    assert "innocents-left-alone" in shown
    stl = json.loads(custodes("evaluate", out, "--baselines", "none", "--json").out)["stl"]
    assert set(stl) == set(line["specs"])
    assert "leave out --specs" in custodes("train", "--resume", out, "--specs", "default").refusal


def test_rules_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path) -> None:
    refusal = custodes("train", "--specs", tmp_path / "none.toml", "--out", tmp_path / "run", *SMALL_FLAGS).refusal
    assert "none.toml: cannot read it" in refusal
    assert not (tmp_path / "run").exists()
