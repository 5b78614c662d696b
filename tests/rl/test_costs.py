from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from custodes.errors import CustodesError
from custodes.rl.config import LearnerConfig
from custodes.rl.costs import CostCritics, combined, cost_advantages, discount_of, shares_of
from custodes.rl.learner import form_targets
from custodes.rl.ppo import _flatten
from custodes.rl.returns import Targets, targets
from custodes.rl.rollout import Rollout, collect
from custodes.rl.state import LearnerState, create
from tests.rl.worlds import Staggered

CONFIG = LearnerConfig(encoder=4, hidden=4, rollout=12, chunk=4)


def played(seed: int = 0, algorithm: str = "ippo") -> tuple[LearnerState, Rollout]:
    config = LearnerConfig(encoder=4, hidden=4, rollout=12, chunk=4, algorithm=algorithm)  # type: ignore[arg-type]
    env = Staggered(seed=seed)
    state = create(config, env, seed)
    rollout, state.position = collect(
        state.policy, env, state.position, state.norm, state.acting, steps=12, chunk=4, bootstrap=True
    )
    return state, rollout


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def critics(state: LearnerState, seed: int = 0) -> CostCritics:
    return CostCritics(
        state.policy,
        inputs=3,
        context=2,
        discounts=(0.0, 0.75, 1.0),
        lam=0.9,
        hidden=8,
        learning_rate=1e-2,
        epochs=2,
        seed=seed,
    )


@pytest.mark.parametrize("discount", [0.0, 0.75, 1.0])
def test_each_costs_advantages_are_generalised_ones_of_its_discount(discount: float) -> None:
    cost, value, following = (random(9, 5, 2, 1, seed=k) for k in range(3))
    done = random(9, 5, seed=7) < 0.3
    found = cost_advantages(cost, value, following, done, torch.tensor([discount]), 0.9)
    known = targets(
        "gae",
        reward=cost[..., 0],
        value=value[..., 0],
        next_value=following[..., 0],
        terminated=done[..., None],
        done=done[..., None],
        gamma=discount,
        lam=0.9,
    )
    assert torch.allclose(found[..., 0], known.advantages, atol=1e-6)


def test_nothing_is_carried_over_the_end_of_a_lane() -> None:
    cost = torch.zeros(4, 1, 1, 1)
    cost[2] = 1.0
    done = torch.tensor([[False], [True], [False], [False]])
    zero = torch.zeros_like(cost)
    found = cost_advantages(cost, zero, zero + 5.0, done, torch.tensor([1.0]), 1.0)
    assert found[:, 0, 0, 0].tolist() == [5.0 + 0.0, 0.0, 1.0 + 5.0 + 5.0, 5.0]


def test_discounts_reach_as_far_as_a_rule_does() -> None:
    assert [discount_of(delay) for delay in (0, 1, 9, None)] == [0.0, 0.5, 0.9, 1.0]


def test_the_mixture_without_multipliers_is_the_reward_alone() -> None:
    state, rollout = played()
    learnt = form_targets(rollout, CONFIG)
    costs = random(12, 6, 2, 3) - 0.5
    mixed = combined(learnt, costs, torch.zeros(3), normalise=True)
    plain = _flatten(state, rollout, learnt, CONFIG).advantage
    assert torch.allclose(mixed.advantages.flatten(0, 1), plain, atol=1e-5)
    assert torch.equal(mixed.returns, learnt.returns)


def test_costs_are_weighed_by_their_multipliers_and_not_scaled() -> None:
    zero = torch.zeros(4, 2, 1)
    learnt = Targets(returns=zero, advantages=zero)
    costs = torch.zeros(4, 2, 1, 2)
    costs[0, 0, 0, 0], costs[1, 0, 0, 1] = 1.0, 0.1
    mixed = combined(learnt, costs, torch.tensor([2.0, 10.0]), normalise=False).advantages
    assert mixed[0, 0, 0] == pytest.approx(-2.0 / 13.0)
    assert mixed[1, 0, 0] == pytest.approx(-1.0 / 13.0)
    scaled = combined(learnt, costs, torch.tensor([2.0, 10.0]), normalise=True).advantages
    assert scaled[0, 0, 0] == pytest.approx(2 * float(scaled[1, 0, 0]))
    assert float(scaled.flatten(0, 1).std(0, correction=0)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("weighed", "masked"), [(True, False), (False, True), (True, True)])
def test_the_mixture_takes_the_moments_of_the_update(weighed: bool, masked: bool) -> None:
    """Without multipliers, what the update makes of it is what it makes of the reward alone, but for the scale."""
    state, rollout = played()
    weight = random(12, 6, seed=3) + 0.1 if weighed else None
    rollout = replace(rollout, weight=weight, learns=random(12, 6, 2, seed=4) < 0.7 if masked else None)
    learnt = form_targets(rollout, CONFIG)
    share = shares_of(rollout, weigh_lanes=True)
    assert share is not None
    mixed = combined(learnt, random(12, 6, 2, 3) - 0.5, torch.zeros(3), normalise=True, share=share)
    taken = _flatten(state, rollout, mixed, replace(CONFIG, normalise_advantage=False)).advantage
    assert torch.allclose(taken, _flatten(state, rollout, learnt, CONFIG).advantage, atol=1e-4)
    assert shares_of(replace(rollout, learns=None), weigh_lanes=False) is None


def test_what_a_liar_cost_changes_nothing() -> None:
    learns = random(12, 6, 2, seed=4) < 0.6
    cost, context = random(12, 6, 2, 3), random(12, 6, 2, 2)
    found = []
    for wild in (0.0, 50.0):
        state, rollout = played()
        # Lanes of one step: nothing of a liar's is bootstrapped from.
        rollout = replace(rollout, learns=learns, done=torch.ones_like(rollout.done))
        paid = torch.where(learns[..., None], cost, cost + wild)
        share = shares_of(rollout, weigh_lanes=True)
        made = critics(state)
        lesson = made.learn(state.policy, rollout, state.position, paid, context, share)
        found.append((lesson.advantages[learns], lesson.value_loss, made.state()))
    (one, loss, kept), (other, same, again) = found
    assert torch.equal(one, other)
    assert torch.equal(loss, same)
    assert all(torch.equal(kept[name], again[name]) for name in kept)


@pytest.mark.parametrize("algorithm", ["ippo", "mappo"])
def test_critics_learn_what_is_to_be_paid(algorithm: str) -> None:
    state, rollout = played(algorithm=algorithm)
    found = critics(state)
    # What input 0 says is paid; nothing else is.
    cost = (rollout.observation[..., :1] > 0).float().permute(1, 2, 0, 3).expand(-1, -1, -1, 3)
    context = torch.zeros(12, 6, 2, 2)
    losses = [found.learn(state.policy, rollout, state.position, cost, context).value_loss for _ in range(150)]
    assert float(losses[-1][0]) < 0.2 * float(losses[0][0])
    lesson = found.learn(state.policy, rollout, state.position, cost, context)
    assert torch.allclose(lesson.advantages.mean(dim=(0, 1)), torch.zeros(2, 3), atol=1e-5)


def test_what_is_known_at_once_has_no_baseline_but_the_mean() -> None:
    """However sure the critic is that it will be paid, a policy that always does it is pushed away from it."""
    state, rollout = played()
    found = critics(state)
    cost = (rollout.observation[..., :1] > 0).float().permute(1, 2, 0, 3).expand(-1, -1, -1, 3)
    context = torch.zeros(12, 6, 2, 2)
    for _ in range(30):
        lesson = found.learn(state.policy, rollout, state.position, cost, context)
    at_once = cost[..., 0]
    assert torch.allclose(lesson.advantages[..., 0], at_once - at_once.mean(dim=(0, 1)), atol=1e-6)


def test_the_policy_is_left_alone() -> None:
    state, rollout = played()
    before = {name: value.clone() for name, value in state.policy.state_dict().items()}
    critics(state).learn(state.policy, rollout, state.position, random(12, 6, 2, 3), random(12, 6, 2, 2))
    assert all(torch.equal(before[name], value) for name, value in state.policy.state_dict().items())
    assert all(parameter.grad is None for parameter in state.policy.parameters())


def test_saved_critics_go_on_to_the_bit() -> None:
    state, rollout = played()
    one, other = critics(state), critics(state, seed=1)
    case = (state.policy, rollout, state.position, random(12, 6, 2, 3), random(12, 6, 2, 2))
    one.learn(*case)
    other.load_state(one.state())
    first, second = one.learn(*case), other.learn(*case)
    assert torch.equal(first.advantages, second.advantages)
    kept, again = one.state(), other.state()
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)
    with pytest.raises(CustodesError, match="of another run"):
        critics(state).load_state({})
