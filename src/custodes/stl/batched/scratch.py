"""Buffers that a compiled formula computes in, made once and used at every call."""

from __future__ import annotations

from typing import Any, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""float32 or float64."""


@final
class Scratch:
    """Flat buffers for blocks of one shape.

    The rows of a block lie one behind the other, with a gap before, between and behind them that is as wide as any
    window reaches:  gap, row 0, gap, row 1, gap. So all rows are shifted at once by a pass over one flat array. What
    lies outside the rows means nothing until a window puts there what it wants to see.

    Args:
        traces: Rows of a block.
        samples: Columns of a block.
        gap: Columns between two rows.
        dtype: float32 or float64.
    """

    def __init__(self, traces: int, samples: int, gap: int, dtype: np.dtype[Any]) -> None:
        self.traces, self.samples, self.dtype = traces, samples, dtype
        self.nbytes = 0
        self._gap = gap
        self._spare: list[Array] = []

    def take(self) -> Array:
        """A flat buffer."""
        if self._spare:
            return self._spare.pop()
        # Zeros: gaps are computed with, too, and must be neither NaN nor slow.
        made = np.zeros(self._gap + self.traces * (self.samples + self._gap), dtype=self.dtype)
        self.nbytes += made.nbytes
        return made

    def give(self, buffer: Array) -> None:
        """Hand a buffer back that nothing reads any more."""
        self._spare.append(buffer)

    def rows(self, flat: Array) -> Array:
        """The samples in a flat buffer, [traces, samples]."""
        return flat[self._gap :].reshape(self.traces, -1)[:, : self.samples]

    def beside(self, flat: Array, columns: int, *, ahead: bool) -> Array:
        """The columns right behind every row (ahead), or right before it, [traces, columns]."""
        if ahead:
            return flat[self._gap :].reshape(self.traces, -1)[:, self.samples : self.samples + columns]
        before = flat[: len(flat) - self._gap].reshape(self.traces, -1)
        return before[:, self._gap - columns : self._gap]
