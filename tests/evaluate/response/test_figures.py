"""Every figure of the record against a recording priced by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from custodes.env.response.replay import EXECUTED
from custodes.evaluate.response.figures import MULTIPLIERS, dearer, figures_of, times_to_contain
from custodes.evaluate.response.outcome import (
    allow_all,
    bootstrap,
    bootstrap_lead,
    oracle,
    outcome,
    reference_of,
    total_cost,
)
from custodes.evaluate.response.record import in_order, response_record
from custodes.evaluate.response.schema import ResponseRecord
from tests.env.response.worlds import Event, World, played
from tests.evaluate.response.small import COSTS, DECISIONS, EVENTS, recording, recording_with

NONE = np.zeros(len(EVENTS), dtype=np.int8)


def record(**changes: Any) -> ResponseRecord:
    return response_record(recording(), DECISIONS, COSTS, **changes)


def test_costs_and_score_are_those_computed_by_hand() -> None:
    got = record()
    # Phase x: two events, 50 each; phase y: one, 100. One of x runs; c costs 1 + 0.1 and two delays; d is suppressed.
    assert got.harm == 50.0
    assert got.cost == pytest.approx(50 + 1 + 0.1 + 2 * 0.01 + 0.02)
    assert got.cost_allow == pytest.approx(200.0)
    assert got.cost_oracle == pytest.approx(0.02)
    assert got.score == pytest.approx((200 - 51.14) / (200 - 0.02))


def test_counts_are_those_counted_by_hand() -> None:
    got = record()
    assert (got.malicious_prevented, got.benign_suppressed, got.benign_delayed) == (2, 1, 2)
    assert (got.false_blocks, got.false_quarantines, got.false_containments) == (0, 1, 1)
    assert (got.events, got.processes, got.malicious_processes, got.attack_trees) == (8, 4, 1, 1)
    assert got.false_containments_per_1000 == 250.0
    assert (got.alerts, got.alerts_lost, got.hours, got.alerts_per_hour) == (1, 0, 1.0, 1.0)
    assert {name: (phase.malicious, phase.prevented) for name, phase in got.per_phase.items()} == {
        "x": (2, 1),
        "y": (1, 1),
    }
    assert (got.time_to_contain_s.p50, got.time_to_contain_s.p95) == (200.0, 200.0)
    assert got.costs["false_block"] == 5.0
    assert got.seconds > 0
    assert got.events_per_second == pytest.approx(8 / got.seconds)


def test_the_sensitivity_curve_prices_the_same_actions_anew() -> None:
    points = {point.multiplier: point.score for point in record().sensitivity}
    assert tuple(points) == MULTIPLIERS
    assert points[4.0] == pytest.approx((200 - (50 + 4 * 1.04 + 0.1)) / (200 - 0.08))
    assert points[1.0] == pytest.approx(record().score)
    assert dearer(COSTS, 2.0).alert == COSTS.alert


def test_the_interval_is_over_attack_trees_and_processes() -> None:
    # Units: a (nothing happens), the tree of b and d, c. Of draws with b in them the worst that is likely is b, c, c.
    low, high = record().score_ci or (0.0, 0.0)
    assert low == pytest.approx((149.98 - 2 * 1.12) / 199.98)
    assert high == pytest.approx(149.98 / 199.98)


def test_a_lead_is_drawn_with_the_same_trees() -> None:
    part = recording()
    ends = reference_of(part, COSTS)
    mine = outcome(part, DECISIONS, COSTS)
    assert bootstrap_lead(part, mine, mine, ends, 0) == (0.0, 0.0)
    lead = bootstrap_lead(part, mine, ends.allow, ends, 0)
    assert lead == bootstrap(part, mine, ends, 0)
    behind = bootstrap_lead(part, ends.allow, mine, ends, 0)
    assert lead is not None
    assert behind is not None
    assert behind[0] == pytest.approx(-lead[1])
    assert behind[1] == pytest.approx(-lead[0])


def test_both_ends_are_0_and_1_to_the_last_digit() -> None:
    part = recording()
    assert response_record(part, allow_all(part), COSTS).score == 0.0
    assert response_record(part, oracle(part), COSTS).score == 1.0


def test_members_are_scored_by_their_own_votes() -> None:
    alone = np.stack((DECISIONS, NONE), axis=1)
    for votes in (alone, np.repeat(alone[:, :, None], 3, axis=2)):
        got = record(votes=votes)
        assert [member.score for member in got.per_member] == [got.score, 0.0]
        assert got.per_member[0].cost == got.cost
        assert got.per_member[1].time_to_contain_s.p50 == "inf"
    with pytest.raises(ValueError, match="votes for 8 rows"):
        record(votes=alone[:5])


def test_never_contained_is_inf_and_nothing_to_wait_for_is_null() -> None:
    part = recording()
    idle = figures_of(part, outcome(part, NONE, COSTS), reference_of(part, COSTS), COSTS)
    assert (idle.time_to_contain_s.p50, idle.time_to_contain_s.p95) == ("inf", "inf")
    calm = recording_with(Event(time=1, entity="a"), Event(time=2, entity="a"))
    got = response_record(calm, np.array([0, 3]), COSTS)
    assert (got.score, got.score_ci, got.attack_trees, got.per_phase) == (None, None, 0, {})
    assert (got.time_to_contain_s.p50, got.time_to_contain_s.p95) == (None, None)
    assert got.cost == pytest.approx(5.02)
    once = response_record(recording_with(Event(time=1, entity="a")), np.array([1]), COSTS)
    assert once.alerts_per_hour is None


def test_a_quarantine_that_is_over_contains_nothing() -> None:
    long = COSTS.quarantine_s + 1
    part = recording_with(
        Event(time=1, entity="a"),
        Event(time=1 + long, entity="a", label=1),
        Event(time=61 + long, entity="a", label=1),
        Event(time=1 + long, entity="b", label=1),
    )
    # An analyst who finds a benign at the first alert leaves it alone; the Quarantine itself would have run out too.
    waits = times_to_contain(part, outcome(part, np.array([2, 0, 0, 3]), COSTS).replayed)
    assert waits.tolist() == [math.inf, 0.0]
    part_2 = recording_with(*[Event(time=time, entity="a", label=label) for time, label in ((1, 0), (2, 1), (12, 1))])
    assert times_to_contain(part_2, outcome(part_2, np.array([0, 0, 2]), COSTS).replayed).tolist() == [10.0]
    assert times_to_contain(part_2, outcome(part_2, np.array([2, 0, 0]), COSTS).replayed).tolist() == [0.0]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(game=played())
def test_figures_agree_with_the_replay(game: tuple[World, np.ndarray]) -> None:
    world, decisions = game
    part, costs = world.recording, world.costs
    result = outcome(part, decisions, costs)
    got = figures_of(part, result, reference_of(part, costs), costs)
    assert total_cost(result, costs) == pytest.approx(got.cost)
    assert sum(phase.prevented for phase in got.per_phase.values()) == got.malicious_prevented
    assert sum(phase.malicious for phase in got.per_phase.values()) == int((part.labels[part.rows] == 1).sum())
    # Each process that is touched for nothing is counted once, however often it was.
    assert got.false_containments <= got.false_blocks + got.false_quarantines
    assert (got.false_containments > 0) == (got.false_blocks + got.false_quarantines > 0)
    waits = times_to_contain(part, result.replayed)
    rows = np.flatnonzero(part.phase[part.rows] >= 0)
    first = {e: p for p, e in reversed([(int(p), int(part.forest.entity[part.rows[p]])) for p in rows])}
    untouched = sum(result.replayed.fate[place] != EXECUTED for place in first.values())
    assert len(waits) == len(first)
    assert int((waits == 0).sum()) >= untouched


def test_values_of_any_order_are_brought_into_the_order_of_the_replay() -> None:
    part = recording_with(Event(time=5, entity="late"), Event(time=1, entity="early", stream="other"))
    assert part.source.tolist() == [1, 0]
    assert in_order(part, np.array([0, 1]), np.array([10, 20])).tolist() == [20, 10]
    assert in_order(part, np.array([1, 0]), np.array([[20], [10]])).tolist() == [[20], [10]]
    for rows in ([0, 0], [0, 2], [0]):
        with pytest.raises(ValueError, match="not once each"):
            in_order(part, np.array(rows), np.array([1, 2][: len(rows)]))


def test_the_record_comes_back_equal_and_strange_or_missing_keys_are_refused() -> None:
    got = record(votes=np.stack((DECISIONS, NONE), axis=1), needs_names=("novelty",))
    data = msgspec.json.encode(got)
    assert msgspec.json.decode(data, type=ResponseRecord) == got
    assert json.loads(data)["per_member"][1]["time_to_contain_s"] == {"p50": "inf", "p95": "inf"}
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.json.decode(json.dumps(json.loads(data) | {"colour": 1}), type=ResponseRecord)
    for key in json.loads(data):
        short = {name: value for name, value in json.loads(data).items() if name != key}
        with pytest.raises(msgspec.ValidationError, match=key):
            msgspec.json.decode(json.dumps(short), type=ResponseRecord)


@pytest.mark.parametrize(
    "change",
    [
        {"cost": -1.0},
        {"alerts_lost": 9},
        {"score_ci": [0.9, 0.1]},
        {"time_to_contain_s": {"p50": "never", "p95": "inf"}},
        {"per_phase": {"x": {"malicious": 1, "prevented": 2}}},
        {"sensitivity": [{"multiplier": 0.0, "score": 0.5}]},
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any]) -> None:
    values = json.loads(msgspec.json.encode(record())) | change
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(values), type=ResponseRecord)
