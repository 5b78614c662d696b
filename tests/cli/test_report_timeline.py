"""`custodes report --timeline`: the team observes its test part live, and the page shows one attack."""

from __future__ import annotations

from pathlib import Path

from custodes.evaluate.response.timeline import read_timeline
from tests.cli.conftest import custodes
from tests.serve.conftest import make_case


def test_a_page_with_a_timeline(tmp_path: Path) -> None:
    case = make_case(tmp_path / "run")
    done = custodes("report", case.path, "--timeline")
    assert (done.code, done.err) == (0, "")
    found = read_timeline(case.path / "timeline-test.json")
    labels = case.workload.dataset.labels[case.workload.split.rows("test")]
    assert 0 < found.prevented <= found.malicious <= (labels == 1).sum()
    assert [moment.second for moment in found.moments] == sorted(moment.second for moment in found.moments)
    assert all(len(moment.votes) == 4 for moment in found.moments)
    assert {moment.standing for moment in found.moments} >= {"free", "gone"}
    assert all(moment.executed == (moment.action < 2) or moment.action < 2 for moment in found.moments)
    page = (case.path / "report.html").read_text()
    assert "One attack, event by event" in page
    assert page.count('class="chart wide"') == 1


def test_a_run_that_does_not_act_has_none(tmp_path: Path) -> None:
    case = make_case(tmp_path / "run", "env.task=triage", "env.lanes=by_stream")
    assert "this run does not act" in custodes("report", case.path, "--timeline").refusal
