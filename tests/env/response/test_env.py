from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env as check_gymnasium
from pettingzoo.test import parallel_api_test, parallel_seed_test
from torch import Tensor

from custodes.env.check import check_env
from custodes.env.gymnasium import SingleView
from custodes.env.pettingzoo import ParallelView
from custodes.env.response.config import ResponseConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.env import ResponseEnv
from custodes.env.table import EnvTable
from custodes.errors import CustodesError
from custodes.interface import Observation, Step
from tests.env.response.games import city, environment, lanes_of, rows_seen, states, table_of
from tests.env.response.worlds import Event, World

CITY = city()


def life(*labels: int, step: float = 1.0, costs: ResponseCosts | None = None) -> World:
    """One process with an event every `step` seconds, and another one that does nothing wrong."""
    events = [Event(time=1 + index * step, entity="p", label=label) for index, label in enumerate(labels)]
    events.append(Event(time=1 + len(labels) * step, entity="q"))
    return World(events=tuple(events), rows=tuple(range(len(events))), costs=costs or ResponseCosts())


def play_one(world: World, actions: list[int], **config: Any) -> list[Step]:
    """Decisions of one agent in one slot, on the first lane."""
    env = environment(world, ResponseConfig(slots=1, reward_scale=1.0, **config), shuffle=False)
    env.reset()
    return [env.step(torch.tensor([[action]])) for action in actions]


def random_play(env: ResponseEnv, steps: int, seed: int) -> list[Step]:
    generator = torch.Generator().manual_seed(seed)
    return [env.step(torch.randint(0, 4, (env.slots, env.agents), generator=generator)) for _ in range(steps)]


def tensors(step: Step) -> list[Tensor]:
    seen = [step.observation, step.successor]
    views = [tensor for each in seen for tensor in (each.agents, each.central, each.mask) if tensor is not None]
    return [*views, step.reward, step.team_reward, step.terminated, step.truncated, step.decision, step.label]


def test_a_block_saves_what_would_have_followed_and_ends_the_lane() -> None:
    costs = ResponseCosts(phase_harm=90.0)
    first, second = play_one(life(1, 0, 1, 1, costs=costs), [0, 3])
    assert (float(first.team_reward), bool(first.terminated)) == (0.0, False)
    assert float(second.team_reward) == pytest.approx(60.0 - 0.02)
    assert bool(second.terminated)
    assert rows_seen(second.successor) == [2]
    assert rows_seen(second.observation) == [4]


def test_an_alert_is_paid_for_its_verdict_which_ends_the_lane() -> None:
    costs = ResponseCosts(phase_harm=90.0, analyst_s=1.5, quarantine_s=2)
    steps = play_one(life(1, 0, 1, 1, costs=costs), [1, 0])
    assert [float(step.team_reward) for step in steps] == pytest.approx([60.0 - 0.1, 0.0])
    assert [bool(step.terminated) for step in steps] == [False, True]
    assert states(steps[0].successor) == [1]


def test_a_cleared_process_is_left_alone_for_its_time() -> None:
    costs = ResponseCosts(analyst_s=1.5, quarantine_s=2, cleared_s=2.0)
    steps = play_one(life(0, 0, 0, 0, 0, 0, costs=costs), [2, 2, 2, 1, 1, 0])
    assert [states(step.successor)[0] for step in steps[:-1]] == [1, 2, 2, 0, 1]
    expected = [-1.0 - 0.1 - 2 * 0.01, 0, 0, 0, -0.1, 0]
    assert [float(step.team_reward) for step in steps] == pytest.approx(expected)


def test_a_block_overtakes_a_promised_verdict() -> None:
    costs = ResponseCosts(phase_harm=90.0, analyst_s=2.5, quarantine_s=3)
    alerted = [float(step.team_reward) for step in play_one(life(1, 1, 1, costs=costs), [1, 3])]
    assert alerted == pytest.approx([-0.1, 60.0])
    held = [float(step.team_reward) for step in play_one(life(1, 1, 1, costs=costs), [2, 3])]
    assert held == pytest.approx([90.0 - 0.1, 0.0])


def test_credit_goes_to_votes_or_to_the_decision() -> None:
    world = life(1, 1, costs=ResponseCosts(phase_harm=90.0))
    for credit, expected in (("individual", [0.0, -0.1, 89.9, 90.0]), ("team", [89.9] * 4)):
        config = ResponseConfig(slots=1, reward_scale=1.0, credit="team" if credit == "team" else "individual")
        env = environment(world, config, agents=4, shuffle=False)
        env.reset()
        step = env.step(torch.tensor([[0, 1, 2, 3]]))
        assert int(step.decision) == 2
        assert step.reward[0].tolist() == pytest.approx(expected)
        assert step.team_reward.tolist() == pytest.approx([89.9])


def test_rewards_scale() -> None:
    whole = play_one(CITY, [2, 0, 3, 1, 2, 0])
    env = environment(CITY, ResponseConfig(slots=1, reward_scale=0.25), shuffle=False)
    env.reset()
    for step, action in zip(whole, [2, 0, 3, 1, 2, 0], strict=True):
        assert float(env.step(torch.tensor([[action]])).team_reward) == pytest.approx(0.25 * float(step.team_reward))


def by_lane(world: World, slots: int) -> dict[int, list[tuple[float, bool, bool, int]]]:
    """First whole run through each lane under actions that the row decides: reward, ends and row of each step."""
    env = environment(world, ResponseConfig(slots=slots), shuffle=False)
    said = torch.from_numpy(np.random.default_rng(5).choice(4, len(world.events), p=(0.6, 0.2, 0.15, 0.05)))
    observation = env.reset()
    runs: dict[int, list[tuple[float, bool, bool, int]]] = {}
    going: list[list[tuple[float, bool, bool, int]]] = [[] for _ in range(slots)]
    while len(runs) < env.lanes:
        rows = rows_seen(observation)
        step = env.step(said[rows].unsqueeze(1))
        assert step.lane is not None
        ends = step.terminated | step.truncated
        for slot, row in enumerate(rows):
            ended = bool(step.terminated[slot]), bool(step.truncated[slot])
            going[slot].append((float(step.team_reward[slot]), *ended, row))
            if ends[slot]:
                runs.setdefault(int(step.lane[slot]), going[slot])
                going[slot] = []
        observation = step.observation
    return runs


def test_batch_size_changes_nothing() -> None:
    count = len(lanes_of(CITY).start)
    alone = by_lane(CITY, 1)
    for slots in (3, count, 2 * count):
        assert by_lane(CITY, slots) == alone


def test_order_of_slots_changes_nothing() -> None:
    """The same slots in another order go on the same way, but for the lanes that they take next."""
    env = environment(CITY, ResponseConfig(slots=6, credit="individual"), agents=4, shuffle=False)
    env.reset()
    random_play(env, 3, 0)
    state, other = env.state(), torch.tensor([3, 0, 5, 1, 4, 2])
    mixed = {name: value[other] if value.shape == (6,) else value for name, value in state.items()}
    actions = torch.randint(0, 4, (6, 4), generator=torch.Generator().manual_seed(4))
    env.load_state(state)
    expected = env.step(actions)
    env.load_state(mixed)
    found = env.step(actions[other])
    assert torch.equal(found.reward, expected.reward[other])
    assert torch.equal(found.terminated, expected.terminated[other])
    assert found.successor.mask is not None
    assert expected.successor.mask is not None
    assert torch.equal(found.successor.mask, expected.successor.mask[other])


@pytest.mark.parametrize("share", [0.0, 0.4])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_state_continues_to_the_last_bit_in_another_environment(share: float, shuffle: bool) -> None:
    config = ResponseConfig(slots=5, lane_share=share, credit="individual")
    env = environment(CITY, config, agents=4, shuffle=shuffle)
    env.reset()
    for warm in range(6):
        before = random_play(env, 3, warm)[-1].observation
        state = env.state()
        kept = {name: value.clone() for name, value in state.items()}
        expected = random_play(env, 25, 100 + warm)
        assert all(torch.equal(value, kept[name]) for name, value in state.items())
        other = environment(CITY, config, agents=4, shuffle=shuffle, seed=9)
        restored = other.load_state(state)
        assert all(torch.equal(value, kept[name]) for name, value in other.state().items())
        assert torch.equal(restored.agents, before.agents)
        assert states(restored) == states(before)
        for now, then in zip(random_play(other, 25, 100 + warm), expected, strict=True):
            assert all(torch.equal(left, right) for left, right in zip(tensors(now), tensors(then), strict=True))


@pytest.mark.parametrize("agents", [1, 4])
@pytest.mark.parametrize("window", [0, 4])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_it_keeps_the_promises_of_the_interface(agents: int, window: int, share: float) -> None:
    config = ResponseConfig(slots=7, lane_share=share)
    check_env(environment(CITY, config, agents=agents, window=window), 200)


def response(seed: int) -> ResponseEnv:
    return environment(CITY, ResponseConfig(slots=1), agents=4, seed=seed)


def test_it_passes_the_tests_of_pettingzoo() -> None:
    parallel_api_test(ParallelView(response), num_cycles=200)
    parallel_seed_test(lambda: ParallelView(response), num_cycles=100)


def test_views_tell_the_masks() -> None:
    view = ParallelView(response)
    _, infos = view.reset(seed=1)
    assert infos["agent_0"]["action_mask"].tolist() == [1, 1, 1, 1]
    _, info = SingleView(response).reset(seed=1)
    assert info["action_mask"].tolist() == [1, 1, 1, 1]


@pytest.fixture
def registered() -> Iterator[str]:
    """The environment under a name: the checker warns about one that it cannot make again."""
    name = "custodes/Response-v0"

    def make(**options: Any) -> SingleView:
        return SingleView(response, **options)

    gymnasium.register(name, entry_point=make)
    yield name
    gymnasium.registry.pop(name)


def test_it_passes_the_tests_of_gymnasium(registered: str) -> None:
    check_gymnasium(gymnasium.make(registered).unwrapped)


def test_no_label_reaches_an_observation() -> None:
    """Turning labels around changes rewards; inputs and masks stay as long as nothing is done."""
    turned = tuple(replace(event, label=1 - event.label if event.label in (0, 1) else 2) for event in CITY.events)
    seen: list[list[Observation]] = []
    for world in (CITY, replace(CITY, events=turned)):
        env = environment(world, ResponseConfig(slots=3), shuffle=False)
        env.reset()
        seen.append([env.step(torch.zeros((3, 1), dtype=torch.int64)).observation for _ in range(60)])
    for one, other in zip(*seen, strict=True):
        assert torch.equal(one.agents, other.agents)
        assert torch.equal(one.central, other.central)
        assert states(one) == states(other)


def test_lanes_of_malicious_processes_are_drawn_as_often_as_asked_and_weighed_for_it() -> None:
    lanes = lanes_of(CITY)
    guilty = {event.entity for event in CITY.events if event.label == 1}
    bad = np.array([CITY.events[row].entity in guilty for row in lanes.order[lanes.start]])
    env = environment(CITY, ResponseConfig(slots=500, lane_share=0.5))
    env.reset()
    # Block at once, so that every step starts lanes anew.
    steps = [env.step(torch.full((500, 1), 3)) for _ in range(20)]
    drawn = torch.cat([step.lane for step in steps if step.lane is not None]).numpy()
    weight = torch.cat([step.weight for step in steps if step.weight is not None]).numpy()
    assert bad[drawn].mean() == pytest.approx(0.5, abs=0.02)
    assert np.unique(weight[bad[drawn]]).tolist() == pytest.approx([bad.mean() / 0.5])
    assert np.unique(weight[~bad[drawn]]).tolist() == pytest.approx([(1 - bad.mean()) / 0.5])
    # Weighed, a mean over draws is the mean over the recording's lanes.
    assert (weight * lanes.length[drawn]).mean() == pytest.approx(lanes.length.mean(), rel=0.1)
    counts = np.bincount(drawn, minlength=len(bad))
    assert np.ptp(counts[bad]) <= 1
    assert np.ptp(counts[~bad]) <= 1
    assert environment(CITY).step(torch.zeros((4, 1), dtype=torch.int64)).weight is None


@pytest.mark.parametrize(("labels", "which"), [((0, 0), "malicious"), ((1, 1), "benign")])
def test_a_share_of_lanes_that_are_not_there_is_refused(labels: tuple[int, int], which: str) -> None:
    events = tuple(Event(time=1.0 + index, entity=f"p{index}", label=label) for index, label in enumerate(labels))
    world = World(events=events, rows=(0, 1), costs=ResponseCosts())
    with pytest.raises(CustodesError, match=f"no process of the part is {which}"):
        environment(world, ResponseConfig(lane_share=0.5))


def test_parts_that_do_not_fit_are_refused() -> None:
    world = life(0, 1)
    small = EnvTable.from_numpy(np.zeros((2, 1)), [0, 0])
    with pytest.raises(CustodesError, match="row 2 of a table of 2"):
        ResponseEnv(small, lanes_of(world), world.recording, world.costs, ResponseConfig())
    with pytest.raises(CustodesError, match="1 agents cannot stand 1 liars"):
        ResponseEnv(table_of(world), lanes_of(world), world.recording, world.costs, ResponseConfig(), f=1)


@pytest.mark.parametrize(
    "actions",
    [
        torch.zeros((4, 2), dtype=torch.int64),
        torch.zeros((3, 1), dtype=torch.int64),
        torch.zeros((4, 1), dtype=torch.float32),
        torch.full((4, 1), 4),
        torch.full((4, 1), -1),
    ],
)
def test_bad_actions_are_refused_and_change_nothing(actions: Tensor) -> None:
    env = environment(CITY)
    env.reset()
    before = env.state()
    with pytest.raises(CustodesError, match=r"env\.step"):
        env.step(actions)
    assert all(torch.equal(value, before[name]) for name, value in env.state().items())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lane", torch.full((4,), 999)),
        ("position", torch.full((4,), -1)),
        ("queue", torch.zeros(3, dtype=torch.int64)),
        ("cursor", torch.tensor([0])),
        ("cursor", torch.tensor([0, 999])),
        ("generator", None),
        ("alert", None),
        ("alert", torch.zeros(4)),
        ("alert", torch.full((4,), -2)),
        ("alert", torch.full((4,), 500)),
        ("quarantine", torch.zeros(4, dtype=torch.int64)),
        ("quarantine", torch.full((4,), -7)),
        ("quarantine", None),
        ("status", torch.full((4,), 4)),
        ("status", torch.full((4,), -1)),
        ("status", torch.full((4,), 3)),
        ("status", None),
    ],
)
def test_a_foreign_state_is_refused_and_changes_nothing(name: str, value: Tensor | None) -> None:
    env = environment(CITY, ResponseConfig(slots=4, lane_share=0.5))
    env.reset()
    random_play(env, 2, 0)
    before = env.state()
    nothing = torch.full((4,), -1)
    state = {**before, "status": torch.zeros(4, dtype=torch.int64), "alert": nothing, "quarantine": nothing}
    env.load_state(state)
    env.load_state(before)
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises(CustodesError, match="environment state"):
        env.load_state(state)
    assert all(torch.equal(item, before[key]) for key, item in env.state().items())


def test_a_queue_of_the_other_kind_of_lanes_is_refused() -> None:
    env = environment(CITY, ResponseConfig(slots=4, lane_share=0.5))
    state = env.state()
    with pytest.raises(CustodesError, match="permutation"):
        env.load_state(state | {"queue": state["queue"].flip(0)})
