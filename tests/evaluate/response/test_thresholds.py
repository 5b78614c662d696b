"""Thresholds are tuned for the cost of the response, on folds that hold whole attacks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custodes.env.response.costs import ResponseCosts
from custodes.evaluate.response.folds import FOLDS, deal_folds
from custodes.evaluate.response.outcome import allow_all, outcome
from custodes.evaluate.response.rehearsal import Rehearsal
from custodes.evaluate.response.thresholds import Thresholds, _Bound, tune
from tests.env.response.worlds import Event, World, worlds
from tests.evaluate.response.small import COSTS, recording, recording_with, workload

FEW = (-np.inf, 0.0, 0.25, 0.5, 1.0, np.inf)


@st.composite
def scored(draw: st.DrawFn) -> tuple[World, np.ndarray]:
    world = draw(worlds())
    values = draw(st.lists(st.sampled_from(FEW[1:-1]), min_size=len(world.rows), max_size=len(world.rows)))
    return world, np.array(values)


def test_the_severest_action_whose_threshold_is_reached_is_taken() -> None:
    thresholds = Thresholds(alert=0.2, quarantine=0.5, block=0.9)
    assert thresholds.decide(np.array([0.1, 0.2, 0.5, 0.89, 0.9, 2.0])).tolist() == [0, 1, 2, 2, 3, 3]
    assert Thresholds(block=0.3, alert=0.5).decide(np.array([0.4, 0.6])).tolist() == [3, 3]
    assert Thresholds().decide(np.array([0.0, 1e300])).tolist() == [0, 0]


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(game=scored())
def test_tuned_thresholds_are_never_worse_than_doing_nothing(game: tuple[World, np.ndarray]) -> None:
    world, score = game
    part = world.recording
    thresholds, cost = tune(Rehearsal.of(part, world.costs), score)
    assert cost == outcome(part, thresholds.decide(score), world.costs).cost
    assert cost <= outcome(part, allow_all(part), world.costs).cost


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(game=scored(), values=st.tuples(*(st.sampled_from(FEW) for _ in range(3))))
def test_the_bound_is_never_above_the_cost(game: tuple[World, np.ndarray], values: tuple[float, float, float]) -> None:
    world, score = game
    now = Thresholds(alert=values[0], quarantine=values[1], block=values[2])
    cost = outcome(world.recording, now.decide(score), world.costs).cost
    assert _Bound.of(world.recording, score, world.costs)(now) <= cost + 1e-9


def test_the_bound_is_the_whole_price_where_every_process_is_blocked_for_nothing() -> None:
    part = recording_with(*[Event(time=1 + index, entity=f"p{index}") for index in range(5)])
    free = dataclasses.replace(COSTS, suppressed=0.0)
    assert _Bound.of(part, np.ones(5), free)(Thresholds(block=1.0)) == 25.0
    assert _Bound.of(part, np.ones(5), free)(Thresholds(alert=1.0)) == pytest.approx(0.5)


def test_a_perfect_score_is_tuned_to_the_oracles_cost() -> None:
    part = recording()
    score = (part.labels[part.rows] == 1).astype(float)
    thresholds, cost = tune(Rehearsal.of(part, COSTS), score)
    assert cost == pytest.approx(0.02)
    assert thresholds == Thresholds(block=0.5)


def test_a_cheap_quarantine_is_preferred_where_blocks_are_dear() -> None:
    # One score for both: blocking the innocent one costs 500, holding it until the analyst has looked 1.1.
    costs = ResponseCosts(false_block=500.0)
    part = recording_with(
        Event(time=1, entity="bad", label=1), Event(time=2, entity="bad", label=1), Event(time=3, entity="good")
    )
    thresholds, cost = tune(Rehearsal.of(part, costs), np.array([0.9, 0.9, 0.9]))
    assert np.isinf(thresholds.block)
    assert thresholds.quarantine <= 0.9
    assert cost == pytest.approx(0.1 + 1 + 0.1 + 0.01)


def test_folds_hold_whole_attack_trees_and_whole_processes() -> None:
    events = []
    for tree in range(6):
        events += [Event(time=10 * tree + 1, entity=f"bad{tree}", label=1)]
        events += [Event(time=10 * tree + 2, entity=f"child{tree}", parent=f"bad{tree}")]
        events += [
            Event(time=10 * tree + 3, entity=f"bad{tree}", label=1),
            Event(time=10 * tree + 4, entity=f"g{tree}"),
        ]
    part = recording_with(*events)
    folds = deal_folds(part).reshape(6, 4)
    assert folds[:, 0].tolist() == [0, 1, 2, 3, 0, 1]
    assert (folds[:, :3] == folds[:, :1]).all()
    assert folds[:, 3].tolist() == [0, 1, 2, 3, 0, 1]


def test_where_trees_are_fewer_than_folds_processes_are_dealt() -> None:
    events = [Event(time=1, entity="root", label=1)]
    events += [Event(time=2 + i, entity=f"c{i}", parent="root", label=int(i < 4)) for i in range(12)]
    assert deal_folds(recording_with(*events)).tolist() == [0, 1, 2, 3, 0, *[0, 1, 2, 3] * 2]


def test_every_fold_of_a_recording_holds_events_and_no_process_is_torn() -> None:
    work = workload()
    part = work.recording(work.split.rows("train"))
    folds = deal_folds(part)
    assert np.unique(folds).tolist() == list(range(FOLDS))
    entity = part.forest.entity[part.rows]
    assert len(np.unique(np.stack((entity, folds)), axis=1).T) == len(np.unique(entity))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(game=scored(), pieces=st.integers(1, 4))
def test_a_rehearsal_holds_each_event_once_with_its_harm(game: tuple[World, np.ndarray], pieces: int) -> None:
    world, score = game
    part = world.recording
    rehearsal = Rehearsal.of(part, world.costs, pieces)
    assert sorted(np.concatenate(rehearsal.places).tolist()) == list(range(len(part.rows)))
    assert np.concatenate([piece.rows for piece in rehearsal.pieces]).tolist() == (
        part.rows[np.concatenate(rehearsal.places)].tolist()
    )
    # Nothing is done, so the pieces cost what the whole does.
    assert rehearsal.cost_allow == pytest.approx(outcome(part, allow_all(part), world.costs).cost)
    for piece in rehearsal.pieces:
        assert set(piece.acting.tolist()) <= set(part.acting.tolist())
    entities = [set(piece.acting.tolist()) for piece in rehearsal.pieces]
    assert sum(map(len, entities)) == len(part.acting)
    thresholds, cost = tune(rehearsal, score)
    assert cost == rehearsal.cost(thresholds.decide(score)) <= rehearsal.cost_allow


def test_a_block_prunes_nothing_outside_of_its_piece() -> None:
    part = recording_with(
        Event(time=1, entity="root"), Event(time=2, entity="c", parent="root"), Event(time=3, entity="c", label=1)
    )
    block_all = np.full(3, 3)
    assert Rehearsal.of(part, COSTS).cost(block_all) == pytest.approx(5 + 2 * 0.02)
    assert Rehearsal.of(part, COSTS, 2).cost(block_all) == pytest.approx(5 + 2 * 0.02)
    innocent = recording_with(Event(time=1, entity="root"), Event(time=2, entity="c", parent="root"))
    assert Rehearsal.of(innocent, COSTS).cost(np.full(2, 3)) == pytest.approx(5 + 2 * 0.02)
    assert Rehearsal.of(innocent, COSTS, 2).cost(np.full(2, 3)) == pytest.approx(10 + 2 * 0.02)
    assert Rehearsal.of(innocent, COSTS, 2).score(1.0) is None
