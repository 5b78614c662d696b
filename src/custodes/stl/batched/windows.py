"""Minimum and maximum over sliding windows, exactly, in O(log width) passes and memory linear in the trace.

A window of width w is made of two that overlap, of the largest power of two (sparse table; min and max do not mind
counting a sample twice). Every pass is one elementwise maximum of a tensor and itself, shifted.

Gradients: the whole gradient of a window goes to one sample, of tied ones to the one nearest to the present. For that,
when a gradient is wanted, the place of the extreme travels with its value, and the result is gathered from there: one
index per sample is kept for the backward pass, whatever the width.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LARGEST_FLOAT32_INDEX = 2**24
"""Up to here float32 counts without gaps. Indices travel as floats, since torch chooses among integers more slowly."""


def padded(x: Tensor, lower: int, upper: int, *, ahead: bool, fill: float, held: bool = False) -> Tensor:
    """Lay a trace out so that the window of sample t is the columns t to t + upper - lower.

    Args:
        x: [traces, samples].
        lower: Nearest distance from now, 0 <= lower <= samples.
        upper: Farthest distance from now, lower <= upper <= samples.
        ahead: Whether the window looks ahead of now, or behind it.
        fill: What stands outside the trace.
        held: Ahead only: the last sample stands behind the end instead of `fill`.

    Returns:
        [traces, samples + upper - lower].
    """
    if upper == 0:
        return x
    if not ahead:
        return functional.pad(x, (upper, -lower), value=fill)
    if held:
        return torch.cat((x[:, lower:], x[:, -1:].expand(-1, upper)), dim=1)
    return functional.pad(x, (-lower, upper), value=fill)


def grow(x: Tensor, size: int, width: int, *, most: bool) -> Tensor:
    """Widen windows.

    Args:
        x: [traces, columns]; column i holds the extreme of the columns i to i + size - 1 of something.
        size: Width that x has.
        width: Width wanted, >= size.
        most: Maximum, not minimum.

    Returns:
        [traces, columns - (width - size)], the same at the width wanted.
    """
    extreme = torch.maximum if most else torch.minimum
    while size < width:
        step = min(size, width - size)
        columns = x.shape[1] - step
        x = extreme(x.narrow(1, 0, columns), x.narrow(1, step, columns))
        size += step
    return x


def track(x: Tensor, place: Tensor, size: int, width: int, *, most: bool, ahead: bool) -> tuple[Tensor, Tensor]:
    """As `grow`, with the place of every extreme; of tied samples the first one ahead and the last one behind."""
    extreme = torch.maximum if most else torch.minimum
    while size < width:
        step = min(size, width - size)
        columns = x.shape[1] - step
        starts = (0, step) if ahead else (step, 0)
        near, far = (x.narrow(1, start, columns) for start in starts)
        here, there = (place.narrow(1, start, columns) for start in starts)
        place = torch.where(far > near if most else far < near, there, here)
        x = extreme(near, far)
        size += step
    return x, place


def places(x: Tensor, first: int = 0) -> Tensor:
    """Numbers of the columns of x from `first` on, [1, columns], as floats that hold them exactly."""
    columns = x.shape[1]
    exact = torch.float32 if 2 * columns < LARGEST_FLOAT32_INDEX else torch.float64
    return torch.arange(first, first + columns, dtype=exact, device=x.device)[None]


def wants_gradient(*tensors: Tensor) -> bool:
    """Whether a backward pass may come."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def extreme(x: Tensor, width: int, *, most: bool, ahead: bool) -> Tensor:
    """Extreme of every window of a padded trace.

    Args:
        x: [traces, samples + width - 1], as `padded` returns it.
        width: Columns in a window, >= 1.
        most: Maximum, not minimum.
        ahead: Which of tied samples is nearest to the present: the first (ahead), or the last.

    Returns:
        [traces, samples].
    """
    if width == 1:
        return x
    if not wants_gradient(x):
        return grow(x, 1, width, most=most)
    with torch.no_grad():
        _, place = track(x.detach(), places(x), 1, width, most=most, ahead=ahead)
    return x.gather(1, place.long())
