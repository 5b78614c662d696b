"""The last layer of a warm start by worth: the least of a quadratic form, held against the distance itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from custodes.interface import Observation, Step
from custodes.rl.distance import distance
from custodes.rl.lastlayer import LastLayer
from custodes.rl.rollout import Position, Rollout, collect
from custodes.rl.state import LearnerState, create
from custodes.rl.warmstart import warm_start
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
    """The head before and after, with the steps given in so many parts, in doubles."""
    torch.manual_seed(seed)
    head, before = nn.Linear(WIDTH, ACTIONS).double(), nn.Linear(WIDTH, ACTIONS).double()
    before.load_state_dict(head.state_dict())
    layer = LastLayer(head)
    for features, wanted, mask, weight in zip(*(x.tensor_split(parts) for x in _steps(seed)), strict=True):
        layer.add(features, wanted, mask, weight)
    layer.solve()
    return before, head


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("ridge", [1e-6, 1e-1])
def test_the_solution_is_the_least_of_the_distance_and_the_pull(
    seed: int, ridge: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the gradient of the distance is that of the pull to where the head was, by autograd."""
    monkeypatch.setattr("custodes.rl.lastlayer.RIDGE", ridge)
    before, head = _solved(seed)
    features, wanted, mask, weight = (x.double() for x in _steps(seed))
    loss = (weight * distance(head(features), wanted, mask.bool())).sum()
    gradients = torch.autograd.grad(loss, [head.weight, head.bias])
    inputs = torch.cat((features, torch.ones(STEPS, 1)), dim=1)
    share = mask - mask / mask.sum(1, keepdim=True)
    pull = ridge * float((weight[:, None, None] * share[:, :, None] * inputs[:, None, :] ** 2).sum(0).mean())
    for gradient, new, old in zip(gradients, (head.weight, head.bias), (before.weight, before.bias), strict=True):
        torch.testing.assert_close(gradient, -2.0 * pull * (new - old).detach(), rtol=1e-9, atol=1e-9)


def test_what_no_step_speaks_of_stays() -> None:
    """A feature that is never there keeps its weights, and the mean of all logits theirs."""
    torch.manual_seed(0)
    head = nn.Linear(WIDTH, ACTIONS).double()
    before = head.weight.detach().clone()
    features, wanted, _, weight = _steps(0)
    features[:, 2] = 0.0
    layer = LastLayer(head)
    layer.add(features, wanted, None, weight)
    layer.solve()
    assert not torch.equal(head.weight, before)
    torch.testing.assert_close(head.weight[:, 2], before[:, 2], rtol=0, atol=1e-12)
    torch.testing.assert_close(head.weight.mean(0), before.mean(0), rtol=0, atol=1e-9)


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


class Seen(Doubtful):
    """The same for two agents, of which the second sees nothing of the third kind; with masks, weights and unknowns."""

    def __init__(self) -> None:
        super().__init__()
        self.agents = 2

    def _draw(self) -> Observation:
        now = super()._draw()
        agents = now.central[:, None].repeat(1, 2, 1)
        agents[:, 1, 2] = 0.0
        return replace(now, agents=agents)

    def _masked(self) -> Observation:
        mask = torch.rand(self.slots, 2, 4, generator=self.generator) < 0.8
        mask[..., 0] = True
        self.now = replace(self.now, mask=mask)
        return self.now

    def reset(self) -> Observation:
        super().reset()
        return self._masked()

    def step(self, actions: Tensor) -> Step:
        step = super().step(actions)
        step = replace(step, observation=self._masked())
        assert step.worth is not None
        odd = torch.rand(self.slots, generator=self.generator)
        label = torch.where(odd < 0.2, 2, step.label)
        # What is unknown must not be learned from.
        worth = torch.where(label[:, None] == 2, torch.tensor([0.0, 9.0, -9.0, 9.0]), step.worth)
        return replace(step, label=label, worth=worth, weight=0.1 + odd)


@pytest.mark.parametrize("algorithm", ["ippo", "mappo"])
@pytest.mark.parametrize("sharing", ["none", "shared"])
def test_the_warm_start_ends_where_the_distance_of_each_head_is_least(
    algorithm: str, sharing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weighted, without unknowns, by each agent's own view and mask; the layers below and critics are as before it."""
    config = replace(
        SMALL,
        warm_start_by="worth",
        warm_start_temperature=1.0,
        warm_start_iterations=1,
        algorithm=algorithm,  # type: ignore[arg-type]
        sharing=sharing,  # type: ignore[arg-type]
    )
    env = Seen()
    without = create(config, env, seed=0)
    assert warm_start(without, env, config)
    rollouts: list[Rollout] = []

    def collected(*args: Any, **named: Any) -> tuple[Rollout, Position]:
        rollout, position = collect(*args, **named)
        rollouts.append(rollout)
        return rollout, position

    monkeypatch.setattr("custodes.rl.warmstart.collect", collected)
    config = replace(config, warm_start_solve=5)
    env = Seen()
    learner = create(config, env, seed=0)
    decisions = learner.decisions
    assert warm_start(learner, env, config)
    assert learner.decisions - decisions == 6 * config.rollout * env.slots
    heads = [network.policy_head for network in learner.policy.networks() if network.policy_head is not None]
    for name, value in learner.policy.named_parameters():
        assert torch.equal(value, without.policy.get_parameter(name)) == ("policy_head" not in name)
    loss, size = torch.zeros(()), torch.zeros(())
    for rollout in rollouts[1:]:
        for agent in range(2):
            one, whole = _distances(learner, rollout, agent)
            loss, size = loss + one, size + whole
    gradients = torch.autograd.grad(loss, [p for head in heads for p in head.parameters()])
    assert all(float(gradient.abs().max()) < 1e-4 * float(size) for gradient in gradients)


def _distances(learner: LearnerState, rollout: Rollout, agent: int) -> tuple[Tensor, Tensor]:
    """Weighted distances of the known steps, by playing each slot event by event; and their sum of weights."""
    T, B = rollout.begins.shape
    network = learner.policy.actor(agent)
    assert network.policy_head is not None
    assert rollout.worth is not None
    assert rollout.mask is not None
    assert rollout.weight is not None
    state, outputs = rollout.starts_actor[0][:, agent], []
    for t in range(T):
        state = state * (~rollout.begins[t])[None, :, None]  # A lane begins with nothing remembered.
        y, state = network(learner.policy.identify(rollout.observation[agent, t][None], agent), state)
        outputs.append(network.policy_head(y[0].detach()))
        state = state.detach()
    weight = (rollout.weight * (rollout.label != 2)).flatten()
    logits = torch.stack(outputs).reshape(T * B, -1)
    apart = distance(
        logits, rollout.worth.reshape(T * B, -1).clamp(-10, 10), rollout.mask[:, :, agent].reshape(T * B, -1)
    )
    return (weight * apart).sum(), weight.sum()


def test_solving_asks_for_a_warm_start_by_worth() -> None:
    with pytest.raises(ValueError, match=r"warm_start_solve is above 0: that needs warm_start_by=worth"):
        replace(SMALL, warm_start_by="labels", warm_start_solve=1)
    with pytest.raises(ValueError, match="autocast is on"):
        replace(SMALL, warm_start=True, warm_start_by="worth", warm_start_solve=1, autocast=True)
    assert replace(SMALL, warm_start_by="worth", warm_start_solve=1).warm_rollouts == 0  # There is no warm start.
