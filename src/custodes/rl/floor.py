"""The value-loss floor: how much of the value loss no critic with these inputs could remove.

A squared-error critic's loss is E[(G - v(x))^2] = E[Var(G | x)] + E[(E[G | x] - v(x))^2]; the first term is the floor.
It is estimated as the cross-validated error of the best of a family of regressions of the very targets G that the
logged loss uses on what the critic knows: its inputs and its recurrent output. Folds are whole lanes, because targets
within a lane share rewards and would tell a regression about its own test points (grouped cross-validation; Hastie,
Tibshirani,
Friedman 2009, section 7.10). The family:

- ridge regression of G on [1, inputs, recurrent output], over a path of penalties (infinite: the mean alone);
- the same on the residuals G - v of the critic that acted (infinite penalty: that critic, corrected by a constant).
  That critic has not seen these targets, so its residuals are honest.

The estimate is an upper bound in expectation, up to the small optimism of choosing among about twenty penalties: no
member knows more than x does, and each is tested on lanes that it was not fitted on. It is in the units of the logged
loss (normalised value units squared).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

PENALTIES: Final = tuple(10.0**k for k in range(-4, 4))
"""Ridge penalties, as multiples of the number of rows times the mean feature variance (features are standardised)."""
VARIES: Final = 1e-6
"""Variance below which a feature counts as constant."""
FOLDS: Final = 5
"""Folds of whole lanes; fewer when there are fewer lanes."""


@torch.no_grad()
def value_loss_floor(target: Tensor, value: Tensor, known: Tensor, lane: Tensor) -> float | None:
    """Estimate the floor of one critic.

    Args:
        target: Float [n], normalised value targets.
        value: Float [n], the acting critic's normalised predictions.
        known: Float [n, p], what the critic knows: inputs and recurrent output.
        lane: int64 [n], which lane each row is of.

    Returns:
        Mean squared error, or None with fewer than two lanes (nothing to cross-fit on).
    """
    fold = lane_folds(lane)
    if fold is None:
        return None
    ones = torch.ones_like(target)
    rows = torch.column_stack((ones, known.float(), target, target - value))
    by_fold = torch.split(rows[fold.argsort(stable=True)], torch.bincount(fold).tolist())
    moments = _standardised(torch.stack([part.t() @ part for part in by_fold]).double())
    total = moments.sum(0)
    errors = torch.stack([_squared_errors(total - held_out, held_out) for held_out in moments]).sum(0)
    return max(float(errors.min()), 0.0) / target.numel()


def lane_folds(lane: Tensor) -> Tensor | None:
    """int64 [n] fold of each row: whole lanes, folds of about equal size; None below two lanes."""
    _, number, size = torch.unique(lane, return_inverse=True, return_counts=True)
    folds = min(FOLDS, len(size))
    if folds < 2:
        return None
    rank = torch.empty_like(size)
    rank[size.argsort(descending=True, stable=True)] = torch.arange(len(size), device=size.device)
    # Deal there and back (0 1 2 2 1 0 ...), so that no fold gets the longer lane of every round.
    lap, seat = rank // folds, rank % folds
    return torch.where(lap % 2 == 0, seat, folds - 1 - seat)[number]


def _standardised(moments: Tensor) -> Tensor:
    """Moments [folds, 1 + p + 2, ...] as if the features had deviation 1; features that do not vary are dropped."""
    total = moments.sum(0)
    size = total[0, 0]
    variance = total.diagonal() / size - (total[0] / size) ** 2
    features = torch.zeros(len(total), dtype=torch.bool, device=total.device)
    features[1:-2] = variance[1:-2] > VARIES
    keep = features.clone()
    keep[0] = keep[-2:] = True
    scale = torch.where(features, variance.clamp(min=VARIES).rsqrt(), 1.0)[keep]
    return moments[:, keep][:, :, keep] * torch.outer(scale, scale)


def _squared_errors(fitted: Tensor, held_out: Tensor) -> Tensor:
    """Summed squared errors on a held-out fold of the ridge path fitted on the others, from second moments alone.

    Args:
        fitted: Float64 [1 + p + 2, 1 + p + 2], moments (rows' products) of [1, features, answers] on the other folds.
        held_out: The same on the held-out fold.

    Returns:
        [penalties + 1, 2], by answer; the first row is the intercept alone.
    """
    p = len(fitted) - 3
    size, means = fitted[0, 0], fitted[0] / fitted[0, 0]
    # The intercept is not penalised: centre both folds' moments on the fitted means.
    centred = fitted - size * torch.outer(means, means)
    here = held_out - torch.outer(held_out[0], means) - torch.outer(means, held_out[0])
    here = here + held_out[0, 0] * torch.outer(means, means)
    spectrum, basis = torch.linalg.eigh(centred[1 : 1 + p, 1 : 1 + p])
    projected = basis.t() @ centred[1 : 1 + p, 1 + p :]
    gram = basis.t() @ here[1 : 1 + p, 1 : 1 + p] @ basis
    cross = basis.t() @ here[1 : 1 + p, 1 + p :]
    squares = here[1 + p :, 1 + p :].diagonal()
    errors = [squares]
    for penalty in PENALTIES:
        slopes = projected / (spectrum.clamp(min=0.0)[:, None] + penalty * size)
        errors.append(squares - 2.0 * (slopes * cross).sum(0) + (slopes * (gram @ slopes)).sum(0))
    return torch.stack(errors)
