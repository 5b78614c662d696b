"""Signals of a run with nothing wrong, for tests to change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custodes.doctor import Ceiling, Facts, InputLeak, LabelRule, LearningSession, Series, Signals

ITERATIONS = 40
AGENTS = 4
TABLE = ((1.0, 1.0, -9.5, -9.5), (-10.0, -10.0, 8.5, 8.5))
CEILING = Ceiling(f1_alone=0.6, f1_context=0.85, f1_chance=0.15, auroc_context=0.95, gain=0.6, events=8000, threats=640)
SESSION = LearningSession(iteration=0, seed=1, data="d", code="c", versions="v")
FACTS = Facts(
    agents=AGENTS,
    tolerated=1,
    actions=4,
    per_iteration=1000,
    planned_iterations=ITERATIONS,
    minibatches=4,
    gamma=0.0,
    influence=0.0,
    normalise_value=True,
    value_clip=0.0,
    clip=0.2,
    max_grad_norm=0.5,
    base_rate=0.08,
    reward_table=TABLE,
    ceiling=CEILING,
    input_leak=InputLeak(column=3, auroc=0.8),
    label_rule=LabelRule(column="kind", share=0.3, is_input=True),
    rows_shared=0.0,
    sessions=(SESSION,),
    specs=("first",),
)


def flat(value: float) -> NDArray[np.float64]:
    """One number in every iteration."""
    return np.full(ITERATIONS, value)


def each(value: float) -> NDArray[np.float64]:
    """One number for every agent."""
    return np.full((ITERATIONS, AGENTS), value)


def _series() -> dict[str, Series]:
    count = np.arange(1.0, ITERATIONS + 1)
    falling = 1.38 * np.exp(-count / 20.0)
    shares = np.zeros((ITERATIONS, AGENTS, 4)) + np.array([0.7, 0.2, 0.05, 0.05])
    return {
        "value_loss": 0.5 + 0.5 / count,
        "value_loss_floor": flat(0.5),
        "explained_variance": flat(0.4),
        "ratio_error": flat(1e-7),
        "ratio_elements": flat(1.0),
        "ratio_error_reset": flat(np.nan),
        "ratio_error_chunk": flat(np.nan),
        "ratio_error_inside": flat(np.nan),
        "repeat_error": flat(np.nan),
        "value_error": flat(1e-6),
        "policy_loss": flat(-0.01),
        "entropy": falling,
        "entropy_per_agent": np.repeat(falling[:, None], AGENTS, axis=1),
        "entropy_coefficient": flat(0.02),
        "action_shares": shares,
        "kl": flat(0.01),
        "clip_fraction": flat(0.1),
        "grad_norm": each(0.6),
        "clipped_steps": flat(0.5),
        "grad_first": each(0.1),
        "grad_policy_head": each(0.1),
        "grad_value_head": each(0.2),
        "parameter_step": flat(0.01),
        "return_std": flat(4.0),
        "tp": flat(60.0),
        "fp": flat(20.0),
        "tn": flat(900.0),
        "fn": flat(20.0),
        "f1": flat(0.75),
        "threats": flat(80.0),
        "unlabelled": flat(0.0),
        "contained": flat(0.08),
        "greedy_contained": flat(0.07),
        "vote_surprise": each(0.5),
        "decision_mismatch": flat(0.0),
        "pivotal": each(0.05),
        "target_error": flat(0.0),
        "target_spread": flat(3.0),
        "ends_cut": flat(5.0),
        "ends_terminal": flat(5.0),
        "ends_wrongly_terminated": flat(0.0),
        "ends_wrongly_truncated": flat(0.0),
        "reward_min": flat(-10.0),
        "reward_max": flat(8.5),
        "reward_at_ends": flat(0.1),
        "reward_mismatch": flat(0.0),
        "reward_lagged": flat(0.8),
        "advantage_signal": each(90.0),
        "advantage_signal_lagged": each(1.0),
        "action_share": each(0.2),
        "inputs_constant": each(0.2),
        "input_rms_max": flat(2.0),
        "input_stretch": flat(1.1),
        "input_shift": flat(0.1),
        "parameters_mark_before": count - 1,
        "parameters_mark_after": count,
        "generators_mark_before": count - 1,
        "generators_mark_after": count,
        "optimiser_steps_before": 8 * (count - 1),
        "optimiser_steps_after": 8 * count,
        "outside_draws": flat(0.0),
        "stl_satisfied": flat(0.9),
        "spec_cost": np.full((ITERATIONS, 1), 0.1),
        "spec_multiplier": np.full((ITERATIONS, 1), 0.2),
    }


def signals(facts: dict[str, Any] | None = None, **series: Series) -> Signals:
    """The healthy signals with some of them changed."""
    return Signals(
        iterations=tuple(range(1, ITERATIONS + 1)),
        series=_series() | series,
        facts=replace(FACTS, **(facts or {})),
    )
