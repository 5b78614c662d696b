"""Source `trace`: DARPA Transparent Computing CDM records flattened to one row each.

The file holds events and the object records between them in the order in which the recorder wrote them. Object
records carry no time (0), so the order is the recorder's and is not checked against time.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from custodes.data.sources.base import Source

EVENT_CHANNELS: Final[dict[str, str]] = {
    "EVENT_ACCEPT": "network",
    "EVENT_BIND": "network",
    "EVENT_CONNECT": "network",
    "EVENT_RECVFROM": "network",
    "EVENT_RECVMSG": "network",
    "EVENT_SENDMSG": "network",
    "EVENT_SENDTO": "network",
    "EVENT_CHANGE_PRINCIPAL": "process",
    "EVENT_CLONE": "process",
    "EVENT_EXECUTE": "process",
    "EVENT_EXIT": "process",
    "EVENT_FORK": "process",
    "EVENT_MODIFY_PROCESS": "process",
    "EVENT_SIGNAL": "process",
    "EVENT_STARTSERVICE": "process",
    "EVENT_UNIT": "process",
    "EVENT_LOADLIBRARY": "module",
    "EVENT_MMAP": "memory",
    "EVENT_MPROTECT": "memory",
    "EVENT_SHM": "memory",
    "EVENT_CHECK_FILE_ATTRIBUTES": "file",
    "EVENT_CLOSE": "file",
    "EVENT_CREATE_OBJECT": "file",
    "EVENT_DUP": "file",
    "EVENT_FCNTL": "file",
    "EVENT_LINK": "file",
    "EVENT_LSEEK": "file",
    "EVENT_MODIFY_FILE_ATTRIBUTES": "file",
    "EVENT_MOUNT": "file",
    "EVENT_OPEN": "file",
    "EVENT_READ": "file",
    "EVENT_RENAME": "file",
    "EVENT_TRUNCATE": "file",
    "EVENT_UMOUNT": "file",
    "EVENT_UNLINK": "file",
    "EVENT_UPDATE": "file",
    "EVENT_WRITE": "file",
}
"""CDM event type to channel; a type that is not listed is `other`."""

_RECORD_CHANNELS: Final[dict[str, str]] = {
    "RECORD_SUBJECT": "process",
    "RECORD_UNIT_DEPENDENCY": "process",
    "RECORD_FILE_OBJECT": "file",
    "RECORD_MEMORY_OBJECT": "memory",
    "RECORD_NET_FLOW_OBJECT": "network",
    "RECORD_PACKET_SOCKET_OBJECT": "network",
    "RECORD_REGISTRY_KEY_OBJECT": "registry",
}
_NUMBERS: Final = ("sequence", "src_port", "dst_port", "ip_protocol", "process_pid", "process_ppid")


def _to_events(frame: pl.LazyFrame) -> pl.LazyFrame:
    is_event = pl.col("record_type") == "RECORD_EVENT"
    kind = pl.when(is_event).then(pl.col("event_type")).otherwise(pl.col("record_type"))
    return frame.select(
        time=pl.col("timestamp_ns"),
        stream=pl.lit("trace"),
        entity=pl.col("subject_uuid"),
        channel=kind.replace_strict({**EVENT_CHANNELS, **_RECORD_CHANNELS}, default="other", return_dtype=pl.String),
        kind=kind,
        object=pl.col("object_uuid"),
        size=pl.col("file_size"),
        label=pl.col("is_suspicious").cast(pl.Int8),
        **{name: pl.col(name) for name in _NUMBERS},
    )


TRACE: Final = Source(
    name="trace",
    columns={
        "record_type": pl.String(),
        "timestamp_ns": pl.Int64(),
        "subject_uuid": pl.String(),
        "object_uuid": pl.String(),
        "event_type": pl.String(),
        "file_size": pl.Float64(),
        "is_suspicious": pl.Boolean(),
        **{name: pl.Int64() for name in _NUMBERS},
    },
    required=frozenset({"record_type", "timestamp_ns", "subject_uuid", "event_type"}),
    signature=frozenset({"record_type", "timestamp_ns", "subject_uuid", "event_type"}),
    extras=False,
    recorded_order=True,
    to_events=_to_events,
)
