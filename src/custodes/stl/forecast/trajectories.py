"""Whole trajectories, checked and split. One trajectory is one draw: never cut windows of one into many."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from custodes.stl.errors import StlError


def check_trajectories(values: Tensor, names: Sequence[str], *, where: str, length: int | None = None) -> None:
    """Refuse what is not a set of whole trajectories of the named signals.

    Args:
        values: `[N, T, S]` floating point.
        names: S signal names.
        where: What the values are, for the message.
        length: T that is expected; None takes any.

    Raises:
        StlError: Wrong shape, type or length, duplicate names, no trajectory, or a value that is not finite.
    """
    if values.ndim != 3 or not values.is_floating_point():
        raise StlError(
            f"shape {tuple(values.shape)}, {str(values.dtype).removeprefix('torch.')}",
            where=where,
            fix="give a floating point tensor [trajectories, samples, signals]",
        )
    if len(set(names)) != len(names) or values.shape[2] != len(names):
        raise StlError(
            f"{values.shape[2]} columns for the signals {', '.join(names) or '(none)'}",
            where=where,
            fix="name every column once, in order",
        )
    if not values.shape[0] or not values.shape[1]:
        raise StlError("no trajectory, or none with a sample", where=where, fix="give whole trajectories")
    if length is not None and values.shape[1] != length:
        raise StlError(f"trajectories of {values.shape[1]} samples, not {length}", where=where, fix="keep one length")
    wrong = (~torch.isfinite(values)).nonzero()
    if len(wrong):
        trajectory, sample, column = (int(index) for index in wrong[0])
        raise StlError(
            f"signal {names[column]} is not finite in trajectory {trajectory} at sample {sample}",
            where=where,
            fix="fill or drop it before the forecast; a guarantee needs the trajectories as they will come",
        )


def split(trajectories: Tensor, shares: Sequence[float], *, seed: int = 0) -> tuple[Tensor, ...]:
    """Shuffle whole trajectories into disjoint parts.

    Args:
        trajectories: `[N, ...]`.
        shares: Share of each part, > 0, summing to 1.
        seed: Of the shuffle.

    Returns:
        One tensor per share. The last takes what rounding leaves.

    Raises:
        StlError: Shares that are not positive or do not sum to 1, or a part without a trajectory.
    """
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise StlError(f"shares {tuple(shares)}", fix="give positive shares that sum to 1")
    count = len(trajectories)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).to(trajectories.device)
    cuts = [round(count * sum(shares[:part])) for part in range(1, len(shares))]
    parts = tuple(trajectories[index] for index in torch.tensor_split(order, cuts))
    if min(len(part) for part in parts) == 0:
        raise StlError(f"{count} trajectories are too few for {len(shares)} parts", fix="give more whole trajectories")
    return parts
