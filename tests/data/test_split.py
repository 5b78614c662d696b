"""Splits: complete, disjoint, repeatable, and true to what each method promises."""

from __future__ import annotations

from typing import get_args

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.data.config import DataConfig, SplitMethod
from custodes.data.dataset import Dataset
from custodes.data.reader import load
from custodes.data.split import PARTS, RATE_TOLERANCE, split
from custodes.errors import CustodesError
from tests.data.samples import dataset, table

METHODS = [method for method in get_args(SplitMethod) if method != "given"]


def _rate(labels: np.ndarray) -> float:
    known = labels[(labels == 0) | (labels == 1)]
    return float(np.mean(known == 1))


@given(
    method=st.sampled_from(METHODS),
    rows=st.integers(60, 400),
    streams=st.integers(1, 4),
    seed=st.integers(0, 5),
    odd=st.booleans(),
)
def test_parts_are_complete_disjoint_and_repeatable(
    method: SplitMethod, rows: int, streams: int, seed: int, odd: bool
) -> None:
    events = table(rows, streams=streams, entities=20, seed=seed)
    if odd:
        events = events.with_columns(
            label=pl.when(pl.int_range(pl.len()) % 7 == 0).then(2).otherwise("label").cast(pl.Int8)
        )
    data = dataset(events)
    config = DataConfig(split=method, split_seed=seed, block_events=5)
    made = split(data, config)
    assert made.part.dtype == np.int8
    assert made.part.shape == (rows,)
    together = np.concatenate([made.rows(name) for name in PARTS])
    assert sorted(together.tolist()) == list(range(rows))
    assert np.array_equal(split(data, config).part, made.part)
    summary = made.summary(data.labels)
    assert sum(int(summary[name]["records"] or 0) for name in PARTS) == rows
    assert sum(int(summary[name]["threats"] or 0) for name in PARTS) == np.sum(data.labels == 1)


@pytest.mark.parametrize("method", ["rows", "blocks", "entity"])
def test_another_seed_gives_another_split(method: SplitMethod) -> None:
    data = dataset(table(400, entities=40))
    parts = [split(data, DataConfig(split=method, split_seed=seed, block_events=5)).part for seed in (0, 1)]
    assert not np.array_equal(parts[0], parts[1])


@given(st.integers(100, 600), st.integers(0, 3))
def test_rows_are_stratified(rows: int, seed: int) -> None:
    data = dataset(table(rows, seed=seed))
    made = split(data, DataConfig(split="rows", split_seed=seed))
    for name, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        for label in (0, 1):
            whole = int(np.sum(data.labels == label))
            assert abs(int(np.sum(data.labels[made.rows(name)] == label)) - share * whole) <= 1.0


def _bursts(rows: int, streams: int, seed: int) -> Dataset:
    """Streams whose threats come in bursts, as attacks do."""
    rng = np.random.default_rng(seed)
    burst = np.repeat(rng.random(rows // 200 + 1) < 0.3, 200)[:rows]
    label = (burst & (rng.random(rows) < 0.4)).astype(np.int8)
    return dataset(table(rows, streams=streams, seed=seed).with_columns(label=pl.Series(label)))


@pytest.mark.parametrize("streams", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_blocks_are_contiguous_in_a_stream_and_even_in_rate(streams: int, seed: int) -> None:
    data = _bursts(20_000, streams, seed)
    made = split(data, DataConfig(split="blocks", block_events=100, split_seed=seed))
    for stream in data.events["stream"].unique():
        part = made.part[(data.events["stream"] == stream).to_numpy()]
        blocks = [part[start : start + 100] for start in range(0, len(part), 100)]
        assert all(len(set(block.tolist())) == 1 for block in blocks)
    for index, share in enumerate((0.7, 0.15, 0.15)):
        assert abs(_rate(data.labels[made.part == index]) - _rate(data.labels)) < RATE_TOLERANCE
        assert abs(np.mean(made.part == index) - share) < 0.02


def test_blocks_too_uneven_say_so() -> None:
    data = dataset(table(400, streams=1).with_columns(label=(pl.int_range(pl.len()) < 100).cast(pl.Int8)))
    made = split(data, DataConfig(split="blocks", block_events=100))
    assert any("blocks are too few or too uneven" in warning for warning in made.warnings)


@given(st.integers(50, 300), st.integers(1, 3))
def test_temporal_parts_follow_each_other(rows: int, ties: int) -> None:
    events = table(rows).with_columns(pl.col("time") // (ties * 1_000_000_000))
    made = split(dataset(events), DataConfig(split="temporal"))
    time = events["time"].to_numpy()
    for earlier, later in (("train", "validation"), ("validation", "test")):
        assert time[made.rows(earlier)].max() < time[made.rows(later)].min()  # type: ignore[arg-type]
    assert abs(np.mean(made.part == 0) - 0.7) <= (ties + 0.5) / rows


def test_temporal_with_a_start_of_the_test_part() -> None:
    data = dataset(table(100, streams=1))
    made = split(data, DataConfig(split="temporal", split_time="2023-11-14T22:14:20Z"))  # 60 s after the first record
    assert made.rows("test").tolist() == list(range(60, 100))
    assert len(made.rows("validation")) == round(60 * 0.15 / 0.85)
    assert np.array_equal(split(data, DataConfig(split="temporal", split_time="2023-11-14T22:14:20")).part, made.part)


def test_temporal_puts_records_without_time_after_what_came_before() -> None:
    timeless = table(100, streams=1).with_columns(
        time=pl.when(pl.int_range(pl.len()) % 5 == 4).then(0).otherwise("time")
    )
    made = split(dataset(timeless, recorded_order=True), DataConfig(split="temporal"))
    assert np.all(np.diff(made.part) >= 0)
    assert made.rows("test").min() >= 84


@given(st.integers(100, 500), st.integers(3, 40), st.integers(0, 3))
def test_an_entity_never_stands_on_two_sides(rows: int, entities: int, seed: int) -> None:
    events = table(rows, streams=2, entities=entities + 6, seed=seed)
    made = split(dataset(events), DataConfig(split="entity", split_seed=seed))
    sides = events.with_columns(part=pl.Series(made.part)).group_by("stream", "entity").agg(pl.col("part").n_unique())
    assert sides["part"].max() == 1
    assert not any("entities have records" in warning for warning in made.warnings)


def test_entities_with_threats_are_dealt_to_every_part() -> None:
    events = table(2000, streams=1, entities=100).with_columns(
        label=(pl.col("entity").str.slice(1).cast(pl.Int64) < 20).cast(pl.Int8)
    )
    data = dataset(events)
    made = split(data, DataConfig(split="entity"))
    for index, share in enumerate((0.7, 0.15, 0.15)):
        mine = made.part == index
        assert abs(np.mean(mine) - share) < 0.03
        assert abs(np.sum(data.labels[mine] == 1) / np.sum(data.labels == 1) - share) < 0.05


def test_records_without_an_entity_follow_the_next_one() -> None:
    events = table(200, streams=1).with_columns(
        entity=pl.when(pl.int_range(pl.len()) % 4 == 0).then(pl.lit("")).otherwise("entity")
    )
    part = split(dataset(events), DataConfig(split="entity")).part
    assert all(part[row] == part[row + 1] for row in range(0, 199, 4))


def test_given_parts_are_kept_and_validation_is_drawn_from_train() -> None:
    events = table(200).with_columns(part=pl.when(pl.int_range(pl.len()) < 150).then(0).otherwise(2).cast(pl.Int8))
    made = split(dataset(events), DataConfig(split="given"))
    assert made.rows("test").tolist() == list(range(150, 200))
    assert abs(len(made.rows("validation")) - 150 * 0.15 / 0.85) <= 1
    assert "names no validation part" in made.warnings[0]
    full = events.with_columns(part=pl.Series([0, 1, 2, 0] * 50, dtype=pl.Int8))
    assert split(dataset(full), DataConfig(split="given")).part.tolist() == [0, 1, 2, 0] * 50
    with pytest.raises(CustodesError, match="needs column part"):
        split(dataset(table()), DataConfig(split="given"))


def test_torn_entities_and_neighbours_are_warned_about() -> None:
    warnings = split(dataset(table(200, streams=1, entities=3)), DataConfig(split="rows")).warnings
    assert "3 of 3 entities have records in more than one part" in warnings
    assert any(warning.startswith("neighbouring rows stand in different parts at") for warning in warnings)


def test_independent_rows_have_no_neighbours() -> None:
    events = table(100).with_columns(time=0, entity=pl.int_range(pl.len()).cast(pl.String))
    assert split(dataset(events), DataConfig(split="rows")).warnings == ()


def test_labels_that_are_left_out_of_scores_count_in_no_rate() -> None:
    events = table(200).with_columns(label=pl.Series([0, 1, 2, -1] * 50, dtype=pl.Int8))
    made = split(dataset(events), DataConfig(split="rows"))
    assert made.summary(events["label"].to_numpy())["train"]["rate"] == 0.5
    nothing = np.full(200, -1)
    assert made.summary(nothing)["train"] == {"records": int(np.sum(made.part == 0)), "threats": 0, "rate": None}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(fractions=(0.7, 0.2, 0.2)), "data.fractions: "),
        (DataConfig(fractions=(1.2, -0.1, -0.1)), "data.fractions: "),
        (DataConfig(block_events=0), "data.block_events: "),
        (DataConfig(split_seed=-1), "data.split_seed: "),
        (DataConfig(split="halves"), "data.split: unknown split 'halves'"),  # type: ignore[arg-type]
        (DataConfig(split="temporal", split_time="noon"), "data.split_time: 'noon' is not an ISO 8601 time"),
        (DataConfig(split="temporal", split_time="2050-01-01"), "the test part of split temporal is empty"),
        (DataConfig(split="temporal", split_time="1990-01-01"), "the train part of split temporal is empty"),
        (DataConfig(split="blocks", block_events=1000), "part of split blocks is empty"),
    ],
)
def test_what_makes_no_sense_is_one_line(config: DataConfig, message: str) -> None:
    with pytest.raises(CustodesError) as caught:
        split(dataset(table()), config)
    assert message in str(caught.value)


def test_the_trace_recording_splits_as_the_original_did(shared_data) -> None:  # type: ignore[no-untyped-def]
    data = load(DataConfig(path=str(shared_data / "darpa-tc-e5-trace.parquet")))
    rows = split(data, DataConfig(split="rows")).summary(data.labels)
    for name, records, threats in (("train", 349_999, 38_244), ("validation", 75_000, 8_195), ("test", 75_001, 8_195)):
        assert abs(int(rows[name]["records"] or 0) - records) <= 1
        assert rows[name]["threats"] == threats
        assert round(100 * float(rows[name]["rate"] or 0), 2) == 10.93
    for seed in range(3):
        blocks = split(data, DataConfig(split="blocks", split_seed=seed)).summary(data.labels)
        assert all(abs(float(blocks[name]["rate"] or 0) - 0.109268) < 0.005 for name in PARTS)
