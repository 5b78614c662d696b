"""Rules on the command line: trained under, shown, and refused in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL_FLAGS, custodes


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two iterations under the shipped rules; not to be changed."""
    out = tmp_path_factory.mktemp("ruled") / "run"
    done = custodes("train", "--specs", "default", "--out", out, *SMALL_FLAGS, "--set", "train.iterations=2")
    assert done.code == 0, done.err
    return out


@pytest.fixture
def a_ruled_run(ruled: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed at will."""
    return Path(shutil.copytree(ruled, tmp_path / "run"))


def test_a_team_is_trained_under_rules_and_shown_beside_them(a_ruled_run: Path) -> None:
    out = a_ruled_run
    assert (out / "rules.toml").is_file()
    line = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])
    assert "innocents-left-alone" in line["specs"]
    shown = custodes("evaluate", out, "--baselines", "none").out
    assert "Rules:" in shown
    assert "innocents-left-alone" in shown
    stl = json.loads(custodes("evaluate", out, "--baselines", "none", "--json").out)["stl"]
    assert set(stl) == set(line["specs"])
    assert "leave out --specs" in custodes("train", "--resume", out, "--specs", "default").refusal


def test_the_rule_kept_least_under_each_attack_is_named_and_the_page_draws_rules(a_ruled_run: Path) -> None:
    out = a_ruled_run
    attacked = custodes("evaluate", out, "--baselines", "none", "--attack", "always-block", "--byzantine", "2")
    assert (attacked.code, attacked.err) == (0, "")
    lines = attacked.out.splitlines()
    title = next(place for place, line in enumerate(lines) if line.startswith("Rules under attack"))
    assert lines[title + 1].split("  ")[0] == "attack"
    assert [line.split()[0] for line in lines[title + 2 : title + 4]] == ["none", "always-block"]
    table = json.loads((out / "evaluation-test.json").read_text())["bft"]["table"]
    worst = next(row["worst"]["stl"] for row in table if row["rule"] == "severity" and row["byzantine"] == 2)
    least = min(share for share in worst.values() if share is not None)
    name, liars, share = lines[title + 3].split()[1:]
    assert (worst[name], liars, share) == (least, "2", f"{least:.3f}")
    assert custodes("report", out).code == 0
    page = (out / "report.html").read_text()
    for text in ('<h2 id="rules">', "How the rules held, test", "Rules under attack", "Multipliers"):
        assert text in page, text


def test_rules_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path) -> None:
    refusal = custodes("train", "--specs", tmp_path / "none.toml", "--out", tmp_path / "run", *SMALL_FLAGS).refusal
    assert "none.toml: cannot read it" in refusal
    assert not (tmp_path / "run").exists()
