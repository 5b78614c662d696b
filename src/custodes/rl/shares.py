"""How much each action counts in the statistics of a rollout: lanes are weighed, and what others did is left out."""

from __future__ import annotations

import torch
from torch import Tensor


def shares(like: Tensor, weight: Tensor | None, learns: Tensor | None) -> Tensor:
    """How much each action counts, float [n, A].

    Args:
        like: Any float [n, A].
        weight: Importance of each step's lane [n]; None where all weigh 1.
        learns: Whose action was its own, bool [n, A]; None where all were.
    """
    importance = of_lanes(like, weight)
    return importance.expand_as(like) if learns is None else importance * learns.to(like.dtype)


def of_lanes(like: Tensor, weight: Tensor | None) -> Tensor:
    """Importance of each step's lane, float [n, 1], 1 on average; arguments as for `shares`."""
    importance = torch.ones(len(like), 1) if weight is None else (weight / weight.mean())[:, None]
    return importance.to(like)


def mean(values: Tensor, share: Tensor) -> Tensor:
    """Mean [A] or [A, S] of values [n, A] or [n, A, S], each counting as much as its share [n, A] says."""
    share = share.reshape(*share.shape, *(1,) * (values.dim() - share.dim()))
    return (share * values).sum(0) / share.sum(0).clamp(min=1e-8)


def standardised(values: Tensor, share: Tensor) -> Tensor:
    """The same values [n, A] less their mean, over their deviation."""
    values = values - mean(values, share)
    return values / (mean(values.square(), share).sqrt() + 1e-8)
