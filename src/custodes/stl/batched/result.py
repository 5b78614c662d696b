"""What an evaluation returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
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


def joined(parts: Sequence[Robustness], *, single: bool) -> Robustness:
    """Put blocks of traces together, in order; `single` drops the axis of traces."""
    known = all(part.upper is part.lower for part in parts)

    def one(tensors: list[Tensor]) -> Tensor:
        whole = tensors[0].contiguous() if len(tensors) == 1 else torch.cat(tensors)
        return whole[0] if single else whole

    lower = one([part.lower for part in parts])
    upper = lower if known else one([part.upper for part in parts])
    return Robustness(value=lower, lower=lower, upper=upper, valid=one([part.valid for part in parts]))
