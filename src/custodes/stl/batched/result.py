"""What an evaluation returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Robustness:
    """Robustness of every sample of every trace; [traces, samples], or [samples] where the signals were.

    Behind the end of a ragged trace, all values are 0 and `valid` is False.
    """

    value: Tensor
    """How far from violation, in units of the signals; satisfied where >= 0. The lower bound where bounds differ."""
    lower: Tensor
    """No value of what is unknown brings the robustness below; `value` itself."""
    upper: Tensor
    """No value of what is unknown brings it above; the same tensor as `lower` where nothing is unknown."""
    valid: Tensor
    """Bool: finite, past the warm-up, and no continuation of the trace can change it."""
