"""Settings of a team."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TeamConfig:
    """Who watches, and what each of them sees."""

    agents: int = 4
    """How many agents vote, 1 to 1000; f = (agents - 1) // 3 of them may lie."""
    views: Literal["replicated", "overlapping", "disjoint"] = "replicated"
    """`replicated`: all see all. `overlapping`: each misses one channel group. `disjoint`: each sees one."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 1 <= self.agents <= 1000:
            raise ValueError(f"agents is {self.agents}, outside 1 to 1000")
