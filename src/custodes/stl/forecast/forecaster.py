"""Bounds the robustness of trajectories that are still under way, and watches whether the bound can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from custodes.stl.errors import StlError
from custodes.stl.forecast.calibrate import calibrate_direct, calibrate_indirect
from custodes.stl.forecast.calibration import Calibration, Method
from custodes.stl.forecast.drift import DriftMonitor, DriftVerdict
from custodes.stl.forecast.predictors import Predictor
from custodes.stl.forecast.scores import Target, by_name, completed, direct_scores, indirect_scores, robustness
from custodes.stl.forecast.trajectories import check_trajectories, split
from custodes.stl.forecast.tube import worst_robustness
from custodes.stl.formula import Formula
from custodes.stl.printer import format_formula


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is known of B trajectories after their first t samples."""

    bound: Tensor
    """`[B]`: the robustness of the whole trajectory is at least this with probability 1 - delta."""
    predicted: Tensor
    """`[B]`: robustness of the predicted trajectory, no guarantee."""
    guarantee_holds: bool
    """False once drift was flagged: the bound is a mere number then."""


@final
class Forecaster:
    """A formula, a fitted predictor and their calibration."""

    def __init__(
        self, formula: Formula, calibration: Calibration, predictor: Predictor, *, alpha: float = 0.01, seed: int = 0
    ) -> None:
        """Put the three together.

        Args:
            formula: The one that was calibrated, bounds in samples.
            calibration: Of this formula and predictor.
            predictor: The one that was calibrated, unchanged since.
            alpha: Largest probability of a false drift alarm over all time, in (0, 1).
            seed: Of the drift monitor's tie-breaks.

        Raises:
            StlError: The calibration is of another formula or predictor.
        """
        for what, now, then in (
            ("formula", format_formula(formula), calibration.formula),
            ("predictor", predictor.describe(), calibration.predictor),
        ):
            if now != then:
                raise StlError(f"calibrated for the {what} {then!r}, not {now!r}", fix="calibrate anew")
        self.calibration, self.predictor = calibration, predictor
        self.drift = DriftMonitor(calibration, alpha=alpha, seed=seed)
        self._target = Target(
            formula=formula, names=calibration.signals, observed=calibration.observed, at=calibration.at
        )
        self._margin = calibration.bound
        self._scales = [torch.tensor(each, dtype=torch.float64) for each in calibration.scales]

    def forecast(self, prefix: Tensor) -> Forecast:
        """Bound the robustness of trajectories from what was seen of them.

        Args:
            prefix: `[B, t, S]`, the first t samples, t one of the calibrated prediction times.

        Raises:
            StlError: A prefix of another shape or length, or with a value that is not finite.
        """
        check_trajectories(prefix, self._target.names, where="prefix")
        if prefix.shape[1] not in self._target.observed:
            times = ", ".join(map(str, self._target.observed))
            raise StlError(f"{prefix.shape[1]} samples seen; calibrated for {times}", fix="calibrate for this time too")
        whole = completed(self.predictor, prefix, self.calibration.length)
        predicted = robustness(self._target, whole)
        if self._margin == math.inf:
            bound = torch.full_like(predicted, -math.inf)
        elif self.calibration.method == "direct":
            # Minus infinity stays: nothing below it can be wrong.
            bound = torch.where(predicted == -math.inf, predicted, predicted - self._margin)
        else:
            bound = self._tube_bound(whole, prefix.shape[1])
        return Forecast(bound=bound, predicted=predicted, guarantee_holds=self.drift.guarantee_holds)

    def _tube_bound(self, whole: Tensor, seen: int) -> Tensor:
        radius = torch.zeros_like(whole[:1])
        radius[0, seen:] = self._margin * self._scales[self._target.observed.index(seen)].to(radius)
        lower, upper = by_name(self._target, whole - radius), by_name(self._target, whole + radius)
        return worst_robustness(self._target.formula, lower, upper)[:, self._target.at]

    def scores(self, trajectories: Tensor) -> list[float]:
        """Nonconformity of finished trajectories `[N, T, S]`, comparable to the calibration's scores.

        Raises:
            StlError: Trajectories of another shape, or with a value that is not finite.
        """
        check_trajectories(trajectories, self._target.names, where="trajectories", length=self.calibration.length)
        if self.calibration.method == "direct":
            found = direct_scores(self._target, trajectories, self.predictor)
        else:
            found = indirect_scores(self._target, trajectories, self.predictor, self._scales)
        return [float(score) for score in found]

    def observe(self, trajectories: Tensor) -> DriftVerdict:
        """Feed finished trajectories `[N, T, S]`, N >= 1, in the order they came, to the drift monitor."""
        return [self.drift.update(score) for score in self.scores(trajectories)][-1]


def make_forecaster(
    formula: Formula,
    names: Sequence[str],
    trajectories: Tensor,
    predictor: Predictor,
    *,
    observed: Sequence[int],
    delta: float = 0.05,
    method: Method = "direct",
    at: int = 0,
    alpha: float = 0.01,
    seed: int = 0,
) -> Forecaster:
    """Split, fit and calibrate: 40 % training, the rest calibration (indirect: 10 % scales, 50 % calibration).

    Args:
        formula: Bounds in samples.
        names: Of the S signals.
        trajectories: `[N, T, S]`, whole and finite.
        predictor: Not yet fitted.
        observed: Prediction times.
        delta: Allowed share of wrong bounds, in (0, 1).
        method: direct (tighter) or indirect (says which samples are uncertain).
        at: Sample whose robustness is forecast.
        alpha: Largest probability of a false drift alarm over all time.
        seed: Of the split and the drift monitor's tie-breaks.

    Raises:
        StlError: As `calibrate_direct`.
    """
    check_trajectories(trajectories, names, where="trajectories")
    training, *scaling, rest = split(trajectories, (0.4, 0.6) if method == "direct" else (0.4, 0.1, 0.5), seed=seed)
    fitted = predictor.fit(training)
    if method == "direct":
        made = calibrate_direct(
            formula, names, rest, fitted, observed=observed, delta=delta, at=at, training=len(training)
        )
    else:
        made = calibrate_indirect(
            formula, names, scaling[0], rest, fitted, observed=observed, delta=delta, at=at, training=len(training)
        )
    return Forecaster(formula, made, fitted, alpha=alpha, seed=seed)
