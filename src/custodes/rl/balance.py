"""Importance weights that are right and do not starve what is rare.

Where attackers' lanes are drawn more often than they were recorded, each step weighs as much less (`Step.weight`), and
a fit by least squares comes to what is expected of lanes as recorded. It comes there slowly: steps that only attackers
take are then a few in a hundred thousand of the whole loss. Multiplied by any positive function of what the agent has
seen, the loss has the same best fit at each input; so the weights are divided by their own expectation there. Where
inputs tell an attacker, its steps then weigh 1 like all others; where they do not, attackers and innocents keep their
relation.

That expectation comes from a head of its own on the same features, fitted to how lanes were drawn (as the logit of a
classifier whose classes were drawn apart, King and Zeng 2001). It need not be right for the fit to be.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class LaneBalance:
    """The heads of a team, and their optimiser; made for a warm start and thrown away with it.

    Args:
        agents: How many policies are fitted.
        width: Of their features.
        device: Where these are.
    """

    def __init__(self, agents: int, width: int, device: torch.device | str = "cpu") -> None:
        heads = []
        for _ in range(agents):
            head = nn.Linear(width, 1, device=device)
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
            heads.append(head)
        self._heads = nn.ModuleList(heads)
        self._optimiser = torch.optim.Adam(self._heads.parameters())
        self._lowest, self._highest = float("inf"), float("-inf")

    def see(self, weight: Tensor, learning_rate: float) -> None:
        """Take in the weights of a rollout, and begin its steps.

        Args:
            weight: Of its steps, of any shape, above 0.
            learning_rate: Of the heads.
        """
        self._lowest = min(self._lowest, float(weight.min()))
        self._highest = max(self._highest, float(weight.max()))
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate

    def factors(self, agent: int, features: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """What each step weighs, and the loss that the head is fitted by.

        Args:
            agent: Whose head.
            features: What it has made of what it saw, float [n, width].
            weight: Importance of the steps' lanes, float [n].

        Returns:
            Float [n], without gradient, 1 on average at each input; and a loss for each step [n].
        """
        span = self._highest - self._lowest
        if span <= 0:
            return torch.ones_like(weight), torch.zeros_like(weight)
        logit = self._heads[agent](features)[:, 0].float()
        share = (weight - self._lowest) / span
        expected = self._lowest + span * torch.sigmoid(logit.detach())
        loss = nn.functional.binary_cross_entropy_with_logits(logit, share, reduction="none")
        return weight / expected, loss

    def zero_grad(self) -> None:
        """Before a step."""
        self._optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Move the heads."""
        self._optimiser.step()
