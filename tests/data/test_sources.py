"""Each foreign format to the event table."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from custodes.data.config import DataConfig
from custodes.data.reader import load
from custodes.data.schema import CHANNELS, EVENT_SCHEMA
from custodes.data.sources import SOURCES, choose
from custodes.data.sources.edr import CHANNEL_OF_EVENT
from custodes.data.sources.flows import FLOWS
from custodes.data.sources.trace import EVENT_CHANNELS
from custodes.data.sources.typed import require_columns
from custodes.errors import CustodesError

TRACE = pl.DataFrame(
    {
        "record_type": ["RECORD_EVENT", "RECORD_MEMORY_OBJECT", "RECORD_EVENT", "RECORD_EVENT"],
        "timestamp_ns": [20, 0, 10, 30],
        "event_type": ["EVENT_MMAP", "", "EVENT_SENDMSG", "EVENT_NEW_IN_CDM21"],
        "subject_uuid": ["a", "", "b", "a"],
        "object_uuid": ["o", "", "p", "q"],
        "file_size": [0.0, 4096.0, 7.0, 0.0],
        "sequence": [5, 0, 6, 7],
        "src_port": [0] * 4,
        "dst_port": [0] * 4,
        "ip_protocol": [0] * 4,
        "process_pid": [0, 3652, 0, 0],
        "process_ppid": [0] * 4,
        "is_suspicious": [True, False, False, False],
        "thread_id": [1, 2, 3, 4],
    }
)
EDR = pl.DataFrame(
    {
        "ts_us": [1, 2, 2],
        "event": ["procstart", "netconn", "etwload"],
        "direction": ["in", "out", "in"],
        "proc": [7, 7, 8],
        "exe": ["a.exe", "a.exe", "b.exe"],
        "parent": [1, 1, 7],
        "parent_exe": ["init", "init", "a.exe"],
        "obj": [1, 44, 45],
        "obj_type": ["process", "socket", "file"],
        "label": [0, 1, 2],
        "phase": ["pre", "callback", "callback"],
        "obj_place": ["system32", "socket", "elsewhere"],
        "obj_ext": ["exe", "", "ps1"],
        "port": [-1, 443, -1],
        "private_address": [False, True, False],
    }
)


def _write(frame: pl.DataFrame, path: Path) -> str:
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    elif path.suffix == ".csv":
        frame.write_csv(path)
    else:
        frame.write_ndjson(path)
    return str(path)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_trace(tmp_path: Path, suffix: str) -> None:
    data = load(DataConfig(path=_write(TRACE, tmp_path / f"x{suffix}")))
    events = data.events
    assert (data.source, data.recorded_order) == ("trace", True)
    assert events["time"].to_list() == [20, 0, 10, 30]
    assert events["channel"].to_list() == ["memory", "memory", "network", "other"]
    assert events["kind"].to_list() == ["EVENT_MMAP", "RECORD_MEMORY_OBJECT", "EVENT_SENDMSG", "EVENT_NEW_IN_CDM21"]
    assert events["entity"].to_list() == ["a", "", "b", "a"]
    assert events["object"].to_list() == ["o", "", "p", "q"]
    assert events["size"].to_list() == [0.0, 4096.0, 7.0, 0.0]
    assert events["label"].to_list() == [1, 0, 0, 0]
    assert events["stream"].n_unique() == 1
    assert data.extras == ("sequence", "src_port", "dst_port", "ip_protocol", "process_pid", "process_ppid")
    assert events["process_pid"].to_list() == [0, 3652, 0, 0]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_edr(tmp_path: Path, suffix: str) -> None:
    data = load(DataConfig(path=_write(EDR, tmp_path / f"x{suffix}")))
    events = data.events
    assert (data.source, data.recorded_order) == ("edr", False)
    assert events["time"].to_list() == [1000, 2000, 2000]
    assert events["entity"].to_list() == ["7", "7", "8"]
    assert events["parent"].to_list() == ["1", "1", "7"]
    assert events["channel"].to_list() == ["process", "network", "other"]
    assert events["object_kind"].to_list() == ["process", "socket", "file"]
    assert events["image"].to_list() == ["a.exe", "a.exe", "b.exe"]
    assert events["label"].to_list() == [0, 1, 2]
    assert events["phase"].to_list() == ["pre", "callback", "callback"]
    assert events["outbound"].to_list() == [0, 1, 0]
    assert events["port"].to_list() == [-1, 443, -1]
    assert events["private_address"].to_list() == [0, 1, 0]
    assert events["place_socket"].to_list() == [0, 1, 0]
    assert events.select(pl.sum_horizontal(pl.col("^place_.*$")))["place_hklm"].to_list() == [1, 1, 0]
    assert events["ext_script"].to_list() == [0, 0, 1]
    assert events["ext_none"].to_list() == [0, 1, 0]


@pytest.mark.parametrize(("suffix", "place"), [(".parquet", "row 2"), (".csv", "line 4")])
def test_an_edr_time_beyond_nanoseconds_is_refused_not_wrapped(tmp_path: Path, suffix: str, place: str) -> None:
    most = ((1 << 63) - 1) // 1000
    for time, fits in ((most, True), (most + 1, False), (1 << 62, False), (-(1 << 62), False)):
        path = _write(EDR.with_columns(ts_us=pl.Series([1, 2, time])), tmp_path / f"x{suffix}")
        if fits:
            assert load(DataConfig(path=path)).events["time"][2] == time * 1000
            continue
        with pytest.raises(CustodesError, match=f"column time is null or beyond 64 bits of nanoseconds at {place}"):
            load(DataConfig(path=path))


def _flows(rows: int) -> pl.DataFrame:
    numbers = {name: [1] * rows for name, kind in FLOWS.columns.items() if kind.is_numeric()}
    words = {
        "protocol_type": ["tcp"] * rows,
        "service": ["http"] * rows,
        "flag": (["SF", "REJ"] * rows)[:rows],
        "class": (["normal", "neptune"] * rows)[:rows],
    }
    return pl.DataFrame({**numbers, **words, "difficulty": [21] * rows})


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_flows_with_their_official_test_file(tmp_path: Path, suffix: str) -> None:
    train, test = _write(_flows(4), tmp_path / f"a{suffix}"), _write(_flows(3), tmp_path / f"b{suffix}")
    data = load(DataConfig(path=train, test_path=test))
    events = data.events
    assert (data.source, data.recorded_order) == ("flows", False)
    assert events["part"].to_list() == [0, 0, 0, 0, 2, 2, 2]
    assert events["label"].to_list() == [0, 1, 0, 1, 0, 1, 0]
    assert events["entity"].to_list() == ["0-0", "0-1", "0-2", "0-3", "1-0", "1-1", "1-2"]
    assert events["kind"].unique().to_list() == ["http"]
    assert events["size"].unique().to_list() == [2.0]
    assert events["flag_REJ"].to_list() == [0, 1, 0, 1, 0, 1, 0]
    assert "difficulty" not in events.columns
    assert sum(events[name].n_unique() > 0 for name in FLOWS.columns if name in events.columns) == 38


def test_a_source_is_told_from_its_columns() -> None:
    for name, frame in (("trace", TRACE), ("edr", EDR), ("flows", _flows(1))):
        assert choose("auto", frozenset(frame.columns), "x").name == name
    assert choose("auto", frozenset(EVENT_SCHEMA), "x").name == "table"
    with pytest.raises(CustodesError, match="column event, proc, ts_us is missing for source edr"):
        require_columns(SOURCES["edr"], frozenset(EVENT_SCHEMA), "x")


def test_every_channel_is_a_word_of_the_schema() -> None:
    assert set(EVENT_CHANNELS.values()) | set(CHANNEL_OF_EVENT.values()) <= set(CHANNELS)


def test_the_real_recordings(shared_data: Path) -> None:
    trace = load(DataConfig(path=str(shared_data / "darpa-tc-e5-trace.parquet")))
    assert (len(trace), int((trace.labels == 1).sum()), int((trace.events["time"] == 0).sum())) == (
        500_000,
        54_634,
        91_699,
    )
    edr = load(DataConfig(path=str(shared_data / "carbanak-h3.parquet")))
    assert edr.events["label"].value_counts().sort("label").rows() == [(0, 427_879), (1, 1_549), (2, 866)]
    assert edr.events.select("stream", "entity").n_unique() == 4_372
    flows = load(
        DataConfig(
            path=str(shared_data / "nsl-kdd-train20.parquet"), test_path=str(shared_data / "nsl-kdd-test.parquet")
        )
    )
    assert flows.events["part"].value_counts().sort("part").rows() == [(0, 25_192), (2, 22_544)]
