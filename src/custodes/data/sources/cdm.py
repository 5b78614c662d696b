"""Source `cdm`: raw DARPA Transparent Computing records, Common Data Model 18 to 20.

The schema is public: github.com/darpa-i2o/Transparent-Computing.

Every record of type Event becomes a row. The other records describe subjects and objects; they are kept while the
file is read, so that an event shows the executable, the parent and the names of what it touches, as far as those were
recorded before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from custodes.data.schema import UNKNOWN
from custodes.data.sources.trace import EVENT_CHANNELS

NUMBERS: Final = ("sequence", "thread_id", "src_port", "dst_port", "ip_protocol", "process_pid", "process_ppid")
"""Pass-through columns, Int64, 0 when absent; ports and protocol are those of the flow that an event touches."""

SCHEMA: Final[dict[str, pl.DataType]] = {
    "time": pl.Int64(),
    "stream": pl.String(),
    "entity": pl.String(),
    "parent": pl.String(),
    "channel": pl.String(),
    "kind": pl.String(),
    "object": pl.String(),
    "object_kind": pl.String(),
    "image": pl.String(),
    "parent_image": pl.String(),
    "size": pl.Float64(),
    "label": pl.Int8(),
    **{name: pl.Int64() for name in NUMBERS},
}
"""Columns of the events that `CdmState` makes."""

KEPT: Final = 2_000_000
"""Objects, and as many subjects, that are remembered; beyond it the longest known is forgotten, which bounds memory."""

_BRANCHES: Final = frozenset({"string", "int", "long", "float", "double", "boolean", "bytes", "map", "array"})
_NAMESPACE: Final = "com.bbn.tc.schema.avro."
_PART_OF_PROCESS: Final = frozenset({"SUBJECT_THREAD", "SUBJECT_UNIT", "SUBJECT_BASIC_BLOCK"})
_OBJECT_KINDS: Final = {
    "FileObject": "file",
    "IpcObject": "ipc",
    "MemoryObject": "memory",
    "NetFlowObject": "netflow",
    "PacketSocketObject": "packet_socket",
    "RegistryKeyObject": "registry",
    "SrcSinkObject": "src_sink",
    "UnnamedPipeObject": "ipc",
}
_CHANNEL_OF_OBJECT: Final = {"netflow": "network", "packet_socket": "network", "registry": "registry"}
_FILE_WORDS: Final = frozenset(kind for kind, channel in EVENT_CHANNELS.items() if channel == "file")

Record = Mapping[str, object]


class MalformedRecordError(ValueError):
    """A record that is not in the public schema's shape; its text says what is wrong."""


@dataclass(slots=True)
class _Subject:
    """A process, or a thread or unit of one."""

    kind: str
    parent: str
    image: str
    host: str
    pid: int


@dataclass(slots=True, frozen=True)
class _Object:
    """Something that an event touches."""

    kind: str
    name: str
    size: float = 0.0
    ports: tuple[int, int, int] = (0, 0, 0)


@dataclass(kw_only=True)
class CdmState:
    """What the records read so far say about subjects and objects."""

    subjects: dict[str, _Subject] = field(default_factory=dict)
    """Subject identifier to subject."""
    objects: dict[str, _Object] = field(default_factory=dict)
    """Object identifier to object."""

    def take(self, line: Record) -> tuple[object, ...] | None:
        """Take one record in.

        Args:
            line: A decoded TCCDMDatum; unions in the JSON encoding of Avro, or as fastavro gives them, with a
                record's type in `datum` as its only key.

        Returns:
            A row in the order of `SCHEMA` for an event, None for any other record.

        Raises:
            MalformedRecordError: The record is not in the schema's shape.
        """
        datum = line.get("datum")
        if not isinstance(datum, dict) or len(datum) != 1:
            raise MalformedRecordError("datum is not one record")
        ((full_name, record),) = datum.items()
        if not full_name.startswith(_NAMESPACE) or not isinstance(record, dict):
            raise MalformedRecordError(f"datum is a {full_name[:60]!r}, not a record of {_NAMESPACE}cdm18 to cdm20")
        name = full_name.rpartition(".")[2]
        host = _identifier(_value(line, "hostId"))
        if name == "Event":
            return self._event(record, host)
        if name == "Subject":
            self._subject(record, host)
        elif name in _OBJECT_KINDS:
            _keep(self.objects, _need(record, "uuid"), _object(name, record))
        return None

    def _subject(self, record: Record, host: str) -> None:
        properties = _mapping(record, "properties")
        command = _text(record, "cmdLine")
        image = properties.get("path") or properties.get("name") or (command.split()[0] if command.split() else "")
        subject = _Subject(
            kind=_text(record, "type"),
            parent=_identifier(_value(record, "parentSubject")),
            image=image,
            host=host or _identifier(_value(record, "hostId")),
            pid=_whole(record, "cid"),
        )
        _keep(self.subjects, _need(record, "uuid"), subject)

    def _event(self, record: Record, host: str) -> tuple[object, ...]:
        kind, time = record.get("type"), record.get("timestampNanos")
        if not isinstance(kind, str) or not isinstance(time, int):
            raise MalformedRecordError("an Event without type or timestampNanos")
        properties = _mapping(record, "properties")
        entity = self._process(_identifier(_value(record, "subject")))
        actor = self.subjects.get(entity)
        target = _identifier(_value(record, "predicateObject"))
        path = _text(record, "predicateObjectPath")
        thing = self._thing(target, path)
        parent = self._process(actor.parent) if actor else ""
        above = self.subjects.get(parent)
        row = (
            time,
            host or (actor.host if actor else "") or "host",
            entity,
            parent,
            _channel(kind, thing.kind),
            kind,
            path or thing.name or target,
            thing.kind,
            (actor.image if actor else "") or properties.get("exec", ""),
            above.image if above else properties.get("ppname", ""),
            float(_whole(record, "size") or thing.size),
            UNKNOWN,
            _whole(record, "sequence"),
            _whole(record, "threadId"),
            *thing.ports,
            actor.pid if actor else 0,
            above.pid if above else 0,
        )
        self._learn(kind, entity, target, path or thing.name)
        return row

    def _process(self, subject: str) -> str:
        """Process that a subject is part of: the subject itself unless it is a thread or a unit."""
        for _ in range(16):
            known = self.subjects.get(subject)
            if known is None or known.kind not in _PART_OF_PROCESS or not known.parent:
                break
            subject = known.parent
        return subject

    def _thing(self, target: str, path: str) -> _Object:
        known = self.objects.get(target)
        if known is not None:
            return known
        if target in self.subjects:
            return _Object(kind="process", name="")
        return _Object(kind="file" if path else "", name=path)

    def _learn(self, kind: str, entity: str, target: str, path: str) -> None:
        """Draw from a fork who a child's parent is, and from an execute what a process runs from then on."""
        child, actor = self.subjects.get(target), self.subjects.get(entity)
        if kind in ("EVENT_FORK", "EVENT_CLONE") and child is not None and target != entity:
            child.parent = child.parent or entity
            child.image = child.image or (actor.image if actor else "")
        elif kind == "EVENT_EXECUTE" and actor is not None and path:
            actor.image = path


def event_frame(rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    """Rows of `CdmState.take` as a frame of `SCHEMA`."""
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


def _channel(kind: str, object_kind: str) -> str:
    channel = EVENT_CHANNELS.get(kind, "other")
    # Reads and writes are one event type whatever they touch; a socket or a registry key says more than the type.
    return _CHANNEL_OF_OBJECT.get(object_kind, channel) if channel in ("file", "other") else channel


def _object(name: str, record: Record) -> _Object:
    kind = _OBJECT_KINDS[name]
    base = _value(record, "baseObject")
    properties = _mapping(base, "properties") if isinstance(base, dict) else {}
    if name == "NetFlowObject":
        address, port = _text(record, "remoteAddress"), _whole(record, "remotePort")
        ports = (_whole(record, "localPort"), port, _whole(record, "ipProtocol"))
        return _Object(kind=kind, name=f"{address}:{port}" if address else "", ports=ports)
    known = _text(record, "key") or properties.get("path") or properties.get("filename") or properties.get("name", "")
    return _Object(kind=kind, name=known, size=float(_whole(record, "size")))


def _keep(table: dict[str, _Subject] | dict[str, _Object], key: str, value: _Subject | _Object) -> None:
    table[key] = value  # type: ignore[assignment]
    if len(table) > KEPT:
        del table[next(iter(table))]


def _value(record: Record, name: str) -> object:
    """Field of a record; a union, in JSON {"long": 1} and from fastavro (type name, value), counts as what it holds."""
    value = record.get(name)
    if isinstance(value, tuple):
        return value[1]
    if isinstance(value, dict) and len(value) == 1:
        ((branch, inner),) = value.items()
        if branch in _BRANCHES or branch.startswith(_NAMESPACE):
            return inner
    return value


def _need(record: Record, name: str) -> str:
    found = _identifier(_value(record, name))
    if not found:
        raise MalformedRecordError(f"a record without {name}")
    return found


def _identifier(value: object) -> str:
    """UUID as 32 hexadecimal digits, or as it stands when it is not one; empty for none."""
    if isinstance(value, bytes):
        return value.hex()
    return value.replace("-", "").lower() if isinstance(value, str) else ""


def _text(record: Record, name: str) -> str:
    value = _value(record, name)
    return value if isinstance(value, str) else ""


def _whole(record: Record, name: str) -> int:
    value = _value(record, name)
    if value is None:
        return 0
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise MalformedRecordError(f"{name} is {str(value)[:40]!r}, not a whole number of 64 bits")
    return value


def _mapping(record: Record, name: str) -> dict[str, str]:
    value = _value(record, name)
    return {key: text for key, text in value.items() if isinstance(text, str)} if isinstance(value, dict) else {}
