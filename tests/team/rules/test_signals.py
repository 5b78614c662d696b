from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from custodes.env.response.costs import ResponseCosts
from custodes.stl.errors import StlError
from custodes.team.rules.signals import ACTED, EVENT, SIGNALS, event_signals, is_momentary, is_truth
from tests.env.response.worlds import Event, World, worlds
from tests.team.rules.stages import encoder, features

TWO = World(events=(Event(time=1, entity="a"), Event(time=2, entity="a", label=1)), rows=(0, 1), costs=ResponseCosts())


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_they_are_what_a_look_at_each_event_finds(world: World) -> None:
    recording, inputs = world.recording, features(world)
    found = event_signals(recording, inputs, encoder(), SIGNALS)
    assert found.keys() == EVENT.keys()
    lives: dict[int, list[int]] = {}
    for place, row in enumerate(recording.rows.tolist()):
        entity = int(recording.forest.entity[row])
        before = lives.setdefault(entity, [])
        own = [*before, place]
        clock = [float(recording.clock[recording.rows[each]]) for each in own]
        bad = [recording.labels[recording.rows[each]] == 1 for each in own]
        expected = {
            "event": len(own),
            "first": not before,
            "age_s": clock[-1] - clock[0],
            "evidence": inputs[recording.source[place], 1],
            "malicious": bad[-1],
            "turned": bad[-1] and not any(bad[:-1]),
            "threat": any(bad),
            "threat_s": clock[-1] - clock[bad.index(True)] if any(bad) else 0.0,
            "innocent": recording.innocent[entity],
        }
        assert {name: float(found[name][place]) for name in expected} == pytest.approx(
            {name: float(value) for name, value in expected.items()}, rel=1e-6
        )
        before.append(place)


def test_inputs_are_signals_by_their_name_and_others_are_refused() -> None:
    found = event_signals(TWO.recording, features(TWO), encoder(), ["row", "contain"])
    assert found["row"].tolist() == [0.0, 1.0]
    assert "contain" not in found
    with pytest.raises(StlError, match="no such signal; did you mean 'evidence'"):
        event_signals(TWO.recording, features(TWO), encoder(), ["evidenc"])


def test_without_reputations_there_is_no_evidence() -> None:
    plain = replace(encoder(), columns=encoder().columns[:1])
    assert event_signals(TWO.recording, features(TWO)[:, :1], plain, ["evidence"])["evidence"].tolist() == [0, 0]


def test_every_signal_is_declared_and_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "obeying.md").read_text(encoding="utf-8")
    for name, meaning in SIGNALS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert ("label" in row.split("|")[-2]) == meaning.truth
    assert {name for name in SIGNALS if is_truth(name)} == {
        "malicious", "turned", "threat", "threat_s", "innocent", "harm",
    }  # fmt: skip
    assert not is_momentary("contained")
    assert is_momentary("contain")
    assert set(ACTED) & set(EVENT) == set()
