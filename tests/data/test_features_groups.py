"""Each feature group against its definition, row by row."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.features import Encoder
from custodes.data.features.blocks import Choice, Number
from custodes.data.features.encoder import GROUPS
from custodes.data.features.numeric import LAGS, WINDOW
from custodes.data.features.table import Table
from tests.data.features_cases import dataset, datasets, random_dataset


def raw(data: Dataset, group: str, columns: tuple[str, ...] = ()) -> dict[str, list[float]]:
    """Features of a group before scaling, by name."""
    table = Table(events=data.events, columns=columns)
    found: dict[str, list[float]] = {}
    for block in GROUPS[group].blocks(table, GROUPS[group].learn(table)):
        if isinstance(block, Number):
            found[block.name] = np.asarray(block.values(), dtype=np.float64).tolist()
        elif isinstance(block, Choice):
            codes = block.codes()
            found.update({name: (codes == place).astype(float).tolist() for place, name in enumerate(block.names)})
    return found


def _log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value)


def _numeric_by_scan(values: list[float], streams: list[str]) -> dict[str, list[float]]:
    wanted: dict[str, list[float]] = {key: [] for key in ("log", "zero", "change", "equal", "pages", "gap", "activity")}
    for i, value in enumerate(values):
        mine = [j for j in range(i) if streams[j] == streams[i]]
        active = [j for j in mine if values[j] != 0]
        change = value - values[active[-1]] if value != 0 and active else 0.0
        recent = [values[j] for j in [*mine, i][-WINDOW:]]
        since = len(mine) - mine.index(active[-1]) if active else len(mine) + 1
        wanted["log"].append(_log(value))
        wanted["zero"].append(float(value == 0))
        wanted["change"].append(_log(change))
        wanted["equal"].append(float(value != 0 and bool(active) and value == values[active[-1]]))
        wanted["pages"].append(float(value != 0 and value % 4096 == 0))
        wanted["gap"].append(math.log1p(since))
        wanted["activity"].append(sum(v != 0 for v in recent) / WINDOW)
    return wanted


@given(datasets())
@settings(deadline=None)
def test_numeric_matches_a_scan(data: Dataset) -> None:
    streams = data.events["stream"].to_list()
    found = raw(data, "numeric", ("number", "size"))
    for column in ("number", "size"):
        values = [float(value) for value in data.events[column]]
        if len(set(values)) == 2:
            assert found[f"{column}.high"] == [float(value == max(values)) for value in values]
            continue
        for key, wanted in _numeric_by_scan(values, streams).items():
            assert found[f"{column}.{key}"] == pytest.approx(wanted, rel=1e-6, abs=1e-6)
        for value in set(values) - {0.0}:
            assert found[f"{column}={value:.17g}"] == [float(other == value) for other in values]


def test_numeric_repeats_earlier_values_of_a_busy_column() -> None:
    data = dataset({"size": [1.0, 2.0, 1.0, 0.0, 2.0], "stream": ["a", "b", "a", "a", "b"]})
    found = raw(data, "numeric", ("size",))
    assert found["size.log-1"] == pytest.approx([0, 0, _log(1), _log(1), _log(2)])
    assert found["size.log-2"] == pytest.approx([0, 0, 0, _log(1), 0])
    assert sum(name.startswith("size.log-") for name in found) == LAGS


def test_numeric_repeats_earlier_changes_of_a_counter() -> None:
    data = dataset({"number": np.arange(1, 2001) ** 2})
    found = raw(data, "numeric", ("number",))
    assert found["number.change-2"][:4] == pytest.approx([0, 0, 0, _log(3)])
    assert not any("=" in name for name in found)


def test_numeric_leaves_earlier_rows_out_of_a_quiet_column() -> None:
    found = raw(dataset({"size": [0.0] * 18 + [1.0, 2.0]}), "numeric", ("size",))
    assert not any("-1" in name for name in found)


def test_only_frequent_values_get_a_column() -> None:
    values = [3.0] * 500 + [4.0] * 499 + [5.0]
    found = raw(dataset({"size": values}), "numeric", ("size",))
    assert {name for name in found if "=" in name} == {"size=3", "size=4"}


@pytest.mark.parametrize("group", ["channel", "kind", "object_kind"])
def test_one_hot_columns_say_the_word(group: str) -> None:
    data = random_dataset(50)
    for name, column in raw(data, group).items():
        word = name.partition("=")[2]
        assert column == [float(value == word) for value in data.events[group]]


def test_words_that_training_never_saw_are_other() -> None:
    events = {"kind": [f"k{min(i, 39)}" for i in range(60)] + ["new"]}
    encoder = Encoder.fit(dataset(events), np.arange(60), DataConfig(groups=("kind",)))
    inputs = encoder.transform(dataset(events))
    names = [column.name for column in encoder.columns]
    assert len(names) == 33
    assert names[-1] == "kind:other"
    assert inputs[-1].tolist() == [0.0] * 32 + [1.0]


def test_timing_counts_from_the_last_known_time() -> None:
    second = 10**9
    data = dataset(
        {
            "time": [0, 5 * second, 0, 7 * second, 6 * second],
            "entity": ["p", "p", "q", "p", "q"],
        }
    )
    found = raw(data, "timing")
    log = [math.log1p(ms) for ms in (0, 2000, 1000)]
    assert found["timing:stream"] == pytest.approx([0, 0, 0, log[1], 0])
    assert found["timing:entity"] == pytest.approx([0, 0, 0, log[1], log[2]])
    assert found["timing:age"] == pytest.approx([0, 0, 0, 0, log[2]])
    assert found["timing:unknown"] == [1, 0, 1, 0, 0]


@given(datasets())
@settings(deadline=None)
def test_counts_and_novelty_match_a_scan(data: Dataset) -> None:
    rows = data.events.rows(named=True)
    counts, novelty = raw(data, "counts"), raw(data, "novelty")
    for i, row in enumerate(rows):
        stream = [other for other in rows[:i] if other["stream"] == row["stream"]]
        own = [other for other in stream if other["entity"] == row["entity"]]
        assert counts["counts:all"][i] == pytest.approx(math.log1p(len(own) + 1))
        same = sum(other["channel"] == row["channel"] for other in own)
        assert counts[f"counts:{row['channel']}"][i] == pytest.approx(math.log1p(same + 1))
        assert novelty["novelty:kind"][i] == (row["kind"] not in {other["kind"] for other in own})
        seen = {other["object"] for other in stream} - {""}
        assert novelty["novelty:object_seen"][i] == (row["object"] in seen)


def _lineage_by_scan(data: Dataset) -> dict[str, list[float]]:
    wanted: dict[str, list[float]] = {key: [] for key in ("depth", "children", "first", "parent_seen")}
    links: dict[tuple[str, str], str] = {}
    acted: set[tuple[str, str]] = set()
    for row in data.events.rows(named=True):
        stream, me, parent = row["stream"], row["entity"], row["parent"]
        wanted["first"].append((stream, me) not in acted)
        acted.add((stream, me))
        if parent not in ("", me):
            links.setdefault((stream, me), parent)
        depth, ancestor = 0, me
        while (stream, ancestor) in links and depth < 16:
            depth, ancestor = depth + 1, links[stream, ancestor]
        wanted["depth"].append(depth)
        children = sum(key[0] == stream and named == me for key, named in links.items())
        wanted["children"].append(math.log1p(children))
        wanted["parent_seen"].append((stream, parent) in acted)
    return {f"lineage:{key}": [float(value) for value in column] for key, column in wanted.items()}


@given(datasets())
@settings(deadline=None)
def test_lineage_matches_a_scan(data: Dataset) -> None:
    found = raw(data, "lineage")
    for name, wanted in _lineage_by_scan(data).items():
        assert found[name] == pytest.approx(wanted), name


def test_names_tell_how_often_training_saw_them() -> None:
    training = {"image": ["a", "a", "b"], "parent_image": ["s", "s", "s"]}
    encoder = Encoder.fit(dataset(training), np.arange(3), DataConfig(groups=("names",), names="shown"))
    later = encoder.transform(dataset({"image": ["a", "b", "new", "a"], "parent_image": ["s", "s", "s", "t"]}))
    column = {column.name: later[:, place] for place, column in enumerate(encoder.columns)}
    rows = column["names:image:rows"]
    assert rows[0] == rows[3] > rows[1] > rows[2]
    assert column["names:lineage:new"].tolist() == [1, 1, 1, 1]
    assert column["image=a"].tolist() == [1, 0, 0, 1]


def test_event_types_are_no_input_of_the_numeric_group(shared_data: Path) -> None:
    columns = ("sequence", "src_port", "dst_port", "ip_protocol", "process_pid", "process_ppid")
    events = pl.scan_parquet(shared_data / "darpa-tc-e5-trace.parquet").head(20_000).collect()
    data = dataset(
        {
            **{name: events[name] for name in columns},
            "size": events["file_size"],
            "kind": events["event_type"],
            "label": events["is_suspicious"].cast(pl.Int8),
        }
    )
    config = DataConfig(groups=("numeric",), columns=(*columns, "size"))
    encoder = Encoder.fit(data, np.arange(14_000), config)
    shuffled = dataset(
        {**{name: data.events[name] for name in data.events.columns}, "kind": data.events["kind"].shuffle(0)}
    )
    assert Encoder.fit(shuffled, np.arange(14_000), config) == encoder
    np.testing.assert_array_equal(encoder.transform(shuffled), encoder.transform(data))
    assert {column.name.partition(".")[0].partition("=")[0] for column in encoder.columns} <= {
        "sequence",
        "size",
        "process_pid",
    }


def test_a_column_of_two_values_is_a_flag() -> None:
    found = raw(dataset({"size": [-1.0, 4.0, 4.0, -1.0]}), "numeric", ("size",))
    assert found == {"size.high": [0, 1, 1, 0]}
