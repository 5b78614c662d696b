"""Numbers of a diagnostic record, each from the tensors of one iteration."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from custodes.rl.learner import Lesson
from custodes.rl.mechanics import Mechanics
from custodes.rl.networks import Network, Policy
from custodes.rl.rollout import Rollout
from custodes.rl.state import LearnerState

_SAME = 1e-5
"""Relative difference below which two rewards are one."""


def median(values: Tensor) -> float | None:
    """Median of [n]; None of nothing."""
    return float(values.median()) if len(values) else None


def shares(action: Tensor, actions: int) -> list[list[float]]:
    """[A][K]: how often each of [n, A] actions was taken."""
    found: list[list[float]] = torch.nn.functional.one_hot(action, actions).double().mean(0).tolist()
    return found


def vote_surprise(log_probability: Tensor, entropy: Tensor) -> list[float]:
    """How far each agent's votes are from its policy, in standard errors.

    Drawn from the policy, log p(a) + H has mean 0 given what was seen; the draws are independent, so the mean over the
    steps is normal around 0 (central limit theorem).

    Args:
        log_probability: Of the votes, float [n, A].
        entropy: Of the policy there, float [n, A].

    Returns:
        [A]; large and negative for votes that the policy seldom draws, positive for too certain ones.
    """
    off = (log_probability + entropy).double()
    # The floor keeps rounding from counting where a policy is all but certain.
    error = (off.var(0, correction=0) / len(off)).sqrt() + 1e-4
    found: list[float] = (off.mean(0) / error).tolist()
    return found


def repeat_error(learner: LearnerState, mechanics: Mechanics) -> float:
    """Largest difference between two passes over the same inputs, acting and updating: 0 for networks without noise."""
    position = learner.position
    actor = mechanics.actor(learner.policy)
    first, second = (actor.step(position.observation, position.state) for _ in range(2))
    worst = float((first.logits - second.logits).abs().max())
    for agent in range(learner.policy.agents):
        network = learner.policy.actor(agent)
        x = learner.policy.identify(position.observation.agents[None, :, agent], agent)
        state = position.state.actor[:, agent]
        worst = max(worst, float((network(x, state)[0] - network(x, state)[0]).abs().max()))
    return worst


def reward_shape(rollout: Rollout) -> dict[str, Any]:
    """Spread of the rewards, how many sit at the ends of their range, and their mean by truth and action."""
    reward, actions = rollout.reward, 4 if rollout.mask is None else rollout.mask.shape[-1]
    low, high = (float(x) for x in torch.aminmax(reward))
    near = (high - low) * _SAME
    paid = reward[reward != 0]
    ends = float(((paid <= low + near) | (paid >= high - near)).float().mean()) if len(paid) else 0.0
    known = (rollout.label == 0) | (rollout.label == 1)
    cell = (rollout.label.clamp(0, 1)[..., None] * actions + rollout.action)[known].flatten()
    count = torch.bincount(cell, minlength=2 * actions)[: 2 * actions]
    total = torch.bincount(cell, reward[known].flatten().double(), 2 * actions)[: 2 * actions]
    mean = torch.where(count > 0, total / count, math.nan).reshape(2, actions)
    return {
        "reward_min": low,
        "reward_max": high,
        "reward_std": float(reward.std(correction=0)),
        "reward_at_ends": ends,
        "reward_by_action": mean.tolist(),
    }


def reward_against_table(rollout: Rollout, table: Tensor, *, decision: bool) -> dict[str, float]:
    """Share of rewards that are not the table's, and that are those of the step before.

    Args:
        rollout: Rewards [T, B, A].
        table: float32 [3, K].
        decision: Agents are paid for the decision.
    """
    paid = rollout.decision[..., None].expand_as(rollout.action) if decision else rollout.action
    kind = torch.where((rollout.label == 0) | (rollout.label == 1), rollout.label, 2)
    due = table.to(paid.device)[kind[..., None], paid]
    near = _SAME * float(table.abs().max())
    wrong = (rollout.reward - due).abs() > near
    late = (rollout.reward[1:] - due[:-1]).abs() <= near
    if rollout.learns is not None:
        # A liar is paid for what it said, which is not the action that its policy drew.
        wrong, late = wrong[rollout.learns], late[rollout.learns[1:]]
    return {"reward_mismatch": float(wrong.float().mean()), "reward_lagged": float(late.float().mean())}


def action_signal(advantage: Tensor, action: Tensor, where: Tensor | None = None) -> tuple[list[float], list[float]]:
    """How much more advantages differ between actions than by chance, per agent.

    Kruskal and Wallis (1952): the between-group sum of squares of the advantages' ranks over their variance, divided by
    its degrees of freedom: 1 in expectation where advantages do not depend on the action. Ranks, since a few harms are
    a hundred times the other rewards.

    Args:
        advantage: Float [T, B, A].
        action: int64 [T, B, A].
        where: Bool [T, B] or [T, B, A]: which steps count; None for all.

    Returns:
        That number for each agent, and the share of the ranks' variance that lies between actions.
    """
    kept = torch.ones((), dtype=torch.bool, device=action.device) if where is None else where
    kept = (kept if kept.dim() == action.dim() else kept.unsqueeze(-1)).expand_as(action)
    signals, parts = [], []
    for agent in range(action.shape[-1]):
        keep = kept[..., agent]
        values, index = advantage[..., agent][keep].double(), action[..., agent][keep]
        mine = values.argsort().argsort().double()
        if len(mine) == 0 or float(values.max() - values.min()) < 1e-9:
            mine = torch.zeros_like(mine)
        count = torch.bincount(index)
        total = torch.bincount(index, mine - mine.mean())
        between = float((total[count > 0] ** 2 / count[count > 0]).sum())
        groups = int((count > 0).sum())
        variance = float(mine.var(correction=0)) if len(mine) else 0.0
        told = groups > 1 and variance > 1e-12
        signals.append(between / variance / (groups - 1) if told else math.nan)
        parts.append(between / variance / len(mine) if told else math.nan)
    return signals, parts


class InputReference:
    """Inputs against those of the first iteration that was seen."""

    def __init__(self) -> None:
        self._first: tuple[Tensor, Tensor] | None = None

    def measure(self, observation: Tensor) -> dict[str, Any]:
        """Scale, constancy and drift of the inputs [A, T, B, D]."""
        seen = observation.flatten(1, 2)
        spread, mean = torch.std_mean(seen, dim=1, correction=0)
        varies = spread > 1e-6
        rms = (spread.square() + mean.square()).sqrt()
        if self._first is None:
            self._first = spread, mean
        spread_then, mean_then = self._first
        both = varies & (spread_then > 1e-6)
        some = bool(both.any())
        return {
            "inputs_constant": (~varies).float().mean(1).tolist(),
            "input_rms_max": float(rms.max()),
            "input_shift": float(((mean - mean_then).abs() / spread_then)[both].median()) if some else None,
            "input_stretch": float((spread / spread_then)[both].median()) if some else None,
        }


def gradients(policy: Policy) -> dict[str, Any]:
    """Norms of the last step's gradients, by network: at the first layer and at the heads."""

    def norm(parameter: Tensor | None) -> float:
        return 0.0 if parameter is None or parameter.grad is None else float(parameter.grad.norm())

    networks = policy.networks()
    return {
        "grad_first": [norm(_first_layer(n)) for n in networks],
        "grad_policy_head": [norm(n.policy_head.weight) for n in networks if n.policy_head is not None],
        "grad_value_head": [norm(n.value_head.weight) for n in networks if n.value_head is not None],
    }


def _first_layer(network: Network) -> Tensor:
    return network.encoder.weight if network.encoder is not None else network.weights()[0][0]


def first_non_finite(lesson: Lesson, policy: Policy) -> str | None:
    """The first tensor along the flow of data with a number that is none; None where the losses are finite."""
    report = lesson.report
    if all(map(math.isfinite, (report.value_loss, report.policy_loss, report.kl, *report.grad_norm))):
        return None
    return next((name for name, tensor in _flow(lesson, policy) if not bool(tensor.isfinite().all())), "the loss")


def _flow(lesson: Lesson, policy: Policy) -> Iterator[tuple[str, Tensor]]:
    rollout = lesson.rollout
    yield "observation", rollout.observation
    yield "recurrent state", rollout.starts_actor
    yield "log-probability", rollout.log_probability
    yield "reward", rollout.reward
    yield "value", rollout.value
    yield "next value", rollout.next_value
    yield "return", lesson.targets.returns
    yield "advantage", lesson.targets.advantages
    for name, parameter in policy.named_parameters():
        if parameter.grad is not None:
            yield f"gradient of {name}", parameter.grad
    yield from policy.named_parameters()
