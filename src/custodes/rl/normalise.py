"""Value normalisation with PopArt: critics predict in units of their targets' running mean and deviation.

When the statistics move, the value head is rescaled so that its predictions in units of reward stay what they were (van
Hasselt et al. 2016, "Learning values across many orders of magnitude", proposition 1): the value before the first step
of an update is still the value that acted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from custodes.rl.networks import Policy

VARIANCE_FLOOR = 1e-4
"""Smallest variance (squared reward units) that values are divided by."""


@dataclass(frozen=True, kw_only=True)
class ValueNorm:
    """Statistics of the value targets: one for each value head's output, so G = A, or 1 where agents share a head."""

    mean: Tensor
    """Float64 [G], debiased running mean, units of reward."""
    square: Tensor
    """Float64 [G], debiased running mean of squares."""
    weight: Tensor
    """Float64 []: how much of the running means is data, 0 before the first update, towards 1."""

    @staticmethod
    def start(groups: int, device: torch.device | None = None) -> ValueNorm:
        """Mean 0, deviation 1, no data seen, for G groups."""
        zeros = torch.zeros(groups, dtype=torch.float64, device=device)
        return ValueNorm(mean=zeros, square=torch.ones_like(zeros), weight=zeros.new_zeros(()))

    @property
    def deviation(self) -> Tensor:
        """Float32 [G]."""
        return (self.square - self.mean**2).clamp(min=VARIANCE_FLOOR).sqrt().float()

    def normalise(self, value: Tensor) -> Tensor:
        """[..., A] from units of reward to normalised units."""
        return (value - self.mean.float()) / self.deviation

    def denormalise(self, value: Tensor) -> Tensor:
        """[..., A] from normalised units to units of reward."""
        return value * self.deviation + self.mean.float()

    def updated(self, targets: Tensor, decay: float, learns: Tensor | None = None) -> ValueNorm:
        """Take in targets [..., A] (units of reward) with weight 1 - decay; the first batch counts fully.

        Args:
            targets: As said.
            decay: Share of the old statistics that is kept.
            learns: Bool [..., A], which targets count; a group of which none does stays as it is. None for all.
        """
        if learns is not None:
            return self._updated_by(targets, decay, learns)
        flat = targets.reshape(-1, len(self.mean)).double()
        weight = decay * self.weight + (1.0 - decay)
        old = decay * self.weight / weight
        return replace(
            self,
            mean=old * self.mean + (1.0 - old) * flat.mean(0),
            square=old * self.square + (1.0 - old) * (flat**2).mean(0),
            weight=weight,
        )

    def _updated_by(self, targets: Tensor, decay: float, learns: Tensor) -> ValueNorm:
        """The same from some of the targets."""
        flat, chosen = targets.reshape(-1, len(self.mean)).double(), learns.reshape(-1, len(self.mean)).double()
        count = chosen.sum(0)
        known, most = count > 0, count.clamp(min=1.0)
        weight = decay * self.weight + (1.0 - decay)
        old = decay * self.weight / weight
        mean = old * self.mean + (1.0 - old) * (flat * chosen).sum(0) / most
        square = old * self.square + (1.0 - old) * (flat**2 * chosen).sum(0) / most
        return replace(
            self,
            mean=torch.where(known, mean, self.mean),
            square=torch.where(known, square, self.square),
            weight=weight,
        )


@torch.no_grad()
def rescale_heads(policy: Policy, old: ValueNorm, new: ValueNorm) -> None:
    """Change the value heads in place so that denormalised predictions are the same under `new` as under `old`."""
    ratio = old.deviation / new.deviation
    shift = (old.mean.float() - new.mean.float()) / new.deviation
    if policy.critic is not None:
        heads = [(policy.critic.value_head, ratio, shift)]
    else:
        heads = [(policy.actor(a).value_head, ratio[a : a + 1], shift[a : a + 1]) for a in range(len(policy.actors))]
    for head, r, s in heads:
        assert head is not None
        head.weight.mul_(r[:, None])
        head.bias.mul_(r).add_(s)
