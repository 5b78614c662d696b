"""Nonconformity: by how much a prediction was too good, per whole trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from custodes.stl.analysis import horizon, signals
from custodes.stl.batched import evaluate
from custodes.stl.errors import StlError
from custodes.stl.forecast.predictors import Predictor
from custodes.stl.forecast.trajectories import check_trajectories
from custodes.stl.formula import Formula


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is forecast, and when."""

    formula: Formula
    """Bounds in samples."""
    names: tuple[str, ...]
    """Of the S signals, in the order of the columns."""
    observed: tuple[int, ...]
    """Prediction times: samples seen, each in 1..T-1."""
    at: int
    """Sample whose robustness is forecast, 0..T-1."""


def check_target(target: Target, trajectories: Tensor) -> None:
    """Refuse what cannot be forecast from such trajectories `[N, T, S]`.

    Raises:
        StlError: Bad trajectories or prediction times, unknown signals, or a formula that looks past the end.
    """
    check_trajectories(trajectories, target.names, where="calibration trajectories")
    length, seen = trajectories.shape[1], target.observed
    unknown = [name for name in signals(target.formula) if name not in target.names]
    if unknown:
        raise StlError(f"no signal {unknown[0]} in the trajectories", fix=f"they have {', '.join(target.names)}")
    if not seen or len(set(seen)) != len(seen) or not all(1 <= time < length for time in seen):
        raise StlError(
            f"prediction times {seen}", fix=f"give different numbers of samples seen, from 1 to {length - 1}"
        )
    ahead = horizon(target.formula)
    if not 0 <= target.at < length or (ahead is not None and target.at + ahead >= length):
        raise StlError(
            f"sample {target.at} and the {ahead or 0} that the formula looks ahead do not lie in 0..{length - 1}",
            where="calibration trajectories",
            fix=f"give whole trajectories of at least {max(0, target.at) + (ahead or 0) + 1} samples",
        )


def robustness(target: Target, trajectories: Tensor) -> Tensor:
    """`[N]`, at the sample of the target; past the end of a trajectory there is nothing (truncate)."""
    columns = by_name(target, trajectories)
    needed = {name: values for name, values in columns.items() if name in signals(target.formula)}
    # A formula without signals (true) still has to know how many samples there are.
    return evaluate(target.formula, needed or columns).value[:, target.at]


def by_name(target: Target, trajectories: Tensor) -> dict[str, Tensor]:
    """Each signal's `[N, T]`."""
    return {name: trajectories[..., column] for column, name in enumerate(target.names)}


def predicted(predictor: Predictor, prefix: Tensor, length: int) -> Tensor:
    """What the predictor says follows `[B, t, S]`: `[B, length - t, S]`.

    Raises:
        StlError: The predictor, which may be a user's, gave something else.
    """
    with torch.no_grad():
        ahead = predictor.predict(prefix)
    shape = (prefix.shape[0], length - prefix.shape[1], prefix.shape[2])
    if tuple(ahead.shape) != shape:
        raise StlError(f"gave the shape {tuple(ahead.shape)}", where=predictor.describe(), fix=f"it owes {shape}")
    if not bool(torch.isfinite(ahead).all()):
        raise StlError("predicted values that are not finite", where=predictor.describe(), fix="look at its training")
    return ahead.to(prefix)


def completed(predictor: Predictor, prefix: Tensor, length: int) -> Tensor:
    """The prefix and what is predicted to follow, `[B, length, S]`."""
    return torch.cat((prefix, predicted(predictor, prefix, length)), dim=1)


def direct_scores(target: Target, trajectories: Tensor, predictor: Predictor) -> Tensor:
    """Robustness predicted minus true, `[N]`, largest over the prediction times; two equal infinities are no error."""
    true = robustness(target, trajectories)
    errors = []
    for seen in target.observed:
        guess = robustness(target, completed(predictor, trajectories[:, :seen], trajectories.shape[1]))
        errors.append(torch.where(guess == true, torch.zeros_like(true), guess - true))
    return torch.stack(errors).amax(0)


def indirect_scores(target: Target, trajectories: Tensor, predictor: Predictor, scales: Sequence[Tensor]) -> Tensor:
    """Largest error over samples to come, signals and prediction times, `[N]`, in units of the scales `[T - t, S]`."""
    worst = []
    for seen, scale in zip(target.observed, scales, strict=True):
        ahead = predicted(predictor, trajectories[:, :seen], trajectories.shape[1])
        errors = (trajectories[:, seen:] - ahead).abs()
        worst.append((errors / scale.to(errors)).amax((1, 2)))
    return torch.stack(worst).amax(0)


def tube_scales(target: Target, trajectories: Tensor, predictor: Predictor) -> list[Tensor]:
    """Largest error of each sample to come and signal over trajectories `[M, T, S]`, per prediction time `[T - t, S]`.

    A signal that is always predicted exactly still needs a scale above 0: it gets the smallest that there is.
    """
    scales = []
    for seen in target.observed:
        ahead = predicted(predictor, trajectories[:, :seen], trajectories.shape[1])
        largest = (trajectories[:, seen:] - ahead).abs().amax(0)
        positive = largest[largest > 0]
        scales.append(largest.clamp_min(float(positive.min()) if len(positive) else 1e-9))
    return scales
