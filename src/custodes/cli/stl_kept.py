"""The samples of a stream that are kept, so that its end decides what a stored trace would."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    import torch

MOST: Final = 1_000_000
"""Samples that are kept: 8 MB per signal."""


@final
class Kept:
    """The samples so far, while they are few enough.

    Args:
        names: Of the signals.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.length = 0
        self._columns = {name: array("d") for name in names}

    @property
    def whole(self) -> bool:
        """Whether every sample is still there."""
        return self.length <= MOST

    def take(self, values: dict[str, float]) -> None:
        """One more sample; once there are too many, none is kept."""
        self.length += 1
        if self.whole:
            for name, column in self._columns.items():
                column.append(values[name])
        elif self._columns:
            self._columns = {}

    def signals(self) -> dict[str, torch.Tensor]:
        """The samples as a trace, [samples] each."""
        import torch

        if not self._columns:
            # Rules without signals still hold or not at every sample.
            return {"": torch.zeros(self.length, dtype=torch.float64)}
        return {name: torch.frombuffer(column, dtype=torch.float64) for name, column in self._columns.items()}
