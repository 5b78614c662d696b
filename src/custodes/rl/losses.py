"""The losses of PPO as pure functions of what the networks say about n steps of A agents."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Losses(NamedTuple):
    """Means over the n steps."""

    policy: Tensor
    """[A]: the clipped surrogate, negated (Schulman et al. 2017, eq. 7)."""
    value: Tensor
    """[A]: squared error against the targets, clipped around the old value where asked."""
    entropy: Tensor
    """[A]: entropy of the policies, nats."""
    kl: Tensor
    """[]: KL divergence from the acting policy, mean over agents (the k3 estimator of Schulman 2020), nats."""
    clip_fraction: Tensor
    """[]: share of ratios outside the clip range."""


def ppo_losses(
    log_probability: Tensor,
    entropy: Tensor,
    value: Tensor,
    old_log_probability: Tensor,
    old_value: Tensor,
    advantage: Tensor,
    target: Tensor,
    clip: float,
    value_clip: float,
    learns: Tensor | None = None,
) -> Losses:
    """Form the losses; every tensor is [n, A].

    Args:
        log_probability: Of the actions taken, under the new policy.
        entropy: Of the new policy.
        value: The critic's value, normalised units.
        old_log_probability: Of the actions, when they were taken.
        old_value: The acting critic's value, normalised units.
        advantage: How much better each action turned out.
        target: Value targets, normalised units.
        clip: Clip range of the ratio.
        value_clip: Clip range of the value change; 0 for none.
        learns: Bool; what is False counts in no mean. None where all is True.
    """
    log_ratio = log_probability - old_log_probability
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1.0 - clip, 1.0 + clip)
    error = (value - target).square()
    if value_clip:
        near = old_value + (value - old_value).clamp(-value_clip, value_clip)
        error = torch.maximum(error, (near - target).square())
    gain = torch.minimum(ratio * advantage, clipped * advantage)
    divergence, outside = ratio - 1.0 - log_ratio, ((ratio - 1.0).abs() > clip).float()
    if learns is not None:
        return Losses(
            policy=-mean_of(gain, learns, 0),
            value=mean_of(error, learns, 0),
            entropy=mean_of(entropy, learns, 0),
            kl=mean_of(divergence, learns).detach(),
            clip_fraction=mean_of(outside, learns).detach(),
        )
    return Losses(
        policy=-gain.mean(0),
        value=error.mean(0),
        entropy=entropy.mean(0),
        kl=divergence.mean().detach(),
        clip_fraction=outside.mean().detach(),
    )


LossForm = Callable[..., Losses]
"""`ppo_losses`, or another one of its arguments in its place."""


def mean_of(values: Tensor, chosen: Tensor, dim: int | None = None) -> Tensor:
    """Mean of the chosen values alone, over `dim` or over all; 0 where none is.

    Args:
        values: Float [...], finite.
        chosen: Bool [...].
        dim: The dimension to sum over; None for all.
    """
    weight = chosen.to(values.dtype)
    kept = values * weight
    if dim is None:
        return kept.sum() / weight.sum().clamp(min=1.0)
    return kept.sum(dim) / weight.sum(dim).clamp(min=1.0)


@cache
def compiled_losses(form: LossForm = ppo_losses) -> LossForm:
    """`ppo_losses` through torch.compile; compiled at its first call, once per process."""
    compiled: LossForm = torch.compile(form, dynamic=True)
    return compiled
