"""The vote rule over a step's ballots."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor

from custodes.bft.votes import ACTIONS, severity_decision

LARGEST: Final = 6
"""Agents up to which all ballots (4,096 of six agents) are worked out beforehand."""


@final
class VoteRule:
    """`severity_decision` for the ballots of one team; looked up where the team is small.

    Args:
        agents: A.
        f: How many liars the rule stands, 0 <= f <= (A - 1) // 3.
        device: Where the ballots are.
    """

    def __init__(self, agents: int, f: int, device: torch.device | str = "cpu") -> None:
        self._f = f
        self._table: Tensor | None = None
        if agents <= LARGEST:
            level = torch.arange(len(ACTIONS))
            ballots = torch.cartesian_prod(*[level] * agents).reshape(-1, agents)
            # One agent's vote is the decision.
            table = ballots[:, 0] if agents == 1 else severity_decision(ballots, f)
            self._table = table.to(device)
            self._unit = (len(ACTIONS) ** torch.arange(agents).flip(0)).to(device)

    def __call__(self, actions: Tensor) -> Tensor:
        """The decision of each ballot.

        Args:
            actions: int64 [B, A], 0 to 3.

        Returns:
            int64 [B], a tensor of its own.
        """
        if self._table is None:
            decided: Tensor = severity_decision(actions, self._f)
            return decided
        return self._table.index_select(0, (actions * self._unit).sum(1))
