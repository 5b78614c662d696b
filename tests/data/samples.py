"""Small event tables and CDM records in the public schema's shape."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import polars as pl

from custodes.data.dataset import Dataset
from custodes.data.schema import CHANNELS, EVENT_SCHEMA, digest

Json = dict[str, Any]


def table(rows: int = 60, *, streams: int = 2, entities: int = 6, threat: float = 0.2, seed: int = 0) -> pl.DataFrame:
    """Event table with one numeric pass-through column, in order of time."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "time": np.arange(rows) * 1_000_000_000 + 1_700_000_000_000_000_000,
            "stream": [f"host-{k}" for k in rng.integers(0, streams, rows)],
            "entity": [f"p{k}" for k in rng.integers(0, entities, rows)],
            "parent": "p0",
            "channel": [CHANNELS[k] for k in rng.integers(0, len(CHANNELS), rows)],
            "kind": [("read", "write")[k] for k in rng.integers(0, 2, rows)],
            "object": [f"/tmp/ä, {k}" for k in range(rows)],
            "object_kind": "file",
            "image": "sh",
            "parent_image": "init",
            "size": rng.random(rows) * 100,
            "label": (rng.random(rows) < threat).astype(np.int8),
            "phase": "",
            "load": rng.random(rows),
        },
        schema={**EVENT_SCHEMA, "load": pl.Float64()},
    )


def dataset(events: pl.DataFrame, *, recorded_order: bool = False) -> Dataset:
    """Data set around a table."""
    return Dataset(
        name="sample", source="table", events=events, recorded_order=recorded_order, digest=digest(events), rejected=0
    )


def identifier(number: int) -> str:
    """UUID of a CDM record, as JSON shows it."""
    return str(uuid.UUID(int=number))


def cdm(version: int, name: str, **fields: Any) -> Json:
    """One TCCDMDatum in the JSON encoding of Avro."""
    space = f"com.bbn.tc.schema.avro.cdm{version}"
    around: Json = {"CDMVersion": str(version), "source": "SOURCE_LINUX_SYSCALL_TRACE"}
    if version >= 19:
        around |= {"hostId": identifier(99), "sessionNumber": 19, "type": f"RECORD_{name.upper()}"}
    return {"datum": {f"{space}.{name}": fields}, **around}


def reference(version: int, number: int) -> Json:
    """Union branch of a UUID."""
    return {f"com.bbn.tc.schema.avro.cdm{version}.UUID": identifier(number)}


def cdm_records(version: int) -> list[Json]:
    """A shell that forks, whose child runs /bin/cat, reads a file, talks to a flow and maps memory."""

    def subject(number: int, kind: str, cid: int, parent: int | None, **more: Any) -> Json:
        above = None if parent is None else reference(version, parent)
        fields = {"uuid": identifier(number), "type": kind, "cid": cid, "parentSubject": above, "cmdLine": None}
        return cdm(version, "Subject", **{**fields, "hostId": identifier(99), "properties": None, **more})

    def event(number: int, kind: str, actor: int, target: int | None, size: int | None, path: str | None) -> Json:
        return cdm(
            version,
            "Event",
            uuid=identifier(1000 + number),
            sequence={"long": number},
            type=kind,
            threadId={"int": 7},
            subject=reference(version, actor),
            predicateObject=None if target is None else reference(version, target),
            predicateObjectPath=None if path is None else {"string": path},
            timestampNanos=1_557_248_220_790_000_000 + number,
            size=None if size is None else {"long": size},
            properties={"map": {"opm": "1"}},
        )

    flow = {"localAddress": "10.0.0.1", "localPort": 4000, "remoteAddress": "10.0.0.2", "remotePort": 443}
    if version >= 20:
        flow = {name: {"int" if name.endswith("Port") else "string": value} for name, value in flow.items()}
    base = {"hostId": identifier(99), "permission": None, "epoch": None}
    return [
        cdm(version, "Host", uuid=identifier(99), hostName="ta1-trace-1"),
        subject(1, "SUBJECT_PROCESS", 100, None, cmdLine={"string": "/bin/sh -c x"}),
        subject(2, "SUBJECT_PROCESS", 101, None),
        subject(3, "SUBJECT_UNIT", 101, 2),
        cdm(
            version,
            "FileObject",
            uuid=identifier(10),
            baseObject={**base, "properties": {"map": {"path": "/etc/passwd"}}},
            type="FILE_OBJECT_FILE",
            size={"long": 2048},
        ),
        cdm(
            version,
            "NetFlowObject",
            uuid=identifier(11),
            baseObject={**base, "properties": None},
            ipProtocol={"int": 6},
            **flow,
        ),
        cdm(version, "MemoryObject", uuid=identifier(12), baseObject=base, memoryAddress=4096, size={"long": 8192}),
        event(1, "EVENT_FORK", 1, 2, None, None),
        event(2, "EVENT_EXECUTE", 2, None, None, "/bin/cat"),
        event(3, "EVENT_READ", 3, 10, 143, None),
        event(4, "EVENT_WRITE", 2, 11, 20, None),
        event(5, "EVENT_MMAP", 2, 12, None, None),
        event(6, "EVENT_CLOSE", 2, 77, None, None),
    ]
