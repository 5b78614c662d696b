"""Settings of the response environment."""

from __future__ import annotations

import math
from dataclasses import dataclass

from custodes.env.credit import Credit, check_credit
from custodes.errors import CustodesError


@dataclass(frozen=True, kw_only=True)
class ResponseConfig:
    """How processes' lives are played; what actions cost stands in `ResponseCosts`."""

    slots: int = 64
    """Lanes played in parallel, at least 1."""
    credit: Credit = "team"
    """team: every agent is paid for the decision; individual: each is paid for what its own vote would have done, which
    can be had again and again as long as the team does not follow; pivotal: for what its vote changed about the
    decision, mixed with individual."""
    credit_mix: float = 0.5
    """Share of the pivotal reward in `credit = "pivotal"`, 0 (individual) to 1; not read without."""
    reward_scale: float = 0.1
    """Reward per unit of cost that is saved, above 0."""
    lane_share: float = 0.0
    """Share of started lanes whose process does something malicious in the part, below 1; 0 draws lanes as recorded."""

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            CustodesError: One is; the message names it.
        """
        if self.slots < 1:
            raise CustodesError(f"{self.slots} slots", where="env.slots", fix="use at least 1")
        check_credit(self.credit, self.credit_mix)
        if not (math.isfinite(self.reward_scale) and self.reward_scale > 0):
            raise CustodesError(
                f"a reward scale of {self.reward_scale}", where="env.reward_scale", fix="use a finite number above 0"
            )
        if not 0 <= self.lane_share < 1:
            raise CustodesError(
                f"a lane share of {self.lane_share}", where="env.lane_share", fix="use 0 (as recorded) to below 1"
            )
