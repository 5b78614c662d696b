from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from custodes.env.lanes import build_lanes
from custodes.env.response.config import ResponseConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import SUPPRESSED
from custodes.env.response.worth import worth_of
from custodes.errors import CustodesError
from custodes.evaluate.response.outcome import outcome
from tests.env.response.games import environment, lanes_of, rows_seen, votes
from tests.env.response.worlds import Event, World, decisions, worlds

SMALL = World(
    events=(Event(time=1, entity="p"), Event(time=2, entity="q"), Event(time=3, entity="p")),
    rows=(0, 1, 2),
    costs=ResponseCosts(),
)
Said = dict[int, NDArray[np.int8]]


def policy(draw: st.DrawFn, world: World) -> Said:
    """What is said of each row in each of the three states."""
    said = decisions(draw, len(world.rows))
    triples = said if said.ndim == 2 else np.stack([said] * 3, axis=1)
    return dict(zip(world.rows, triples, strict=True))


@st.composite
def games(draw: st.DrawFn, most: int = 24) -> tuple[World, Said, int]:
    """A world, a policy, and a window."""
    world = draw(worlds(lanes=True, most=most))
    return world, policy(draw, world), draw(st.sampled_from((0, 0, 3)))


def saved_by(world: World, recording: Recording, said: dict[int, NDArray[np.int8]]) -> tuple[float, NDArray[np.int8]]:
    """What a replay saves in which nothing but these rows is acted upon, and each row's fate."""
    triples = np.zeros((len(world.rows), 3), dtype=np.int8)
    for part, row in enumerate(recording.source.tolist()):
        triples[part] = said.get(row, 0)
    found = outcome(recording, triples, world.costs)
    # Doing nothing costs the harm of all that is malicious, and no more.
    allow = float(recording.harm.sum())
    fate = np.zeros(len(world.events), dtype=np.int8)
    fate[recording.source] = found.replayed.fate
    return allow - found.cost, fate


@settings(max_examples=120, deadline=None)
@given(games())
def test_a_lanes_rewards_are_what_its_replay_saves(case: tuple[World, Said, int]) -> None:
    world, said, window = case
    lanes, recording = lanes_of(world, window), world.recording
    count = len(lanes.start)
    env = environment(world, ResponseConfig(slots=count, reward_scale=1.0), shuffle=False, window=window)
    observation = env.reset()
    rewards: list[list[float]] = [[] for _ in range(count)]
    going = [True] * count
    while any(going):
        step = env.step(votes(said, observation))
        for slot in np.flatnonzero(going):
            rewards[slot].append(float(step.team_reward[slot]))
            going[slot] = not (step.terminated[slot] or step.truncated[slot])
            if going[slot]:
                continue
            rows = lanes.rows(int(slot)).tolist()
            expected, fate = saved_by(world, recording, {row: said[row] for row in rows})
            assert sum(rewards[slot]) == pytest.approx(expected, rel=1e-5, abs=1e-4)
            cut = len(rewards[slot]) < len(rows)
            assert bool(step.terminated[slot]) or not cut
            # A lane that ends early ends because nothing of it executes any more, and one that goes on can still act.
            assert not cut or (fate[rows[len(rewards[slot]) :]] == SUPPRESSED).all()
        observation = step.observation


@settings(max_examples=40, deadline=None)
@given(games(most=14))
def test_an_action_is_worth_what_it_saves_if_nothing_more_is_done(case: tuple[World, Said, int]) -> None:
    """Reward by definition, also of the votes that were not followed: a difference of two replays."""
    world, said, _ = case
    lanes, recording = lanes_of(world), world.recording
    config = ResponseConfig(slots=1, reward_scale=0.5, credit="individual")
    # Of eleven agents three may lie: four vote for one action each, and the other seven decide.
    env = environment(world, config, agents=11, shuffle=False)
    observation = env.reset()
    for lane in range(len(lanes.start)):
        done: Said = {}
        before, over = 0.0, False
        for row in lanes.rows(lane).tolist():
            if over:
                break
            assert rows_seen(observation) == [row]
            decision = votes(said, observation)
            step = env.step(torch.cat((torch.tensor([[0, 1, 2, 3]]), decision.expand(1, 7)), dim=1))
            assert int(step.decision) == int(decision)
            after = [saved_by(world, recording, done | {row: np.full(3, action, np.int8)})[0] for action in range(4)]
            worth = [0.5 * (each - before) for each in after]
            assert step.reward[0, :4].tolist() == pytest.approx(worth, rel=1e-5, abs=1e-4)
            assert step.reward[0, 4:].tolist() == pytest.approx([worth[int(decision)]] * 7, rel=1e-5, abs=1e-4)
            assert float(step.team_reward) == float(step.reward[0, 4])
            done[row], before = np.full(3, int(decision), np.int8), after[int(decision)]
            over, observation = bool(step.terminated | step.truncated), step.observation


def test_a_quarantine_that_the_analyst_outlasts_is_refused() -> None:
    world = replace(SMALL, costs=replace(SMALL.costs, quarantine_s=600.0, analyst_s=600.0))
    with pytest.raises(CustodesError, match=r"costs\.quarantine_s") as caught:
        worth_of(world.recording, lanes_of(world), world.costs)
    assert "\n" not in str(caught.value)


def test_lanes_of_other_rows_are_refused() -> None:
    part = replace(SMALL, rows=(0, 2))
    with pytest.raises(CustodesError, match="play row 1, which"):
        worth_of(part.recording, lanes_of(SMALL), part.costs)


def test_lanes_of_several_processes_are_refused() -> None:
    lanes = build_lanes(SMALL.dataset, SMALL.rows, "by_stream")
    with pytest.raises(CustodesError, match="use by_entity"):
        worth_of(SMALL.recording, lanes, SMALL.costs)
