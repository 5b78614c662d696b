"""A team at work decides what the same team decides on the whole recording, also in batches and after restarts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from custodes.data.features.online import Limits
from custodes.env.lanes import build_lanes
from custodes.env.response.replay import MASKS, SUPPRESSED, replay
from custodes.errors import CustodesError
from custodes.evaluate.response.record import in_order
from custodes.serve import Decision, Team
from custodes.serve.analysts import RecordedAnalysts
from custodes.team.team import Play
from custodes.team.team import Team as PlayingTeam
from custodes.train import checkpoint
from tests.serve.conftest import Case, make_case

SECOND = 10**9


def offline(case: Case) -> Play:
    """The whole recording as evaluation plays it, every process from its first event."""
    env = case.workload.env
    window = env.window if env.task == "response" else 0
    lanes = build_lanes(case.workload.dataset, np.arange(len(case.workload.dataset)), env.lanes, window)
    return PlayingTeam.of(case.policy).play(case.workload.table, lanes, MASKS)


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("rl.core=gru", "team.views=disjoint"),
        ("rl.sharing=shared", "team.agents=7", "rl.encoder=0"),
        ("env.task=triage", "env.lanes=by_stream", "rl.algorithm=mappo"),
        ("env.task=triage", "env.lanes=rows"),
    ],
)
def test_votes_are_those_of_the_whole_recording(tmp_path: Path, changes: tuple[str, ...]) -> None:
    case = make_case(tmp_path / "run", *changes)
    play = offline(case)
    team = Team.load(case.path)
    made = team.observe_many(case.events())
    states = {"free": 0, "open": 1, "cleared": 2, "gone": 0}
    assert play.votes_by_state is not None
    votes = np.empty_like(play.votes_by_state)
    votes[play.rows] = play.votes_by_state
    score = np.empty_like(play.score)
    score[play.rows] = play.score
    expected = [votes[row, :, states[each.standing]].tolist() for row, each in enumerate(made)]
    assert [list(each.votes) for each in made] == expected
    np.testing.assert_allclose([each.score for each in made], score, atol=2e-3)
    assert len({each.action for each in made}) > 1
    assert team.counts.decisions == team.counts.events == len(made)


@pytest.mark.parametrize("entities", [4, 30, 5000])
def test_a_batch_decides_as_its_events_one_by_one_to_the_last_bit(case: Case, entities: int) -> None:
    events, limits = case.events(0, 300), Limits(entities=entities)
    single = Team.load(case.path, limits=limits, specs="library")
    one_by_one = [single.observe(event) for event in events]
    sizes = np.random.default_rng(entities)
    for most in (3, 300):
        batched = Team.load(case.path, limits=limits, specs="library")
        together: list[Decision] = []
        while len(together) < len(events):
            together += batched.observe_many(events[len(together) :][: int(sizes.integers(1, most + 1))])
        assert together == one_by_one
        assert batched.memory() == single.memory()
    assert (single.counts.forgotten["entities"] > 0) == (entities < 10)


def test_with_the_replay_s_analysts_it_does_what_the_replay_does(case: Case) -> None:
    """Alerts, verdicts, what they allow and whom they block: the live team against the evaluation's full replay."""
    workload, costs = case.workload, case.workload.costs
    play = offline(case)
    assert play.decisions_by_state is not None
    recording = workload.recording(np.arange(len(workload.dataset)))
    replayed = replay(recording, in_order(recording, play.rows, play.decisions_by_state), costs)

    team = Team.load(case.path)
    recorded = case.events()
    events = [recorded[row] for row in recording.source.tolist()]
    start = min(event["time"] for event in events)
    guilty: dict[tuple[str, str], int] = {}
    for event in events:
        if event["label"] == 1:
            guilty.setdefault((event["stream"], event["entity"]), event["time"])
    analysts = RecordedAnalysts(team, costs, guilty)
    made = []
    for event in events:
        analysts.answer(event["time"])
        decision = team.observe(event)
        if decision.alert:
            analysts.ask((decision.stream, decision.entity), event["time"])
        made.append(decision)

    gone = np.array([each.standing == "gone" for each in made])
    blocks = np.array([each.action == 3 for each in made])
    assert Counter(each.standing for each in made).keys() == {"free", "open", "cleared", "gone"}
    # An event that is gone live never executed in the replay; a Block suppresses the very event that it is about.
    quarantined = sum(1 for each in made if each.action == 2)
    assert quarantined
    np.testing.assert_array_equal(replayed.fate[blocks] == SUPPRESSED, True)
    assert (replayed.fate[gone] == SUPPRESSED).all()
    live = [(each.stream, each.entity, each.time) for each in made if each.alert]
    entity = {number: key for key, number in zip(_keys(events), recording.forest.entity.tolist(), strict=True)}
    past = [(*entity[who], round(when * SECOND) + start) for who, when, _ in replayed.alerts]
    assert live == past


def _keys(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(event["stream"], event["entity"]) for event in events]


@pytest.mark.parametrize("at", [0, 1, 777])
def test_saved_and_restored_goes_on_to_the_last_bit(case: Case, tmp_path: Path, at: int) -> None:
    file = tmp_path / "state"
    events = case.events(0, 1200)
    first = Team.load(case.path, specs="library")
    first.observe_many(events[:at])
    for event in events[:at:50]:
        first.verdict(event["entity"], bool(len(event["entity"]) % 2), stream=event["stream"])
    first.save(file)
    second = Team.load(case.path, specs="library", state=file)
    assert second.memory() == first.memory()
    assert second.observe_many(events[at:]) == first.observe_many(events[at:])
    again = tmp_path / "again"
    second.save(again)
    first.save(file)
    ours, theirs = checkpoint.load_file(again), checkpoint.load_file(file)
    assert ours.scalars == theirs.scalars
    assert all(torch.equal(ours.tensors[name], theirs.tensors[name]) for name in theirs.tensors)


def test_a_state_of_something_else_is_refused(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "state"
    Team.load(case.path).save(file)
    with pytest.raises(CustodesError, match="other rules"):
        Team.load(case.path, specs="library", state=file)
    with pytest.raises(CustodesError, match="other limits"):
        Team.load(case.path, limits=Limits(entities=9), state=file)
    with pytest.raises(CustodesError, match="other times"):
        Team.load(case.path, answer_s=1.0, state=file)
    other = make_case(tmp_path / "other", seed=12)
    with pytest.raises(CustodesError, match="other networks"):
        Team.load(other.path, state=file)
    with pytest.raises(CustodesError, match="no state of a running team"):
        Team.load(case.path, state=case.path / "checkpoints" / "last.safetensors")
    damaged = file.read_bytes()
    file.write_bytes(damaged[:-1] + bytes([damaged[-1] ^ 1]))
    with pytest.raises(CustodesError, match="damaged"):
        Team.load(case.path, state=file)


def test_memory_is_bounded_and_a_forgotten_process_is_a_new_one(case: Case) -> None:
    team = Team.load(case.path, limits=Limits(entities=20, objects=50), specs="library")
    event = case.events(0, 1)[0]
    first = team.observe({**event, "entity": "a", "parent": ""})
    for step in range(600):
        team.observe({**event, "entity": f"p{step}", "parent": "", "object": f"o{step}"})
    assert team.encoder.held["entities"] == 20
    assert team.recurrent.shape[2] <= 22
    assert team.counts.forgotten["entities"] == 581
    again = team.observe({**event, "entity": "a", "parent": ""})
    assert (again.standing, again.votes) == (first.standing, first.votes)
    memory = team.memory()
    assert len(memory["standings"]) <= 20
    assert len(memory["watching"][1]) <= 20


def test_verdicts(case: Case) -> None:
    team = Team.load(case.path)
    event = case.events(0, 1)[0]
    person = {"entity": "x", "stream": "s", "parent": "", "time": 10 * SECOND}
    assert not team.verdict("x", True, stream="s")
    team.observe({**event, **person})
    assert team.verdict("x", False, stream="s")
    assert team.observe({**event, **person}).standing == "cleared"
    later = 10 * SECOND + int(case.workload.costs.cleared_s * SECOND)
    assert team.observe({**event, **person, "time": later}).standing == "cleared"
    assert team.observe({**event, **person, "time": later + 1}).standing in ("free", "open")
    assert team.verdict("x", True, stream="s")
    gone = team.observe({**event, **person, "time": later + 2})
    assert (gone.standing, gone.action, gone.alert) == ("gone", 3, False)
    child = team.observe({**event, "entity": "y", "stream": "s", "parent": "x", "time": later + 3})
    assert child.standing == "gone"


def test_history_gives_inputs_and_no_decision(case: Case) -> None:
    events = case.events(0, 900)
    whole, parts = Team.load(case.path), Team.load(case.path)
    whole.observe_many(events)
    assert parts.remember(events) == 900
    assert parts.counts.decisions == 0
    assert parts.encoder.state() == whole.encoder.state()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"time": None}, "column time is missing"),
        ({"time": 1.5}, "time is 1.5, not a whole number"),
        ({"time": True}, "time is True"),
        ({"time": 1 << 63}, "beyond 64 bits"),
        ({"entity": None}, "column entity is missing"),
        ({"kind": ["x"]}, "kind is .* not text"),
        ({"channel": "radio"}, "channel is 'radio'"),
        ({"size": "big"}, "size is 'big', not a number"),
        ({"size": float("nan")}, "size is not finite"),
        ({"label": 7}, "label is 7"),
    ],
)
def test_what_is_no_event_is_refused_and_changes_nothing(case: Case, change: dict[str, Any], told: str) -> None:
    team = Team.load(case.path)
    event = case.events(0, 1)[0]
    team.observe(event)
    before = team.memory()
    with pytest.raises(CustodesError, match=told):
        team.observe({**event, **change})
    assert team.memory() == before


def test_defaults_and_labels_change_no_decision(case: Case) -> None:
    events = case.events(0, 300)
    plain = Team.load(case.path).observe_many(events)
    blind = [{**event, "label": None, "phase": None, "more": "x"} for event in events]
    assert Team.load(case.path).observe_many(blind) == plain


def test_other_settings_of_the_response_count(case: Case) -> None:
    assert replace(case.workload.costs, cleared_s=1.0) != case.workload.costs
    with pytest.raises(CustodesError, match="no run here"):
        Team.load(case.path / "checkpoints")
