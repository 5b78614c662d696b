"""Schedules: settings that change with the share of the decision budget that is spent."""

from __future__ import annotations

from custodes.rl.config import LearnerConfig


def linear(start: float, end: float, progress: float) -> float:
    """The value at `progress` (clamped to 0..1) on the line from `start` to `end`."""
    return start + (end - start) * min(max(progress, 0.0), 1.0)


def learning_rate(config: LearnerConfig, progress: float) -> float:
    """Adam's step size when `progress` of the budget is spent."""
    return linear(config.learning_rate, config.learning_rate_end, progress)


def entropy_coefficient(config: LearnerConfig, progress: float) -> float:
    """Weight of the entropy bonus when `progress` of the budget is spent."""
    return linear(config.entropy_coefficient, config.entropy_coefficient_end, progress / config.entropy_decay)
