from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from custodes.env.check import check_env
from custodes.env.lanes import LaneMode, Lanes, build_lanes
from custodes.env.table import EnvTable
from custodes.env.triage import TriageConfig, TriageEnv, reward_table
from custodes.errors import CustodesError
from custodes.interface import Step
from tests.env.recordings import random_recording

# An input that names the row, so that a test can tell which event is seen.
ROW = 0


def table(events: int, agents: int = 1, labels: list[int] | None = None) -> EnvTable:
    features = np.stack((np.arange(events), np.ones(events)), axis=1).astype(np.float32)
    truth = np.random.default_rng(9).integers(-1, 3, events) if labels is None else np.array(labels)
    return EnvTable.from_numpy(features, truth, agents=agents)


def environment(
    events: int = 60,
    slots: int = 4,
    mode: LaneMode = "by_entity",
    window: int = 5,
    agents: int = 1,
    f: int = 0,
    shuffle: bool = True,
    seed: int = 0,
) -> tuple[TriageEnv, Lanes]:
    lanes = build_lanes(random_recording(events), range(events), mode, window)
    config = TriageConfig(slots=slots, lanes=mode, window=window)
    return TriageEnv(table(events, agents), lanes, config, f, seed, shuffle), lanes


def random_actions(env: TriageEnv, generator: torch.Generator) -> Tensor:
    return torch.randint(0, 4, (env.slots, env.agents), generator=generator)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    slots=st.integers(1, 9),
    shuffle=st.booleans(),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_lanes_are_played_whole_and_each_once_a_pass(
    lengths: list[int], slots: int, shuffle: bool, seed: int, data: st.DataObject
) -> None:
    count, events = len(lengths), sum(lengths)
    sizes = np.array(lengths, dtype=np.int64)
    lanes = Lanes(
        order=np.random.default_rng(seed).permutation(events),
        start=np.cumsum(sizes) - sizes,
        length=sizes,
        terminated=np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count))),
        successor=np.random.default_rng(seed + 1).integers(0, events, count),
    )
    env = TriageEnv(table(events), lanes, TriageConfig(slots=slots), 0, seed, shuffle)
    first = {int(lanes.rows(lane)[0]): lane for lane in range(count)}
    observation = env.reset()
    taken: list[int] = [first[int(row)] for row in observation.central[:, ROW]]
    current = [(lane, 0) for lane in taken]
    for _ in range(40):
        step = env.step(torch.zeros((slots, 1), dtype=torch.int64))
        for slot, (lane, place) in enumerate(current):
            rows = lanes.rows(lane)
            over = place + 1 == len(rows)
            assert int(observation.central[slot, ROW]) == rows[place]
            assert bool(step.terminated[slot]) == (over and bool(lanes.terminated[lane]))
            assert bool(step.truncated[slot]) == (over and not lanes.terminated[lane])
            follows = lanes.successor[lane] if over else rows[place + 1]
            assert int(step.successor.central[slot, ROW]) == follows
            if over:
                taken.append(first[int(step.observation.central[slot, ROW])])
            current[slot] = (taken[-1], 0) if over else (lane, place + 1)
        observation = step.observation
    for begin in range(0, len(taken) - count + 1, count):
        assert sorted(taken[begin : begin + count]) == list(range(count))
    if not shuffle:
        assert taken == [index % count for index in range(len(taken))]


def test_one_observation_serves_twice_where_no_lane_ended() -> None:
    env, _ = environment(mode="by_stream", window=0, slots=1)
    env.reset()
    step = env.step(torch.zeros((1, 1), dtype=torch.int64))
    assert step.observation is step.successor


@pytest.mark.parametrize(("label", "action"), list(product((-1, 0, 1, 2), range(4))))
def test_rewards_follow_the_definition(label: int, action: int) -> None:
    config = TriageConfig(slots=1, lanes="rows", tp=7.0, tn=2.0, fp=-3.0, fn=-5.0, containment=-0.25)
    if label == 1:
        expected = 7.0 - 0.25 if action >= 2 else -5.0
    elif label == 0:
        expected = -3.0 - 0.25 if action >= 2 else 2.0
    else:
        expected = 0.0
    lanes = build_lanes(random_recording(1), [0], "rows")
    env = TriageEnv(table(1, labels=[label]), lanes, config)
    env.reset()
    step = env.step(torch.tensor([[action]]))
    assert step.reward.tolist() == [[expected]]
    assert step.team_reward.tolist() == [expected]
    assert (int(step.label), int(step.decision)) == (label, action)


def test_default_rewards_are_those_of_the_original() -> None:
    assert reward_table(TriageConfig()).tolist() == [[1, 1, -9.5, -9.5], [-10, -10, 8.5, 8.5], [0, 0, 0, 0]]


@pytest.mark.parametrize("credit", ["individual", "team"])
def test_credit_goes_to_votes_or_to_the_decision(credit: str) -> None:
    lanes = build_lanes(random_recording(1), [0], "rows")
    config = TriageConfig(slots=1, lanes="rows", credit="team" if credit == "team" else "individual")
    env = TriageEnv(table(1, agents=4, labels=[1]), lanes, config, f=1)
    env.reset()
    step = env.step(torch.tensor([[0, 2, 3, 1]]))
    assert int(step.decision) == 2
    assert step.team_reward.tolist() == [8.5]
    assert step.reward.tolist() == [[8.5] * 4 if credit == "team" else [-10.0, 8.5, 8.5, -10.0]]
    step = env.step(torch.tensor([[0, 0, 3, 1]]))
    assert (int(step.decision), step.team_reward.tolist()) == (1, [-10.0])


def play(env: TriageEnv, steps: int, seed: int) -> list[Step]:
    generator = torch.Generator().manual_seed(seed)
    return [env.step(random_actions(env, generator)) for _ in range(steps)]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_state_continues_to_the_last_bit_in_another_environment(shuffle: bool) -> None:
    env, _ = environment(agents=4, f=1, shuffle=shuffle)
    env.reset()
    before = play(env, 37, 0)[-1].observation
    state = env.state()
    kept = {name: value.clone() for name, value in state.items()}
    expected = play(env, 120, 1)
    assert all(torch.equal(value, kept[name]) for name, value in state.items())
    other, _ = environment(agents=4, f=1, shuffle=shuffle, seed=5)
    restored = other.load_state(state)
    assert all(torch.equal(value, kept[name]) for name, value in other.state().items())
    assert torch.equal(restored.agents, before.agents)
    for now, then in zip(play(other, 120, 1), expected, strict=True):
        assert torch.equal(now.observation.agents, then.observation.agents)
        assert torch.equal(now.successor.central, then.successor.central)
        assert torch.equal(now.reward, then.reward)
        assert torch.equal(now.truncated, then.truncated)


def test_seeds_decide_the_order() -> None:
    def order(seed: int) -> list[int]:
        env, _ = environment(events=300, seed=seed)
        env.reset()
        return [int(row) for step in play(env, 30, 0) for row in step.observation.central[:, ROW]]

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize("mode", ["by_stream", "by_entity", "rows"])
@pytest.mark.parametrize("agents", [1, 4])
def test_it_keeps_the_promises_of_the_interface(mode: LaneMode, agents: int) -> None:
    env, _ = environment(mode=mode, agents=agents, f=(agents - 1) // 3, events=200)
    check_env(env, 300)


def test_no_label_reaches_an_observation() -> None:
    """Turning every label around changes rewards and labels, and not one observation."""
    lanes = build_lanes(random_recording(80), range(80), "by_stream", 7)
    labels = np.random.default_rng(3).integers(0, 2, 80)
    features = np.random.default_rng(4).normal(size=(80, 3))
    masks = np.array([[True, True, False], [False, True, True]])
    seen: list[list[Tensor]] = []
    rewards: list[Tensor] = []
    for truth in (labels, 1 - labels):
        env = TriageEnv(EnvTable.from_numpy(features, truth, masks), lanes, TriageConfig(slots=3))
        first = env.reset()
        steps = play(env, 60, 0)
        views = [first, *(step.observation for step in steps), *(step.successor for step in steps)]
        seen.append([tensor for view in views for tensor in (view.agents, view.central)])
        rewards.append(torch.stack([step.reward for step in steps]))
    assert all(torch.equal(left, right) for left, right in zip(*seen, strict=True))
    assert not torch.equal(*rewards)


@pytest.mark.parametrize(
    "actions",
    [
        torch.zeros((4, 2), dtype=torch.int64),
        torch.zeros((3, 1), dtype=torch.int64),
        torch.zeros((4, 1), dtype=torch.int32),
        torch.full((4, 1), 4),
        torch.full((4, 1), -1),
    ],
)
def test_bad_actions_are_refused(actions: Tensor) -> None:
    env, _ = environment()
    env.reset()
    with pytest.raises(CustodesError, match=r"env\.step"):
        env.step(actions)


def test_parts_that_do_not_fit_are_refused() -> None:
    lanes = build_lanes(random_recording(9), range(9), "rows")
    with pytest.raises(CustodesError, match="0 slots"):
        TriageEnv(table(9), lanes, TriageConfig(slots=0))
    with pytest.raises(CustodesError, match="1 agents cannot stand 1 liars"):
        TriageEnv(table(9), lanes, TriageConfig(), f=1)
    with pytest.raises(CustodesError, match="row 8 of a table of 5"):
        TriageEnv(table(5), lanes, TriageConfig())
    with pytest.raises(CustodesError, match="unknown credit"):
        TriageEnv(table(9), lanes, TriageConfig(credit="nobody"))  # type: ignore[arg-type]  # bad on purpose


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lane", torch.zeros(3, dtype=torch.int64)),
        ("lane", torch.full((4,), 999)),
        ("lane", torch.full((4,), -1)),
        ("position", torch.full((4,), 99)),
        ("position", torch.full((4,), -1)),
        ("position", torch.zeros(4)),
        ("queue", torch.zeros(5, dtype=torch.int64)),
        ("queue", None),
        ("cursor", torch.tensor([9999])),
        ("generator", torch.zeros(3, dtype=torch.uint8)),
        ("generator", torch.zeros(5056)),
        ("generator", None),
    ],
)
def test_a_foreign_state_is_refused_and_changes_nothing(name: str, value: Tensor | None) -> None:
    env, _ = environment()
    env.reset()
    play(env, 3, 0)
    before = env.state()
    state = dict(before)
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(CustodesError, match="environment state"):
        env.load_state(state)
    assert all(torch.equal(item, before[key]) for key, item in env.state().items())


def test_a_queue_with_a_repeated_lane_is_refused() -> None:
    env, lanes = environment()
    env.reset()
    state = env.state() | {"queue": torch.zeros(len(lanes.start), dtype=torch.int64)}
    with pytest.raises(CustodesError, match="permutation"):
        env.load_state(state)
