"""How a block of traces goes on behind its end, under each end policy."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from custodes.stl import formula as f
from custodes.stl.analysis import horizon, views
from custodes.stl.batched.pairs import Pair
from custodes.stl.policy import End


def extra_samples(formula: f.Formula, end: End) -> int:
    """How many samples behind the end have to be evaluated.

    After the end the signals are constant (held, or unknown), and so is every node once its past windows lie behind
    the end. From the last column on, every operator may therefore take the value of the last column; columns beyond the
    formula's horizon are never looked at.
    """
    if end == "truncate":
        return 0
    ahead = horizon(formula)
    settled = _settled(formula) + (0 if end == "hold" else 1)
    return settled if ahead is None else min(settled, ahead)


def _settled(node: f.Term | f.Formula) -> int:
    """Samples from a change of the signals to the last change of a node's value that comes of its past windows."""
    farthest = 0
    for view in views(node):
        back = 0
        if view.first is not None:
            back = max(0, -view.first)
        elif view.last is not None:
            back = max(0, -view.last)
        farthest = max(farthest, back + _settled(view.node))
    return farthest


def behind_the_end(lengths: Tensor, samples: int) -> Tensor:
    """Bool [traces, samples]: True behind the end of each trace."""
    return torch.arange(samples, device=lengths.device) >= lengths[:, None]


def filled(x: Tensor, lengths: Tensor, outside: Tensor) -> Tensor:
    """Each trace with its last sample behind its end, [traces, samples], so that no leftover there can do harm."""
    last = x.gather(1, (lengths - 1)[:, None])
    return torch.where(outside, last, x)


def continued(pair: Pair, extra: int, end: End, outside: Tensor | None) -> Pair:
    """Continue signals behind their ends.

    Args:
        pair: Bounds, [traces, samples], filled.
        extra: Samples to add.
        end: How.
        outside: Where traces have ended before the last sample, bool [traces, samples], or None.

    Returns:
        Bounds, [traces, samples + extra].
    """
    if end == "truncate" or (end == "hold" and extra == 0):
        return pair
    if end == "hold":
        low = _held(pair.low, extra)
        return Pair(low, low if pair.known else _held(pair.high, extra))
    if extra == 0:
        return pair
    low, high = pair
    if outside is not None:
        low, high = low.masked_fill(outside, -torch.inf), high.masked_fill(outside, torch.inf)
    return Pair(
        functional.pad(low, (0, extra), value=-torch.inf),
        functional.pad(high, (0, extra), value=torch.inf),
    )


def _held(x: Tensor, extra: int) -> Tensor:
    return torch.cat((x, x[:, -1:].expand(-1, extra)), dim=1)
