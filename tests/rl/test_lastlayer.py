"""The last layer of a warm start by worth: the least of a quadratic form, held against the distance itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from custodes.rl.lastlayer import RIDGE, LastLayer
from custodes.rl.state import create
from custodes.rl.warmstart import warm_start
from custodes.rl.worth import distance
from tests.rl.test_ppo import SMALL
from tests.rl.test_rare_rewards import Doubtful

STEPS, WIDTH, ACTIONS = 60, 5, 4


def _steps(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features, wanted logits, masks (Allow always allowed) and weights."""
    draw = torch.Generator().manual_seed(seed)
    mask = torch.rand(STEPS, ACTIONS, generator=draw) < 0.6
    mask[:, 0] = True
    return (
        torch.randn(STEPS, WIDTH, generator=draw),
        5.0 * torch.randn(STEPS, ACTIONS, generator=draw),
        mask,
        torch.rand(STEPS, generator=draw),
    )


def _solved(seed: int, parts: int = 1) -> tuple[nn.Linear, nn.Linear]:
    """The head before and after, with the steps given in so many parts."""
    torch.manual_seed(seed)
    head, before = nn.Linear(WIDTH, ACTIONS), nn.Linear(WIDTH, ACTIONS)
    before.load_state_dict(head.state_dict())
    layer = LastLayer(head)
    for features, wanted, mask, weight in zip(*(x.tensor_split(parts) for x in _steps(seed)), strict=True):
        layer.add(features, wanted, mask, weight)
    layer.solve()
    return before, head


@pytest.mark.parametrize("seed", range(5))
def test_the_solution_is_the_least_of_the_distance_by_gradient_descents_own_measure(seed: int) -> None:
    """At it the gradient of the distance and of the pull to where the head was is nothing, by autograd in doubles."""
    before, head = _solved(seed)
    features, wanted, mask, weight = _steps(seed)
    found = head.double()
    loss = (weight.double() * distance(found(features.double()), wanted.double(), mask)).sum()
    gradients = torch.autograd.grad(loss, [found.weight, found.bias])
    ones = torch.cat((features, torch.ones(STEPS, 1)), dim=1).double()
    # The diagonal of the normal equations: each feature's square where the action may be taken, less its centring.
    allowed = mask.double()
    share = allowed - allowed / allowed.sum(1, keepdim=True)
    pull = RIDGE * float((weight.double()[:, None, None] * share[:, :, None] * ones[:, None, :] ** 2).sum(0).mean())
    for gradient, new, old in zip(gradients, (found.weight, found.bias), (before.weight, before.bias), strict=True):
        moved = (new - old).detach()
        assert float((gradient + 2.0 * pull * moved).abs().max()) < 1e-4  # float32 parameters


def test_a_step_that_is_one_in_20_000_by_weight_is_fitted_where_it_alone_tells() -> None:
    """A feature that only one step has decides that step's logits, nearly up to the pull."""
    features = torch.zeros(1001, 1)
    features[0] = 1.0
    wanted = torch.tensor([0.0, -1.0, -1.0, -5.0]).repeat(1001, 1)
    wanted[0] = torch.tensor([0.0, 1.0, 2.0, 3.0])
    weight = torch.full((1001,), 1.0)
    weight[0] = 0.05
    torch.manual_seed(0)
    head = nn.Linear(1, ACTIONS)
    layer = LastLayer(head)
    layer.add(features, wanted, None, weight)
    layer.solve()
    rare, common = head(torch.ones(1, 1))[0], head(torch.zeros(1, 1))[0]
    assert (rare - rare[0]).tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.1)
    assert (common - common[0]).tolist() == pytest.approx([0.0, -1.0, -1.0, -5.0], abs=0.01)


def test_parts_add_up() -> None:
    for whole, parted in zip(_solved(0)[1].parameters(), _solved(0, parts=7)[1].parameters(), strict=True):
        torch.testing.assert_close(whole, parted, rtol=1e-5, atol=1e-5)


def test_steps_that_do_not_count_change_nothing() -> None:
    torch.manual_seed(0)
    head = nn.Linear(WIDTH, ACTIONS)
    before = head.weight.clone()
    layer = LastLayer(head)
    features, wanted, mask, weight = _steps(0)
    layer.add(features, wanted, mask, 0.0 * weight)
    layer.solve()
    assert torch.equal(head.weight, before)


@pytest.mark.parametrize("sharing", ["none", "shared"])
def test_a_warm_start_may_end_with_it_alone(sharing: str) -> None:
    """One gradient rollout leaves the policies near uniform; the solved layer finds where containing is worth it."""
    env = Doubtful()
    config = replace(
        SMALL,
        warm_start_by="worth",
        warm_start_temperature=1.0,
        warm_start_iterations=1,
        warm_start_solve=20,
        encoder=32,
        hidden=32,
        sharing=sharing,  # type: ignore[arg-type]
    )
    learner = create(config, env, seed=0)
    decisions = learner.decisions
    assert warm_start(learner, env, config)
    assert learner.decisions - decisions == 21 * config.rollout * env.slots
    network = learner.policy.actor(0)
    outputs, _ = network(learner.policy.identify(torch.eye(3)[None], 0), learner.policy.initial_state(3).actor[:, 0])
    assert network.policy_head is not None
    assert (network.policy_head(outputs)[0].argmax(-1) >= 2).tolist() == [False, True, True]


def test_it_is_of_a_warm_start_by_worth() -> None:
    with pytest.raises(ValueError, match="warm_start_solve is above 0, and warm_start_by is not worth"):
        replace(SMALL, warm_start_by="labels", warm_start_solve=1)
