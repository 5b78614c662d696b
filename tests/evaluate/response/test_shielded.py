"""The shield in a replay: asked in the states that its own answers lead to, and replayed to the same end."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.replay import CLEARED, FREE, GONE, OPEN, Replayed, replay
from custodes.errors import CustodesError
from custodes.evaluate.response.shielded import Told, guard, guard_of, shield_for, times_of
from custodes.stl.specfile import parse_specs
from custodes.team.shield import Rules, read_rules
from tests.env.response.worlds import Event, World, dataset_of, played

SECOND = 10**9


def rules(*formulas: str, period: str = "") -> Rules:
    head = f'period = "{period}"\n' if period else ""
    specs = (f'[[spec]]\nname = "rule-{n}"\nformula = "{each}"\ntags = ["hard"]\n' for n, each in enumerate(formulas))
    return read_rules(parse_specs(head + "".join(specs)))


PROCESS = rules(
    "always (contain -> once (evidence >= 0.5))",
    "always (alert -> alerts_recent <= 2)",
    "always (open and block -> event >= 3)",
)
TEAM = rules("always (quarantined <= 1)", "always (sum(alerts, 4s) <= 1)", period="2s")


def told(world: World, by_state: NDArray[np.int8], evidence: list[float] | None = None) -> Told:
    """Four agents that all vote what was decided."""
    count = len(by_state)
    return Told(
        votes=np.repeat(by_state[:, None], 4, axis=1),
        score=np.zeros(count, dtype=np.float32),
        evidence=np.array(evidence or [0.0] * count, dtype=np.float32),
        time=times_of(world.dataset)[world.recording.source],
    )


def triples(decisions: NDArray[np.int8]) -> NDArray[np.int8]:
    return decisions if decisions.ndim == 2 else np.stack([decisions] * 3, axis=1)


def same(one: Replayed, other: Replayed) -> None:
    assert (one.blocked, one.quarantined, one.alerts) == (other.blocked, other.quarantined, other.alerts)
    np.testing.assert_array_equal(one.fate, other.fate)
    np.testing.assert_array_equal(one.contained, other.contained)
    assert one.trace is not None
    assert other.trace is not None
    for name in ("state", "held", "taken", "alert"):
        np.testing.assert_array_equal(getattr(one.trace, name), getattr(other.trace, name), err_msg=name)


def states(world: World, decisions: NDArray[np.int8]) -> list[int]:
    """The state that each decision meets."""
    trace = replay(world.recording, decisions, world.costs, trace=True).trace
    assert trace is not None
    return [int(state) for state in trace.state]


@settings(max_examples=150, deadline=None)
@given(played(), st.sampled_from((PROCESS, TEAM)), st.randoms(use_true_random=False))
def test_replaying_what_comes_out_meets_the_same_states(
    case: tuple[World, NDArray[np.int8]], watched: Rules, random: Random
) -> None:
    world, decisions = case
    recording, by_state = world.recording, triples(decisions)
    evidence = [random.choice((0.0, 0.2, 0.9)) for _ in by_state]
    known = told(world, by_state, evidence)
    found = guard(recording, by_state, known, shield_for(watched, recording, world.costs), world.costs)
    asked: dict[int, int] = {}

    def again(place: int, state: int, decision: int) -> int:
        assert decision == by_state[place, state]
        asked[place] = state
        return int(found.decisions[place, 0])

    walked = replay(recording, by_state, world.costs, trace=True, overrule=again)
    plain = replay(recording, found.decisions, world.costs, trace=True)
    same(walked, plain)
    assert plain.trace is not None
    assert asked == {place: state for place, state in enumerate(plain.trace.state.tolist()) if state != GONE}
    for each in found.overruled:
        assert by_state[each.place, asked[each.place]] == each.voted != each.said.action
    replaced = {each.place for each in found.overruled}
    for place, state in asked.items():
        if place not in replaced:
            assert found.decisions[place].tolist() == [by_state[place, state]] * 3


@settings(max_examples=50, deadline=None)
@given(played())
def test_rules_that_nothing_violates_change_nothing(case: tuple[World, NDArray[np.int8]]) -> None:
    world, decisions = case
    recording, by_state = world.recording, triples(decisions)
    shield = shield_for(rules("always (event >= 1)"), recording, world.costs)
    found = guard(recording, by_state, told(world, by_state), shield, world.costs)
    assert (found.overruled, found.unavoidable) == ((), 0)
    same(
        replay(recording, found.decisions, world.costs, trace=True),
        replay(recording, by_state, world.costs, trace=True),
    )


def small() -> tuple[World, NDArray[np.int8]]:
    """a is blocked, its child c therefore never starts; b is alerted on, cleared, and quarantined again later."""
    events = (
        Event(time=1, entity="a"),
        Event(time=2, entity="b"),
        Event(time=3, entity="a"),
        Event(time=4, entity="c", parent="a"),
        Event(time=5, entity="b"),
        Event(time=13, entity="b"),
        Event(time=50, entity="b"),
    )
    costs = ResponseCosts(analyst_s=10, quarantine_s=30, cleared_s=20)
    said = np.array([BLOCK, ALERT, ALERT, BLOCK, QUARANTINE, BLOCK, QUARANTINE], dtype=np.int8)
    return World(events=events, rows=tuple(range(len(events))), costs=costs), triples(said)


def test_a_small_case_by_hand() -> None:
    world, by_state = small()
    watched = rules("always (contain -> once (evidence >= 0.5))")
    evidence = [0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.6]
    recording = world.recording
    known = told(world, by_state, evidence)
    found = guard(recording, by_state, known, shield_for(watched, recording, world.costs), world.costs)
    # a's Block has no evidence, so a goes on; c is born then, and has its own; b's Block comes while it is cleared.
    assert found.decisions[:, 0].tolist() == [0, ALERT, ALERT, BLOCK, 0, 0, QUARANTINE]
    assert [(each.place, each.voted, each.said.action) for each in found.overruled] == [
        (0, BLOCK, 0),
        (4, QUARANTINE, 0),
        (5, BLOCK, 0),
    ]
    assert found.overruled[0].said.spec == "rule-0"
    assert found.unavoidable == 0
    assert states(world, found.decisions) == [FREE, FREE, FREE, FREE, OPEN, CLEARED, FREE]


def test_nobody_asks_about_who_is_gone() -> None:
    world, by_state = small()
    recording = world.recording
    # Every decision would be replaced; those of a and c after a's Block are not looked at.
    watched = rules("always (decision <= 3)", "always (event <= 1 or not block)")
    shield = shield_for(watched, recording, world.costs)
    known = told(world, by_state)
    found = guard(recording, by_state, known, shield, world.costs)
    assert [each.place for each in found.overruled] == [5]
    assert found.decisions[[2, 3], 0].tolist() == [ALERT, BLOCK]
    assert states(world, found.decisions)[2:4] == [GONE, GONE]


def test_times_are_the_latest_of_each_stream() -> None:
    events = (
        Event(time=0, entity="a"),
        Event(time=7, entity="a"),
        Event(time=3, entity="b", stream="other"),
        Event(time=5, entity="a"),
        Event(time=0, entity="b", stream="other"),
        Event(time=9, entity="a"),
    )
    assert (times_of(dataset_of(events)) // SECOND).tolist() == [0, 7, 3, 7, 3, 9]


def test_what_cannot_be_enforced_is_one_line() -> None:
    assert guard_of(None, "triage") is None
    watched = guard_of("default", "response")
    assert watched is not None
    assert {rule.name for rule in watched.rules.hard} == {"evidence-before-containment", "alert-load"}
    assert watched.rules.left_out["bounded-harm"] == "it reads the true label"
    with pytest.raises(CustodesError, match="does not act"):
        guard_of("default", "triage")
    with pytest.raises(CustodesError, match="cannot be read"):
        guard_of("nowhere.toml", "response")
    with pytest.raises(CustodesError, match="no rules are named"):
        guard_of("", "response")


def test_rules_without_a_hard_one_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[spec]]\nname = "soft"\nformula = "always (alert -> evidence >= 0.1)"\n')
    with pytest.raises(CustodesError, match="no hard rule"):
        guard_of(str(file), "response")
    file.write_text('[[spec]]\nname = "typo"\nformula = "always (contian -> event >= 3)"\ntags = ["hard"]\n')
    with pytest.raises(CustodesError, match=r"no hard rule .*typo is not watched: it reads contian"):
        guard_of(str(file), "response")
