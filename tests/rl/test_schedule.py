"""Schedules: where they start, where they end, and that they stay there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.rl.config import LearnerConfig
from custodes.rl.schedule import entropy_coefficient, learning_rate, linear

CONFIG = LearnerConfig(
    learning_rate=4e-3,
    learning_rate_end=1e-3,
    entropy_coefficient=0.05,
    entropy_coefficient_end=0.01,
    entropy_decay=0.5,
)
SETTING = st.floats(-10.0, 10.0)


@pytest.mark.parametrize(
    ("progress", "expected"), [(-1.0, 2.0), (0.0, 2.0), (0.25, 3.0), (0.5, 4.0), (1.0, 6.0), (1.001, 6.0), (50.0, 6.0)]
)
def test_linear_is_a_line_clamped_at_both_ends(progress: float, expected: float) -> None:
    assert linear(2.0, 6.0, progress) == pytest.approx(expected)


@given(start=SETTING, end=SETTING, first=st.floats(-1.0, 2.0), second=st.floats(-1.0, 2.0))
def test_linear_moves_one_way_and_stays_between_its_ends(start: float, end: float, first: float, second: float) -> None:
    first, second = sorted((first, second))
    before, after = linear(start, end, first), linear(start, end, second)
    low, high, room = min(start, end), max(start, end), 1e-12 * (abs(start) + abs(end))
    assert low - room <= before <= high + room
    assert before <= after + room if start <= end else before >= after - room


@given(value=SETTING, progress=st.floats(0.0, 1.0))
def test_equal_ends_are_constant(value: float, progress: float) -> None:
    assert linear(value, value, progress) == value


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 4e-3), (0.5, 2.5e-3), (2 / 3, 2e-3), (1.0, 1e-3), (1.2, 1e-3)]
)
def test_learning_rate_falls_over_the_whole_budget(progress: float, expected: float) -> None:
    assert learning_rate(CONFIG, progress) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 0.05), (0.25, 0.03), (0.5, 0.01), (0.75, 0.01), (1.0, 0.01), (1.2, 0.01)]
)
def test_entropy_weight_is_at_its_end_after_its_share_of_the_budget(progress: float, expected: float) -> None:
    assert entropy_coefficient(CONFIG, progress) == pytest.approx(expected)


@pytest.mark.parametrize("decay", [0.1, 0.3, 1.0])
def test_entropy_decay_sets_that_share(decay: float) -> None:
    config = LearnerConfig(entropy_coefficient=0.04, entropy_coefficient_end=0.0, entropy_decay=decay)
    assert entropy_coefficient(config, decay / 2) == pytest.approx(0.02)
    assert entropy_coefficient(config, decay) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("decay", [0.0, -0.5])
def test_an_entropy_decay_of_nothing_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="entropy_decay"):
        LearnerConfig(entropy_decay=decay)


def test_an_entropy_decay_above_the_whole_budget_is_refused() -> None:
    """The setting's docstring says "above 0 to 1"."""
    with pytest.raises(ValueError, match="entropy_decay"):
        LearnerConfig(entropy_decay=1.5)
