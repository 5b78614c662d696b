"""Events one after the other give the inputs of the whole recording, to the last bit, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.features import GROUPS, Encoder
from custodes.data.features.online import Limits, OnlineEncoder
from custodes.data.reader import load
from custodes.errors import CustodesError
from tests.data.features_cases import dataset, datasets, random_dataset

EVERYTHING = DataConfig(groups=tuple(GROUPS), names="shown")
RECORDING = Path(__file__).parents[2].parent / "shared" / "data" / "carbanak-h3.parquet"


def fit(data: Dataset, config: DataConfig = EVERYTHING) -> Encoder:
    try:
        return Encoder.fit(data, np.arange(len(data)), config)
    except CustodesError as error:
        assume("give no input" not in str(error))
        raise


def rows(data: Dataset) -> Iterator[dict[str, Any]]:
    return data.events.iter_rows(named=True)


def in_pieces(online: OnlineEncoder, events: list[dict[str, Any]], sizes: list[int]) -> NDArray[np.float32]:
    """All events, in batches of the given sizes and then the rest at once."""
    parts, start = [], 0
    for size in [*sizes, len(events)]:
        parts.append(online.encode(events[start : start + size]))
        start += size
    return np.concatenate(parts)


@given(datasets(), st.lists(st.integers(0, 5), max_size=8))
@settings(deadline=None, max_examples=60)
def test_streamed_inputs_are_the_batch_s_to_the_last_bit(data: Dataset, sizes: list[int]) -> None:
    encoder = fit(data)
    streamed = in_pieces(OnlineEncoder(encoder), list(rows(data)), sizes)
    np.testing.assert_array_equal(streamed, encoder.transform(data))


@given(datasets(), datasets())
@settings(deadline=None, max_examples=60)
def test_so_are_those_of_a_recording_that_was_not_fitted_on(seen: Dataset, data: Dataset) -> None:
    encoder = fit(seen)
    np.testing.assert_array_equal(OnlineEncoder(encoder).encode(list(rows(data))), encoder.transform(data))


def test_unknown_and_strange_values() -> None:
    data = random_dataset(200, seed=5)
    events = data.events.to_dicts()
    for row, event in enumerate(events):
        if row % 3 == 0:
            event["time"] = 0
        if row % 7 == 0:
            event["time"] = -5
        if row % 5 == 0:
            event |= {"size": 1e306, "number": -(2**60), "entity": "", "object": "", "kind": "unheard"}
    strange = replace(data, events=type(data.events)(events, schema=data.events.schema))
    encoder = fit(data)
    np.testing.assert_array_equal(OnlineEncoder(encoder).encode(events), encoder.transform(strange))


def test_long_families_and_circles() -> None:
    """Deeper than what is followed, a process that names itself, two that name each other, a parent named late."""
    chain = [(f"p{i}", f"p{i - 1}" if i else "") for i in range(40)]
    pairs = [
        *chain,
        ("p39", "p2"),
        ("a", "a"),
        ("a", "b"),
        ("b", "a"),
        ("late", ""),
        ("late", "p7"),
        ("p7", "late"),
    ] * 2
    data = dataset(
        {
            "entity": [entity for entity, _ in pairs],
            "parent": [parent for _, parent in pairs],
            "object": [f"o{i % 3}" for i in range(len(pairs))],
            "time": np.arange(len(pairs)) * 10**9,
            "label": [i % 2 for i in range(len(pairs))],
        }
    )
    encoder = fit(data, DataConfig(groups=("lineage", "reputation", "timing", "counts", "novelty")))
    np.testing.assert_array_equal(OnlineEncoder(encoder).encode(list(rows(data))), encoder.transform(data))


@pytest.mark.parametrize("name", ["synthetic", pytest.param("carbanak", marks=pytest.mark.slow)])
def test_on_a_recording(name: str) -> None:
    if name == "carbanak" and not RECORDING.exists():
        pytest.skip("carbanak-h3.parquet is not here")
    path = str(RECORDING) if name == "carbanak" else ""
    data = load(DataConfig(source="edr" if path else "synthetic", path=path))
    # From its middle on, so that what the past holds is more than a beginning.
    encoder = Encoder.fit(data, np.arange(0, len(data), 7), DataConfig(names="shown"))
    count = min(len(data), 60_000 if path else 40_000)
    head = replace(data, events=data.events.head(count))
    streamed = in_pieces(OnlineEncoder(encoder), list(rows(head)), [1, 2, 500, 20_000])
    np.testing.assert_array_equal(streamed, encoder.transform(head))


@given(datasets(least=6), st.integers(1, 24))
@settings(deadline=None, max_examples=60)
def test_saved_and_restored_goes_on_to_the_last_bit(data: Dataset, at: int) -> None:
    encoder, events = fit(data), list(rows(data))
    first, second = OnlineEncoder(encoder), OnlineEncoder(encoder)
    first.encode(events[:at])
    second.restore(json.loads(json.dumps(first.state())))
    np.testing.assert_array_equal(second.encode(events[at:]), first.encode(events[at:]))
    assert second.state() == first.state()


def test_a_process_that_was_forgotten_comes_back_as_a_new_one() -> None:
    gone: list[tuple[str, str | None]] = []
    data = dataset(
        {
            "entity": ["a", "b", "c", "a", "a"],
            "time": [10**9, 2 * 10**9, 3 * 10**9, 4 * 10**9, 5 * 10**9],
            "object": list("xyxyx"),
        }
    )
    encoder = fit(data, DataConfig(groups=("timing", "counts", "lineage")))
    few = OnlineEncoder(encoder, Limits(entities=2), gone.append)
    forgetful = few.encode(list(rows(data)))
    names = [column.name for column in encoder.columns]
    assert gone == [("host", "a"), ("host", "b")]
    assert few.dropped == {"entities": 2, "streams": 0, "objects": 0}
    assert few.held["entities"] == 2
    whole = encoder.transform(data)
    np.testing.assert_array_equal(forgetful[:3], whole[:3])
    first = names.index("lineage:first")
    assert forgetful[:, first].tolist() == [1, 1, 1, 1, 0]
    assert whole[:, first].tolist() == [1, 1, 1, 0, 0]


def test_memory_is_bounded_over_many_processes() -> None:
    encoder = fit(random_dataset(60))
    online = OnlineEncoder(encoder, Limits(entities=50, streams=3, objects=40, kinds=2))
    base = random_dataset(1).events.row(0, named=True)
    for step in range(3000):
        people = {"entity": f"p{step}", "parent": f"p{step // 2}", "stream": f"s{step % 7}"}
        online.encode([{**base, **people, "object": f"o{step}", "kind": f"k{step}", "image": f"i{step}"}])
    assert online.held == {"entities": 50, "streams": 3, "objects": 80}
    assert online.dropped["entities"] > 2000
    assert len(json.dumps(online.state())) < 60_000


def test_what_is_no_state_is_refused() -> None:
    online = OnlineEncoder(fit(random_dataset(60)))
    online.encode(list(rows(random_dataset(30))))
    state = online.state()
    with pytest.raises(CustodesError, match="no state of this encoder"):
        OnlineEncoder(online.encoder, Limits(entities=2)).restore(state)
    changes: tuple[dict[str, Any], ...] = ({"version": 0}, {"drops": []}, {"streams": [["one"]]})
    for change in changes:
        with pytest.raises(CustodesError, match="no state of this encoder"):
            OnlineEncoder(online.encoder).restore({**state, **change})


@pytest.mark.parametrize("limits", [{"entities": 1}, {"streams": 0}, {"objects": 0}, {"kinds": -1}])
def test_limits_out_of_range_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="below"):
        Limits(**limits)
