"""A small team's decisions through four real replicas are those of its offline play."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.team_replay import main, measure
from tests.serve.conftest import make_case


@pytest.mark.slow
def test_real_replicas_decide_what_the_offline_play_decides(tmp_path: Path) -> None:
    case = make_case(tmp_path / "run")
    found = measure(case.path, events=400, k=40, windows=(4,), durable=False)
    (row,) = found["rows"]
    assert found["ok"]
    assert (found["n"], found["votes_per_event"]) == (4, 3)
    assert row["events"] == 400
    assert row["mismatches"] == 0
    assert row["decisions_compared"] == 4 * 3 * 400
    assert row["certificates"] == row["certificates_verified"] >= 4 * 10
    assert row["same_outcome"] is True
    shielded = measure(case.path, events=200, k=40, windows=(4,), durable=False, shield="library")
    assert shielded["ok"]
    assert shielded["rows"][0]["overruled"] > 0


def test_what_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    case = make_case(tmp_path / "run", "team.agents=3", "team.views=replicated")
    assert main([str(case.path)]) == 2
    assert "stands no liar" in capsys.readouterr().err
