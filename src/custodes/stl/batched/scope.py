"""What a formula is evaluated on: a block of traces, laid out to its end, and the rules that hold there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from custodes.stl.batched.algebra import Algebra
from custodes.stl.batched.pairs import Pair


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """A block of traces."""

    signals: Mapping[str, Pair]
    """Every signal that the formula reads, [traces, samples], continued behind the end as the end policy says."""
    shape: tuple[int, int]
    """Traces, and samples with the continuation."""
    outside: Tensor | None
    """Bool [traces, samples]: behind the end of its trace. None where all traces fill all samples."""
    held: bool
    """Whether the last column stands for everything after it (else nothing comes after it)."""
    algebra: Algebra
    """What minimum and maximum mean in formulas; terms, and formulas that are counted, are always exact."""
    dtype: torch.dtype
    """float32 or float64."""
    device: torch.device
    """Where the tensors live."""

    def number(self, value: float) -> Tensor:
        """A scalar tensor."""
        return torch.full((), value, dtype=self.dtype, device=self.device)

    def spread(self, x: Tensor) -> Tensor:
        """A tensor as it is, a scalar at every sample."""
        return x if x.dim() else x.expand(self.shape)

    def constant(self, value: float) -> Tensor:
        """A value at every sample."""
        return self.number(value).expand(self.shape)


def place_of(where: Tensor, first: int | None) -> str:
    """The first trace and sample at which a mask holds, in words.

    Args:
        where: Bool [traces, samples].
        first: Number of the first trace; None where there is only one.
    """
    row, column = (int(each) for each in where.nonzero()[0])
    return f"sample {column}" if first is None else f"trace {first + row}, sample {column}"
