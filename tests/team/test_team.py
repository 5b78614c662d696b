"""A team at play equals the same team deciding event by event, however the lanes are grouped and cut."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import custodes.team.team as team_module
from custodes.bft.votes import QUARANTINE, severity_decision, tolerated
from custodes.env.lanes import Lanes
from custodes.env.table import EnvTable
from custodes.interface import Observation
from custodes.rl.acting import Actor
from custodes.rl.config import LearnerConfig
from custodes.rl.networks import Policy
from custodes.team.team import PLACES, Play, Team, lane_groups

EVENTS, INPUTS, AGENTS = 220, 5, 4
LENGTHS = (1, 37, 5, 5, 90, 2, 13, 1, 1, 37)


def make_lanes(lengths: tuple[int, ...] = LENGTHS, rows: int = EVENTS, seed: int = 0) -> Lanes:
    """Lanes over some of the table's rows, in no order."""
    length = np.array(lengths, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(rows)[: length.sum()].astype(np.int64)
    end = length.cumsum()
    return Lanes(
        order=order,
        start=end - length,
        length=length,
        terminated=np.zeros(len(length), dtype=np.bool_),
        successor=order[end - 1],
    )


def make_table(agents: int = AGENTS, *, masked: bool = True, seed: int = 0) -> EnvTable:
    draw = np.random.default_rng(seed)
    columns = draw.random((agents, INPUTS)) < 0.7 if masked else None
    rows = draw.random((agents, EVENTS)) < 0.7 if masked else None
    features = draw.normal(size=(EVENTS, INPUTS)).astype(np.float32)
    return EnvTable.from_numpy(features, draw.integers(0, 2, EVENTS), columns, rows, agents=agents)


def make_policy(
    core: Literal["lstm", "gru"] = "lstm",
    sharing: Literal["none", "shared"] = "none",
    algorithm: Literal["ippo", "mappo"] = "ippo",
    *,
    agents: int = AGENTS,
    encoder: int = 6,
) -> Policy:
    """A policy that is sure of itself, so that rounding changes no vote."""
    config = LearnerConfig(core=core, sharing=sharing, algorithm=algorithm, encoder=encoder, hidden=7)
    torch.manual_seed(3)
    policy = Policy(config, agents=agents, inputs=INPUTS, central_inputs=INPUTS, actions=4)
    with torch.no_grad():
        for network in policy.networks()[: len(policy.actors)]:
            assert network.policy_head is not None
            network.policy_head.weight.mul_(1000.0)
            for name, parameter in network.core.named_parameters():
                parameter.mul_(2.0) if "weight" in name else parameter.normal_(std=0.3)
    return policy


def step_by_step(policy: Policy, table: EnvTable, lanes: Lanes) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Votes [M, A] and probabilities of containment [M, A], one event of one lane at a time."""
    actor = Actor(policy)
    votes, contained = [], []
    for lane in range(len(lanes.start)):
        state = policy.initial_state(1)
        for row in lanes.rows(lane):
            seen = torch.zeros(1, policy.agents, INPUTS)
            for agent in range(policy.agents):
                if table.row_mask[agent, row]:
                    seen[0, agent] = torch.where(table.column_mask[agent], table.features[row], 0.0)
            acted = actor.step(Observation(agents=seen, central=table.features[row][None]), state)
            state = acted.state
            probability = acted.logits[0].softmax(-1)
            votes.append(probability.argmax(-1).numpy())
            contained.append(probability[:, QUARANTINE:].sum(-1).numpy())
    return np.stack(votes), np.stack(contained)


def check(play: Play, policy: Policy, table: EnvTable, lanes: Lanes, f: int) -> None:
    votes, contained = step_by_step(policy, table, lanes)
    assert np.array_equal(play.rows, lanes.order)
    assert play.lanes.tolist() == [lane for lane, length in enumerate(lanes.length) for _ in range(length)]
    assert play.votes.dtype == np.int8
    assert np.array_equal(play.votes, votes)
    assert play.decisions.tolist() == [int(severity_decision(ballot, f)) for ballot in votes]
    ranked = [sorted(row, reverse=True)[f] for row in contained.tolist()]
    np.testing.assert_allclose(play.score, np.array(ranked), atol=1e-5)


@pytest.mark.parametrize("core", ["lstm", "gru"])
@pytest.mark.parametrize("sharing", ["none", "shared"])
@pytest.mark.parametrize(("masked", "places"), [(True, PLACES), (False, PLACES), (True, 16), (False, 1)])
def test_equals_deciding_event_by_event(
    core: Literal["lstm", "gru"],
    sharing: Literal["none", "shared"],
    masked: bool,
    places: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 16 places, lanes of 37 and 90 events are played in several pieces, short ones side by side."""
    monkeypatch.setattr(team_module, "PLACES", places)
    policy, table, lanes = make_policy(core, sharing), make_table(masked=masked), make_lanes()
    play = Team.of(policy).play(table, lanes)
    check(play, policy, table, lanes, f=1)
    assert len(np.unique(play.votes)) >= 3, "the votes of this test must differ to tell anything"
    assert len(np.unique(play.decisions)) >= 2


def test_agents_with_own_weights_vote_apart() -> None:
    """The comparison can fail: agents in the wrong order would show."""
    play = Team.of(make_policy()).play(make_table(masked=False), make_lanes())
    assert all((play.votes[:, a] != play.votes[:, b]).any() for a in range(AGENTS) for b in range(a))


@pytest.mark.parametrize("agents", [1, 2, 7])
@pytest.mark.parametrize("encoder", [0, 6])
def test_teams_of_other_sizes_with_a_central_critic(agents: int, encoder: int) -> None:
    policy, table = make_policy(algorithm="mappo", agents=agents, encoder=encoder), make_table(agents)
    team, lanes = Team.of(policy), make_lanes()
    assert team.f == tolerated(agents)
    check(team.play(table, lanes), policy, table, lanes, team.f)


@pytest.mark.parametrize("f", [0, 1])
def test_the_score_ranks_as_the_vote_rule_decides(f: int) -> None:
    """Fewer liars to stand: a higher order statistic. Containment needs more than f votes either way."""
    policy, table, lanes = make_policy(), make_table(), make_lanes()
    play = Team(policy=policy, f=f).play(table, lanes)
    check(play, policy, table, lanes, f)
    contained = (play.votes >= QUARANTINE).sum(1) > f
    assert np.array_equal(play.decisions >= QUARANTINE, contained)
    assert 0 < contained.mean() < 1


def test_a_team_refuses_more_liars_than_it_can_stand() -> None:
    with pytest.raises(ValueError, match="do not fit n = 4 agents"):
        Team(policy=make_policy(), f=2).play(make_table(), make_lanes())


def test_a_lane_is_played_alike_alone_and_among_others() -> None:
    policy, table, lanes = make_policy(), make_table(), make_lanes()
    together = Team.of(policy).play(table, lanes)
    for lane in (0, 4, 9):
        rows = lanes.rows(lane)
        alone = Lanes(
            order=rows,
            start=np.zeros(1, dtype=np.int64),
            length=lanes.length[lane : lane + 1],
            terminated=lanes.terminated[lane : lane + 1],
            successor=lanes.successor[lane : lane + 1],
        )
        play = Team.of(policy).play(table, alone)
        mine = together.lanes == lane
        assert np.array_equal(play.votes, together.votes[mine])
        np.testing.assert_allclose(play.score, together.score[mine], atol=1e-5)


def test_playing_twice_gives_the_same_bits_and_leaves_the_team_as_it_was() -> None:
    policy, table, lanes = make_policy(), make_table(), make_lanes()
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    features = table.features.clone()
    first, second = Team.of(policy).play(table, lanes), Team.of(policy).play(table, lanes)
    assert np.array_equal(first.score, second.score)
    assert np.array_equal(first.votes, second.votes)
    assert all(torch.equal(before[name], value) for name, value in policy.state_dict().items())
    assert torch.equal(table.features, features)
    assert all(p.grad is None for p in policy.parameters())


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=40), places=st.integers(1, 100))
def test_groups_hold_every_lane_once_with_little_padding(lengths: list[int], places: int) -> None:
    lanes = make_lanes(tuple(lengths), rows=sum(lengths))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(team_module, "PLACES", places)
        groups = list(lane_groups(lanes))
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    longest = [int(lanes.length[group].max()) for group in groups]
    assert longest == sorted(longest, reverse=True)
    held = [len(group) * most for group, most in zip(groups, longest, strict=True)]
    assert all(h <= max(places, most) for h, most in zip(held, longest, strict=True))
    # A group pads its lanes at most to the next group's longest: over all groups, a logarithm of the longest.
    assert sum(held) - sum(lengths) <= places * (1 + math.log(max(lengths)))
