"""Drift: found when it is there, silent when it is not, and the same after a restart."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.stl_forecast import calibrated, drift, setting, streams
from custodes.stl.errors import StlError
from custodes.stl.forecast import Calibration, DriftMonitor, recent_drift
from custodes.stl.forecast.drift import POWERS, SLOPES, STAKES


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    source = torch.Generator().manual_seed(0)
    return calibrated(setting(False, source), "direct", 500, source).calibration


def normal(calibration: Calibration, seed: int) -> Calibration:
    """With standard normal scores."""
    scores = np.sort(np.random.default_rng(seed).normal(size=len(calibration.scores)))
    return replace(calibration, scores=tuple(scores.tolist()))


@pytest.mark.slow
def test_shift_is_flagged_and_no_shift_is_not() -> None:
    """+0.05 per step within 500 trajectories: power >= 0.9; without: <= 5 % plus two standard errors, of 100 runs."""
    source = torch.Generator().manual_seed(11)
    found = drift(setting(False, source), 100, 500, 0.05, source)
    assert found["ok"], found


def test_false_alarms_ever_are_rare(calibration: Calibration) -> None:
    rng = np.random.default_rng(12)
    flags = 0
    for run in range(150):
        monitor = DriftMonitor(normal(calibration, run), alpha=0.1, seed=run)
        flags += any(monitor.update(score).drifted for score in rng.normal(size=400).tolist())
    assert flags <= 25  # 0.1 of 150, and three standard errors.


def test_p_values_are_uniform_also_with_ties(calibration: Calibration) -> None:
    rng = np.random.default_rng(13)
    tied = replace(calibration, scores=tuple(np.sort(rng.integers(0, 3, size=500)).astype(float).tolist()))
    monitor = DriftMonitor(tied, alpha=1e-9)
    found = np.sort([monitor.update(float(score)).p_value for score in rng.integers(0, 3, size=3000)])
    assert np.abs(found - (np.arange(3000) + 0.5) / 3000).max() < 1.63 / 3000**0.5  # Kolmogorov, 1 %.
    assert 0 < found[0] <= found[-1] <= 1


def test_every_bet_is_fair(calibration: Calibration) -> None:
    monitor = DriftMonitor(calibration)
    grid = (np.arange(5000) + 0.5) / 5000
    # The integral over p by p = u^4: no singularity at 0 is left.
    means = np.mean([monitor._payoffs(u**4) * 4 * u**3 for u in grid], axis=0)
    assert len(means) == 1 + len(SLOPES) + len(POWERS) + len(STAKES)
    np.testing.assert_allclose(means, 1, atol=2e-3)
    assert monitor._capital.sum() == pytest.approx(1)


def test_smaller_scores_are_no_alarm(calibration: Calibration) -> None:
    monitor = DriftMonitor(calibration)
    for score in np.random.default_rng(14).normal(-5, 1, size=300).tolist():
        verdict = monitor.update(score)
    assert not verdict.drifted
    assert monitor.guarantee_holds


def test_a_flag_stays(calibration: Calibration) -> None:
    monitor = DriftMonitor(calibration)
    verdicts = [monitor.update(math.inf if number < 20 else -math.inf) for number in range(400)]
    first = next(verdict.count for verdict in verdicts if verdict.drifted)
    assert first < 12
    assert all(verdict.drifted for verdict in verdicts[first:])
    assert not monitor.guarantee_holds
    assert verdicts[-1].capital < verdicts[-1].peak
    assert verdicts[-1].peak >= 1 / monitor.alpha


def test_a_late_change_is_found(calibration: Calibration) -> None:
    rng = np.random.default_rng(15)
    monitor = DriftMonitor(normal(calibration, 15))
    assert not any(monitor.update(score).drifted for score in rng.normal(size=2000).tolist())
    assert any(monitor.update(score).drifted for score in rng.normal(1.5, 1, size=100).tolist())


def test_state_goes_on_bit_by_bit(calibration: Calibration) -> None:
    scores = np.random.default_rng(16).normal(0.3, 1, size=60).tolist()
    whole, first = DriftMonitor(calibration, seed=3), DriftMonitor(calibration, seed=3)
    for score in scores:
        last = whole.update(score)
    for score in scores[:25]:
        first.update(score)
    second = DriftMonitor(calibration, seed=3)
    second.restore(json.loads(json.dumps(first.state())))
    for score in scores[25:]:
        again = second.update(score)
    assert again == last
    with pytest.raises(StlError, match="another drift monitor"):
        DriftMonitor(calibration, seed=4).restore(first.state())


def test_forecaster_says_that_the_guarantee_is_gone() -> None:
    source = torch.Generator().manual_seed(17)
    forecaster = calibrated(setting(False, source), "direct", 500, source)
    prefix = streams(3, source)[:, :6]
    assert not forecaster.observe(streams(50, source)).drifted
    assert forecaster.forecast(prefix).guarantee_holds
    assert forecaster.observe(streams(200, source, shift=0.3)).drifted
    assert not forecaster.forecast(prefix).guarantee_holds


def test_one_look_at_a_batch(calibration: Calibration) -> None:
    same, rng = normal(calibration, 18), np.random.default_rng(18)
    flags = sum(recent_drift(same, rng.normal(size=100).tolist(), alpha=0.05).drifted for _ in range(200))
    assert flags <= 20
    shifted = recent_drift(same, rng.normal(0.7, 1, size=100).tolist())
    assert shifted.drifted
    assert shifted.tested == 100
    assert shifted.exceedances == pytest.approx(17, abs=12)
    tail = recent_drift(same, [*rng.normal(-0.2, 1, size=100), *[10.0] * 20])
    assert tail.exceedance_p < 1e-4 < tail.rank_p


def test_misuse_is_named(calibration: Calibration) -> None:
    with pytest.raises(StlError, match="alpha is 0"):
        DriftMonitor(calibration, alpha=0)
    with pytest.raises(StlError, match="not a number"):
        DriftMonitor(calibration).update(math.nan)
    for scores in ([], [math.nan]):
        with pytest.raises(StlError, match="no scores"):
            recent_drift(calibration, scores)
