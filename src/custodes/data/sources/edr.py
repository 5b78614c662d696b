"""Source `edr`: Windows endpoint telemetry in the columns of carbanak-h3, one row per event."""

from __future__ import annotations

from typing import Final

import polars as pl

from custodes.data.sources.base import Source, nanoseconds

CHANNEL_OF_EVENT: Final[dict[str, str]] = {
    "crossproc": "process",
    "filemod": "file",
    "moduleload": "module",
    "netconn": "network",
    "procend": "process",
    "procstart": "process",
    "regmod": "registry",
    "scriptload": "script",
}
"""Event type to channel; a type that is not listed is `other`."""

PLACES: Final = (
    "hklm",
    "hku",
    "other",
    "program files",
    "programdata",
    "socket",
    "system32",
    "temp",
    "user profile",
    "users public",
    "windows",
)
"""Values of `obj_place` that have a column of their own, `place_...`; another value has 0 in all of them."""

EXTENSIONS: Final[dict[str, tuple[str, ...]]] = {
    "program": ("exe", "com", "scr", "msi"),
    "library": ("dll", "sys", "ocx", "mui", "cpl"),
    "script": ("ps1", "psm1", "psd1", "vbs", "vbe", "js", "jse", "wsf", "hta", "bat", "cmd", "py"),
    "temporary": ("tmp", "temp"),
    "log": ("log", "log1", "log2", "etl", "evtx"),
    "image": ("png", "svg", "jpg", "gif", "ico"),
    "none": ("",),
}
"""Groups of `obj_ext` that have a column of their own, `ext_...`; an extension in no group has 0 in all of them."""


def _to_events(frame: pl.LazyFrame) -> pl.LazyFrame:
    places = {f"place_{place.replace(' ', '_')}": (pl.col("obj_place") == place).cast(pl.Int8) for place in PLACES}
    endings = {f"ext_{name}": pl.col("obj_ext").is_in(list(known)).cast(pl.Int8) for name, known in EXTENSIONS.items()}
    return frame.select(
        time=nanoseconds(pl.col("ts_us"), 1000),
        entity=pl.col("proc"),
        parent=pl.col("parent"),
        channel=pl.col("event").replace_strict(CHANNEL_OF_EVENT, default="other", return_dtype=pl.String),
        kind=pl.col("event"),
        object=pl.col("obj"),
        object_kind=pl.col("obj_type"),
        image=pl.col("exe"),
        parent_image=pl.col("parent_exe"),
        label=pl.col("label"),
        phase=pl.col("phase"),
        outbound=(pl.col("direction") == "out").cast(pl.Int8),
        port=pl.col("port"),
        private_address=pl.col("private_address").cast(pl.Int8),
        **places,
        **endings,
    )


EDR: Final = Source(
    name="edr",
    columns={
        "ts_us": pl.Int64(),
        "event": pl.String(),
        "direction": pl.String(),
        "proc": pl.String(),
        "exe": pl.String(),
        "parent": pl.String(),
        "parent_exe": pl.String(),
        "obj": pl.String(),
        "obj_type": pl.String(),
        "label": pl.Int8(),
        "phase": pl.String(),
        "obj_place": pl.String(),
        "obj_ext": pl.String(),
        "port": pl.Int64(),
        "private_address": pl.Boolean(),
    },
    required=frozenset({"ts_us", "event", "proc"}),
    signature=frozenset({"ts_us", "event", "proc"}),
    extras=False,
    recorded_order=False,
    to_events=_to_events,
)
