"""Settings of rules in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class RulesConfig:
    """Which rules a team is held to, and how (docs/obeying.md)."""

    file: str = ""
    """A TOML file of rules, `default` for those that are shipped, empty for none. The run keeps their text."""
    method: Literal["lagrangian", "penalty", "watch"] = "lagrangian"
    """lagrangian: costs beside the reward, weighed by multipliers. penalty: a fixed reward is taken off for each
    violation. watch: rules are measured and change nothing."""
    tighten: float = 0.5
    """Training aims at this share of the violations that a rule allows, above 0 to 1: later data is not quite alike."""
    proportional: float = 2.0
    """Multiplier per unit of the violation rate above what is aimed at, 0 or more."""
    integral: float = 1.0
    """The same per unit and iteration, summed, 0 or more."""
    derivative: float = 0.0
    """Multiplier per unit that the rate rises in an iteration, 0 or more."""
    smoothing: float = 0.8
    """Share of the old counts of windows kept per iteration when the rate is taken, 0 to below 1."""
    prior: float = 4.0
    """Windows without a violation that are added to these counts, 0 or more: one violated window is no rate."""
    most: float = 20.0
    """Largest multiplier, above 0."""
    penalty: float = 1.0
    """Reward that a violation takes off (penalty), 0 or more."""
    lam: float = 0.95
    """Lambda of the costs' advantages, 0 to 1."""
    critic_hidden: int = 64
    """Width of the cost critics, 1 to 16,384."""
    critic_learning_rate: float = 2e-3
    """Their Adam step size, above 0."""
    critic_epochs: int = 2
    """Their passes over a rollout, 1 or more."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("proportional", "integral", "derivative", "prior", "penalty"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}, not a finite number of 0 or more")
        for name in ("most", "critic_learning_rate"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}, not a finite number above 0")
        if not 0 < self.tighten <= 1:
            raise ValueError(f"tighten is {self.tighten}, outside above 0 to 1")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing is {self.smoothing}, outside 0 to below 1")
        if not 0 <= self.lam <= 1:
            raise ValueError(f"lam is {self.lam}, outside 0 to 1")
        if not 1 <= self.critic_hidden <= 16_384:
            raise ValueError(f"critic_hidden is {self.critic_hidden}, outside 1 to 16384")
        if self.critic_epochs < 1:
            raise ValueError(f"critic_epochs is {self.critic_epochs}, below 1")
