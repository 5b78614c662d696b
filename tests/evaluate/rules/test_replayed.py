from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from custodes.env.response.recording import Recording
from custodes.env.response.replay import GONE, replay
from custodes.evaluate.response.outcome import allow_all, oracle
from custodes.evaluate.rules.feasible import feasibility
from custodes.evaluate.rules.record import shortfall, spec_records
from custodes.evaluate.rules.replayed import Floats, Held, judge_replay
from custodes.team.rules.book import RuleBook, book_of
from custodes.team.rules.signals import ACTED, event_signals
from tests.env.response.worlds import Event, World, played
from tests.evaluate.response.small import COSTS, DECISIONS, EVENTS, recording, recording_with
from tests.team.rules.stages import encoder, features


def rules(*formulas: str, target: float = 0.05) -> RuleBook:
    return book_of(
        "\n".join(
            f'[[spec]]\nname = "r{number}"\nformula = "{formula}"\ntags = ["label"]\ntarget = {target}'
            for number, formula in enumerate(formulas)
        )
    )


def signals(book: RuleBook, part: Recording) -> Mapping[str, Floats]:
    count = 1 + int(part.source.max())
    inputs = np.zeros((count, 2), dtype=np.float32)
    return event_signals(part, inputs, encoder(), [name for name in book.signals if name not in ACTED])


def judged(
    book: RuleBook, part: Recording, said: NDArray[np.integer], votes: NDArray[np.integer] | None = None
) -> dict[str, Held]:
    return judge_replay(book, part, replay(part, said, COSTS, trace=True), signals(book, part), votes)


def held(
    book: RuleBook, part: Recording, said: NDArray[np.integer], votes: NDArray[np.integer] | None = None
) -> list[Held]:
    return list(judged(book, part, said, votes).values())


def test_windows_of_a_small_recording() -> None:
    """b is malicious from 200 s and blocked at 400 s, so d is never born to it; c is quarantined for nothing."""
    book = rules(
        "always (turned -> eventually[0:1] contained)",
        "always (turned -> contained)",
        "always (first and innocent -> always (not contain))",
        "always (contain -> malicious)",
        "always (harm -> event <= 1)",
    )
    soon, now, spared, right, harm = held(book, recording(), DECISIONS)
    assert (soon.triggered, soon.satisfied, soon.rate) == (1, 1, 1.0)
    assert (now.triggered, now.satisfied) == (1, 0)
    # a and c are innocent; d, which would be, never starts.
    assert (spared.triggered, spared.satisfied, spared.processes) == (2, 1, 2)
    assert (right.triggered, right.satisfied) == (2, 1)
    assert (harm.triggered, harm.satisfied) == (1, 1)
    assert spared.lowest == -0.5


def test_doing_nothing_and_the_oracle() -> None:
    book = rules("always (turned -> contained)", "always (harm -> event <= 1)")
    assert [each.rate for each in held(book, recording(), allow_all(recording()))] == [0.0, 1 / 3]
    assert [each.rate for each in held(book, recording(), oracle(recording()))] == [1.0, None]


def test_a_verdict_ends_a_life_contained_and_a_benign_one_clears() -> None:
    part = recording_with(
        Event(time=100, entity="a", label=1, phase="x"),
        Event(time=150, entity="b"),
        Event(time=200, entity="a"),
        Event(time=900, entity="b"),
        Event(time=1000, entity="a", label=1, phase="x"),
        Event(time=9000, entity="b"),
    )
    said = np.array([1, 1, 0, 3, 0, 0], dtype=np.int8)
    book = rules(
        "always (turned -> eventually[0:2] contained)",
        "always (cleared -> not block)",
        "always (open -> true)",
        "always (threat -> harm or contained)",
    )
    caught, respected, asked, either = held(book, part, said)
    assert (caught.triggered, caught.satisfied) == (1, 1)
    assert (respected.triggered, respected.satisfied) == (1, 0)
    assert asked.triggered == 1
    assert asked.mean is None
    # The event at 200 s is benign and executes; then the process is gone.
    assert (either.triggered, either.satisfied) == (3, 2)


def test_votes_are_those_of_the_state_that_was_met() -> None:
    votes = np.zeros((len(EVENTS), 4, 3), dtype=np.int8)
    votes[2, :3, 0] = 2  # c, free: three agents.
    votes[4, :2, 1] = 2  # c, alert open: two agents.
    votes[3, :, 0] = 3
    said = np.array([[0, 0, 0]] * len(EVENTS), dtype=np.int8)
    said[2], said[3], said[4] = (2, 2, 0), (3, 3, 3), (0, 2, 0)
    together, open_votes = held(
        rules("always (contain -> votes >= 3)", "always (open -> votes == 2)"), recording(), said, votes
    )
    assert (together.triggered, together.satisfied) == (2, 2)
    assert open_votes.triggered == open_votes.satisfied == 1


def test_recent_alerts_are_counted_over_the_part() -> None:
    events = [Event(time=10.0 * k, entity=f"p{k}") for k in range(1, 40)]
    part = recording_with(*events)
    said = np.ones(39, dtype=np.int8)
    (load,) = held(rules("always (alert -> alerts_recent <= 10)"), part, said)
    assert (load.triggered, load.satisfied) == (39, 10)
    assert load.lowest == -0.5


@settings(max_examples=100, deadline=None)
@given(played())
def test_a_trace_changes_nothing_and_tells_every_fate(case: tuple[World, NDArray[np.int8]]) -> None:
    world, said = case
    part = world.recording
    plain, traced = replay(part, said, world.costs), replay(part, said, world.costs, trace=True)
    assert plain.fate.tolist() == traced.fate.tolist()
    assert plain.blocked == traced.blocked
    assert plain.quarantined == traced.quarantined
    assert plain.alerts == traced.alerts
    assert plain.contained.tolist() == traced.contained.tolist()
    assert plain.trace is None
    trace = traced.trace
    assert trace is not None
    entity = part.forest.entity[part.rows]
    times = part.clock[part.rows]
    # What the trace says was done is what was done.
    done = [(int(entity[p]), float(times[p])) for p in np.flatnonzero(trace.alert)]
    assert done == [(e, time) for e, time, _ in traced.alerts]
    begun = [(int(entity[p]), float(times[p])) for p in np.flatnonzero(trace.taken == 2)]
    assert begun == list(traced.quarantined)
    blocks = [(int(entity[p]), float(times[p])) for p in np.flatnonzero(trace.taken == 3)]
    assert sorted(blocks) == sorted((e, time) for e, time, verdict in traced.blocked if not verdict)
    # Whoever is gone or withheld does not execute, and whoever is gone stays gone.
    assert bool((traced.fate[trace.state == GONE] == 2).all())
    assert bool((traced.fate[trace.held & (trace.state != GONE)] != 0).all())
    for one in np.unique(entity):
        gone = trace.state[entity == one] == GONE
        assert (np.diff(gone.astype(int)) >= 0).all()


@settings(max_examples=40, deadline=None)
@given(played())
def test_any_replay_can_be_judged(case: tuple[World, NDArray[np.int8]]) -> None:
    world, said = case
    book = rules(
        "always (turned -> eventually[0:2] contained)",
        "always (first and innocent -> always (not contain))",
        "always (contain -> once (evidence >= 0.5))",
    )
    part = world.recording
    events = event_signals(part, features(world), encoder(), [n for n in book.signals if n not in ACTED])
    for each in judge_replay(book, part, replay(part, said, world.costs, trace=True), events).values():
        assert 0 <= each.satisfied <= each.triggered
        assert each.processes <= min(each.triggered, len(part.acting))


def test_what_nobody_keeps_is_infeasible_with_evidence() -> None:
    part = recording()
    book = rules(
        "always (turned -> event >= 100)",
        "always (first -> eventually (alert or contained))",
        "always (contain -> malicious)",
    )
    known = feasibility(book, part, signals(book, part), COSTS, {"mine": DECISIONS})
    never, everyone, right = known.values()
    assert not never.feasible
    assert set(never.evidence) == {"oracle", "allow", "mine", "alert-all", "quarantine-all", "block-all"}
    assert {name: each.rate for name, each in never.evidence.items()}["oracle"] == 0.0
    assert never.best()[1].rate == 0.0
    assert everyone.feasible
    assert everyone.evidence["alert-all"].rate == 1.0
    assert right.feasible
    found = judged(book, part, DECISIONS)
    records = spec_records(book, found, known)
    assert [record.feasible for record in records.values()] == [False, True, True]
    assert records["r2"].satisfied_rate == 0.5
    assert records["r0"].evidence["oracle"].triggered == 1
    missed = shortfall(book, found, {"r0": False, "r1": True, "r2": True})
    assert missed == pytest.approx((0.95 - found["r1"].rate) + 0.45)  # type: ignore[operator]


def test_a_rule_that_was_never_triggered_is_not_shown() -> None:
    part = recording()
    book = rules("always (block and innocent -> false)")
    known = feasibility(book, part, signals(book, part), COSTS)
    (record,) = spec_records(book, judged(book, part, allow_all(part)), known).values()
    assert (record.triggered, record.satisfied_rate, record.robustness_min) == (0, None, None)
    assert record.feasible


def test_a_replay_without_a_trace_is_refused() -> None:
    book = rules("always (alert -> contained)")
    with pytest.raises(ValueError, match="with a trace"):
        judge_replay(book, recording(), replay(recording(), DECISIONS, COSTS), {})
