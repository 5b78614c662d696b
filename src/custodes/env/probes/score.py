"""The mean discounted return that a policy earns on a probe, with what would follow a truncation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from custodes.env.probes.base import Probe
from custodes.interface import Observation

Act = Callable[[Observation, Tensor], Tensor]
"""Observation and bool [B] (True where an episode starts: forget the past) to int64 [B, A] actions."""


def mean_return(probe: Probe, act: Act, steps: int = 256) -> float:
    """Play a probe from its reset on and average the discounted returns of the episodes that finished.

    Args:
        probe: Reset first; left where the last step led.
        act: The policy; recurrent ones forget where the second argument is True.
        steps: Steps of every slot. Short episodes finish more often in them, so take many times the longest one.

    Returns:
        Mean over finished episodes and agents of sum_t gamma^t r_t, plus gamma^T times the true value of what
        would have followed where an episode of T steps was cut.

    Raises:
        ValueError: No episode finished.
    """
    observation, begins = probe.reset(), torch.ones(probe.slots, dtype=torch.bool)
    earned = torch.zeros((probe.slots, probe.agents), dtype=torch.float64)
    weight = torch.ones((probe.slots, 1), dtype=torch.float64)
    total, episodes = 0.0, 0
    for _ in range(steps):
        step = probe.step(act(observation, begins))
        earned = earned + weight * step.reward
        weight = weight * probe.discount
        begins = step.terminated | step.truncated
        finished = earned + weight * probe.tail * step.truncated.unsqueeze(1)
        total += float(finished[begins].mean(1).sum())
        episodes += int(begins.sum())
        earned = earned.masked_fill(begins.unsqueeze(1), 0.0)
        weight = weight.masked_fill(begins.unsqueeze(1), 1.0)
        observation = step.observation
    if not episodes:
        raise ValueError(f"no episode of the probe finished within {steps} steps")
    return total / episodes
