from __future__ import annotations

import math

import pytest
import torch

from custodes.errors import CustodesError
from custodes.rl.multipliers import Gains, Multipliers

GAINS = Gains(proportional=2.0, integral=0.5, derivative=3.0, most=4.0, smoothing=0.5, prior=1.0)


def by_hand(windows: list[tuple[float, float]], target: float, gains: Gains) -> list[float]:
    """Algorithm 2 of Stooke et al. 2020 for one constraint, with the rate from decaying counts."""
    weight = violated = integral = 0.0
    value, before, values = 0.0, math.nan, []
    for seen, bad in windows:
        weight, violated = gains.smoothing * weight + seen, gains.smoothing * violated + bad
        if weight > 0:
            rate = violated / (weight + gains.prior)
            integral = min(max(integral + rate - target, 0.0), gains.most / gains.integral)
            rise = max(rate - before, 0.0) if not math.isnan(before) else 0.0
            value = gains.proportional * (rate - target) + gains.integral * integral + gains.derivative * rise
            value, before = min(max(value, 0.0), gains.most), rate
        values.append(value)
    return values


def test_they_are_the_controllers_own_numbers() -> None:
    windows = [(0.0, 0.0), (10.0, 4.0), (10.0, 9.0), (0.0, 0.0), (10.0, 0.0), (1.0, 1.0), (20.0, 0.0)]
    found = Multipliers([0.1], [True], GAINS)
    values = []
    for seen, bad in windows:
        found.update([seen], [bad])
        values.append(float(found.value))
    assert values == pytest.approx(by_hand(windows, 0.1, GAINS))
    assert values[0] == 0.0


def test_none_winds_up_and_none_that_is_only_measured_rises() -> None:
    found = Multipliers([0.05, 0.05], [True, False], GAINS)
    for _ in range(1000):
        found.update([10.0, 10.0], [10.0, 10.0])
    assert found.value.tolist() == [4.0, 0.0]
    for _ in range(40):
        found.update([1000.0, 0.0], [0.0, 0.0])
    assert found.value[0] < 4.0  # As soon as the rule is kept it falls, however long it was broken.


def test_windows_that_do_not_come_any_more_are_forgotten() -> None:
    """A team that stops doing what a rule is about must not be held down by the memory of it."""
    found = Multipliers([0.05], [True], GAINS)
    for _ in range(5):
        found.update([10.0], [10.0])
    high = float(found.value)
    for _ in range(200):
        found.update([0.0], [0.0])
    assert high > 1.0
    assert float(found.value) == 0.0


def test_a_rate_without_windows_is_unknown() -> None:
    found = Multipliers([0.05], [True], GAINS)
    found.update([0.0], [0.0])
    assert math.isnan(float(found.rate))


def test_a_policy_that_earns_by_violating_settles_at_the_rate_that_is_allowed() -> None:
    """Reward p for doing what costs p, allowed 0.2: the multiplier balances them, and the rate stays there."""
    gains = Gains(proportional=1.0, integral=0.05, derivative=0.0, most=50.0, smoothing=0.0)
    found, logit = Multipliers([0.2], [True], gains), torch.tensor(2.0, dtype=torch.float64)
    rates = []
    for _ in range(3000):
        rate = float(logit.sigmoid())
        found.update([1.0], [rate])
        slope = rate * (1.0 - rate)
        logit += 0.5 * slope * (1.0 - float(found.value))
        rates.append(rate)
    assert rates[-1] == pytest.approx(0.2, abs=0.01)
    assert float(found.value) == pytest.approx(1.0, abs=0.1)


def test_a_saved_one_goes_on_to_the_bit() -> None:
    one, other = (Multipliers([0.1, 0.2], [True, True], GAINS) for _ in range(2))
    one.update([3.0, 5.0], [1.0, 2.0])
    other.load_state(one.state())
    for each in (one, other):
        each.update([2.0, 7.0], [2.0, 0.0])
    assert torch.equal(one.value, other.value)
    with pytest.raises(CustodesError, match="of other rules"):
        Multipliers([0.1], [True], GAINS).load_state(one.state())
