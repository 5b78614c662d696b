"""A description counts what a plain loop counts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from custodes.data.config import DataConfig
from custodes.data.describe import describe
from custodes.errors import CustodesError
from tests.data.samples import table


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_counts_against_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setattr("custodes.data.sources.lines.CHUNK_LINES", 31)
    monkeypatch.setattr("custodes.data.sources.reading.BATCH_ROWS", 31)
    place = pl.int_range(pl.len())
    events = table(200).with_columns(
        time=pl.when(place == 70).then(1_600_000_000_000_000_000).when(place == 90).then(0).otherwise("time"),
        image=pl.when(place < 3).then(None).otherwise("image"),
        entity=pl.when(place == 5).then(pl.lit("")).otherwise("entity"),
        label=pl.when(place % 10 == 0).then(2).when(place % 10 == 1).then(-1).otherwise("label").cast(pl.Int8),
    )
    path = tmp_path / f"x{suffix}"
    if suffix == ".parquet":
        events.write_parquet(path)
    else:
        path.write_text(events.write_ndjson() + "broken\n")
    found = describe(DataConfig(path=str(path)))
    rows = events.to_dicts()
    words = {-1: "unknown", 0: "benign", 1: "malicious", 2: "contaminated"}
    assert json.loads(json.dumps(found)) == found
    assert (found["records"], found["source"], found["recorded_order"]) == (200, "table", False)
    assert (found["lines"], found["rejected"]) == ((201, 1) if suffix == ".jsonl" else (0, 0))
    assert found["streams"] == 2
    assert found["entities"] == len({(row["stream"], row["entity"]) for row in rows if row["entity"]})
    guilty = {(row["stream"], row["entity"]) for row in rows if row["entity"] and row["label"] == 1}
    assert found["threat_entities"] == len(guilty)
    counts = found["counts"]
    assert isinstance(counts, dict)
    for name in ("channel", "kind", "stream", "phase", "object_kind"):
        wanted = Counter(row[name] for row in rows)
        assert list(counts[name].items()) == sorted(wanted.items(), key=lambda item: (-item[1], item[0]))
    assert counts["label"] == dict(Counter(words[row["label"]] for row in rows))
    assert found["nulls"] == {"image": 3}
    assert found["not_finite"] == {}
    assert found["time"] == {
        "first": "2020-09-13T12:26:40+00:00",
        "last": "2023-11-14T22:16:39+00:00",
        "seconds": 100_000_199.0,
        "steps_back": 1,
        "timeless": 1,
    }


def test_what_load_refuses_is_described(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    bad = table(50).with_columns(
        size=pl.when(pl.int_range(pl.len()) < 4).then(float("nan")).otherwise("size"), time=pl.lit(None)
    )
    bad.write_parquet(path)
    found = describe(DataConfig(path=str(path)))
    assert found["not_finite"] == {"size": 4}
    assert found["nulls"] == {"time": 50}
    assert found["time"] == {"first": None, "last": None, "seconds": None, "steps_back": 0, "timeless": 50}


def test_an_empty_table_and_too_many_bad_lines_are_refused(tmp_path: Path) -> None:
    table().head(0).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(CustodesError, match="no event in the file"):
        describe(DataConfig(path=str(tmp_path / "x.parquet")))
    (tmp_path / "x.jsonl").write_text(table(10).write_ndjson() + "no\n")
    with pytest.raises(CustodesError, match="1 of 11 lines are malformed"):
        describe(DataConfig(path=str(tmp_path / "x.jsonl")))


def test_synthetic_is_described() -> None:
    found = describe(DataConfig())
    assert (found["name"], found["source"]) == ("synthetic", "synthetic")
