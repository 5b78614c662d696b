"""Raw CDM records, JSON lines and Avro, in the public schema's shape."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.reader import load
from custodes.data.sources import cdm as cdm_source
from custodes.data.sources.cdm import CdmState, MalformedRecordError
from custodes.errors import CustodesError
from tests.data.samples import Json, cdm, cdm_records, identifier, reference


def _hex(number: int) -> str:
    return identifier(number).replace("-", "")


def _jsonl(path: Path, records: list[Json]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def _check(data: Dataset) -> None:
    events = data.events
    assert (data.source, data.recorded_order) == ("cdm", True)
    assert events["kind"].to_list() == [
        "EVENT_FORK",
        "EVENT_EXECUTE",
        "EVENT_READ",
        "EVENT_WRITE",
        "EVENT_MMAP",
        "EVENT_CLOSE",
    ]
    assert events["time"].to_list() == [1_557_248_220_790_000_000 + k for k in range(1, 7)]
    assert events["stream"].unique().to_list() == [_hex(99)]
    assert events["entity"].to_list() == [_hex(1)] + [_hex(2)] * 5, "a unit acts as its process"
    assert events["parent"].to_list() == [""] + [_hex(1)] * 5, "drawn from the fork"
    assert events["image"].to_list() == ["/bin/sh", "/bin/sh", *["/bin/cat"] * 4], "inherited, then executed"
    assert events["parent_image"].to_list() == [""] + ["/bin/sh"] * 5
    assert events["channel"].to_list() == ["process", "process", "file", "network", "memory", "file"]
    assert events["object"].to_list() == [
        _hex(2),
        "/bin/cat",
        "/etc/passwd",
        "10.0.0.2:443",
        _hex(12),
        _hex(77),
    ]
    assert events["object_kind"].to_list() == ["process", "file", "file", "netflow", "memory", ""]
    assert events["size"].to_list() == [0.0, 0.0, 143.0, 20.0, 8192.0, 0.0]
    assert events["label"].unique().to_list() == [-1]
    assert events["sequence"].to_list() == [1, 2, 3, 4, 5, 6]
    assert events["thread_id"].unique().to_list() == [7]
    assert events["dst_port"].to_list() == [0, 0, 0, 443, 0, 0]
    assert events["process_pid"].to_list() == [100] + [101] * 5
    assert events["process_ppid"].to_list() == [0] + [100] * 5


@pytest.mark.parametrize("version", [18, 20])
def test_json_lines(tmp_path: Path, version: int) -> None:
    _check(load(DataConfig(path=_jsonl(tmp_path / "ta1.json", cdm_records(version)))))


def test_what_is_learned_lasts_over_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.data.sources.lines.CHUNK_LINES", 3)
    _check(load(DataConfig(path=_jsonl(tmp_path / "ta1.json", cdm_records(20)))))


def test_records_out_of_shape_are_rejected_with_their_reason(tmp_path: Path) -> None:
    kept = tmp_path / "rejects.jsonl"
    bad: list[Json] = [
        {"datum": None},
        {"datum": {"org.other.Event": {}}},
        cdm(20, "Event", uuid=identifier(1), type="EVENT_READ"),
        cdm(20, "FileObject", type="FILE_OBJECT_FILE"),
        cdm(20, "Event", type="EVENT_READ", timestampNanos=1, size={"long": 1.5}),
    ]
    path = _jsonl(tmp_path / "x.jsonl", [*cdm_records(20), *bad])
    data = load(DataConfig(path=path, max_rejects=0.5), rejects=kept)
    assert (len(data), data.rejected) == (6, 5)
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [row["reason"] for row in rows] == [
        "datum is not one record",
        "datum is a 'org.other.Event', not a record of com.bbn.tc.schema.avro.cdm18 to cdm20",
        "an Event without type or timestampNanos",
        "a record without uuid",
        "size is '1.5', not a whole number of 64 bits",
    ]
    assert [row["line"] for row in rows] == [14, 15, 16, 17, 18]
    with pytest.raises(CustodesError, match="5 of 18 lines are malformed"):
        load(DataConfig(path=path))


def test_memory_is_bounded_by_forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdm_source, "KEPT", 3)
    state = CdmState()
    for number in range(10):
        state.take(cdm(20, "FileObject", uuid=identifier(number), baseObject={"properties": None}))
    assert list(state.objects) == [_hex(7), _hex(8), _hex(9)]


def test_a_loop_of_parents_ends() -> None:
    state = CdmState()
    for one, other in ((1, 2), (2, 1)):
        state.take(
            cdm(20, "Subject", uuid=identifier(one), type="SUBJECT_UNIT", cid=1, parentSubject=reference(20, other))
        )
    row = state.take(cdm(20, "Event", type="EVENT_READ", timestampNanos=1, subject=reference(20, 1)))
    assert row is not None
    assert row[2] in (_hex(1), _hex(2))


def test_a_table_line_is_no_record() -> None:
    with pytest.raises(MalformedRecordError):
        CdmState().take({"time": 1, "entity": "a"})


_SPACE = "com.bbn.tc.schema.avro.cdm20"
_LONG = ["null", "long"]
_INT = ["null", "int"]
_STRING = ["null", "string"]
_MAP = ["null", {"type": "map", "values": "string"}]


def _record(name: str, *fields: tuple[str, Any]) -> Json:
    return {
        "type": "record",
        "name": name,
        "fields": [{"name": field, "type": kind} for field, kind in fields],
    }


_UUID = ["null", "UUID"]
_UUID_TYPE: Json = {"type": "fixed", "name": "UUID", "size": 16}


def _enum(name: str, *symbols: str) -> Json:
    return {"type": "enum", "name": name, "symbols": list(symbols)}


def _avro_subject() -> Json:
    return _record(
        "Subject",
        ("uuid", "UUID"),
        ("type", _enum("SubjectType", "SUBJECT_PROCESS", "SUBJECT_UNIT")),
        ("cid", "int"),
        ("parentSubject", _UUID),
        ("hostId", _UUID),
        ("cmdLine", _STRING),
        ("properties", _MAP),
    )


def _avro_objects() -> list[Json]:
    base = _record("AbstractObject", ("hostId", _UUID), ("permission", _STRING), ("epoch", _INT), ("properties", _MAP))
    flow = (("localAddress", _STRING), ("localPort", _INT), ("remoteAddress", _STRING), ("remotePort", _INT))
    kind = _enum("FileObjectType", "FILE_OBJECT_FILE")
    named = (("uuid", "UUID"), ("baseObject", "AbstractObject"))
    return [
        _record("FileObject", ("uuid", "UUID"), ("baseObject", base), ("type", kind), ("size", _LONG)),
        _record("NetFlowObject", *named, *flow, ("ipProtocol", _INT)),
        _record("MemoryObject", *named, ("memoryAddress", "long"), ("size", _LONG)),
    ]


def _avro_event() -> Json:
    return _record(
        "Event",
        ("uuid", "UUID"),
        ("sequence", _LONG),
        ("type", "string"),
        ("threadId", _INT),
        ("subject", _UUID),
        ("predicateObject", _UUID),
        ("predicateObjectPath", _STRING),
        ("timestampNanos", "long"),
        ("size", _LONG),
        ("properties", _MAP),
    )


def _avro_schema() -> Json:
    """The part of TCCDMDatum that the sample records use, types as in the public schema."""
    host = _record("Host", ("uuid", _UUID_TYPE), ("hostName", "string"))
    around = (
        ("CDMVersion", "string"),
        ("source", "string"),
        ("hostId", _UUID),
        ("sessionNumber", "int"),
        ("type", "string"),
    )
    members = [host, _avro_subject(), *_avro_objects(), _avro_event()]
    return {**_record("TCCDMDatum", ("datum", members), *around), "namespace": _SPACE}


def _plain(value: Any) -> Any:
    """JSON encoding of a union, or a UUID in text, to what fastavro writes."""
    if isinstance(value, dict):
        if len(value) == 1 and next(iter(value)) in ("string", "long", "int", "map", f"{_SPACE}.UUID"):
            return _plain(next(iter(value.values())))
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, str) and len(value) == 36 and value.count("-") == 4:
        return uuid.UUID(value).bytes
    return value


def _avro(path: Path) -> str:
    fastavro = pytest.importorskip("fastavro")
    records = []
    for record in cdm_records(20):
        ((name, fields),) = record["datum"].items()
        records.append({**_plain({k: v for k, v in record.items() if k != "datum"}), "datum": (name, _plain(fields))})
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(_avro_schema()), records)
    return str(path)


@pytest.mark.parametrize("name", ["ta1.avro", "ta1.bin"])
def test_avro(tmp_path: Path, name: str) -> None:
    _check(load(DataConfig(path=_avro(tmp_path / name))))


def test_avro_cut_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = Path(_avro(tmp_path / "whole.avro")).read_bytes()
    cut = tmp_path / "cut.avro"
    for length in [*range(1, len(whole) - 1, 61), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(CustodesError) as caught:
            load(DataConfig(path=str(cut)))
        assert "\n" not in str(caught.value)


def test_avro_without_fastavro_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _avro(tmp_path / "x.avro")
    monkeypatch.setitem(sys.modules, "fastavro", None)
    with pytest.raises(CustodesError, match=r"needs the package fastavro; install custodes\[cdm\]"):
        load(DataConfig(path=path))


def test_another_source_does_not_read_avro_nor_cdm_parquet(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match="source trace reads no Avro"):
        load(DataConfig(path=_avro(tmp_path / "x.avro"), source="trace"))
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(CustodesError, match="source cdm reads JSON lines and Avro, not CSV"):
        load(DataConfig(path=str(tmp_path / "x.csv"), source="cdm"))
