"""Sums, counts and ranks over windows that end now, memory linear in the trace whatever the window."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional


def window_sum(x: Tensor, width: int) -> Tensor:
    """Sum over the last `width` samples, cut at the start of the trace.

    Summed by halves (pairwise), never as a difference of running totals, so that the rounding error grows with
    log(width) and no large past value costs digits; -inf stays -inf and harms no other window.

    Args:
        x: [traces, samples].
        width: Samples in the window, the present one included, >= 1.

    Returns:
        [traces, samples].
    """
    made: Tensor = _WindowSum.apply(x, min(width, x.shape[1]), False)  # type: ignore[no-untyped-call]
    return made


@final
class _WindowSum(torch.autograd.Function):
    """A sum over a sliding window; its gradient is the sum over the window mirrored. Nothing is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int, ahead: bool) -> Tensor:
        ctx.width, ctx.ahead = width, ahead
        samples = x.shape[1]
        x = functional.pad(x, (0, width - 1) if ahead else (width - 1, 0))
        total: Tensor | None = None
        size, done = 1, 0
        while True:
            if width & size:
                piece = x.narrow(1, done, samples)
                total = piece.clone() if total is None else total.add_(piece)
                done += size
            if done == width:
                assert total is not None
                return total
            columns = x.shape[1] - size
            x = x.narrow(1, 0, columns) + x.narrow(1, size, columns)
            size *= 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _WindowSum.apply(gradient, ctx.width, not ctx.ahead), None, None  # type: ignore[no-untyped-call]


@final
class _Satisfied(torch.autograd.Function):
    """1 where a robustness is >= 0, else 0; its gradient is zero everywhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return torch.zeros_like(gradient)


def window_count(robustness: Tensor, width: int) -> Tensor:
    """How many of the last `width` samples satisfy a formula; piecewise constant, so its gradient is zero.

    Args:
        robustness: [traces, samples].
        width: Samples in the window, the present one included, >= 1.

    Returns:
        [traces, samples], exact below 2^24 samples in float32.
    """
    return window_sum(_Satisfied.apply(robustness), width)  # type: ignore[no-untyped-call]


def present(x: Tensor, width: int) -> Tensor:
    """How many of the last `width` samples there are at every sample of x, [samples]."""
    return torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device).clamp_(max=width)


def ranked(x: Tensor, need: int, width: int) -> Tensor:
    """The need-th largest of the last `width` samples, -inf where there are fewer.

    The gradient goes to the one sample that has this rank; of tied ones the order is that of a stable sort.

    Args:
        x: [traces, samples].
        need: Rank from the top, 1 <= need <= width.
        width: Samples in the window, the present one included.

    Returns:
        [traces, samples].
    """
    samples = x.shape[1]
    if need > samples:
        return torch.full_like(x, -torch.inf)
    with torch.no_grad():
        place = _rank_place(x.detach(), need, min(width, samples))
    early = torch.arange(1, samples + 1, device=x.device) < need
    return x.gather(1, place).masked_fill(early, -torch.inf)


def _rank_place(x: Tensor, need: int, width: int) -> Tensor:
    """Column of the need-th largest sample of every window: a descent in a wavelet matrix over the ranks of a row.

    Level by level, from the highest bit of the ranks: the samples of a window whose rank has the bit are counted from
    two prefix counts; that says which half the wanted rank is in, and the row is parted (stably) into halves. All
    windows descend together: O(log samples) passes whatever the window. (The wavelet matrix: an
    efficient wavelet tree for large alphabets, Information Systems 47, 2015, section 4.)
    """
    traces, samples = x.shape
    numbers = torch.arange(samples, device=x.device)
    order = x.argsort(dim=1, stable=True)
    ranks = torch.empty_like(order).scatter_(1, order, numbers.expand(traces, -1))
    first = (numbers - width + 1).clamp_(min=0).expand(traces, -1)
    last = (numbers + 1).expand(traces, -1)
    wanted = torch.full_like(order, need)
    found = torch.zeros_like(order)
    for bit in reversed(range((samples - 1).bit_length())):
        ones = (ranks >> bit) & 1
        before = functional.pad(ones.cumsum(1), (1, 0))
        ones_first, ones_last = before.gather(1, first), before.gather(1, last)
        count = ones_last - ones_first
        upper = wanted <= count
        zeros = samples - before[:, -1:]
        found = torch.where(upper, found | (1 << bit), found)
        first = torch.where(upper, zeros + ones_first, first - ones_first)
        last = torch.where(upper, zeros + ones_last, last - ones_last)
        wanted = torch.where(upper, wanted, wanted - count)
        goal = torch.where(ones.bool(), zeros + before[:, :-1], numbers - before[:, :-1])
        ranks = torch.empty_like(ranks).scatter_(1, goal, ranks)
    return order.gather(1, found)
