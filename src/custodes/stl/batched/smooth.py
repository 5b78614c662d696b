"""Smooth minimum and maximum by log-sum-exp: every sample of a window gets a share of the gradient.

    smooth max of n values = log(sum exp(beta x)) / beta, in [max, max + log(n) / beta]; smooth min mirrors it.

Evaluated by pairs (logaddexp), which neither overflows nor loses the sum; windows are cut into disjoint pieces, because
here a sample must not count twice. Backward passes evaluate a window again instead of keeping its pieces, so memory per
operator stays linear in the trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from custodes.stl.batched.windows import wants_gradient


@final
class _Greatest(torch.autograd.Function):
    """logaddexp(beta a, beta b) / beta, whose gradients are finite also where both are the same infinity."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, beta: float) -> Tensor:
        ctx.save_for_backward(a, b)
        ctx.beta = beta
        return torch.logaddexp(a * beta, b * beta) / beta

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        a, b = ctx.saved_tensors
        distance = torch.nan_to_num((a - b) * ctx.beta, nan=0.0)
        return gradient * torch.sigmoid(distance), gradient * torch.sigmoid(-distance), None


def greatest(a: Tensor, b: Tensor, beta: float) -> Tensor:
    """Smooth maximum of two, elementwise, in [max, max + log(2) / beta]."""
    made: Tensor = _Greatest.apply(a, b, beta)  # type: ignore[no-untyped-call]
    return made


def least(a: Tensor, b: Tensor, beta: float) -> Tensor:
    """Smooth minimum of two, elementwise, in [min - log(2) / beta, min]."""
    return -greatest(-a, -b, beta)


def extreme(x: Tensor, width: int, beta: float, *, most: bool) -> Tensor:
    """Smooth extreme of every window.

    Args:
        x: [traces, samples + width - 1]; window t is the columns t to t + width - 1.
        width: Columns in a window, >= 1.
        beta: Sharpness, > 0.
        most: Maximum, not minimum.

    Returns:
        [traces, samples], at most log(width) / beta away from the exact extreme.
    """
    if width == 1:
        return x
    sign = 1.0 if most else -1.0
    return _kept(lambda signed: sign * _extreme(sign * signed, width, beta), x)


def guarded(p: Tensor, q: Tensor, lower: int, upper: int, beta: float, *, ahead: bool) -> Tensor:
    """Smooth until or since over padded traces; arguments as in `custodes.stl.batched.guarded.guarded`.

    Returns:
        [traces, samples], at most log(upper + 1) / beta away from the exact value: no more than log(width) / beta above
        it (soft maxima), no more than log(upper + 1) / beta below it (soft minima of a guard and what it guards).
    """
    if upper == 0:
        return q
    return _kept(lambda guard, goal: _guarded(guard, goal, lower, upper, beta, ahead=ahead), p, q)


def _kept(rule: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Apply a rule; of its intermediates nothing is kept for the backward pass, which makes them again."""
    if not wants_gradient(*inputs):
        return rule(*inputs)
    made: Tensor = checkpoint(rule, *inputs, use_reentrant=False, preserve_rng_state=False)
    return made


def _extreme(x: Tensor, width: int, beta: float) -> Tensor:
    samples = x.shape[1] - width + 1
    whole: Tensor | None = None
    size, done = 1, 0
    while True:
        if width & size:
            piece = x.narrow(1, done, samples)
            whole = piece if whole is None else greatest(whole, piece, beta)
            done += size
        if done == width:
            assert whole is not None
            return whole
        columns = x.shape[1] - size
        x = greatest(x.narrow(1, 0, columns), x.narrow(1, size, columns), beta)
        size *= 2


def _guarded(p: Tensor, q: Tensor, lower: int, upper: int, beta: float, *, ahead: bool) -> Tensor:
    samples, width = p.shape[1] - upper, upper - lower + 1
    guard: Tensor | None = None
    if lower:
        around = p.narrow(1, 0 if ahead else width, samples + lower - 1)
        guard = -_extreme(-around, lower, beta)
    start = lower if ahead else 0
    p, q = (each.narrow(1, start, samples + width - 1) for each in (p, q))
    whole: Tensor | None = None
    size, done = 1, 0
    while True:
        if width & size:
            first = done if ahead else width - done - size
            goal, before = q.narrow(1, first, samples), p.narrow(1, first, samples)
            if guard is not None:
                goal, before = least(guard, goal, beta), least(guard, before, beta)
            whole, guard = goal if whole is None else greatest(whole, goal, beta), before
            done += size
        if done == width:
            assert whole is not None
            return whole
        columns = q.shape[1] - size
        near, far = (0, size) if ahead else (size, 0)
        reached = least(p.narrow(1, near, columns), q.narrow(1, far, columns), beta)
        q = greatest(q.narrow(1, near, columns), reached, beta)
        p = least(p.narrow(1, 0, columns), p.narrow(1, size, columns), beta)
        size *= 2
