from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from custodes.env.response.costs import ResponseCosts, harm_of_rows, phase_codes
from tests.env.response.worlds import Event, dataset_of


@pytest.mark.parametrize("name", ["phase_harm", "quarantine_s", "analyst_s"])
def test_what_must_be_above_0_is(name: str) -> None:
    zero: dict[str, Any] = {name: 0.0}
    with pytest.raises(ValueError, match=f"{name} is 0.* above 0"):
        ResponseCosts(**zero)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("false_block", -1.0),
        ("false_quarantine", math.nan),
        ("delayed", math.inf),
        ("suppressed", -0.02),
        ("alert", -0.1),
        ("queue", -1),
        ("cleared_s", -1.0),
        ("analysts", 0),
        ("analysts", -2),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        ResponseCosts(**{name: value})


def test_nothing_may_cost_nothing() -> None:
    free = ResponseCosts(false_block=0, false_quarantine=0, delayed=0, suppressed=0, alert=0, queue=0, cleared_s=0)
    assert free.queue == 0


def test_phases_are_those_of_malicious_events() -> None:
    events = [
        Event(time=1, entity="p", label=1, phase="theft"),
        Event(time=2, entity="p", label=1),
        Event(time=3, entity="p", label=0, phase="theft"),
        Event(time=4, entity="p", label=2, phase="other"),
        Event(time=5, entity="p", label=1, phase="entry"),
    ]
    codes, names = phase_codes(dataset_of(events))
    assert names == ("attack", "entry", "theft")
    assert codes.tolist() == [2, 0, -1, -1, 1]


def test_a_phase_weighs_the_same_whatever_its_size_and_part() -> None:
    phase = np.array([0, 0, 0, 0, 1, -1, 2])
    harm = harm_of_rows(phase, np.array([0, 1, 4, 5]), 100.0)
    assert harm.tolist() == [50, 50, 0, 0, 100, 0, 0]
    assert harm_of_rows(phase, np.array([5]), 100.0).tolist() == [0] * 7
