"""Value targets and advantages: Monte Carlo, TD(0), TD(lambda) and GAE.

Shapes are [T, B, ...] with time first; `next_value[t]` is the value of the true successor of step t: the value at t+1,
or, where the lane was truncated at t, the value of the observation that would have followed, and at the last step of
the rollout (a cut) the value of the observation that the next rollout starts from.

Two masks, never one (as TorchRL does): `terminated` stops the bootstrap, since nothing follows; `done` (terminated or
truncated) stops the trace, since the next row belongs to another lane. A cut needs neither: the trace simply starts
there.

All four are linear in T and vectorised over the rest. GAE's target is `advantage + value`, which is the TD(lambda)
return itself (Schulman et al. 2016, section 3), not a "circular dependency": test_returns shows the identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Estimator = Literal["mc", "td0", "td-lambda", "gae"]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a rollout teaches the critic and the actor."""

    returns: Tensor
    """[T, B, ...]: value targets, in units of reward."""
    advantages: Tensor
    """[T, B, ...]: how much better than the critic's value each action turned out; not normalised."""


def targets(
    estimator: Estimator,
    *,
    reward: Tensor,
    value: Tensor,
    next_value: Tensor,
    terminated: Tensor,
    done: Tensor,
    gamma: float,
    lam: float,
) -> Targets:
    """Form targets and advantages.

    Args:
        estimator: `mc` (lambda 1), `td0` (lambda 0), `td-lambda` (the return's own recursion) or `gae` (its errors').
        reward: Float [T, B, ...].
        value: Float [T, B, ...], the critic's value when it acted, in units of reward (denormalised).
        next_value: Float [T, B, ...], as the module says.
        terminated: Bool, broadcastable to reward.
        done: Bool, broadcastable to reward; terminated or truncated.
        gamma: Discount, 0 to 1.
        lam: Lambda, 0 to 1; unused by `mc` and `td0`.
    """
    bootstrap = torch.where(terminated, torch.zeros_like(next_value), next_value)
    if estimator == "gae":
        advantages = generalised_advantage(reward, value, bootstrap, done, gamma, lam)
        return Targets(returns=advantages + value, advantages=advantages)
    trace = {"mc": 1.0, "td0": 0.0, "td-lambda": lam}[estimator]
    returns = lambda_return(reward, bootstrap, done, gamma, trace)
    return Targets(returns=returns, advantages=returns - value)


def lambda_return(reward: Tensor, bootstrap: Tensor, done: Tensor, gamma: float, lam: float) -> Tensor:
    """G_t = r_t + gamma ((1 - lambda) V_{t+1} + lambda G_{t+1}) (Sutton and Barto 2018, eq. 12.2, recursive).

    Where a lane is done, G_{t+1} is the bootstrap: 0 if it terminated, else the successor's value.
    """
    if gamma == 0.0:
        return reward.clone()
    result = torch.empty_like(reward)
    following = bootstrap[-1]
    for t in range(reward.shape[0] - 1, -1, -1):
        following = torch.where(done[t], bootstrap[t], following)
        following = reward[t] + gamma * ((1.0 - lam) * bootstrap[t] + lam * following)
        result[t] = following
    return result


def generalised_advantage(
    reward: Tensor, value: Tensor, bootstrap: Tensor, done: Tensor, gamma: float, lam: float
) -> Tensor:
    """A_t = delta_t + gamma lambda A_{t+1}, delta_t = r_t + gamma V_{t+1} - V_t (Schulman et al. 2016, eq. 16)."""
    delta = reward + gamma * bootstrap - value
    if gamma * lam == 0.0:
        return delta
    keep = gamma * lam * (~done).to(delta.dtype)
    result = torch.empty_like(delta)
    running = torch.zeros_like(delta[0])
    for t in range(delta.shape[0] - 1, -1, -1):
        running = delta[t] + keep[t] * running
        result[t] = running
    return result
