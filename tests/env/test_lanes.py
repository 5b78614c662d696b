from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.data.dataset import Dataset
from custodes.env.lanes import PROCESS_ENDS, LaneMode, Lanes, build_lanes
from custodes.errors import CustodesError
from tests.env.recordings import random_recording, recording

Run = tuple[list[int], bool, int]


def runs(lanes: Lanes) -> list[Run]:
    return [
        (lanes.rows(lane).tolist(), bool(lanes.terminated[lane]), int(lanes.successor[lane]))
        for lane in range(len(lanes.start))
    ]


def runs_by_definition(dataset: Dataset, rows: list[int], mode: LaneMode, window: int) -> list[Run]:
    """Walk through the whole recording event by event; a lane is open, closed by a gap, an end or its length."""
    inside, events = set(rows), dataset.events
    if mode == "rows":
        return [([row], True, row) for row in sorted(inside)]
    open_lanes: dict[tuple[str, ...], list[int]] = {}
    found: list[Run] = []
    for row, (stream, entity, kind) in enumerate(events.select("stream", "entity", "kind").iter_rows()):
        key = (stream,) if mode == "by_stream" else (stream, entity)
        lane = open_lanes.get(key, [])
        if row not in inside:
            if lane:
                found.append((open_lanes.pop(key), False, lane[-1]))
            continue
        if window and len(lane) == window:
            found.append((lane, False, row))
            lane = []
        lane = [*lane, row]
        open_lanes[key] = lane
        if mode == "by_entity" and kind in PROCESS_ENDS:
            found.append((open_lanes.pop(key), True, row))
    found += [(lane, False, lane[-1]) for lane in open_lanes.values()]
    return sorted(found)


@settings(max_examples=200, deadline=None)
@given(
    events=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("pqr"), st.sampled_from(["read", "exit"])), min_size=1
    ),
    keep=st.lists(st.booleans(), min_size=1),
    mode=st.sampled_from(["by_stream", "by_entity", "rows"]),
    window=st.integers(0, 5),
)
def test_lanes_follow_their_definition(
    events: list[tuple[str, str, str]], keep: list[bool], mode: LaneMode, window: int
) -> None:
    streams, entities, kinds = zip(*events, strict=True)
    dataset = recording(streams, entities, kinds)
    rows = [row for row in range(len(events)) if keep[row % len(keep)]] or [0]
    lanes = build_lanes(dataset, np.array(rows), mode, window)
    assert runs(lanes) == runs_by_definition(dataset, rows, mode, window)
    assert sorted(lanes.order.tolist()) == rows


def test_a_window_cuts_and_the_next_row_is_the_successor() -> None:
    lanes = build_lanes(recording(["a", "b", "a", "a", "b"]), range(5), "by_stream", 2)
    assert runs(lanes) == [([0, 2], False, 3), ([1, 4], False, 4), ([3], False, 3)]


def test_lanes_stop_at_events_of_another_part() -> None:
    lanes = build_lanes(recording(["a"] * 6), [0, 1, 4, 5], "by_stream")
    assert runs(lanes) == [([0, 1], False, 1), ([4, 5], False, 5)]


def test_a_stream_gap_does_not_part_another_stream() -> None:
    lanes = build_lanes(recording(["a", "b", "a"]), [0, 2], "by_stream")
    assert runs(lanes) == [([0, 2], False, 2)]


def test_a_process_ends_and_its_identifier_lives_again() -> None:
    dataset = recording(["a"] * 5, ["p", "q", "p", "p", "q"], ["read", "read", "EVENT_EXIT", "read", "read"])
    assert runs(build_lanes(dataset, range(5), "by_entity")) == [
        ([0, 2], True, 2),
        ([1, 4], False, 4),
        ([3], False, 3),
    ]


def test_one_name_on_two_streams_is_two_processes() -> None:
    lanes = build_lanes(recording(["a", "b", "a"], ["p", "p", "p"]), range(3), "by_entity")
    assert runs(lanes) == [([0, 2], False, 2), ([1], False, 1)]


def test_other_kinds_can_end_a_process() -> None:
    dataset = recording(["a"] * 3, None, ["read", "gone", "exit"])
    assert runs(build_lanes(dataset, range(3), "by_entity", ends={"gone"})) == [([0, 1], True, 1), ([2], False, 2)]


def test_an_end_at_the_window_is_an_end() -> None:
    dataset = recording(["a"] * 3, None, ["read", "procend", "read"])
    assert runs(build_lanes(dataset, range(3), "by_entity", 2)) == [([0, 1], True, 1), ([2], False, 2)]


def test_rows_in_any_order_are_played_as_recorded() -> None:
    dataset = random_recording(200)
    rows = np.random.default_rng(1).permutation(200)[:150]
    assert runs(build_lanes(dataset, rows, "by_stream", 9)) == runs(build_lanes(dataset, np.sort(rows), "by_stream", 9))


@pytest.mark.parametrize(
    ("rows", "mode", "window", "message"),
    [
        ([], "by_stream", 0, "holds no events"),
        ([0, 9], "by_stream", 0, "outside the 3 events"),
        ([-1, 2], "by_stream", 0, "outside the 3 events"),
        ([1, 1], "by_stream", 0, "twice"),
        ([0], "by_stream", -1, "window"),
        ([0], "by_host", 0, "unknown lanes 'by_host'"),
    ],
)
def test_bad_parts_are_refused(rows: list[int], mode: LaneMode, window: int, message: str) -> None:
    with pytest.raises(CustodesError, match=message):
        build_lanes(recording(["a"] * 3), rows, mode, window)


@pytest.mark.parametrize(
    ("start", "length", "successor", "message"),
    [
        ([0, 1], [2, 1], [1, 2], "overlap"),
        ([0, 2], [1, 1], [1, 2], "overlap"),
        ([0, 2], [2, 2], [1, 2], "overlap"),
        ([0, 3], [3, 0], [1, 2], "overlap"),
        ([1, 2], [1, 1], [1, 2], "overlap"),
        ([0, 1], [1, 2], [1], "differ in length"),
        ([0, 1], [1, 2], [1, -1], "negative"),
        ([], [], [], "no event"),
    ],
)
def test_lanes_that_are_none_are_refused(
    start: list[int], length: list[int], successor: list[int], message: str
) -> None:
    with pytest.raises(CustodesError, match=message):
        Lanes(
            order=np.arange(3),
            start=np.array(start, dtype=np.int64),
            length=np.array(length, dtype=np.int64),
            terminated=np.zeros(len(start), dtype=np.bool_),
            successor=np.array(successor, dtype=np.int64),
        )
