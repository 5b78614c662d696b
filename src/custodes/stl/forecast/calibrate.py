"""Calibration: scores on whole trajectories that nothing else was done with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from custodes.stl.forecast.calibration import Calibration, Method, Splits
from custodes.stl.forecast.conformal import quantile
from custodes.stl.forecast.predictors import Predictor
from custodes.stl.forecast.scores import Target, check_target, direct_scores, indirect_scores, tube_scales
from custodes.stl.forecast.trajectories import check_trajectories
from custodes.stl.formula import Formula
from custodes.stl.printer import format_formula


def calibrate_direct(
    formula: Formula,
    names: Sequence[str],
    trajectories: Tensor,
    predictor: Predictor,
    *,
    observed: Sequence[int],
    delta: float,
    at: int = 0,
    training: int = 0,
) -> Calibration:
    """Scores R = rho(predicted) - rho(true); then rho >= rho(predicted) - C (Lindemann et al. 2023, direct method).

    Args:
        formula: Bounds in samples.
        names: Of the S signals.
        trajectories: `[N, T, S]`, whole and finite, none of them used to fit the predictor.
        predictor: Fitted.
        observed: Prediction times. With several, R is the largest over them, so that all bounds hold together.
        delta: Allowed share of wrong bounds, in (0, 1); needs N >= ceil(1 / delta) - 1.
        at: Sample whose robustness is forecast.
        training: How many other trajectories fitted the predictor, for the record.

    Raises:
        StlError: Bad trajectories, too few of them, a formula that looks past their end, or unknown signals.
    """
    target = Target(formula=formula, names=tuple(names), observed=tuple(observed), at=at)
    check_target(target, trajectories)
    scores = direct_scores(target, trajectories, predictor)
    sizes = Splits(training=training, scales=0, calibration=len(trajectories))
    return _made("direct", target, delta, predictor, sizes, trajectories.shape[1], scores, [])


def calibrate_indirect(
    formula: Formula,
    names: Sequence[str],
    scaling: Tensor,
    trajectories: Tensor,
    predictor: Predictor,
    *,
    observed: Sequence[int],
    delta: float,
    at: int = 0,
    training: int = 0,
) -> Calibration:
    """Scores R = max |x - predicted| / scale; then the worst robustness inside the tube predicted +- C scale.

    Lindemann et al. 2023, indirect method, with one score over all samples and signals in place of a union bound over
    them (after Cleaveland, Lee, Pappas, Lindemann: Conformal Prediction Regions for Time Series using Linear
    Complementarity Programming, AAAI 2024): the scales, largest errors on a split of their own, make far samples
    comparable to near ones. Wider than direct, but says where the uncertainty lies.

    Args:
        formula: Bounds in samples.
        names: Of the S signals.
        scaling: `[M, T, S]`, M >= 1 trajectories for the scales, used for nothing else.
        trajectories: `[N, T, S]`, whole and finite, used neither for the scales nor to fit the predictor.
        predictor: Fitted.
        observed: Prediction times. With several, R is the largest over them, so that all bounds hold together.
        delta: Allowed share of wrong bounds, in (0, 1); needs N >= ceil(1 / delta) - 1.
        at: Sample whose robustness is forecast.
        training: How many other trajectories fitted the predictor, for the record.

    Raises:
        StlError: Bad trajectories, too few of them, a formula that looks past their end, or unknown signals.
    """
    target = Target(formula=formula, names=tuple(names), observed=tuple(observed), at=at)
    check_target(target, trajectories)
    check_trajectories(scaling, names, where="trajectories for the scales", length=trajectories.shape[1])
    scales = tube_scales(target, scaling, predictor)
    scores = indirect_scores(target, trajectories, predictor, scales)
    sizes = Splits(training=training, scales=len(scaling), calibration=len(trajectories))
    return _made("indirect", target, delta, predictor, sizes, trajectories.shape[1], scores, scales)


def _made(
    method: Method,
    target: Target,
    delta: float,
    predictor: Predictor,
    sizes: Splits,
    length: int,
    scores: Tensor,
    scales: list[Tensor],
) -> Calibration:
    found = sorted(scores.tolist())
    quantile(found, delta)  # Too few for a finite bound: refused here, not when it is used.
    return Calibration(
        method=method,
        formula=format_formula(target.formula),
        signals=target.names,
        length=length,
        observed=target.observed,
        at=target.at,
        delta=delta,
        predictor=predictor.describe(),
        splits=sizes,
        scales=tuple(tuple(tuple(row) for row in scale.tolist()) for scale in scales),
        scores=tuple(found),
    )
