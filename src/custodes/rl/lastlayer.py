"""The last layer of a warm start by worth, solved for exactly.

Gradient steps bring a fit to what is common long before what is rare: on carbanak the steps that only attackers take
are a few in 100,000 by weight, and where the gradient has not been, an agent values an attacker as it does any process.
Given what the layers below make of the inputs, the distance (rl/distance.py) is a quadratic form in the policy head, so
its least is one linear system away (a shallow update: Levine et al. 2017). The layers below stay as they are, so that
an agent whose features do not tell attackers does not learn it here either.
"""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn

RIDGE: Final = 1e-6
"""Pull of each weight to where it was, in units of the mean diagonal of the normal equations (the weighted sum over
steps of a feature's square): decides where steps say nothing, and outweighs steps that are rarer than about that."""


@final
class LastLayer:
    """Normal equations of one policy head, added up in double precision.

    Args:
        head: The head; `solve` changes it in place.
    """

    def __init__(self, head: nn.Linear) -> None:
        self._head = head
        width = head.in_features + 1  # The bias is the last weight of each action.
        self._grams: dict[tuple[bool, ...], Tensor] = {}
        """[width, width] for each mask: the weighted sum of its steps' features times themselves."""
        self._cross = torch.zeros(head.out_features, width, dtype=torch.float64, device=head.weight.device)
        """[actions, width]: the weighted sum of what is asked for times features."""

    @torch.no_grad()
    def add(self, features: Tensor, wanted: Tensor, mask: Tensor | None, weight: Tensor) -> None:
        """Take in n steps.

        Args:
            features: What the head reads, float [n, in_features].
            wanted: Logits that are asked for, float [n, actions].
            mask: Bool [n, actions], what is allowed; None for all.
            weight: How much each step's squared distance counts, float [n], 0 or more.
        """
        inputs = torch.cat((features, features.new_ones(len(features), 1)), dim=1).double()
        allowed = torch.ones_like(wanted, dtype=torch.bool) if mask is None else mask
        # Steps with the same actions allowed share the projection to what counts; there are a handful of such masks.
        for pattern in torch.unique(allowed, dim=0):
            rows = (allowed == pattern).all(dim=1)
            weighted = inputs[rows] * weight[rows, None].double()
            key = tuple(bool(action) for action in pattern)
            gram = weighted.T @ inputs[rows]
            self._grams[key] = self._grams[key] + gram if key in self._grams else gram
            self._cross += _centring(pattern) @ wanted[rows].double().T @ weighted

    @torch.no_grad()
    def solve(self) -> None:
        """Put the head where the sum of squared distances, and the pull to where it was, is least."""
        head, cross = self._head, self._cross.flatten()
        old = torch.cat((head.weight, head.bias[:, None]), dim=1).double().flatten()
        system = torch.zeros(len(old), len(old), dtype=torch.float64, device=old.device)
        for allowed, gram in self._grams.items():
            system += torch.kron(_centring(torch.tensor(allowed, device=old.device)), gram)
        pull = RIDGE * system.diagonal().mean()
        if pull <= 0:
            return  # No step counted.
        residual = cross - system @ old
        system.diagonal().add_(pull)
        new = (old + torch.linalg.solve(system, residual)).reshape(head.out_features, -1).to(head.weight.dtype)
        head.weight.copy_(new[:, :-1])
        head.bias.copy_(new[:, -1])


def _centring(allowed: Tensor) -> Tensor:
    """Projection [actions, actions] to differences between what bool [actions] allows."""
    m = allowed.double()
    return torch.diag(m) - torch.outer(m, m) / m.sum()
