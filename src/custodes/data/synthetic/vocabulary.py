"""The words of the synthetic recording: what an event can be, how large it is, and what it can act on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """One kind of event on one kind of object."""

    name: str
    """Short name that programs and techniques are written in, `object.kind`."""
    channel: str
    """Telemetry family, one of the event table's channels."""
    kind: str
    """Value of the column `kind`."""
    object_kind: str
    """Value of the column `object_kind`; also the pool that the object is drawn from."""
    size: float
    """Median size in bytes; 0: the event carries no size."""


def _symbols(channel: str, object_kind: str, short: str, sizes: dict[str, float]) -> list[Symbol]:
    return [
        Symbol(name=f"{short}.{kind}", channel=channel, kind=kind, object_kind=object_kind, size=size)
        for kind, size in sizes.items()
    ]


SYMBOLS: tuple[Symbol, ...] = (
    *_symbols("file", "document", "doc", {"open": 0, "read": 24e3, "write": 20e3, "rename": 0, "delete": 0}),
    *_symbols("file", "directory", "dir", {"list": 0}),
    *_symbols("file", "temporary", "tmp", {"create": 0, "write": 16e3, "read": 16e3, "delete": 0}),
    *_symbols("file", "config", "cfg", {"read": 2e3, "write": 2e3}),
    *_symbols("file", "executable", "exe", {"read": 60e3, "write": 60e3, "rename": 0}),
    *_symbols("file", "archive", "arc", {"read": 200e3, "write": 200e3, "rename": 0}),
    *_symbols("file", "database", "db", {"read": 8e3, "write": 8e3}),
    *_symbols("file", "log", "log", {"write": 500, "delete": 0}),
    *_symbols("registry", "key", "key", {"query": 0, "set": 100, "enumerate": 0}),
    *_symbols("module", "library", "lib", {"load": 90e3}),
    *_symbols("process", "process", "proc", {"create": 0, "open": 0, "exit": 0}),
    *_symbols("network", "address", "net", {"connect": 0, "accept": 0, "send": 1500, "receive": 6e3}),
    *_symbols("network", "name", "dns", {"resolve": 60}),
    *_symbols("memory", "region", "mem", {"allocate": 30e3, "protect": 8e3, "map": 60e3}),
    *_symbols("script", "block", "scr", {"evaluate": 900}),
    *_symbols("other", "session", "ses", {"logon": 0}),
    *_symbols("other", "timer", "tmr", {"wait": 0}),
)

INDEX: dict[str, int] = {symbol.name: i for i, symbol in enumerate(SYMBOLS)}
CREATE, EXIT = INDEX["proc.create"], INDEX["proc.exit"]
"""Only real starts and ends of processes bear these two: programs and techniques do not name them."""

_POOLS: dict[str, tuple[str, int]] = {
    "document": (r"C:\Users\u{a}\Documents\d{b:03d}.docx", 400),
    "directory": (r"C:\Users\u{a}\Documents\p{b:03d}", 120),
    "temporary": (r"C:\Users\u{a}\AppData\Local\Temp\t{b:03d}.tmp", 300),
    "config": (r"C:\ProgramData\app{a}\s{b:03d}.ini", 80),
    "executable": (r"C:\Program Files\app{a}\b{b:03d}.exe", 60),
    "archive": (r"D:\store{a}\a{b:03d}.zip", 60),
    "database": (r"D:\data{a}\t{b:03d}.db", 60),
    "log": (r"C:\ProgramData\app{a}\Logs\l{b:03d}.log", 60),
    "key": (r"HKLM\Software\v{a}\k{b:03d}", 200),
    "library": (r"C:\Windows\System32\m{b:03d}.dll", 160),
    "process": (r"process-{b:03d}", 60),
    "address": (r"192.0.2.{b}", 240),
    "name": (r"n{b:03d}.example", 160),
    "region": (r"region-{b:03d}", 60),
    "block": (r"block-{b:03d}", 120),
    "session": (r"session-{b:03d}", 40),
    "timer": (r"timer-{b:03d}", 20),
}
_OWNERS = 7


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Names of all objects, pool after pool, and for each symbol where its pool lies."""

    names: tuple[str, ...]
    """Object names; `first[symbol] .. first[symbol] + count[symbol] - 1` are a symbol's."""
    first: NDArray[np.int64]
    """[symbols] first name of the symbol's pool."""
    count: NDArray[np.int64]
    """[symbols] size of the symbol's pool."""


def build_objects() -> Objects:
    """Write out the pools: document addresses (RFC 5737) and `.example` names (RFC 2606), nothing that exists."""
    names: list[str] = []
    start: dict[str, int] = {}
    for kind, (pattern, count) in _POOLS.items():
        start[kind] = len(names)
        names += [pattern.format(a=b % _OWNERS, b=b) for b in range(count)]
    return Objects(
        names=tuple(names),
        first=np.array([start[s.object_kind] for s in SYMBOLS], dtype=np.int64),
        count=np.array([_POOLS[s.object_kind][1] for s in SYMBOLS], dtype=np.int64),
    )


def cycle(text: str) -> tuple[int, ...]:
    """Symbols of a blank-separated run of names; `name*3` stands for three in a row."""
    out: list[int] = []
    for word in text.split():
        name, _, times = word.partition("*")
        out += [INDEX[name]] * int(times or 1)
    return tuple(out)
