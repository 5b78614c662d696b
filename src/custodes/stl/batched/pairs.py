"""A value that may be known only between two bounds: the number that terms and formulas are evaluated to."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Pair(NamedTuple):
    """Bounds of a value at every sample. A known value has one tensor as both, so that it is computed once."""

    low: Tensor
    """Lower bound, [traces, samples] or a scalar."""
    high: Tensor
    """Upper bound, like `low`; the same object where everything is known."""

    @property
    def known(self) -> bool:
        """Whether both bounds are one tensor."""
        return self.high is self.low


def point(value: Tensor) -> Pair:
    """A value that is known everywhere."""
    return Pair(value, value)


def each(rule: Callable[..., Tensor], *pairs: Pair) -> Pair:
    """Apply a rule that grows with every argument to both ends, once where all arguments are known."""
    low = rule(*(pair.low for pair in pairs))
    return point(low) if all(pair.known for pair in pairs) else Pair(low, rule(*(pair.high for pair in pairs)))


def negative(pair: Pair) -> Pair:
    """Minus a value: the bounds trade places."""
    return point(-pair.low) if pair.known else Pair(-pair.high, -pair.low)


def minus(left: Pair, right: Pair) -> Pair:
    """Difference of two values."""
    low = left.low - right.high
    return point(low) if left.known and right.known else Pair(low, left.high - right.low)


def absolute(pair: Pair) -> Pair:
    """Absolute value; between bounds of two signs lies zero."""
    if pair.known:
        return point(pair.low.abs())
    one, other = pair.low.abs(), pair.high.abs()
    across = (pair.low <= 0) & (pair.high >= 0)
    return Pair(torch.minimum(one, other).masked_fill(across, 0.0), torch.maximum(one, other))


def unknown_where(condition: Tensor, pair: Pair) -> Pair:
    """Forget a value where a condition holds."""
    low, high = pair
    return Pair(low.masked_fill(condition, -torch.inf), high.masked_fill(condition, torch.inf))
