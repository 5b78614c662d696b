"""What a trace that ends, or that has holes, means to a formula."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

End: TypeAlias = Literal["truncate", "pessimistic", "hold", "interval"]
"""What stands after the last sample of a trace.

truncate: nothing. Windows are cut at the end; an empty always is +inf, an empty eventually -inf.
hold: the last value of every signal, for ever.
interval: values that nobody knows. Robustness is a pair (lower, upper) that every continuation of the trace stays in.
pessimistic: as interval, and the value is the lower end.
"""

Nan: TypeAlias = Literal["reject", "mask"]
"""What a NaN in a signal means (an infinite sample is always refused).

reject: the trace is refused, by signal, trace and sample.
mask: the signal is unknown there, and robustness becomes a pair.

A computed term that is not finite although its signals are (x / 0, an overflow) is unknown under either.
"""

Sampling: TypeAlias = Literal["reject", "samples", "hold", "linear"]
"""What to do about distances between samples.

reject: a distance that is not the period, to a thousandth of it, is refused.
samples: distances mean nothing, bounds count samples.
hold: each point of the grid has the latest value at or before it.
linear: each point of the grid lies on the line between the samples around it.
"""

ENDS: Final[tuple[End, ...]] = get_args(End)
"""Every end policy, in the order that messages list them."""
NANS: Final[tuple[Nan, ...]] = get_args(Nan)
"""Every NaN policy."""
SAMPLINGS: Final[tuple[Sampling, ...]] = get_args(Sampling)
"""Every declared way of sampling."""
