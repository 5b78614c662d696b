"""An event is flagged from when its process is: against a double loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.env.response.costs import ResponseCosts
from custodes.evaluate.response.detection import highest_so_far
from tests.env.response.worlds import Event, World


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(0, 3)), min_size=1, max_size=30), st.integers(0, 3))
@settings(deadline=None)
def test_it_is_the_highest_of_the_process_up_to_each_event(events: list[tuple[str, int]], left_out: int) -> None:
    whole = tuple(Event(time=1.0 + index, entity=entity) for index, (entity, _) in enumerate(events))
    rows = tuple(range(min(left_out, len(events) - 1), len(events)))
    recording = World(events=whole, rows=rows, costs=ResponseCosts()).recording
    values = np.array([events[row][1] for row in recording.source], dtype=np.int8)
    found = highest_so_far(recording, values)
    assert found.dtype == np.int8
    for place, row in enumerate(recording.source):
        earlier = [events[r] for r in recording.source[: place + 1]]
        assert found[place] == max(value for entity, value in earlier if entity == events[row][0])


def test_it_takes_scores_and_flags() -> None:
    events = tuple(Event(time=1.0 + index, entity="p") for index in range(3))
    recording = World(events=events, rows=(0, 1, 2), costs=ResponseCosts()).recording
    assert highest_so_far(recording, np.array([0.1, 0.7, 0.3])).tolist() == [0.1, 0.7, 0.7]
    assert highest_so_far(recording, np.array([False, True, False])).tolist() == [False, True, True]
