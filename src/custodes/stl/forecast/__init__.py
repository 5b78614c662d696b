"""Forecasts of robustness with a guarantee: split conformal prediction over a trajectory predictor.

From the first samples of a trajectory, a lower bound on the robustness of the whole of it that holds with probability
at least 1 - delta, whatever the predictor and whatever the distribution, as long as the trajectories to come are
exchangeable with those that were calibrated on (Lindemann, Qin, Deshmukh, Pappas: Conformal Prediction for STL Runtime
Verification, ICCPS 2023, arXiv 2211.01539). `DriftMonitor` says when they no longer look so.
"""

from custodes.stl.forecast.calibrate import calibrate_direct, calibrate_indirect
from custodes.stl.forecast.calibration import Calibration, Splits
from custodes.stl.forecast.conformal import coverage_interval, rank, trajectories_needed
from custodes.stl.forecast.drift import DriftMonitor, DriftVerdict, RecentDrift, recent_drift
from custodes.stl.forecast.forecaster import Forecast, Forecaster, make_forecaster
from custodes.stl.forecast.predictors import AutoRegressive, LastValue, PerStep, Predictor
from custodes.stl.forecast.trajectories import split
from custodes.stl.forecast.tube import worst_robustness

__all__ = [
    "AutoRegressive",
    "Calibration",
    "DriftMonitor",
    "DriftVerdict",
    "Forecast",
    "Forecaster",
    "LastValue",
    "PerStep",
    "Predictor",
    "RecentDrift",
    "Splits",
    "calibrate_direct",
    "calibrate_indirect",
    "coverage_interval",
    "make_forecaster",
    "rank",
    "recent_drift",
    "split",
    "trajectories_needed",
    "worst_robustness",
]
