"""The update's invariants: ratio 1 and value unchanged before the first step; state, masks and statistics exact."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from custodes.env.check import check_env
from custodes.errors import CustodesError
from custodes.interface import Observation, Step, VectorEnv
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import form_targets, iterate
from custodes.rl.losses import compiled_losses, ppo_losses
from custodes.rl.ppo import clip_gradient, update
from custodes.rl.rollout import Position, Rollout, collect
from custodes.rl.state import LearnerState, create, pack, unpack
from custodes.rl.warmstart import warm_start
from tests.rl.worlds import Staggered

SMALL = LearnerConfig(encoder=8, hidden=8, rollout=21, epochs=2, minibatches=3, gamma=0.95)


def test_the_test_environment_conforms() -> None:
    check_env(Staggered())


@pytest.mark.parametrize("core", ["lstm", "gru"])
@pytest.mark.parametrize("chunk", [1, 7, 16, 0])
@pytest.mark.parametrize(
    ("algorithm", "sharing"), [("ippo", "none"), ("ippo", "shared"), ("mappo", "none"), ("mappo", "shared")]
)
def test_ratio_is_one_before_the_first_step_of_every_update(
    core: str, chunk: int, algorithm: str, sharing: str
) -> None:
    config = replace(SMALL, core=core, chunk=chunk, algorithm=algorithm, sharing=sharing)  # type: ignore[arg-type]
    env = Staggered()
    learner = create(config, env, seed=3)
    for i in range(4):
        line = iterate(learner, env, config, i / 4)
        assert line["ratio_error_max"] < 1e-5
        assert line["value_error"] < 1e-4
        assert line["epochs_run"] == 2


def test_a_wrong_start_state_is_seen_in_the_ratio() -> None:
    """The check can fail: zeroed start states (the original's defect 3) show at once."""
    env = Staggered(end=0.0)
    learner = create(SMALL, env, seed=0)
    for i in range(3):
        iterate(learner, env, SMALL, i / 3)
    rollout, _ = _collected(learner, env)
    broken = replace(rollout, starts_actor=torch.zeros_like(rollout.starts_actor))
    report = update(learner, broken, form_targets(broken, SMALL), SMALL, learning_rate=0.0, entropy_coefficient=0.0)
    assert report.ratio_error > 1e-4


def _collected(learner: LearnerState, env: VectorEnv) -> tuple[Rollout, Position]:
    return collect(
        learner.policy,
        env,
        learner.position,
        learner.norm,
        learner.acting,
        steps=SMALL.rollout,
        chunk=SMALL.chunk,
        bootstrap=True,
    )


def test_truncated_lanes_are_bootstrapped_from_the_true_successor() -> None:
    """next_value where a lane was cut is the value of the successor after the step's state, not of the next lane."""
    env = Staggered(slots=3, end=0.5)
    learner = create(SMALL, env, seed=1)
    steps: list[Step] = []
    play = env.step
    env.step = lambda actions: steps.append(play(actions)) or steps[-1]  # type: ignore[method-assign, func-returns-value]
    rollout, position = _collected(learner, env)
    policy = learner.policy
    for b in range(3):
        state = torch.zeros(2, 1, 8)
        for t in range(SMALL.rollout):
            if bool(rollout.begins[t, b]):
                state = torch.zeros(2, 1, 8)
            x = rollout.observation[0, t, b][None, None]
            _, state = policy.actor(0)(x, state)
            following = steps[t].successor.agents[b, 0][None, None]
            y, _ = policy.actor(0)(following, state)
            value = learner.norm.denormalise(policy.actor(0).value_head(y)[0, 0])  # type: ignore[misc]
            if not bool(rollout.terminated[t, b]):
                torch.testing.assert_close(rollout.next_value[t, b, 0], value[0], rtol=1e-4, atol=1e-4)
    assert bool((rollout.done & ~rollout.terminated).any())
    assert position.begins.shape == (3,)


def test_same_seed_same_bits_and_another_seed_others() -> None:
    def run(seed: int) -> list[torch.Tensor]:
        env = Staggered()
        learner = create(SMALL, env, seed)
        for i in range(3):
            iterate(learner, env, SMALL, i / 3)
        return [p.clone() for p in learner.policy.parameters()]

    one, two, three = run(0), run(0), run(1)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, three, strict=True))


@pytest.mark.parametrize("algorithm", ["ippo", "mappo"])
def test_packing_and_unpacking_continues_to_the_last_bit(algorithm: str) -> None:
    config = replace(SMALL, algorithm=algorithm)  # type: ignore[arg-type]
    env = Staggered()
    learner = create(config, env, 0)
    for i in range(2):
        iterate(learner, env, config, i / 4)
    tensors, scalars = pack(learner, env)
    other_env = Staggered()
    other = unpack(create(config, other_env, 99), other_env, tensors, scalars)
    lines = [[iterate(x, e, config, i / 4) for i in range(2, 4)] for x, e in ((learner, env), (other, other_env))]
    assert lines[0] == lines[1]
    for a, b in zip(learner.policy.parameters(), other.policy.parameters(), strict=True):
        assert torch.equal(a, b)


def test_it_learns_the_staggered_task() -> None:
    config = replace(SMALL, gamma=0.0, rollout=32, learning_rate=5e-3, learning_rate_end=1e-3, epochs=4)
    env = Staggered(slots=32)
    learner = create(config, env, 0)
    lines = [iterate(learner, env, config, i / 25) for i in range(25)]
    assert lines[-1]["f1"] > 0.9
    assert lines[-1]["reward_per_decision"] > 0.8


def test_warm_start_moves_the_policies_towards_the_labels_and_keeps_the_invariants() -> None:
    config = replace(SMALL, warm_start_iterations=20, learning_rate=1e-2, epochs=4, gamma=0.0)
    env = Staggered(slots=16)
    learner = create(config, env, 0)
    warm_start(learner, env, config)
    line = iterate(learner, env, config, 0.0)
    assert line["f1"] > 0.75
    assert line["ratio_error"] < 1e-5


class Masked(Staggered):
    """Action 3 is never allowed."""

    def _draw(self) -> Observation:
        seen = super()._draw()
        mask = torch.ones(self.slots, self.agents, 4, dtype=torch.bool)
        mask[..., 3] = False
        return Observation(agents=seen.agents, central=seen.central, mask=mask)

    def step(self, actions: torch.Tensor) -> Step:
        step = super().step(actions)
        mask = torch.ones(self.slots, self.agents, 4, dtype=torch.bool)
        mask[..., 3] = False
        self.now = replace(self.now, mask=mask)
        return replace(step, observation=self.now, successor=replace(step.successor, mask=mask))


def test_masked_actions_are_never_taken_and_carry_no_gradient_of_infinity() -> None:
    env = Masked()
    learner = create(SMALL, env, 0)
    for i in range(3):
        line = iterate(learner, env, SMALL, i / 3)
        assert all(shares[3] == 0.0 for shares in line["action_shares"])
        assert line["ratio_error"] < 1e-5
    assert all(bool(p.isfinite().all()) for p in learner.policy.parameters())


def test_kl_stop_ends_the_passes() -> None:
    config = replace(SMALL, target_kl=1e-6, learning_rate=5e-2, epochs=8)
    env = Staggered()
    learner = create(config, env, 0)
    iterate(learner, env, config, 0.0)
    assert iterate(learner, env, config, 0.1)["epochs_run"] < 8


def test_shared_networks_can_tell_agents_apart() -> None:
    env = Staggered(agents=3)
    learner = create(replace(SMALL, sharing="shared"), env, 0)
    x = torch.zeros(5, SMALL.encoder)[:, :3]
    told = [learner.policy.identify(x, a) for a in range(3)]
    assert [t[:, 3:].argmax(-1)[0].item() for t in told] == [0, 1, 2]
    assert len(learner.policy.networks()) == 1


@pytest.mark.parametrize("core", ["lstm", "gru"])
def test_ratio_stays_one_in_reduced_precision(core: str) -> None:
    """Collection is float32; under autocast the reference is one pass of the update's own arithmetic."""
    config = replace(SMALL, core=core, autocast=True)  # type: ignore[arg-type]
    env = Staggered()
    learner = create(config, env, 0)
    for i in range(3):
        line = iterate(learner, env, config, i / 3)
        assert line["ratio_error"] < 1e-5
        assert math.isfinite(line["value_loss_update"])


def test_ratio_stays_one_for_a_trained_team_of_the_default_size() -> None:
    config = LearnerConfig(gamma=0.95)
    env = Staggered(slots=16, agents=2)
    learner = create(config, env, 0)
    for i in range(30):
        line = iterate(learner, env, config, i / 30)
        assert line["ratio_error"] < 1e-5
        assert line["ratio_error_max"] < 1e-4


def test_minibatches_are_as_many_as_asked_for() -> None:
    config = replace(SMALL, rollout=5, chunk=1, minibatches=4, epochs=1)
    env = Staggered(slots=1)
    learner = create(config, env, 0)
    rollout, _ = collect(
        learner.policy, env, learner.position, learner.norm, learner.acting, steps=5, chunk=1, bootstrap=True
    )
    report = update(
        learner, rollout, form_targets(rollout, config), config, learning_rate=1e-3, entropy_coefficient=0.0
    )
    assert report.steps == 4


def test_value_clip_and_gradient_clip_bound_the_step() -> None:
    env = Staggered()
    learner = create(SMALL, env, 0)
    network = learner.policy.actor(0)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = clip_gradient(network, 0.5)
    after = torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None]).norm()
    assert float(before) > 0.5
    assert float(after) == pytest.approx(0.5, rel=1e-4)
    one = torch.ones(4, 1)
    losses = ppo_losses(one * 0, one, one * 5.0, one * 0, one * 0.0, one, one * 5.0, clip=0.2, value_clip=0.2)
    # The value is right, but moved further than the clip: the loss is that of the clipped value.
    assert float(losses.value) == pytest.approx(4.8**2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")
def test_compiled_losses_equal_the_plain_ones() -> None:
    g = torch.Generator().manual_seed(0)
    a, b, c, d, e, f, h = (torch.randn(64, 3, generator=g) * 0.3 for _ in range(7))
    plain = ppo_losses(a, b, c, d, e, f, h, 0.2, 0.1)
    for one, other in zip(plain, compiled_losses()(a, b, c, d, e, f, h, 0.2, 0.1), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("name", "value"),
    [("value_norm_decay", 1.0), ("entropy_decay", 5.0), ("hidden", 10**8), ("gamma", 1.5), ("learning_rate", 0.0)],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        replace(SMALL, **{name: value})  # type: ignore[arg-type]


def test_a_checkpoint_of_another_device_is_refused() -> None:
    env = Staggered()
    learner = create(SMALL, env, 0)
    tensors, scalars = pack(learner, env)
    with pytest.raises(CustodesError, match="cuda"):
        unpack(learner, env, tensors, scalars | {"device": "cuda"})
