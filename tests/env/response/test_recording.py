from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import recording_of, seconds
from custodes.errors import CustodesError
from tests.env.response.definition import clocks
from tests.env.response.worlds import Event, World, dataset_of, worlds


@settings(max_examples=60, deadline=None)
@given(worlds())
def test_the_order_is_that_of_time_and_within_a_host_the_recorded_one(world: World) -> None:
    found, clock = world.recording, clocks(world)
    order = sorted(range(len(clock)), key=lambda row: clock[row])
    assert found.clock.tolist() == [clock[row] for row in order]
    assert found.labels.tolist() == [world.events[row].label for row in order]
    assert found.source.tolist() == [row for row in order if row in world.rows]
    assert [order[row] for row in found.rows.tolist()] == found.source.tolist()
    harm = found.harm[found.rows]
    assert (harm > 0).tolist() == [world.events[row].label == 1 for row in found.source.tolist()]
    assert float(found.harm.sum()) == pytest.approx(float(harm.sum()))
    benign = [order[row] for row in np.flatnonzero(found.benign)]
    assert benign == [row for row in order if row in world.rows and world.events[row].label == 0]


def test_a_process_is_innocent_if_something_benign_and_nothing_malicious_is_known_of_it() -> None:
    labels = {"worker": (0, 0), "trojan": (0, 1), "blank": (-1, -1), "touched": (0, 2), "side": (2, 2)}
    events = [Event(time=1, entity=name, label=label) for name, pair in labels.items() for label in pair]
    found = recording_of(dataset_of(events), np.array([0, 2, 4]), ResponseCosts())
    assert found.innocent.tolist() == [True, False, False, True, False]
    assert found.malicious.tolist() == [False, True, False, False, False]
    assert found.acting.tolist() == [0, 1, 2]


def test_unknown_times_read_as_the_last_one_known_on_their_host() -> None:
    second = 1_000_000_000
    time = np.array([0, 5, 0, 7, 6, 0, 9]) * second
    stream = np.array([0, 0, 0, 1, 0, 1, 0])
    assert seconds(time, stream).tolist() == [0, 0, 0, 2, 1, 2, 4]
    assert seconds(np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)).tolist() == [0, 0, 0]


def test_a_part_without_events_is_refused() -> None:
    with pytest.raises(CustodesError, match="no events"):
        recording_of(dataset_of([Event(time=1, entity="p")]), np.zeros(0, dtype=np.int64), ResponseCosts())
