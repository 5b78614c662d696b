from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import DELAYED, EXECUTED, SUPPRESSED, replay
from custodes.evaluate.response.outcome import allow_all, oracle, outcome, price, response_score
from tests.env.response.definition import Definition, cost_of
from tests.env.response.worlds import Event, World, played


def names(world: World, recording: Recording) -> list[tuple[str, str]]:
    """Stream and name of each entity."""
    order = Definition(world).order
    rows = [order[first] for first in recording.forest.first]
    return [(world.events[row].stream, world.events[row].entity) for row in rows]


@settings(max_examples=200, deadline=None)
@given(played())
def test_it_is_the_definition(case: tuple[World, NDArray[np.int8]]) -> None:
    world, decisions = case
    recording = world.recording
    fast = replay(recording, decisions, world.costs)
    slow = Definition(world)
    triples = decisions if decisions.ndim == 2 else np.stack([decisions] * 3, axis=1)
    slow.play(dict(zip(recording.source.tolist(), triples.tolist(), strict=True)))
    assert fast.fate.tolist() == [slow.fate[row] for row in recording.source.tolist()]
    called = names(world, recording)
    assert sorted((called[e], time, by) for e, time, by in fast.blocked) == sorted(slow.blocked)
    assert [(called[e], time) for e, time in fast.quarantined] == slow.quarantined
    assert [(called[e], time, lost) for e, time, lost in fast.alerts] == slow.alerts
    assert fast.contained.tolist() == [slow.lives[name].contained for name in called]
    assert price(recording, fast, world.costs).cost == pytest.approx(cost_of(slow, world.costs), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(played())
def test_every_event_has_one_fate(case: tuple[World, NDArray[np.int8]]) -> None:
    world, decisions = case
    found = outcome(world.recording, decisions, world.costs)
    fate = found.replayed.fate
    assert sum(int((fate == each).sum()) for each in (EXECUTED, DELAYED, SUPPRESSED)) == len(world.rows)
    labels = np.array([world.events[row].label for row in world.recording.source.tolist()])
    assert found.benign_suppressed == int(((labels == 0) & (fate == SUPPRESSED)).sum())
    assert found.benign_delayed == int(((labels == 0) & (fate == DELAYED)).sum())
    assert found.malicious_prevented == int(((labels == 1) & (fate == SUPPRESSED)).sum())


@settings(max_examples=50, deadline=None)
@given(played())
def test_doing_nothing_scores_0_and_the_oracle_1_to_the_last_digit(case: tuple[World, NDArray[np.int8]]) -> None:
    world, _ = case
    recording = world.recording
    allow = outcome(recording, allow_all(recording), world.costs).cost
    best = outcome(recording, oracle(recording), world.costs).cost
    phases = {world.events[row].phase or "attack" for row in world.rows if world.events[row].label == 1}
    assert allow == pytest.approx(world.costs.phase_harm * len(phases))
    if allow > best:
        assert response_score(allow, allow, best) == 0.0
        assert response_score(best, allow, best) == 1.0
    else:
        assert response_score(allow, allow, best) is None


def tree() -> World:
    """A shell that starts a malicious tool and an innocent editor, which starts a helper; a second host beside it."""
    events = (
        Event(time=1, entity="shell"),
        Event(time=2, entity="tool", parent="shell"),
        Event(time=3, entity="editor", parent="shell"),
        Event(time=4, entity="tool", parent="shell", label=1, phase="entry"),
        Event(time=5, entity="helper", parent="editor"),
        Event(time=6, entity="child", parent="tool", label=1, phase="theft"),
        Event(time=7, entity="tool", parent="shell"),
        Event(time=8, entity="child", parent="tool", label=1, phase="theft"),
        Event(time=9, entity="helper", parent="editor"),
        Event(time=10, entity="tool", stream="other", label=0),
        Event(time=11, entity="child", parent="tool", label=2),
        Event(time=12, entity="shell"),
    )
    return World(events=events, rows=tuple(range(len(events))), costs=ResponseCosts())


def cost_after(world: World, said: dict[int, int]) -> float:
    decisions = np.zeros(len(world.rows), dtype=np.int8)
    decisions[list(said)] = list(said.values())
    return outcome(world.recording, decisions, world.costs).cost


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({}, 200.0),
        # The tool's Block takes its later child with it; the tool's own benign event at 7 is suppressed.
        ({3: 3}, 0.02),
        # Too late for the child's first deed, which it did before; the child goes on.
        ({6: 3}, 100.0 + 100.0 + 0.02),
        ({5: 3}, 100.0),
        ({7: 3}, 100.0 + 50.0),
        # The whole tree, with all 7 benign events of this host, for a false Block.
        ({0: 3}, 5.0 + 7 * 0.02),
        # A Quarantine of the tool: the answer comes at 604 s, so that its events never run, and its child goes on.
        ({3: 2}, 0.1 + 100.0 + 0.02),
        # An alert reveals the truth when all is done.
        ({3: 1}, 200.1),
        # The innocent editor is let go.
        ({2: 2}, 200.0 + 0.1 + 1.0 + 0.01),
        # The other host's process of the same name is another one.
        ({9: 3}, 200.0 + 5.0 + 0.02),
    ],
)
def test_a_small_tree_costs_what_it_does_by_hand(said: dict[int, int], cost: float) -> None:
    assert cost_after(tree(), said) == pytest.approx(cost, abs=1e-12)


def pair(*labels: int, times: tuple[float, ...]) -> World:
    events = tuple(Event(time=1 + time, entity="p", label=label) for time, label in zip(times, labels, strict=True))
    costs = ResponseCosts(analyst_s=10, quarantine_s=30, cleared_s=20)
    return World(events=events, rows=tuple(range(len(events))), costs=costs)


def fates(world: World, decisions: list[int]) -> list[int]:
    found: list[int] = replay(world.recording, np.array(decisions), world.costs).fate.tolist()
    return found


def test_an_event_at_the_moment_of_the_verdict_comes_before_it() -> None:
    world = pair(0, 1, 0, times=(0, 10, 10.5))
    assert fates(world, [1, 0, 0]) == [EXECUTED, EXECUTED, SUPPRESSED]
    assert fates(world, [2, 0, 0]) == [SUPPRESSED] * 3
    late = pair(0, 0, 1, times=(0, 10, 10.5))
    assert fates(late, [2, 0, 0]) == [DELAYED, DELAYED, EXECUTED]
    # Asked of the analyst at that very moment, it is still open: a Block, not a second one beside the verdict's.
    assert len(replay(world.recording, np.array([1, 3, 0]), world.costs).blocked) == 1


def test_a_benign_verdict_stands_for_its_time() -> None:
    world = pair(0, 0, 0, 1, times=(0, 11, 30, 30.5))
    result = replay(world.recording, np.array([1, 2, 2, 2]), world.costs)
    assert [time for _, time in result.quarantined] == [30.5]
    assert result.fate.tolist() == [EXECUTED, EXECUTED, EXECUTED, SUPPRESSED]


def test_who_is_born_after_the_verdict_is_not_started_whatever_part_sees_it() -> None:
    events = (
        Event(time=1, entity="p", label=1),
        Event(time=12, entity="child", parent="p"),
        Event(time=13, entity="child", parent="p"),
    )
    world = World(events=events, rows=(0, 2), costs=ResponseCosts(analyst_s=10))
    assert fates(world, [1, 0]) == [EXECUTED, SUPPRESSED]


def test_a_full_queue_loses_alerts_that_are_paid() -> None:
    events = tuple(Event(time=1 + index / 10, entity=f"p{index}", label=1) for index in range(4))
    costs = ResponseCosts(analysts=1, queue=1)
    world = World(events=events, rows=(0, 1, 2, 3), costs=costs)
    found = outcome(world.recording, np.ones(4, dtype=np.int8), costs)
    assert [lost for _, _, lost in found.replayed.alerts] == [False, False, True, True]
    assert found.cost == pytest.approx(100.4)
    assert [round(time, 6) for _, time, _ in found.replayed.blocked] == [600.0, 1200.0]


@pytest.mark.parametrize(
    "decisions",
    [np.zeros(11), np.zeros((12, 2)), np.zeros((12, 4)), np.full(12, 4), np.full((12, 3), -1), np.zeros((3, 12))],
)
def test_bad_decisions_are_refused(decisions: NDArray[np.float64]) -> None:
    world = tree()
    with pytest.raises(ValueError, match="decisions"):
        replay(world.recording, decisions.astype(np.int8), world.costs)
