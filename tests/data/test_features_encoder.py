"""Properties that hold for every feature group: causal, fitted on training rows alone, finite, saved exactly."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.features import GROUPS, LIMIT, Encoder
from custodes.errors import CustodesError
from tests.data.features_cases import dataset, datasets, random_dataset

EVERYTHING = DataConfig(groups=tuple(GROUPS), names="shown")


def _part(data: Dataset, stop: int) -> Dataset:
    return replace(data, events=data.events.head(stop))


def _fit(data: Dataset, rows: np.ndarray, config: DataConfig = EVERYTHING) -> Encoder:
    """An encoder, or nothing to see where chance left no column that varies."""
    try:
        return Encoder.fit(data, rows, config)
    except CustodesError as error:
        assume("give no input" not in str(error))
        raise


@given(datasets(), st.data())
@settings(deadline=None, max_examples=40)
def test_a_prefix_of_the_events_gives_a_prefix_of_the_inputs(data: Dataset, draw: st.DataObject) -> None:
    encoder = _fit(data, np.arange(len(data)))
    stop = draw.draw(st.integers(0, len(data)))
    np.testing.assert_array_equal(encoder.transform(_part(data, stop)), encoder.transform(data)[:stop])


@given(datasets())
@settings(deadline=None, max_examples=40)
def test_a_row_depends_on_its_own_stream_only(data: Dataset) -> None:
    encoder = _fit(data, np.arange(len(data)))
    mine = (data.events["stream"] == "one").to_numpy()
    alone = replace(data, events=data.events.filter(mine))
    np.testing.assert_array_equal(encoder.transform(alone), encoder.transform(data)[mine])


@given(datasets(), datasets(), st.data())
@settings(deadline=None, max_examples=40)
def test_other_rows_change_no_statistic(data: Dataset, other: Dataset, draw: st.DataObject) -> None:
    rows = np.array(sorted(draw.draw(st.sets(st.integers(0, len(data) - 1), min_size=1))))
    kept = np.isin(np.arange(len(data)), rows)
    strange = other.events[np.arange(len(data)) % len(other)]
    columns = {name: np.where(kept, data.events[name], strange[name]) for name in data.events.columns}
    changed = replace(data, events=pl.DataFrame(columns, schema=data.events.schema))
    assert _fit(data, rows) == _fit(changed, rows)


@given(datasets())
@settings(deadline=None, max_examples=40)
def test_inputs_are_finite_and_bounded_and_vary(data: Dataset) -> None:
    encoder = _fit(data, np.arange(len(data)))
    inputs = encoder.transform(data)
    assert inputs.dtype == np.float32
    assert inputs.flags.c_contiguous
    assert inputs.shape == (len(data), len(encoder.columns))
    assert np.abs(inputs).max() <= LIMIT
    assert (inputs.min(axis=0) < inputs.max(axis=0)).all()
    assert len({column.name for column in encoder.columns}) == len(encoder.columns)


@given(datasets())
@settings(deadline=None, max_examples=40)
def test_saved_and_read_back_is_equal_to_the_last_bit(data: Dataset) -> None:
    encoder = _fit(data, np.arange(len(data)))
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    np.testing.assert_array_equal(again.transform(data), encoder.transform(data))


def test_standardised_inputs_have_mean_0_and_deviation_1_on_the_training_rows() -> None:
    data = random_dataset(400)
    encoder = Encoder.fit(data, np.arange(400), DataConfig(groups=("values", "size")))
    inputs = encoder.transform(data)
    for index, column in enumerate(encoder.columns):
        if not column.name.endswith(".none"):
            assert inputs[:, index].mean() == pytest.approx(0, abs=1e-5)
            assert inputs[:, index].std() == pytest.approx(1, abs=1e-5)


@given(st.integers(0, 10_000))
def test_independent_rows_may_stand_in_any_order(seed: int) -> None:
    """On a table such as NSL-KDD, where no row follows from another, the inputs follow the rows."""
    rng = np.random.default_rng(seed)
    rows = 60
    columns = {
        "time": np.zeros(rows, dtype=np.int64),
        "stream": ["flows"] * rows,
        "entity": [f"0-{row}" for row in range(rows)],
        "channel": ["network"] * rows,
        "kind": rng.choice(["http", "smtp", "private"], rows),
        "object_kind": rng.choice(["tcp", "udp", "icmp"], rows),
        "size": rng.choice([0.0, 8.0, 1e4, 5e6], rows),
        "label": rng.integers(0, 2, rows),
        "duration": rng.choice([0, 0, 3, 9000], rows),
        "serror_rate": rng.choice([0.0, 0.5, 1.0], rows),
        "flag_SF": rng.integers(0, 2, rows),
    }
    data = dataset(columns, recorded_order=False)
    order = rng.permutation(rows)
    moved = replace(data, events=data.events[order])
    train = np.arange(40)
    config = DataConfig(groups=("values", "kind", "object_kind", "size"))
    encoder = Encoder.fit(data, train, config)
    inputs = encoder.transform(data)
    np.testing.assert_array_equal(encoder.transform(moved), inputs[order])
    again = Encoder.fit(moved, np.flatnonzero(np.isin(order, train)), config)
    assert [column.name for column in again.columns] == [column.name for column in encoder.columns]
    np.testing.assert_allclose(again.transform(moved), inputs[order], atol=1e-5)


def test_extreme_numbers_stay_finite() -> None:
    data = dataset({"number": [0.0, 1e308, -1e308, float("nan"), float("inf"), 5e-324, 0.0, 3.0]})
    inputs = Encoder.fit(data, np.arange(8), DataConfig(groups=("numeric",))).transform(data)
    assert np.isfinite(inputs).all()


def test_equal_columns_of_a_group_are_kept_once() -> None:
    data = dataset({"size": [0.0, 1.0, 0.0, 2.0, 0.0], "twin": [0.0, 1.0, 0.0, 2.0, 0.0]})
    encoder = Encoder.fit(data, np.arange(5), DataConfig(groups=("values",), columns=("size", "twin")))
    assert [column.name for column in encoder.columns] == ["size.value", "size.none"]


def test_an_event_table_without_rows_gives_no_inputs() -> None:
    data = random_dataset(30)
    encoder = Encoder.fit(data, np.arange(30), EVERYTHING)
    assert encoder.transform(_part(data, 0)).shape == (0, len(encoder.columns))


def test_all_groups_but_the_names_are_the_default() -> None:
    data = random_dataset(60)
    hidden = Encoder.fit(data, np.arange(60), DataConfig())
    shown = Encoder.fit(data, np.arange(60), DataConfig(names="shown"))
    assert set(GROUPS) - set(hidden.groups) == {"names", "standing", "values"}
    assert shown.groups == (*hidden.groups, "names", "standing")


def test_hidden_names_change_no_input() -> None:
    data = random_dataset(60)
    encoder = Encoder.fit(data, np.arange(60), DataConfig())
    renamed = replace(data, events=data.events.with_columns(image=pl.lit("z"), parent_image=pl.lit("z")))
    assert Encoder.fit(renamed, np.arange(60), DataConfig()) == encoder
    np.testing.assert_array_equal(encoder.transform(renamed), encoder.transform(data))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DataConfig(groups=("names",)), "hidden"),
        (DataConfig(groups=("numerals",)), "no feature group 'numerals'"),
        (DataConfig(groups=("numeric",), columns=("prot",)), "no numeric column 'prot'"),
        (DataConfig(groups=("numeric",), columns=("label",)), "no numeric column 'label'"),
        (DataConfig(groups=("numeric",), columns=("image",)), "no numeric column 'image'"),
    ],
)
def test_bad_settings_are_refused(config: DataConfig, message: str) -> None:
    with pytest.raises(CustodesError, match=message):
        Encoder.fit(random_dataset(20), np.arange(20), config)


def test_nothing_to_learn_from_is_refused() -> None:
    data = random_dataset(20)
    with pytest.raises(CustodesError, match="no training row"):
        Encoder.fit(data, np.arange(0), DataConfig())
    with pytest.raises(CustodesError, match="give no input that varies"):
        Encoder.fit(data, np.arange(1), DataConfig(groups=("channel",)))


def test_data_without_a_column_of_the_run_is_refused() -> None:
    data = random_dataset(30)
    encoder = Encoder.fit(data, np.arange(30), DataConfig(groups=("numeric",)))
    with pytest.raises(CustodesError, match="column port is missing"):
        encoder.transform(replace(data, events=data.events.drop("port")))


@pytest.mark.parametrize(
    "change",
    [{"columns": None}, {"groups": ["unheard"]}, {"vocabulary": {}}, {"columns": [{"name": "x"}]}],
)
def test_what_is_no_encoder_is_refused(change: dict[str, object]) -> None:
    data = random_dataset(30)
    saved = Encoder.fit(data, np.arange(30), DataConfig()).to_json()
    with pytest.raises(CustodesError, match="not an encoder"):
        Encoder.from_json({**saved, **change})
