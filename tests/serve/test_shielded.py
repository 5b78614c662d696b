"""A running team under rules, and the same team evaluated under them, do the same at every event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from custodes.env.lanes import build_lanes
from custodes.env.response.replay import GONE, MASKS, replay
from custodes.evaluate.response.record import in_order
from custodes.evaluate.response.shielded import guard, shield_for, told_of
from custodes.serve import Decision, Team
from custodes.serve.analysts import RecordedAnalysts
from custodes.team.shield import read_rules
from custodes.team.team import Team as PlayingTeam
from tests.serve.conftest import Case

PROCESS = """
[[spec]]
name = "evidence-first"
formula = "always (contain -> once (evidence >= 0.1))"
severity = "warning"
tags = ["hard"]
[[spec]]
name = "few-alerts"
formula = "always (alert -> alerts_recent <= 6)"
tags = ["hard"]
[[spec]]
name = "patience"
formula = "always (open and block -> age_s >= 20)"
tags = ["hard"]
[[spec]]
name = "support"
formula = "always (quarantine -> votes >= 3)"
tags = ["hard"]
"""
TEAM = """
period = "10s"
[[spec]]
name = "sure-first"
formula = "always (alerts >= 1 -> score >= 0.01)"
tags = ["hard", "entity"]
[[spec]]
name = "few-held"
formula = "always (quarantined <= 2)"
tags = ["hard"]
[[spec]]
name = "few-alerts"
formula = "always (sum(alerts, 60s) <= 2)"
tags = ["hard"]
"""


def live(case: Case, specs: str, order: list[int]) -> list[Decision]:
    """A running team, with analysts that answer as the replay's do."""
    recorded = case.events()
    events = [recorded[row] for row in order]
    guilty: dict[tuple[str, str], int] = {}
    for event in events:
        if event["label"] == 1:
            guilty.setdefault((event["stream"], event["entity"]), event["time"])
    team = Team.load(case.path, specs=specs)
    analysts = RecordedAnalysts(team, case.workload.costs, guilty)
    made = []
    for event in events:
        analysts.answer(event["time"])
        decision = team.observe(event)
        if decision.alert:
            analysts.ask((decision.stream, decision.entity), event["time"])
        made.append(decision)
    return made


@pytest.mark.parametrize("specs", ["default", PROCESS, TEAM], ids=["default", "process", "team"])
def test_a_running_team_and_its_evaluation_do_the_same(case: Case, tmp_path: Path, specs: str) -> None:
    source = specs
    if specs != "default":
        source = str(tmp_path / "rules.toml")
        Path(source).write_text(specs)
    workload = case.workload
    rows = np.arange(len(workload.dataset))
    lanes = build_lanes(workload.dataset, rows, workload.env.lanes, workload.env.window)
    play = PlayingTeam.of(case.policy).play(workload.table, lanes, MASKS)
    assert play.decisions_by_state is not None
    recording, costs, rules = workload.recording(rows), workload.costs, read_rules(source)
    voted = in_order(recording, play.rows, play.decisions_by_state)
    told = told_of(workload, recording, play)
    found = guard(recording, voted, told, shield_for(rules, recording, costs), costs)
    replayed = replay(recording, found.decisions, costs, trace=True)
    assert replayed.trace is not None

    made = live(case, source, recording.source.tolist())
    gone = np.array([each.standing == "gone" for each in made])
    np.testing.assert_array_equal(gone, replayed.trace.state == GONE)
    np.testing.assert_array_equal(np.array([each.action for each in made])[~gone], found.decisions[~gone, 0])
    np.testing.assert_array_equal([each.alert for each in made], replayed.trace.alert)
    ours = {each.place: (each.said.spec, each.said.why, each.voted, each.said.safe) for each in found.overruled}
    theirs = {
        place: (each.overruled.spec, each.overruled.why, each.overruled.voted, each.overruled.safe)
        for place, each in enumerate(made)
        if each.overruled is not None
    }
    assert ours == theirs
    assert ours
    # A rule of the score holds that the score, too, is that of the event.
    assert specs != TEAM or "sure-first" in {spec for spec, *_ in ours.values()}
    assert {each.standing for each in made} == {"free", "open", "cleared", "gone"}
