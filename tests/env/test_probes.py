from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from custodes.env.check import check_env
from custodes.env.probes import PROBES, Bandit, Chain, Noise, Probe, make_probe, mean_return
from custodes.errors import CustodesError
from custodes.interface import Observation

NAMES = list(PROBES)
GAMMA = 0.95


class Script:
    """Actions by the step of the episode, the same in every slot; the same for all agents."""

    def __init__(self, probe: Probe, actions: tuple[int, ...]) -> None:
        self.probe, self.actions = probe, torch.tensor(actions)
        self.time = torch.zeros(probe.slots, dtype=torch.int64)

    def __call__(self, observation: Observation, begins: Tensor) -> Tensor:
        self.time = torch.where(begins, 0, self.time + 1)
        return self.actions[self.time].unsqueeze(1).expand(-1, self.probe.agents)


class Cue:
    """Plays the cue of the episode's first step all along, or its opposite."""

    def __init__(self, probe: Probe, opposite: bool = False) -> None:
        self.probe, self.opposite = probe, opposite
        self.cue = torch.zeros(probe.slots, dtype=torch.int64)

    def __call__(self, observation: Observation, begins: Tensor) -> Tensor:
        self.cue = torch.where(begins, (observation.central[:, 0] > 0).to(torch.int64), self.cue)
        actions = 1 - self.cue if self.opposite else self.cue
        return actions.unsqueeze(1).expand(-1, self.probe.agents)


def uniform(probe: Probe, steps: int) -> float:
    generator = torch.Generator().manual_seed(1)
    shape = (probe.slots, probe.agents)
    return mean_return(probe, lambda *_: torch.randint(0, probe.actions, shape, generator=generator), steps)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("agents", [1, 3, 4])
def test_every_probe_keeps_the_promises(name: str, agents: int) -> None:
    settings: dict[str, Any] = {"steps": 20} if name == "noise" else {}
    check_env(make_probe(name, slots=5, agents=agents, seed=2, **settings), steps=60)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "noise"])
@pytest.mark.parametrize("agents", [1, 4])
def test_uniform_play_earns_what_is_stated(name: str, agents: int) -> None:
    probe = make_probe(name, slots=2000, agents=agents)
    # Slots that are cut off in the middle of an episode favour short ones, so play many of the longest.
    assert uniform(probe, 150) == pytest.approx(probe.uniform, abs=0.02 * max(1.0, abs(probe.optimum)))


@pytest.mark.parametrize(
    ("name", "settings", "length"),
    [
        ("value_only", {}, 1),
        ("terminated", {"steps": 4}, 4),
        ("truncated", {"steps": 4}, 4),
        ("chain", {"steps": 5}, 5),
        ("ending_action", {"steps": 6}, 6),
        ("ending_action", {"steps": 6, "discount": 0.6}, 6),
        ("truncation_vs_termination", {"cut": 2, "end": 4}, 5),
        ("bandit", {"deviation": 0.0}, 1),
    ],
)
def test_no_plan_beats_the_optimum_and_one_reaches_it(name: str, settings: dict[str, Any], length: int) -> None:
    """Every open-loop plan is tried; these probes draw nothing that a plan could react to."""
    probe = make_probe(name, slots=1, agents=2, **settings)
    plans = product(range(probe.actions), repeat=length)
    earned = [mean_return(probe, Script(probe, plan), length) for plan in plans]
    assert max(earned) == pytest.approx(probe.optimum)
    assert [probe.solved(value) for value in earned].count(True) >= 1
    if probe.uniform < probe.optimum:
        assert not probe.solved(min(earned))


@pytest.mark.parametrize(("name", "wrong"), [("memory", -1.0), ("delayed_reward", 0.0)])
@pytest.mark.parametrize("delay", [1, 5])
def test_the_cue_decides(name: str, wrong: float, delay: int) -> None:
    probe = make_probe(name, slots=20, agents=3, delay=delay)
    assert mean_return(probe, Cue(probe), 60) == pytest.approx(GAMMA**delay) == pytest.approx(probe.optimum)
    assert mean_return(probe, Cue(probe, opposite=True), 60) == pytest.approx(wrong * GAMMA**delay)


def test_without_memory_nothing_is_earned() -> None:
    probe = make_probe("memory", slots=2000)
    assert mean_return(probe, lambda *_: torch.ones((2000, 1), dtype=torch.int64), 60) == pytest.approx(0, abs=0.05)


def test_delayed_reward_hides_whether_the_first_action_was_right() -> None:
    seen: list[Tensor] = []
    for action in (0, 1):
        probe = make_probe("delayed_reward", slots=1, seed=4)
        probe.reset()
        actions = torch.tensor([[action]])
        seen.append(torch.stack([probe.step(actions).successor.central for _ in range(6)]))
    assert torch.equal(*seen)


def test_truncation_and_termination_look_the_same() -> None:
    pair = [make_probe(name, slots=2, steps=4) for name in ("terminated", "truncated")]
    observations = [probe.reset() for probe in pair]
    assert torch.equal(observations[0].agents, observations[1].agents)
    for index in range(9):
        left, right = (probe.step(torch.zeros((2, 1), dtype=torch.int64)) for probe in pair)
        assert torch.equal(left.observation.agents, right.observation.agents)
        assert torch.equal(left.successor.agents, right.successor.agents)
        assert torch.equal(left.reward, right.reward)
        assert bool(left.terminated.all()) == bool(right.truncated.all()) == (index % 4 == 3)
        assert not bool(left.truncated.any() | right.terminated.any())
    assert [probe.optimum for probe in pair] == pytest.approx([(1 - GAMMA**4) / (1 - GAMMA), 1 / (1 - GAMMA)])


def test_the_better_way_flips_where_truncation_counts_as_an_end() -> None:
    probe = make_probe("truncation_vs_termination", slots=1)
    endless, ending = (mean_return(probe, Script(probe, (first, *[0] * 9)), 10) for first in (0, 1))
    assert endless == pytest.approx(1 / (1 - GAMMA))
    assert endless > ending == pytest.approx((1 - GAMMA**10) / (1 - GAMMA))
    probe.tail = 0.0
    assert mean_return(probe, Script(probe, (0, *[0] * 9)), 10) < ending


@pytest.mark.parametrize("name", NAMES)
def test_values_agree_with_their_successors(name: str) -> None:
    """Bellman: along the best policy each value is the reward plus the discounted value of what truly follows."""
    settings: dict[str, Any] = {"deviation": 0.0} if name in ("bandit", "noise") else {}
    probe = make_probe(name, slots=6, seed=1, **settings)
    observation, begins = probe.reset(), torch.ones(6, dtype=torch.bool)
    cue = Cue(probe)
    for _ in range(25):
        best = {
            "memory": cue(observation, begins),
            "delayed_reward": cue(observation, begins),
            "bandit": torch.full((6, 1), 3),
            "ending_action": observation.central[:, -1:].to(torch.int64),
        }.get(name, torch.zeros((6, 1), dtype=torch.int64))
        before = probe.values()
        step = probe.step(best)
        begins = step.terminated | step.truncated
        following = torch.where(begins, step.truncated * probe.tail, probe.values())
        assert torch.allclose(before, step.team_reward + probe.discount * following, atol=1e-5)
        observation = step.observation


def test_the_first_value_is_the_optimum() -> None:
    for name in NAMES:
        probe = make_probe(name, slots=3)
        probe.reset()
        assert probe.values().tolist() == pytest.approx([probe.optimum] * 3)


def returns_by_definition(rewards: Tensor, discount: float) -> Tensor:
    """Double loop over [T, B] rewards of one whole episode."""
    out = torch.zeros_like(rewards)
    for time in range(len(rewards)):
        for later in range(time, len(rewards)):
            out[time] += discount ** (later - time) * rewards[later]
    return out


@pytest.mark.parametrize("discount", [0.0, 0.9, 1.0])
def test_the_floor_of_noise_is_the_variance_of_its_returns(discount: float) -> None:
    probe = Noise(4000, 1, 0, steps=6, deviation=2.0, discount=discount)
    probe.reset()
    still = torch.zeros((4000, 1), dtype=torch.int64)
    returns = returns_by_definition(torch.cat([probe.step(still).reward for _ in range(6)], 1).T, discount)
    assert float((returns**2).mean()) == pytest.approx(probe.floor(), rel=0.05)
    assert Noise(1, 1, 0, steps=6, deviation=2.0).floor(discount) == probe.floor()


def test_noise_says_nothing_about_its_rewards() -> None:
    probe = Noise(4000, 1, 0, steps=4)
    observation = probe.reset()
    reward = probe.step(torch.zeros((4000, 1), dtype=torch.int64)).reward
    both = torch.cat((observation.central, reward), 1)
    assert float(torch.corrcoef(both.T).triu(1).abs().max()) < 0.06


def test_the_floor_of_a_bandit_counts_the_choice() -> None:
    probe = Bandit(20000, 1, 0)
    probe.reset()
    policy = (0.1, 0.2, 0.3, 0.4)
    arms = torch.multinomial(torch.tensor(policy), 20000, replacement=True, generator=torch.Generator().manual_seed(0))
    reward = probe.step(arms.unsqueeze(1)).reward
    assert float(reward.var()) == pytest.approx(probe.floor(policy), rel=0.05)


def test_a_chain_is_known_from_what_is_seen() -> None:
    probe = Chain(2, 1, 0, steps=4)
    observation = probe.reset()
    values: dict[tuple[float, ...], float] = {}
    for _ in range(12):
        key = tuple(observation.central[0].tolist())
        assert values.setdefault(key, float(probe.values()[0])) == float(probe.values()[0])
        observation = probe.step(torch.zeros((2, 1), dtype=torch.int64)).observation
    assert len(values) == 4
    assert probe.floor() == 0


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("memory", {"delay": 0}, "a delay of 0"),
        ("delayed_reward", {"delay": 0}, "a delay of 0"),
        ("chain", {"steps": 0}, "0 steps"),
        ("noise", {"steps": 0}, "0 steps"),
        ("terminated", {"steps": 0}, "0 steps"),
        ("ending_action", {"steps": 0}, "0 steps"),
        ("truncation_vs_termination", {"cut": 5, "end": 5}, "1 <= cut < end"),
        ("memory", {"slots": 0}, "0 slots"),
        ("memory", {"agents": 0}, "0 agents"),
        ("memory", {"colour": 1}, "probe memory: .*colour"),
        ("nothing", {}, "unknown probe 'nothing'; use one of value_only"),
    ],
)
def test_bad_settings_are_refused(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CustodesError, match=message):
        make_probe(name, **settings)


def test_bad_steps_are_refused() -> None:
    probe = make_probe("memory", slots=2)
    with pytest.raises(CustodesError, match="call reset"):
        probe.step(torch.zeros((2, 1), dtype=torch.int64))
    probe.reset()
    for actions in (torch.zeros((1, 1), dtype=torch.int64), torch.zeros((2, 1)), torch.full((2, 1), 2)):
        with pytest.raises(CustodesError, match=r"probe\.step"):
            probe.step(actions)
    with pytest.raises(CustodesError, match="it belongs to another probe"):
        probe.load_state(make_probe("memory", slots=3).state())


def test_a_score_needs_an_episode() -> None:
    probe = make_probe("memory", slots=2)
    with pytest.raises(ValueError, match="no episode"):
        mean_return(probe, Cue(probe), 5)
    assert math.isfinite(mean_return(probe, Cue(probe), 6))
