"""Learning from rare rewards: a warm start by what actions are worth, and lanes weighed as they were recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from custodes.errors import CustodesError
from custodes.interface import Observation, Step
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import form_targets, iterate
from custodes.rl.ppo import _weighted
from custodes.rl.rollout import collect
from custodes.rl.state import create
from custodes.rl.warmstart import warm_start
from tests.rl.worlds import Staggered

SMALL = LearnerConfig(encoder=8, hidden=8, rollout=16, epochs=1, minibatches=1, gamma=0.0)


class Told(Staggered):
    """The same game, which tells what each action would have earned; malicious inputs are rare if `rare` is high."""

    def __init__(self, *, rare: float = 0.0, weight: float | None = None, slots: int = 6) -> None:
        super().__init__(slots=slots)
        self.rare, self.weight = rare, weight

    def step(self, actions: Tensor) -> Step:
        bad = self.now.central[:, 0] > self.rare
        right = torch.tensor([-1.0, -1.0, 1.0, 1.0])
        worth = torch.where(bad[:, None], right * 5.0, -right)
        step = super().step(actions)
        weight = None if self.weight is None else torch.where(bad, self.weight, 1.0)
        return replace(step, reward=worth.gather(1, actions), worth=worth, weight=weight, label=bad.long())


class Doubtful(Staggered):
    """Input 0 says how likely an event is malicious: 5 %, 30 % or 80 %. Missing one costs ten false alarms."""

    CHANCES = (0.05, 0.3, 0.8)

    def __init__(self) -> None:
        super().__init__(slots=64, agents=1)

    def _draw(self) -> Observation:
        self.kind = torch.randint(0, 3, (self.slots,), generator=self.generator)
        x = torch.nn.functional.one_hot(self.kind, 3).float()
        return Observation(agents=x[:, None].clone(), central=x)

    def step(self, actions: Tensor) -> Step:
        chance = torch.tensor(self.CHANCES)[self.now.central.argmax(-1)]
        bad = torch.rand(self.slots, generator=self.generator) < chance
        contains = torch.tensor([0.0, 0.0, 1.0, 1.0])
        worth = torch.where(bad[:, None], 10.0 * contains, -contains)
        step = super().step(actions)
        return replace(step, reward=worth.gather(1, actions), worth=worth, label=bad.long())


@pytest.mark.parametrize(("by", "acts_on"), [("worth", [False, True, True]), ("labels", [False, False, True])])
def test_a_warm_start_by_worth_acts_where_errors_cost_less_than_doing_nothing(by: str, acts_on: list[bool]) -> None:
    """From 1 in 11 on containing is worth it; by labels it takes more than one in two."""
    env = Doubtful()
    config = replace(SMALL, epochs=4, warm_start_by=by, warm_start_temperature=1.0, warm_start_learning_rate=1e-2)  # type: ignore[arg-type]
    config = replace(config, warm_start_iterations=100)
    learner = create(config, env, seed=0)
    assert warm_start(learner, env, config)
    logits, _ = learner.policy.actor(0)(torch.eye(3)[None], learner.policy.initial_state(3).actor[:, 0])
    head = learner.policy.actor(0).policy_head
    assert head is not None
    chosen = head(logits)[0].argmax(-1) >= 2
    assert chosen.tolist() == acts_on


def test_a_warm_start_by_worth_ends_at_the_policy_of_most_reward_and_entropy() -> None:
    """softmax(E[worth] / temperature), which is known here."""
    env = Doubtful()
    config = replace(SMALL, warm_start_by="worth", warm_start_temperature=4.0, warm_start_iterations=200)
    learner = create(config, env, seed=0)
    assert warm_start(learner, env, config)
    outputs, _ = learner.policy.actor(0)(torch.eye(3)[None], learner.policy.initial_state(3).actor[:, 0])
    head = learner.policy.actor(0).policy_head
    assert head is not None
    found = head(outputs)[0].softmax(-1)
    for kind, chance in enumerate(Doubtful.CHANCES):
        expected = torch.tensor([0.0, 0.0, 1.0, 1.0]) * (chance * 11 - 1) / 4.0
        torch.testing.assert_close(found[kind], expected.softmax(-1), atol=0.04, rtol=0)


def test_a_warm_start_by_worth_needs_an_environment_that_tells() -> None:
    env = Staggered()
    config = replace(SMALL, warm_start_by="worth")
    with pytest.raises(CustodesError, match=r"rl\.warm_start_by: the environment does not tell"):
        warm_start(create(config, env, seed=0), env, config)


def test_lanes_weigh_as_they_were_recorded() -> None:
    """Advantages times weights, with weighted moments, by a loop; without weights nothing changes."""
    env = Told(weight=0.1)
    config = SMALL
    learner = create(config, env, seed=0)
    rollout, _ = collect(
        learner.policy,
        env,
        learner.position,
        learner.norm,
        learner.acting,
        steps=16,
        chunk=16,
        bootstrap=False,
    )
    assert rollout.weight is not None
    targets = form_targets(rollout, config)
    steps = [(t, b) for t in range(16) for b in range(6)]
    total = sum(float(rollout.weight[s]) for s in steps)
    for agent in range(2):
        mean = sum(float(rollout.weight[s] * targets.advantages[s][agent]) for s in steps) / total
        square = (
            sum(float(rollout.weight[s]) * (float(targets.advantages[s][agent]) - mean) ** 2 for s in steps) / total
        )
        found = _weighted(targets.advantages.flatten(0, 1), rollout.weight.flatten(), None, normalise=True)
        for place, s in enumerate(steps):
            weight = float(rollout.weight[s]) * len(steps) / total
            wanted = weight * (float(targets.advantages[s][agent]) - mean) / square**0.5
            assert float(found[place, agent]) == pytest.approx(wanted, abs=1e-4)


def test_weights_change_what_is_learned_only_where_they_are_asked_for() -> None:
    def learn(weight: float | None, *, weigh: bool) -> list[Tensor]:
        config = replace(SMALL, weigh_lanes=weigh)
        env = Told(weight=weight)
        learner = create(config, env, seed=0)
        for i in range(2):
            iterate(learner, env, config, i / 2)
        return [p.clone() for p in learner.policy.parameters()]

    def same(one: list[Tensor], two: list[Tensor]) -> bool:
        return all(map(torch.equal, one, two))

    plain = learn(None, weigh=True)
    assert same(plain, learn(0.1, weigh=False))
    assert not same(plain, learn(0.1, weigh=True))
