"""What did not teach its agent counts nowhere: losses, statistics and the update as if it were not there."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.interface import Step
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import form_targets, iterate
from custodes.rl.losses import mean_of, ppo_losses
from custodes.rl.normalise import ValueNorm
from custodes.rl.ppo import update
from custodes.rl.rollout import Rollout, collect
from custodes.rl.state import LearnerState, create
from tests.rl.worlds import Staggered

CONFIG = LearnerConfig(encoder=8, hidden=8, rollout=16, epochs=2, minibatches=2, gamma=0.0)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_losses_are_those_of_the_rows_that_count(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    parts = [torch.randn(40, 3, generator=g) * 0.3 for _ in range(7)]
    learns = torch.rand(40, 3, generator=g) < 0.6
    got = ppo_losses(*parts, 0.2, 0.1, learns)  # type: ignore[arg-type, call-arg]
    for agent in range(3):
        mine = learns[:, agent]
        alone = ppo_losses(*(part[mine, agent : agent + 1] for part in parts), 0.2, 0.1)  # type: ignore[arg-type, call-arg]
        for one, other in zip(got[:3], alone[:3], strict=True):
            torch.testing.assert_close(one[agent], other[0])
    everything = ppo_losses(*parts, 0.2, 0.1, torch.ones(40, 3, dtype=torch.bool))  # type: ignore[arg-type, call-arg]
    for one, other in zip(everything, ppo_losses(*parts, 0.2, 0.1), strict=True):  # type: ignore[arg-type, call-arg]
        torch.testing.assert_close(one, other)


def test_the_mean_of_nothing_is_zero() -> None:
    assert mean_of(torch.ones(3), torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_value_statistics_leave_out_what_does_not_count() -> None:
    targets = torch.randn(50, 2) * 3 + 1
    learns = torch.rand(50, 2, generator=torch.Generator().manual_seed(0)) < 0.5
    start = ValueNorm.start(2).updated(torch.zeros(1, 2) + 2, 0.5)
    got = start.updated(targets, 0.5, learns)
    for group in range(2):
        one = ValueNorm.start(1).updated(torch.zeros(1, 1) + 2, 0.5)
        alone = one.updated(targets[learns[:, group], group][:, None], 0.5)
        assert got.mean[group].item() == pytest.approx(alone.mean.item())
        assert got.square[group].item() == pytest.approx(alone.square.item())
    none = start.updated(targets, 0.5, torch.zeros(50, 2, dtype=torch.bool))
    assert torch.equal(none.mean, start.mean)


def collected(learner: LearnerState, env: Staggered) -> Rollout:
    rollout, _ = collect(
        learner.policy, env, learner.position, learner.norm, learner.acting, steps=16, chunk=16, bootstrap=False
    )
    return rollout


def test_an_agent_that_learns_from_nothing_stands_still_and_the_others_do_not_notice() -> None:
    learns = torch.ones(16, 6, 2, dtype=torch.bool)
    learns[..., 0] = False
    after = []
    for mask in (learns, torch.ones_like(learns)):
        env = Staggered()
        learner = create(CONFIG, env, 0)
        before = [p.clone() for p in learner.policy.actor(0).parameters()]
        rollout = replace(collected(learner, env), learns=mask)
        targets = form_targets(rollout, CONFIG)
        update(learner, rollout, targets, CONFIG, learning_rate=1e-2, entropy_coefficient=0.01)
        moved = any(not torch.equal(a, b) for a, b in zip(before, learner.policy.actor(0).parameters(), strict=True))
        assert moved == bool(mask[..., 0].any())
        after.append([p.clone() for p in learner.policy.actor(1).parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*after, strict=True))


def test_what_a_liar_got_changes_nothing() -> None:
    """Rewards and actions that do not count may be anything: the same bits are learned."""
    learns = torch.rand(16, 6, 2, generator=torch.Generator().manual_seed(3)) < 0.5
    after = []
    for noise in (0.0, 100.0):
        env = Staggered()
        learner = create(CONFIG, env, 0)
        rollout = replace(collected(learner, env), learns=learns)
        wild = torch.where(learns, rollout.reward, rollout.reward + noise)
        rollout = replace(rollout, reward=wild)
        targets = form_targets(rollout, CONFIG)
        update(learner, rollout, targets, CONFIG, learning_rate=1e-2, entropy_coefficient=0.01)
        after.append([p.clone() for p in learner.policy.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*after, strict=True))


class HalfLearning(Staggered):
    """Agent 1 learns in every other slot only, and is told nonsense in the others."""

    def step(self, actions: torch.Tensor) -> Step:
        step = super().step(actions)
        learns = torch.ones(self.slots, self.agents, dtype=torch.bool)
        learns[::2, 1] = False
        return replace(step, reward=torch.where(learns, step.reward, -5.0 * step.reward), learns=learns)


@pytest.mark.parametrize("algorithm", ["ippo", "mappo"])
def test_it_learns_in_spite_of_slots_that_would_teach_the_opposite(algorithm: str) -> None:
    config = replace(CONFIG, rollout=32, learning_rate=5e-3, epochs=4, algorithm=algorithm)  # type: ignore[arg-type]
    env = HalfLearning(slots=32)
    learner = create(config, env, 0)
    lines = [iterate(learner, env, config, i / 25) for i in range(25)]
    assert lines[-1]["f1"] > 0.9
    assert max(line["ratio_error"] for line in lines) < 1e-5
    assert all(line["explained_variance"] is not None for line in lines)
