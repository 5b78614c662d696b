"""What is asked about liars, and the record of a play, in both tasks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
import pytest
import torch

from custodes.data.config import DataConfig
from custodes.data.synthetic.config import SyntheticConfig
from custodes.env.response.replay import MASKS
from custodes.env.triage import TriageConfig
from custodes.errors import CustodesError
from custodes.evaluate.byzantine.record import bft_record, siege_of
from custodes.evaluate.byzantine.refused import USED
from custodes.evaluate.response.policy import score_response
from custodes.rl.config import LearnerConfig
from custodes.rl.networks import Policy
from custodes.team.config import TeamConfig
from custodes.team.team import Team
from custodes.team.workload import Workload, prepare

DATA = DataConfig(
    source="synthetic",
    split="entity",
    synthetic=SyntheticConfig(hosts=2, processes=40, events=4_000, campaigns=10),
)


@cache
def workload(task: Literal["triage", "response"]) -> Workload:
    return prepare(DATA, TriageConfig(task=task, lanes="by_entity", window=64), TeamConfig())


@cache
def team(seed: int = 0) -> Team:
    """Untrained, but for a head that makes it act now and then."""
    inputs = workload("response").table.inputs
    torch.manual_seed(seed)
    policy = Policy(LearnerConfig(hidden=8, encoder=8), agents=4, inputs=inputs, central_inputs=inputs, actions=4)
    for agent in range(4):
        head = policy.actor(agent).policy_head
        assert head is not None
        torch.nn.init.normal_(head.weight, std=3.0)
        torch.nn.init.zeros_(head.bias)
        with torch.no_grad():
            head.bias[0] = 2.0
    return Team.of(policy)


@pytest.mark.parametrize(
    ("attack", "byzantine", "attacks", "counts"),
    [
        ("flip", 1, ("flip",), (1,)),
        ("flip", None, ("flip",), (0, 1, 2)),
        (None, 2, 8, (2,)),
        ("all", 0, 8, (0,)),
    ],
)
def test_flags_say_what_is_asked(
    attack: str | None, byzantine: int | None, attacks: tuple[str, ...] | int, counts: tuple[int, ...]
) -> None:
    siege = siege_of(attack, byzantine, 4, seats=0)
    assert siege is not None
    assert siege.counts == counts
    assert siege.attacks == attacks if isinstance(attacks, tuple) else len(siege.attacks) == attacks
    assert "traitor" not in siege.attacks


def test_a_trained_traitor_is_one_of_all() -> None:
    siege = siege_of("all", None, 4, seats=2)
    assert siege is not None
    assert "traitor" in siege.attacks
    assert siege_of(None, None, 4, seats=2) is None
    small = siege_of("all", None, 1, seats=0)
    assert small is not None
    assert small.counts == (0, 1)


@pytest.mark.parametrize(
    ("attack", "byzantine", "line"),
    [
        ("bribe", None, "--attack: unknown attack bribe"),
        ("traitor", None, "no traitor has been trained"),
        ("flip", 5, "--byzantine: 5 of 4 agents cannot lie"),
        (None, -1, "--byzantine: -1 of 4"),
    ],
)
def test_what_cannot_be_asked_is_one_line(attack: str | None, byzantine: int | None, line: str) -> None:
    with pytest.raises(CustodesError, match=line):
        siege_of(attack, byzantine, 4, seats=0)


@pytest.mark.parametrize(("attack", "byzantine", "seats"), [("traitor", 3, 2), (None, 3, 2), ("all", None, 1)])
def test_more_liars_than_the_traitor_plays_are_refused(attack: str | None, byzantine: int | None, seats: int) -> None:
    with pytest.raises(CustodesError, match=rf"up to {seats} liars, not {byzantine or 2}; use fewer"):
        siege_of(attack, byzantine, 4, seats=seats)
    assert siege_of("flip", byzantine, 4, seats=seats) is not None
    assert siege_of("traitor", seats, 4, seats=seats) is not None


def test_the_clean_rows_are_the_teams_own_response() -> None:
    given, ours = workload("response"), team()
    play = ours.play(given.table, given.lanes("test"), MASKS, confident=True)
    assert play.decisions_by_state is not None
    scored = score_response(given, "test", rows=play.rows, decisions=play.decisions_by_state, baselines=()).record
    asked = siege_of("always-block", None, 4, seats=0)
    record = bft_record(given, "test", play, f=1, siege=asked, response=scored)
    clean = record.table[0]
    assert (clean.rule, clean.byzantine) == (USED, 0)
    assert clean.worst.score == scored.score
    assert clean.worst.false_containments == scored.false_containments
    assert clean.worst.malicious_prevented == scored.malicious_prevented
    assert clean.worst.time_to_contain_s == scored.time_to_contain_s
    assert (record.n, record.f, record.byzantine, record.attack) == (4, 1, 1, "always-block")
    one = next(row for row in record.table if row.rule == USED and row.byzantine == 1)
    assert record.false_containment_rate == one.worst.false_containments_per_1000 / 1000
    assert record.suppression_rate == one.worst.suppression_rate
    # More votes for Block never contain less.
    assert one.worst.false_containments >= clean.worst.false_containments
    without = bft_record(given, "test", play, f=1, response=scored)
    assert (without.byzantine, without.attack, without.table) == (0, None, ())
    assert without.agreement == record.agreement
    assert without.false_containment_rate == scored.false_containments_per_1000 / 1000


def test_triage_has_the_same_record_of_events() -> None:
    given, ours = workload("triage"), team()
    play = ours.play(given.table, given.lanes("test"), confident=True)
    record = bft_record(given, "test", play, f=1, siege=siege_of("all", None, 4, seats=0))
    assert {row.byzantine for row in record.table} == {0, 1, 2}
    assert all(row.worst.score is None for row in record.table)
    assert record.attack is not None
    clean = record.table[0].worst
    without = bft_record(given, "test", play, f=1)
    assert without.false_containment_rate == pytest.approx(clean.false_containments_per_1000 / 1000)


def test_the_same_seed_gives_the_same_table() -> None:
    given, ours = workload("response"), team()
    play = ours.play(given.table, given.lanes("test"), MASKS, confident=True)
    siege = siege_of("random", 1, 4, seats=0)
    tables = [bft_record(given, "test", play, f=1, siege=siege, seed=seed).table for seed in (0, 0, 1)]
    assert tables[0] == tables[1]
    assert tables[0] != tables[2]


def test_confidence_is_the_probability_of_the_vote() -> None:
    given, ours = workload("response"), team()
    lanes = given.lanes("test")
    play = ours.play(given.table, lanes, MASKS, confident=True)
    assert play.confidence is not None
    assert play.confidence.shape == (len(lanes.order), 4, 4)
    assert play.confidence.min() >= 0.25
    assert (play.confidence[:, :, 0] == play.confidence[:, :, 1]).all()
    # The same vote is the surer, the fewer actions are allowed beside it.
    assert play.votes_by_state is not None
    same = play.votes_by_state[:, :, 1] == play.votes
    assert (play.confidence[:, :, 2] >= play.confidence[:, :, 1] - 1e-6)[same].all()
    assert ours.play(given.table, lanes, MASKS).confidence is None
    assert np.array_equal(ours.play(given.table, lanes, MASKS).votes, play.votes)
    with pytest.raises(ValueError, match="confident"):
        bft_record(given, "test", replace(play, confidence=None), f=1, siege=siege_of("flip", 1, 4, seats=0))
