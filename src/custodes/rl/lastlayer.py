"""The last layer of a warm start by worth, solved for exactly.

Gradient steps bring a fit to what is common long before what is rare: on carbanak the steps that only attackers take
are a few in 100,000 by weight, and where the gradient has not been, an agent values an attacker as it does any process.
Given what the layers below make of the inputs, the distance (rl/worth.py) is a quadratic form in the policy head, so
its least is one linear system away, however rare the steps that it depends on (a shallow update: Levine et al. 2017).
The layers below stay as they are.
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn

RIDGE: Final = 1e-6
"""Pull of each weight to where it was, in units of the mean square of the features: decides where steps say nothing."""


@final
class LastLayer:
    """Normal equations of one policy head, added up in double precision.

    Args:
        head: The head; `solve` changes it in place.
    """

    def __init__(self, head: nn.Linear) -> None:
        self._head = head
        size = head.out_features * (head.in_features + 1)
        self._gram = torch.zeros(size, size, dtype=torch.float64, device=head.weight.device)
        self._cross = self._gram.new_zeros(size)

    @torch.no_grad()
    def add(self, features: Tensor, wanted: Tensor, mask: Tensor | None, weight: Tensor) -> None:
        """Take in n steps.

        Args:
            features: What the head reads, float [n, in_features].
            wanted: Logits that are asked for, float [n, actions].
            mask: Bool [n, actions], what is allowed; None for all.
            weight: How much each step's squared distance counts, float [n], 0 or more.
        """
        y = torch.cat((features, features.new_ones(len(features), 1)), dim=1).double()
        allowed = torch.ones_like(wanted, dtype=torch.bool) if mask is None else mask
        # Steps with the same actions allowed share the projection to what counts; there are a handful of such masks.
        for pattern in torch.unique(allowed, dim=0):
            rows = (allowed == pattern).all(dim=1)
            m = pattern.double()
            counts = torch.diag(m) - torch.outer(m, m) / m.sum()
            weighted = y[rows] * weight[rows, None].double()
            self._gram += torch.kron(counts, weighted.T @ y[rows])
            self._cross += (counts @ wanted[rows].double().T @ weighted).flatten()

    @torch.no_grad()
    def solve(self) -> None:
        """Put the head where the sum of squared distances, and the pull to where it was, is least."""
        head = self._head
        old = torch.cat((head.weight, head.bias[:, None]), dim=1).double().flatten()
        pull = RIDGE * self._gram.diagonal().mean()
        if pull <= 0:
            return  # No step counted.
        system = self._gram + pull * torch.eye(len(old), dtype=torch.float64, device=old.device)
        new = old + torch.linalg.solve(system, self._cross - self._gram @ old)
        new = new.reshape(head.out_features, -1).to(head.weight.dtype)
        head.weight.copy_(new[:, :-1])
        head.bias.copy_(new[:, -1])
