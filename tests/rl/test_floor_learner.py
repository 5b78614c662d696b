"""The value-loss floor that the learner logs, on probes whose floor is known.

The floor is logged in normalised units: times the squared deviation of the targets' statistics it is in squared reward.
Single iterations scatter (a rollout holds few independent returns), so averages over iterations are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from torch import Tensor

from custodes.env.probes import Bandit, Chain, Noise, make_probe
from custodes.env.probes.base import Probe
from custodes.rl.acting import Actor
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import iterate
from custodes.rl.returns import Estimator
from custodes.rl.state import LearnerState, create

CONFIG = LearnerConfig(encoder=8, hidden=8, chunk=16, epochs=2, minibatches=2, returns="mc", learning_rate=1e-2)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one iteration logged, and what acted in it."""

    floor: float
    """Normalised units."""
    loss: float
    """Of the acting critics, normalised units."""
    deviation: Tensor
    """[G]: units of reward."""
    policy: Tensor
    """[A, actions]: probabilities of the first decision of slot 0."""


def learn(probe: Probe, config: LearnerConfig, iterations: int, seed: int = 0) -> list[Line]:
    learner = create(replace(config, gamma=probe.discount), probe, seed)
    lines = []
    for i in range(iterations):
        policy = first_policy(learner)
        metrics = iterate(learner, probe, replace(config, gamma=probe.discount), i / iterations)
        floor, loss = metrics["value_loss_floor"], metrics["value_loss"]
        lines.append(Line(floor=floor, loss=loss, deviation=learner.norm.deviation, policy=policy))
    return lines


def first_policy(learner: LearnerState) -> Tensor:
    position = learner.position
    return Actor(learner.policy).step(position.observation, position.state).logits[0].softmax(-1)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("algorithm", ["ippo", "mappo"])
def test_independent_rewards_under_discount_099(algorithm: Literal["ippo", "mappo"]) -> None:
    """Every rollout is one whole episode per slot, so that targets are returns to the very end.

    Asserts: floor within 10 % of the variance of the return; and since no critic can do better than a constant here,
    the acting critics' loss is at the floor too.
    """
    probe = make_probe("noise", slots=64, agents=2, seed=1, steps=64, discount=0.99)
    assert isinstance(probe, Noise)
    lines = learn(probe, replace(CONFIG, algorithm=algorithm, rollout=64, learning_rate=2e-3), 16)
    in_reward = mean([line.floor * float(line.deviation.square().mean()) for line in lines])
    assert in_reward == pytest.approx(probe.floor(), rel=0.1)
    assert mean([line.loss for line in lines]) == pytest.approx(mean([line.floor for line in lines]), rel=0.1)


def test_a_bandit_whose_policy_changes() -> None:
    """The critic does not see the arm, so the floor is the reward's variance under the policy that acted.

    Asserts: floor within 10 % of it, both at the start (arms alike) and at the end (best arm), where it is a third
    lower.
    """
    probe = make_probe("bandit", slots=32, agents=2, seed=0)
    assert isinstance(probe, Bandit)
    lines = learn(probe, replace(CONFIG, rollout=32), 32)
    known = [
        mean([probe.floor(line.policy[a].tolist()) / float(line.deviation[a]) ** 2 for a in range(2)]) for line in lines
    ]
    for part in (slice(0, 8), slice(8, 32)):
        assert mean([line.floor for line in lines[part]]) == pytest.approx(mean(known[part]), rel=0.1)
    first, last = (mean([probe.floor(arms) for arms in line.policy.tolist()]) for line in (lines[0], lines[-1]))
    assert last < 0.75 * first, "the policy must change for this test to tell which one is meant"


@pytest.mark.parametrize(("returns", "rollout"), [("mc", 32), ("td0", 32), ("mc", 30), ("gae", 30)])
def test_a_chain_without_noise(returns: Estimator, rollout: int) -> None:
    """The input tells the place and with it the whole future: nothing is left that a critic could not know.

    A rollout of 30 steps cuts episodes of 8, whose targets then hold the critic's own value; that is known too.

    Asserts: below 0.01 in normalised units (1 would be the targets' variance) in each of the last 12 of 32 iterations,
    when the critic has learnt; for whole episodes from the first iteration on; and while the critic's own loss starts
    above 0.5, so that it is the floor that is near 0 and not everything.
    """
    probe = make_probe("chain", slots=16, agents=1, seed=0)
    assert isinstance(probe, Chain)
    assert probe.floor() == 0.0
    lines = learn(probe, replace(CONFIG, returns=returns, rollout=rollout), 32)
    assert all(0.0 <= line.floor < 0.01 for line in (lines if rollout == 32 else lines[20:]))
    assert lines[0].loss > 0.5
    if returns != "td0":  # Its targets move with the critic, so its loss falls more slowly.
        assert mean([line.loss for line in lines[-5:]]) < 0.01


def test_it_is_estimated_as_often_as_asked() -> None:
    probe = make_probe("bandit", slots=8, agents=1, seed=0)
    config = replace(CONFIG, rollout=8, floor_every=3)
    learner = create(config, probe, 0)
    found = [iterate(learner, probe, config, 0.0)["value_loss_floor"] for _ in range(7)]
    assert [value is not None for value in found] == [False, False, True, False, False, True, False]
