"""Lagrange multipliers of constraints, steered by a PID controller (Stooke, Achiam, Abbeel 2020, algorithm 2).

The integral alone is gradient ascent on the multiplier, which overshoots and swings; the proportional term damps that,
and the derivative term acts on a rate that rises, never on one that falls. A multiplier stays within [0, most], and the
integral stops where it alone would reach an end, so that nothing winds up while a constraint cannot be met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from custodes.errors import CustodesError

_KEPT: Final = ("weight", "violated", "integral", "before", "value")


@dataclass(frozen=True, kw_only=True)
class Gains:
    """How a controller reacts."""

    proportional: float
    """Multiplier per unit above the target, 0 or more."""
    integral: float
    """The same per unit and update, summed, 0 or more."""
    derivative: float
    """Multiplier per unit that the rate rose by, 0 or more."""
    most: float
    """Largest multiplier, above 0."""
    smoothing: float
    """Share of the old counts that is kept per update, 0 to below 1."""
    prior: float = 0.0
    """Windows without a violation that are added to the counts, 0 or more: one violated window is no rate."""


@final
class Multipliers:
    """One multiplier for each of S constraints on a rate of violations.

    Args:
        targets: Rate aimed at, S numbers in [0, 1].
        active: Which may be above 0; the others are measured only.
        gains: Of the controller.
    """

    def __init__(self, targets: Sequence[float], active: Sequence[bool], gains: Gains) -> None:
        self._targets = torch.tensor(targets, dtype=torch.float64)
        self._active = torch.tensor(active, dtype=torch.bool)
        self._gains = gains
        zeros = torch.zeros(len(targets), dtype=torch.float64)
        self._weight, self._violated, self._integral, self.value = (zeros.clone() for _ in range(4))
        self._before = torch.full_like(zeros, torch.nan)

    value: Tensor
    """float64 [S], on the CPU: the multipliers, 0 to `most`."""

    @property
    def rate(self) -> Tensor:
        """float64 [S]: share of windows violated, lately; NaN where there was none yet."""
        return torch.where(self._weight > 0, self._violated / (self._weight + self._gains.prior), torch.nan)

    def update(self, weight: Sequence[float], violated: Sequence[float]) -> None:
        """Take in the windows of a rollout, and set the multipliers anew.

        A constraint that never had a window keeps its multiplier; one that has none any more is forgotten slowly, as
        its counts fade against `prior`.

        Args:
            weight: Windows by constraint.
            violated: Violated ones among them.
        """
        gains = self._gains
        self._weight = gains.smoothing * self._weight + torch.tensor(weight, dtype=torch.float64)
        self._violated = gains.smoothing * self._violated + torch.tensor(violated, dtype=torch.float64)
        rate, seen = self.rate, self._weight > 0
        excess = torch.where(seen, rate - self._targets, 0.0)
        ceiling = gains.most / gains.integral if gains.integral else torch.inf
        self._integral = (self._integral + excess).clamp(0.0, ceiling)
        rising = torch.where(seen & ~self._before.isnan(), rate - self._before, 0.0).clamp(min=0.0)
        value = gains.proportional * excess + gains.integral * self._integral + gains.derivative * rising
        self.value = torch.where(self._active & seen, value.clamp(0.0, gains.most), self.value)
        self._before = torch.where(seen, rate, self._before)

    def state(self) -> dict[str, Tensor]:
        """All that the next update depends on, as copies."""
        return {name: self._field(name).clone() for name in _KEPT}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue exactly from `state()`.

        Raises:
            CustodesError: It is of other constraints.
        """
        for name in _KEPT:
            if name not in state or state[name].shape != self.value.shape:
                raise CustodesError(
                    f"the multipliers' {name} is of other rules", where="checkpoint", fix="train a new run"
                )
        self.value = state["value"].clone()
        self._weight, self._violated = state["weight"].clone(), state["violated"].clone()
        self._integral, self._before = state["integral"].clone(), state["before"].clone()

    def _field(self, name: str) -> Tensor:
        found: Tensor = self.value if name == "value" else getattr(self, f"_{name}")
        return found
