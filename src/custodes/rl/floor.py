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
    features = _standardised(known.double())
    answers = torch.stack((target.double(), (target - value).double()), dim=1)
    moments = [_moments(features[fold == k], answers[fold == k]) for k in range(int(fold.max()) + 1)]
    total = tuple(sum(parts[1:], start=parts[0]) for parts in zip(*moments, strict=True))
    errors = torch.zeros(len(PENALTIES) + 1, 2, dtype=torch.float64, device=target.device)
    for k, held_out in enumerate(moments):
        rows = fold == k
        gram, cross, size = (t - h for t, h in zip(total, held_out, strict=True))
        errors += _squared_errors(features[rows], answers[rows], gram, cross, float(size))
    return float(errors.min()) / target.numel()


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


def _standardised(known: Tensor) -> Tensor:
    """Columns to mean 0 and deviation 1 with a leading 1; columns that do not vary are dropped."""
    centred = known - known.mean(0)
    deviation = centred.square().mean(0).sqrt()
    varies = deviation > 1e-6
    return torch.cat((known.new_ones(len(known), 1), centred[:, varies] / deviation[varies]), dim=1)


def _moments(features: Tensor, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gram matrix, cross moments and row count: all that ridge regression needs of a fold."""
    return features.t() @ features, features.t() @ answers, features.new_tensor(float(len(features)))


def _squared_errors(features: Tensor, answers: Tensor, gram: Tensor, cross: Tensor, size: float) -> Tensor:
    """[penalties + 1, 2] summed squared errors on held-out rows of the path fitted on the other folds."""
    mean = cross[0] / size  # The intercept is not penalised.
    slopes_gram = gram[1:, 1:] - torch.outer(gram[1:, 0], gram[0, 1:]) / size
    slopes_cross = cross[1:] - torch.outer(gram[1:, 0], mean)
    spectrum, basis = torch.linalg.eigh(slopes_gram)
    projected = basis.t() @ slopes_cross
    centre = gram[1:, 0] / size
    rotated = (features[:, 1:] - centre) @ basis
    residual = answers - mean
    errors = [residual.square().sum(0)]
    for penalty in PENALTIES:
        slopes = projected / (spectrum.clamp(min=0.0)[:, None] + penalty * size)
        errors.append((residual - rotated @ slopes).square().sum(0))
    return torch.stack(errors)
