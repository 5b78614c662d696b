"""What a monitor says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Bounds of the robustness, for one time and for the whole trace, after a sample of every stream."""

    times: NDArray[np.int64]
    """Sample of each stream that lower and upper are for, [streams]; below 0 before there is one."""
    lower: Array
    """Lower bound of the robustness there, [streams]; -inf before there is a time."""
    upper: Array
    """Upper bound, [streams]; equal to lower when nothing is unknown and no window ahead is without end."""
    first_lower: Array
    """Lower bound of the robustness at each stream's first sample: of the whole trace, [streams]; never falls."""
    first_upper: Array
    """Upper bound of the same, [streams]; never rises."""

    @property
    def time(self) -> int | None:
        """The one time of all streams; None before there is one, and when streams that were reset differ."""
        first = int(self.times[0])
        return first if first >= 0 and bool((self.times == first).all()) else None

    @property
    def determined(self) -> NDArray[np.bool_]:
        """Where the verdict on the whole trace is certain, [streams]: satisfied (>= 0) or violated (< 0)."""
        return (self.first_lower >= 0) | (self.first_upper < 0)

    @property
    def satisfied(self) -> NDArray[np.bool_]:
        """Where the whole trace is known to satisfy the formula, [streams]."""
        return self.first_lower >= 0

    @property
    def violated(self) -> NDArray[np.bool_]:
        """Where the whole trace is known to violate the formula, [streams]."""
        return self.first_upper < 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """The times that were still open when the trace ended, under an end policy."""

    times: NDArray[np.int64]
    """Samples, [pending, streams], below 0 where a stream is shorter; no rows when a window ahead has no end."""
    lower: Array
    """Lower bound of the robustness, [pending, streams]; the value itself under truncate and hold."""
    upper: Array
    """Upper bound, [pending, streams]."""
    first_lower: Array
    """Lower bound of the robustness at each stream's first sample, [streams]."""
    first_upper: Array
    """Upper bound of the same, [streams]."""
