"""Each detector on signals that it is there for, and on those of a run with nothing wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from custodes.doctor import CATALOGUE, DETECTORS, Facts, InputLeak, LabelRule, NonFinite, Series, Signals, diagnose
from custodes.doctor.schema import DIAGNOSTIC_KEYS
from custodes.evaluate.run_schema import METRICS_KEYS
from tests.doctor.healthy import AGENTS, CEILING, ITERATIONS, SESSION, each, flat, signals


def from_row(row: int, before: float, after: float) -> Series:
    """A series that changes at a row."""
    return np.where(np.arange(ITERATIONS) < row, before, after)


def one_agent(agent: int, value: float, others: float) -> Series:
    series = each(others)
    series[:, agent] = value
    return series


def places(r: float, c: float, i: float) -> dict[str, Series]:
    """Errors of the ratio at resets, at starts of sequences and inside them."""
    return {
        "ratio_error": from_row(3, 1e-7, 0.03),
        "ratio_error_reset": from_row(3, np.nan, r),
        "ratio_error_chunk": from_row(3, np.nan, c),
        "ratio_error_inside": from_row(3, np.nan, i),
        "repeat_error": from_row(3, np.nan, 0.0),
    }


def kept(share: float, *, windows: float) -> dict[str, Series]:
    """How one rule held, and in how many windows."""
    return {"spec_satisfied": np.full((ITERATIONS, 1), share), "spec_windows": np.full((ITERATIONS, 1), windows)}


def gone_from(row: int, before: float) -> Series:
    return from_row(row, before, np.nan)


COUNT = np.arange(1.0, ITERATIONS + 1)
SHORT = {"tp": flat(3.0), "fp": flat(2.0), "tn": flat(90.0), "fn": flat(1.0)}
SILENT = {"tp": flat(0.0), "fp": flat(0.0), "tn": flat(920.0), "fn": flat(80.0)}
NO_GAIN = replace(CEILING, gain=0.0)
BLIND = replace(CEILING, f1_alone=0.15, f1_context=0.15, auroc_context=0.51)
THIN = replace(CEILING, f1_alone=0.3, f1_context=0.4)
UNTOLD = {"value_loss": flat(1.0), "value_loss_floor": flat(1.0), "explained_variance": flat(0.0)}
CASES: list[tuple[str, int, dict[str, Any], dict[str, Any]]] = [
    ("non-finite", 5, {"non_finite": NonFinite(iteration=5, tensor="reward")}, {}),
    ("non-finite", 6, {}, {"kl": gone_from(5, 0.01)}),
    ("non-finite", 6, {}, {"value_loss": from_row(5, 0.5, np.inf)}),
    ("resume-mismatch", 9, {}, {"parameters_mark_before": COUNT - 1 + (COUNT == 9)}),
    ("resume-mismatch", 9, {}, {"generators_mark_before": COUNT - 1 + (COUNT == 9)}),
    ("resume-mismatch", 9, {}, {"optimiser_steps_before": 8 * (COUNT - 1) * (COUNT != 9)}),
    ("resume-mismatch", 21, {"sessions": (SESSION, replace(SESSION, iteration=20, seed=2))}, {}),
    ("resume-mismatch", 21, {"sessions": (SESSION, replace(SESSION, iteration=20, code="other"))}, {}),
    ("unreproducible", 3, {}, {"outside_draws": from_row(2, 0.0, 1.0)}),
    ("metric-window", 1, {}, SHORT),
    ("ratio-broadcast", 1, {}, {"ratio_elements": flat(256.0), "ratio_error": flat(0.1)}),
    ("dropout-mismatch", 4, {}, places(0.03, 0.03, 0.03) | {"repeat_error": flat(0.01)}),
    ("start-state-mismatch", 4, {}, places(0.0, 0.05, 0.01)),
    ("start-state-mismatch", 4, {}, places(np.nan, 0.05, 0.01)),
    ("reset-misaligned", 4, {}, places(0.05, 0.0, 0.01)),
    ("sequence-order", 4, {}, places(0.0, 0.05, 0.05)),
    ("sequence-order", 4, {}, places(0.0, 0.0, 0.05)),
    ("normaliser-drift", 4, {}, places(0.05, 0.05, 0.05)),
    ("ratio-not-one", 4, {}, {"ratio_error": from_row(3, 1e-7, 0.03)}),
    ("value-units", 3, {}, {"value_error": from_row(2, 1e-6, 0.5)}),
    ("return-target", 1, {}, {"target_error": flat(0.4), "target_spread": flat(1.0)}),
    ("truncation-as-termination", 1, {"gamma": 0.9, "influence": 20.0}, {"ends_wrongly_terminated": flat(5.0)}),
    ("termination-as-truncation", 1, {"gamma": 0.9, "influence": 20.0}, {"ends_wrongly_truncated": flat(5.0)}),
    ("return-unpredictable", 1, {"gamma": 0.99}, UNTOLD | {"action_share": each(0.0)}),
    ("reward-constant", 1, {}, {"reward_min": flat(0.0), "reward_max": flat(0.0)}),
    ("reward-misaligned", 1, {}, {"reward_mismatch": flat(0.3), "reward_lagged": flat(1.0)}),
    ("reward-misaligned", 1, {}, {"advantage_signal": each(1.0), "advantage_signal_lagged": each(60.0)}),
    (
        "reward-saturated",
        1,
        {},
        {"reward_mismatch": flat(0.3), "reward_min": flat(-1.0), "reward_max": flat(1.0), "reward_at_ends": flat(1.0)},
    ),
    (
        "reward-saturated",
        1,
        {},
        {"reward_mismatch": flat(np.nan), "reward_at_ends": flat(1.0)},
    ),
    ("reward-unlike-table", 1, {}, {"reward_mismatch": flat(0.3)}),
    ("advantage-no-signal", 10, {}, {"advantage_signal": each(1.0)}),
    ("one-action-optimal", 0, {"ceiling": NO_GAIN}, {}),
    ("input-ceiling", 0, {"ceiling": BLIND}, {}),
    ("input-ceiling", 0, {"ceiling": THIN}, {}),
    ("inputs-constant", 1, {}, {"inputs_constant": one_agent(2, 1.0, 0.2)}),
    ("input-scale", 1, {}, {"input_rms_max": flat(2e4)}),
    ("inputs-drift", 11, {}, {"input_stretch": from_row(10, 1.0, 5.0)}),
    ("inputs-drift", 11, {}, {"input_shift": from_row(10, 0.1, 5.0)}),
    ("leaking-input", 0, {"input_leak": InputLeak(column=3, auroc=1.0)}, {}),
    ("label-is-a-rule", 0, {"label_rule": LabelRule(column="kind", share=0.98, is_input=False)}, {}),
    ("split-leakage", 0, {"rows_shared": 0.7}, {}),
    ("class-too-rare", 1, {}, {"threats": flat(0.3)}),
    ("consensus-f0", 0, {"agents": 3, "tolerated": 0}, {}),
    ("lying-agent", 1, {}, {"vote_surprise": one_agent(1, -40.0, 0.3)}),
    ("votes-lost", 1, {}, {"decision_mismatch": flat(0.02)}),
    ("idle-agent", 1, {}, {"pivotal": one_agent(3, 0.0, 0.05)}),
    ("spec-always-violated", 1, {}, {"stl_satisfied": flat(0.0)}),
    ("spec-always-violated", 1, {}, kept(0.0, windows=20.0)),
    (
        "multiplier-windup",
        ITERATIONS - 14,
        {},
        {"spec_multiplier": np.exp(COUNT / 8.0)[:, None], "spec_cost": np.full((ITERATIONS, 1), 0.5)},
    ),
    ("value-clip", 1, {"value_clip": 0.001}, {}),
    ("value-clip", 1, {"value_clip": 0.1, "normalise_value": False}, {"return_std": flat(50.0)}),
    ("value-target-scale", 1, {"normalise_value": False}, {"return_std": flat(1e5)}),
    ("value-head-frozen", 1, {}, {"grad_value_head": each(0.0)}),
    ("critic-not-learning", 16, {}, {"value_loss": flat(2.5), "explained_variance": flat(0.0)}),
    ("gradient-explosion", 1, {}, {"grad_norm": each(5e3)}),
    ("gradient-vanishing", 1, {}, {"grad_first": one_agent(0, 0.0, 0.1)}),
    ("update-too-large", 6, {}, {"kl": from_row(5, 0.01, 0.9), "clip_fraction": from_row(5, 0.1, 0.8)}),
    ("update-too-small", 1, {}, {"parameter_step": flat(1e-9)}),
    ("clipping-always", 1, {}, {"clipped_steps": flat(1.0)}),
    (
        "entropy-collapse",
        3,
        {},
        {
            "entropy_per_agent": np.where(COUNT[:, None] < 3, 1.38, 1e-4) * np.ones((1, AGENTS)),
            "action_shares": np.zeros((ITERATIONS, AGENTS, 4)) + np.array([1.0, 0.0, 0.0, 0.0]),
        },
    ),
    ("entropy-never-falls", 21, {}, {"entropy": flat(1.38)}),
    ("greedy-unlike-sampled", ITERATIONS - 9, {}, {"greedy_contained": flat(0.0)}),
    ("one-sided-team", 1, {}, SILENT),
]


def named(given: Signals) -> dict[str, int]:
    """Every root cause with its onset."""
    return {finding.name: finding.iteration for finding in diagnose(given).findings}


def test_nothing_fires_on_a_healthy_run() -> None:
    diagnosis = diagnose(signals())
    assert diagnosis.findings == ()
    # Detectors that other trainers' logs alone feed have nothing to read here.
    recorded = {*METRICS_KEYS, *DIAGNOSTIC_KEYS}
    assert not [part for part in diagnosis.not_examined if set(part.missing) <= recorded]
    assert len(diagnosis.examined) + len(diagnosis.not_examined) == len(DETECTORS)


@pytest.mark.parametrize(("name", "onset", "facts", "series"), CASES)
def test_a_cause_is_named_with_its_onset(
    name: str, onset: int, facts: dict[str, Any], series: dict[str, Series]
) -> None:
    assert named(signals(facts, **series)) == {name: onset}


@pytest.mark.parametrize(
    "series",
    [
        kept(0.0, windows=1.0),  # One process in an iteration, and none of them caught: that is no rate.
        kept(0.0, windows=20.0) | {"spec_satisfied": from_row(19, 0.0, 0.2)[:, None]},  # Kept as the team learns.
        kept(np.nan, windows=np.nan) | {"stl_satisfied": flat(0.0)},  # Measured only.
    ],
)
def test_a_rule_that_is_broken_for_a_while_or_seldom_seen_is_none_that_nobody_keeps(series: dict[str, Series]) -> None:
    assert named(signals({}, **series)) == {}


def test_every_finding_has_a_case() -> None:
    assert {name for name, *_ in CASES} == set(CATALOGUE)


def test_every_finding_has_a_detector() -> None:
    assert {name for one in DETECTORS for name in one.findings} == set(CATALOGUE)


@pytest.mark.parametrize("one", DETECTORS, ids=lambda one: one.name)
def test_a_detector_without_its_signals_says_that_it_did_not_look(one: Any) -> None:
    diagnosis = diagnose(Signals(iterations=(1, 2), series={}, facts=Facts()))
    assert diagnosis.findings == ()
    (left,) = (part for part in diagnosis.not_examined if part.name == one.name)
    assert left.missing == one.needs


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_a_run_that_has_just_begun_raises_nothing(count: int) -> None:
    assert diagnose(signals().until(count)).findings == ()


def test_truncation_is_harmless_without_a_discount() -> None:
    (finding,) = diagnose(signals(ends_wrongly_terminated=flat(5.0))).findings
    assert finding.severity == "warning"


def test_evidence_says_what_was_expected_and_why() -> None:
    for name, _, facts, series in CASES:
        for finding in diagnose(signals(facts, **series)).findings:
            assert finding.evidence, name
            assert all(part.metric and part.expectation and part.source for part in finding.evidence), name
            assert finding.cause, name
            assert finding.change, name
