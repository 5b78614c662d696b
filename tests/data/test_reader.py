"""One table from every format, and one line of explanation for every bad file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest

from custodes.data.audit import audit
from custodes.data.config import DataConfig
from custodes.data.dataset import codes, require_both_classes
from custodes.data.describe import describe
from custodes.data.reader import load
from custodes.data.schema import DEFAULTS, EVENT_SCHEMA, digest
from custodes.data.split import split
from custodes.errors import CustodesError
from tests.data.samples import table


def _write(events: pl.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        events.write_parquet(path)
    elif path.suffix == ".csv":
        events.write_csv(path)
    else:
        events.write_ndjson(path)
    return path


def _refused(path: Path, source: str = "auto") -> str:
    with pytest.raises(CustodesError) as caught:
        load(DataConfig(path=str(path), source=source))  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    assert "; " in text, "says what to do"
    return text


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_table_loads_alike_from_every_format(tmp_path: Path, suffix: str) -> None:
    events = table(300)
    data = load(DataConfig(path=str(_write(events, tmp_path / f"x{suffix}"))))
    assert data.events.equals(events)
    assert (data.source, data.name, data.recorded_order) == ("table", f"x{suffix}", False)
    assert data.digest == digest(events)
    assert data.extras == ("load",)


def test_many_batches_make_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.data.sources.lines.CHUNK_LINES", 7)
    events = table(60)
    for suffix in (".csv", ".jsonl"):
        assert load(DataConfig(path=str(_write(events, tmp_path / f"x{suffix}")))).events.equals(events)


def test_a_zipped_file_loads(tmp_path: Path) -> None:
    events = table()
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(events.write_ndjson().encode()))
    assert load(DataConfig(path=str(path))).events.equals(events)
    path.write_bytes(path.read_bytes()[:-30])
    assert "cut off or damaged" in _refused(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_absent_optional_columns_get_their_defaults(tmp_path: Path, suffix: str) -> None:
    path = _write(table().select("kind", "entity", "time"), tmp_path / f"x{suffix}")
    events = load(DataConfig(path=str(path))).events
    assert events.columns == list(EVENT_SCHEMA)
    for name, value in DEFAULTS.items():
        assert events[name].unique().to_list() == [value]


def test_nulls_get_defaults_where_there_are_any(tmp_path: Path) -> None:
    odd = pl.int_range(pl.len()) % 2 == 1
    holes = table().with_columns(pl.when(odd).then(name).alias(name) for name in ("size", "label", "image", "load"))
    for suffix in (".parquet", ".jsonl"):
        events = load(DataConfig(path=str(_write(holes, tmp_path / f"x{suffix}")))).events
        assert events["size"][0] == 0.0
        assert events["label"][0] == -1
        assert events["image"][0] == ""
        assert events["load"][0] == 0.0


def test_types_that_mean_the_same_are_cast(tmp_path: Path) -> None:
    events = table()
    loose = events.with_columns(
        pl.col("time").cast(pl.Datetime("ns")).cast(pl.Datetime("us")),
        pl.col("kind", "image").cast(pl.Categorical),
        pl.col("label").cast(pl.Boolean),
        pl.col("size").cast(pl.Int32),
        entity=pl.int_range(pl.len()),
        flag=pl.lit(True),
        note=pl.lit("text that does not pass through"),
    )
    data = load(DataConfig(path=str(_write(loose, tmp_path / "x.parquet"))))
    assert data.events["time"].equals(events["time"])
    assert data.events["entity"].to_list() == [str(k) for k in range(60)]
    assert data.events["label"].equals(events["label"])
    assert data.extras == ("load", "flag")


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_missing_required_columns_are_named(tmp_path: Path, suffix: str) -> None:
    path = _write(table().drop("entity", "time"), tmp_path / f"x{suffix}")
    assert "lacks entity, time" in _refused(path)
    assert "column entity, time is missing for source table" in _refused(path, "table")


def test_a_wrong_type_in_parquet_is_named(tmp_path: Path) -> None:
    path = _write(table().with_columns(pl.col("time").cast(pl.String)), tmp_path / "x.parquet")
    assert "column time is String, not Int64" in _refused(path)


@pytest.mark.parametrize(("suffix", "place"), [(".parquet", "row 30"), (".csv", "line 32"), (".jsonl", "line 31")])
def test_time_that_steps_back_is_refused_with_its_place(tmp_path: Path, suffix: str, place: str) -> None:
    late = table(streams=1).with_columns(
        pl.when(pl.int_range(pl.len()) == 29).then(1 << 62).otherwise("time").alias("time")
    )
    text = _refused(_write(late, tmp_path / f"x{suffix}"))
    assert f"time steps back at {place} of stream 'host-0'" in text


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("back", [0, 1])
def test_describe_load_and_audit_agree_on_records_without_a_time(tmp_path: Path, streams: int, back: int) -> None:
    place = pl.int_range(pl.len())
    timed = table(200, streams=streams).with_columns(time=pl.when(place % 7 < 2).then(0).otherwise("time"))
    if back:
        timed = timed.with_columns(time=pl.when(place == 100).then(5).otherwise("time"))
    config = DataConfig(path=str(_write(timed, tmp_path / "x.parquet")), split="rows")
    clock = describe(config)["time"]
    assert isinstance(clock, dict)
    assert (clock["steps_back"], clock["timeless"]) == (back, 58)
    if back:
        assert "time steps back at row 100" in _refused(tmp_path / "x.parquet")
        return
    data = load(config)
    (order,) = (finding for finding in audit(data, split(data, config), config, trees=False) if "time" in finding.name)
    assert (order.evidence["back"], order.evidence["unknown"]) == (0, 58)


@pytest.mark.parametrize(("unit", "limit"), [("us", 9_223_372_036_854_775), ("ms", 9_223_372_036_854)])
def test_a_moment_beyond_nanoseconds_is_refused_not_wrapped(
    tmp_path: Path, unit: Literal["us", "ms"], limit: int
) -> None:
    for beyond in (0, 1):
        ticks = pl.Series([0, 1, limit + beyond]).cast(pl.Datetime(unit, "Europe/Berlin"))
        frame = pl.DataFrame({"time": ticks, "entity": "p", "kind": "k"})
        path = _write(frame, tmp_path / "x.parquet")
        if beyond:
            assert "column time is null or beyond 64 bits of nanoseconds at row 2" in _refused(path)
        else:
            assert load(DataConfig(path=str(path))).events["time"][2] == limit * {"us": 1_000, "ms": 1_000_000}[unit]


@pytest.mark.parametrize(("suffix", "place"), [(".parquet", "row 5"), (".csv", "line 7")])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, suffix: str, place: str) -> None:
    bad = table().with_columns(pl.when(pl.int_range(pl.len()) == 5).then(float("inf")).otherwise("size").alias("size"))
    assert f"column size is not finite at {place}" in _refused(_write(bad, tmp_path / f"x{suffix}"))


def test_nan_in_json_lines_is_a_malformed_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"time": 1, "entity": "a", "kind": "k", "size": NaN}\n')
    assert "1 of 1 lines are malformed" in _refused(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".avro", ""])
def test_an_empty_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"")
    assert "the file is empty" in _refused(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_without_rows_is_refused(tmp_path: Path, suffix: str) -> None:
    path = _write(table().head(0), tmp_path / f"x{suffix}")
    assert "no event in the file" in _refused(path) or "no line in the file" in _refused(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "no such file" in _refused(tmp_path / "absent.parquet")
    assert "not a file" in _refused(tmp_path)
    with pytest.raises(CustodesError, match=r"data\.path: source trace needs a file"):
        load(DataConfig(source="trace"))
    with pytest.raises(CustodesError, match="unknown source 'syslog'"):
        load(DataConfig(path=str(_write(table(), tmp_path / "x.csv")), source="syslog"))  # type: ignore[arg-type]


def test_parquet_cut_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = _write(table(), tmp_path / "x.parquet").read_bytes()
    for cut in [*range(1, 12), *range(12, len(whole), 97), len(whole) - 1]:
        path = tmp_path / "cut.parquet"
        path.write_bytes(whole[:cut])
        _refused(path)


def test_what_is_no_table_is_one_line(tmp_path: Path) -> None:
    for name, content, message in [
        ("x", b'[{"time": 1}]', "a JSON array, not JSON lines"),
        ("x.bin", b"\x00\x01\x02" * 100, "neither Parquet, CSV, JSON lines nor Avro"),
        ("x.csv", b"time,time\n1,2\n", "the header names time twice"),
        ("x.csv", b'"time\n', "the header is not readable"),
        ("x.jsonl", b"\n\n\n", "no line in the file"),
        ("x.parquet", b"time,entity,kind\n1,a,b\n", "cannot read"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        assert message in _refused(path)


def test_one_file_and_its_test_file_make_parts(tmp_path: Path) -> None:
    first, second = _write(table(40), tmp_path / "a.parquet"), _write(table(20, seed=1), tmp_path / "b.csv")
    data = load(DataConfig(path=str(first), test_path=str(second)))
    assert data.events["part"].to_list() == [0] * 40 + [2] * 20
    _write(table(20).drop("load"), second)
    with pytest.raises(CustodesError, match=r"b\.csv: its columns differ from those of .*a\.parquet"):
        load(DataConfig(path=str(first), test_path=str(second)))


def test_synthetic_is_what_an_empty_path_means(tmp_path: Path) -> None:
    config = DataConfig()
    data = load(config)
    assert (data.name, data.source) == ("synthetic", "synthetic")
    assert load(config).digest == data.digest
    require_both_classes(data.labels, "synthetic")
    with pytest.raises(CustodesError, match="source synthetic reads no file"):
        load(DataConfig(source="synthetic", path=str(tmp_path)))


@pytest.mark.parametrize(("label", "word"), [(0, "malicious"), (1, "benign"), (2, "malicious"), (-1, "malicious")])
def test_one_class_is_refused(label: int, word: str) -> None:
    with pytest.raises(CustodesError, match=f"training part of x: no {word} record among 5"):
        require_both_classes(np.full(5, label), "training part of x")
    require_both_classes(np.array([0, 1]), "x")


def test_codes_number_values_by_first_appearance() -> None:
    events = table(200)
    pairs = list(events.select("stream", "entity").iter_rows())
    first = {pair: number for number, pair in enumerate(dict.fromkeys(pairs))}
    assert codes(events, "stream", "entity").tolist() == [first[pair] for pair in pairs]
