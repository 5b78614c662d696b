"""The audit: each finding where it belongs, and none where it does not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.data.audit import SEVERITIES, AuditFinding, audit
from custodes.data.audit.columns import information_share
from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.split import Split, split
from tests.data.features_cases import dataset

N = 3000


def _part() -> Split:
    return Split(part=np.repeat(np.arange(3), (1800, 600, 600)).astype(np.int8), method="blocks", seed=0, warnings=())


def _sound(seed: int = 0) -> dict[str, Any]:
    """Columns of a data set without faults: a quarter of each part are threats, and no size occurs twice."""
    rng = np.random.default_rng(seed)
    state = np.arange(N) // 5 % 4 == 0
    return {
        "time": np.arange(1, N + 1) * 10**9,
        "kind": rng.choice(["open", "read"], N),
        "size": rng.permutation(N) + state / 2,
        "label": state.astype(np.int8),
    }


def _found(data: Dataset, parts: Split, **settings: Any) -> dict[str, list[AuditFinding]]:
    config = DataConfig(groups=settings.pop("groups", ("size", "kind")), **settings)
    by_name: dict[str, list[AuditFinding]] = {}
    for finding in audit(data, parts, config, trees=False):
        json.dumps(finding.evidence, allow_nan=False)
        assert "\n" not in finding.what
        by_name.setdefault(finding.name, []).append(finding)
    return by_name


def test_sound_data_gets_no_warning() -> None:
    found = _found(dataset(_sound()), _part())
    assert {finding.severity for findings in found.values() for finding in findings} == {"info"}
    assert set(found) == {"constant-columns", "label-information"}


def test_constant_columns_weigh_more_where_they_are_asked_for() -> None:
    data = dataset({**_sound(), "still": np.zeros(N), "moving": np.arange(N)})
    (unasked,) = _found(data, _part(), groups=("size",))["constant-columns"]
    (asked,) = _found(data, _part(), groups=("numeric",), columns=("still", "moving"))["constant-columns"]
    assert (unasked.severity, asked.severity) == ("info", "warning")
    assert asked.evidence["inputs"] == ["still"]
    assert "still" in unasked.evidence["columns"]


@pytest.mark.parametrize(("groups", "severity"), [(("size",), "warning"), (("size", "novelty"), "critical")])
def test_a_text_that_determines_the_label_is_a_leak(groups: tuple[str, ...], severity: str) -> None:
    columns = _sound()
    data = dataset({**columns, "kind": np.where(columns["label"] == 1, "exec", "read")})
    (leak,) = _found(data, _part(), groups=groups)["label-determined"]
    assert leak.severity == severity
    assert leak.evidence["column"] == "kind"
    assert leak.evidence["share"] > 0.99


@pytest.mark.parametrize(
    ("column", "severity", "words"),
    [
        ("stream", "warning", "is no input of this run: keep it out"),
        ("object", "warning", "is no input of this run: keep it out"),
        ("entity", "info", "is never an input"),
        ("phase", "info", "is never an input"),
    ],
)
def test_names_that_determine_the_label_are_told(column: str, severity: str, words: str) -> None:
    columns = _sound()
    data = dataset({**columns, column: np.where(columns["label"] == 1, "bad", "good")})
    found = _found(data, _part(), groups=(), columns=())
    (leak,) = found["label-determined"]
    assert leak.severity == severity
    assert leak.evidence == {"column": column, "share": pytest.approx(1.0, abs=0.01), "input": False}
    assert words in leak.what
    (shares,) = found["label-information"]
    assert (f"{column} 1.00" in shares.what) == (severity == "warning")


def test_equally_frequent_values_give_the_same_finding_every_time() -> None:
    rng = np.random.default_rng(0)
    columns = _sound()
    words = np.array([f"w{k}" for k in rng.integers(0, 1500, N)])
    data = dataset({**columns, "object": words, "rows": rng.permutation(N // 2).repeat(2)})
    shuffled = rng.permutation(N)
    other = replace(data, events=data.events[shuffled])
    first, again, moved = (_found(some, _part())["label-information"][0].evidence for some in (data, data, other))
    assert first == again
    assert moved["shares"] == pytest.approx(first["shares"], abs=1e-12)
    assert "rows" in first["shares"]


def test_a_number_that_determines_the_label_is_a_leak() -> None:
    columns = _sound()
    rng = np.random.default_rng(1)
    leaking = columns["label"] * 10 + rng.normal(size=N)
    (leak,) = _found(dataset({**columns, "score": leaking}), _part(), groups=("values",))["label-determined"]
    assert leak.evidence["column"] == "score"
    assert leak.severity == "critical"


def _share_by_definition(values: list[int], labels: list[int]) -> float:
    rows = len(values)

    def entropy(items: list[Any]) -> float:
        return -sum(p * math.log(p) for p in (items.count(item) / rows for item in set(items)))

    shared = entropy(values) + entropy(labels) - entropy(list(zip(values, labels, strict=True)))
    corrected = shared - (len(set(values)) - 1) / (2 * rows)
    return min(1.0, max(0.0, corrected / entropy(labels)))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=2, max_size=40))
def test_information_matches_its_definition(rows: list[tuple[int, int]]) -> None:
    values, labels = [row[0] for row in rows] + [0, 1], [row[1] for row in rows] + [0, 1]
    found = information_share(np.array(values), np.array(labels))
    assert found == pytest.approx(_share_by_definition(values, labels), abs=1e-9)


def test_records_that_train_holds_too_are_counted() -> None:
    columns = _sound()
    columns["size"][2400:2700] = columns["size"][:300]
    columns["kind"] = ["open"] * N
    (finding,) = _found(dataset(columns), _part(), groups=("size",))["duplicates"]
    assert finding.evidence["validation"]["records"] == 0
    assert finding.evidence["test"]["records"] == 300
    assert finding.evidence["test"]["threats"] == columns["label"][2400:2700].sum()
    assert finding.severity == "warning"


def test_drifting_rates_are_told() -> None:
    columns = _sound()
    columns["label"] = (np.arange(N) % np.repeat([20, 5, 20], [1800, 600, 600]) == 0).astype(np.int8)
    found = _found(dataset(columns), _part())
    assert found["rate-drift"][0].evidence["moved"] == ["validation"]


def test_thin_classes_are_told() -> None:
    columns = _sound()
    columns["label"][1800:2400] = 0
    columns["label"][2400:] = 0
    columns["label"][2400:2449] = 1
    thin = {finding.evidence["part"]: finding for finding in _found(dataset(columns), _part())["thin-class"]}
    assert {name: finding.severity for name, finding in thin.items()} == {"validation": "critical", "test": "warning"}
    assert thin["test"].evidence["threats"] == 49


def test_phases_that_train_never_sees_are_told() -> None:
    columns = _sound()
    place = np.arange(N)
    phase = np.where(place < 1800, "enter", np.where(place < 2700, "spread", "leave"))
    columns["phase"] = np.where(columns["label"] == 1, phase, "")
    (finding,) = _found(dataset(columns), _part())["phases"]
    assert finding.evidence["alone"] == ["enter", "leave"]
    assert finding.evidence["unseen"] == ["leave", "spread"]
    assert finding.evidence["phases"]["spread"]["train"] == 0


@pytest.mark.parametrize(("recorded_order", "severity"), [(True, "info"), (False, "warning")])
def test_disorder_in_time_is_told(recorded_order: bool, severity: str) -> None:
    columns = _sound()
    columns["time"][[10, 20]] = 0
    columns["time"][30] = 5
    columns["stream"] = np.where(np.arange(N) == 40, "other", "host")
    columns["time"][40] = 1
    (finding,) = _found(dataset(columns, recorded_order=recorded_order), _part())["time-order"]
    assert finding.severity == severity
    assert finding.evidence["back"] == 1
    assert finding.evidence["unknown"] == 2


def test_unlabelled_records_count_nowhere() -> None:
    columns = _sound()
    data = dataset(columns)
    unknown = data.events.with_columns(label=pl.lit(-1, pl.Int8), kind=pl.lit("leak"))
    both = replace(data, events=pl.concat([data.events, unknown]))
    parts = replace(_part(), part=np.concatenate([_part().part, np.full(N, -1, np.int8)]))
    assert _found(both, parts)["label-information"] == _found(data, _part())["label-information"]


def test_trees_need_context_where_the_past_decides() -> None:
    rng = np.random.default_rng(3)
    size = rng.integers(1, 4, N).astype(float)
    label = np.zeros(N, dtype=np.int8)
    label[2:] = size[:-2] == 2
    data = dataset({"size": size, "label": label})
    findings = audit(data, _part(), DataConfig(groups=("size",)))
    (trees,) = (finding for finding in findings if finding.name == "trees")
    assert trees.evidence["row"]["f1"] < 0.6
    assert trees.evidence["context"]["f1"] == 1.0
    assert findings == audit(data, _part(), DataConfig(groups=("size",)))


def test_an_easy_record_is_told() -> None:
    columns = _sound()
    columns["size"] = columns["label"] + 1.0
    findings = audit(dataset(columns), _part(), DataConfig(groups=("size",)))
    assert [finding.severity for finding in findings if finding.name == "trees"] == ["warning"]
    order = [SEVERITIES.index(finding.severity) for finding in findings]
    assert order == sorted(order)


def test_trees_are_left_out_of_a_part_of_one_class() -> None:
    columns = _sound()
    columns["label"][2400:] = 0
    findings = audit(dataset(columns), _part(), DataConfig(groups=("size",)))
    (trees,) = (finding for finding in findings if finding.name == "trees")
    assert trees.evidence == {"parts": ["test"]}


def test_event_types_of_the_trace_give_its_labels_away(shared_data: Path) -> None:
    raw = pl.read_parquet(shared_data / "darpa-tc-e5-trace.parquet", n_rows=100_000)
    data = dataset(
        {
            "time": raw["timestamp_ns"],
            "kind": raw["event_type"],
            "size": raw["file_size"],
            "label": raw["is_suspicious"].cast(pl.Int8),
            "sequence": raw["sequence"],
            "src_port": raw["src_port"],
        }
    )
    config = DataConfig(groups=("numeric",), columns=("sequence", "size", "src_port"))
    found = audit(data, split(data, config), config, trees=False)
    (leak,) = (finding for finding in found if finding.name == "label-determined")
    assert leak.evidence["column"] == "kind"
    assert leak.evidence["share"] > 0.85
    assert not leak.evidence["input"]
    (constant,) = (finding for finding in found if finding.name == "constant-columns")
    assert constant.evidence["inputs"] == ["src_port"]
