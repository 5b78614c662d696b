"""What continues a trajectory. The guarantee holds for any of them; a better one only makes the bound tighter.

Anything with these three methods is a predictor: wrap a neural network by training it in `fit` (or before, with a `fit`
that only notes the length) and rolling it out in `predict`. It must be trained on other trajectories than those that
calibrate it, and must not change between calibration and use.
"""

from __future__ import annotations

from typing import Protocol, Self, final

import torch
from torch import Tensor

from custodes.stl.errors import StlError


class Predictor(Protocol):
    """Continues trajectories of the length that it was fitted on."""

    def fit(self, trajectories: Tensor) -> Self:
        """Learn from whole trajectories `[N, T, S]`; returns itself."""
        ...

    def predict(self, prefix: Tensor) -> Tensor:
        """From `[B, t, S]`, the first t samples of each, the T - t samples that follow: `[B, T - t, S]`."""
        ...

    def describe(self) -> str:
        """Name and settings on one line, recorded with the calibration."""
        ...


def _checked(length: int, prefix: Tensor) -> int:
    """How many samples are to come."""
    if not length:
        raise StlError("the predictor was not fitted", fix="call fit(trajectories) first")
    if not 1 <= prefix.shape[1] < length:
        raise StlError(f"{prefix.shape[1]} samples seen of {length}", fix=f"predict after 1 to {length - 1} samples")
    return length - prefix.shape[1]


@final
class LastValue:
    """Everything stays as it was last seen."""

    def __init__(self) -> None:
        self._length = 0

    def fit(self, trajectories: Tensor) -> Self:
        """Note the length."""
        self._length = trajectories.shape[1]
        return self

    def predict(self, prefix: Tensor) -> Tensor:
        """The last sample, repeated."""
        return prefix[:, -1:].expand(-1, _checked(self._length, prefix), -1)

    def describe(self) -> str:
        """Name on one line."""
        return "last value"


@final
class AutoRegressive:
    """One linear map from the last samples of all signals to the next sample, applied again and again.

    Ridge regression on every window of every training trajectory; for processes whose law does not depend on the time
    since the start. A prefix shorter than the order is continued to the left with its first sample.
    """

    def __init__(self, order: int = 4, ridge: float = 1e-6) -> None:
        """Settings.

        Args:
            order: Samples looked back on, >= 1.
            ridge: Weight of the squared coefficients, relative to the variance of the inputs, > 0.
        """
        _check_settings(order, ridge)
        self.order, self.ridge = order, ridge
        self._length = 0
        self._weights = torch.empty(0)

    def fit(self, trajectories: Tensor) -> Self:
        """Solve the normal equations."""
        self._length = trajectories.shape[1]
        series = _padded(trajectories, self.order)
        windows = series.unfold(1, self.order, 1)[:, :-1].transpose(-1, -2).flatten(2)
        self._weights = _ridge(windows.flatten(0, 1), trajectories[:, 1:].flatten(0, 1), self.ridge)
        return self

    def predict(self, prefix: Tensor) -> Tensor:
        """Roll the map out."""
        ahead = _checked(self._length, prefix)
        series = _padded(prefix, self.order)[:, -self.order :]
        steps = []
        for _ in range(ahead):
            step = _apply(self._weights, series.flatten(1))
            series = torch.cat((series[:, 1:], step[:, None]), dim=1)
            steps.append(step)
        return torch.stack(steps, dim=1)

    def describe(self) -> str:
        """Name and settings on one line."""
        return f"autoregressive, order {self.order}, ridge {self.ridge:g}"


@final
class PerStep:
    """For each pair of times, seen and to come, a linear map of its own: no error builds up from step to step.

    Ridge regression of every later sample on the last `lags` samples seen; for processes whose law depends on the time
    since the start. Keeps a covariance of (T S)^2 numbers; solves once per prediction time.
    """

    def __init__(self, lags: int = 4, ridge: float = 1e-6) -> None:
        """Settings.

        Args:
            lags: Samples looked back on, >= 1.
            ridge: Weight of the squared coefficients, relative to the variance of the inputs, > 0.
        """
        _check_settings(lags, ridge)
        self.lags, self.ridge = lags, ridge
        self._length = 0
        self._mean = self._covariance = torch.empty(0)
        self._maps: dict[int, Tensor] = {}

    def fit(self, trajectories: Tensor) -> Self:
        """Gather means and covariances."""
        self._length = trajectories.shape[1]
        flat = trajectories.flatten(1)
        self._mean = flat.mean(0)
        centred = flat - self._mean
        self._covariance = centred.T @ centred / len(flat)
        self._maps = {}
        return self

    def predict(self, prefix: Tensor) -> Tensor:
        """Apply the maps that belong to the prefix's length."""
        ahead = _checked(self._length, prefix)
        seen, signals = prefix.shape[1], prefix.shape[2]
        lags = min(self.lags, seen)
        inputs = slice((seen - lags) * signals, seen * signals)
        if seen not in self._maps:
            gram = self._covariance[inputs, inputs]
            to_come = self._covariance[inputs, seen * signals :]
            self._maps[seen] = torch.linalg.solve(_regularised(gram, self.ridge), to_come)
        centred = prefix[:, seen - lags :].flatten(1) - self._mean[inputs]
        later = centred @ self._maps[seen] + self._mean[seen * signals :]
        return later.reshape(-1, ahead, signals)

    def describe(self) -> str:
        """Name and settings on one line."""
        return f"linear per step, {self.lags} lags, ridge {self.ridge:g}"


def _check_settings(lags: int, ridge: float) -> None:
    if lags < 1 or not ridge > 0:
        raise StlError(f"{lags} samples back with ridge {ridge}", fix="give at least 1 sample and a ridge above 0")


def _padded(values: Tensor, order: int) -> Tensor:
    """With order - 1 copies of the first sample before it."""
    return torch.cat((values[:, :1].expand(-1, order - 1, -1), values), dim=1)


def _regularised(gram: Tensor, ridge: float) -> Tensor:
    scale = gram.diagonal().mean()
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))  # Inputs that never change have no variance.
    return gram + ridge * scale * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)


def _ridge(inputs: Tensor, outputs: Tensor, ridge: float) -> Tensor:
    """Weights `[inputs + 1, outputs]`, the intercept (not penalised) last."""
    mean_in, mean_out = inputs.mean(0), outputs.mean(0)
    centred = inputs - mean_in
    gram = centred.T @ centred / len(inputs)
    weights = torch.linalg.solve(_regularised(gram, ridge), centred.T @ (outputs - mean_out) / len(inputs))
    return torch.cat((weights, (mean_out - mean_in @ weights)[None]))


def _apply(weights: Tensor, inputs: Tensor) -> Tensor:
    return inputs @ weights[:-1] + weights[-1]
