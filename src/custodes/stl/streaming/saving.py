"""A monitor's state as bytes: msgpack with a checksum in front, arrays in little-endian order."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np

from custodes.stl import formula as f
from custodes.stl.errors import StlError

MAGIC = b"custodes-stl-monitor-1\n"
CHECK = 16
"""Bytes of the checksum."""


def digest(formula: f.Formula) -> str:
    """A name for a formula that equal formulas share, whatever text they were read from."""
    return hashlib.blake2b(repr(formula).encode(), digest_size=CHECK).hexdigest()


def pack(state: dict[str, Any]) -> bytes:
    """Numbers, text, lists and arrays to bytes."""
    body = msgspec.msgpack.encode(state, enc_hook=_encode)
    return MAGIC + hashlib.blake2b(body, digest_size=CHECK).digest() + body


def unpack(data: bytes) -> dict[str, Any]:
    """What `pack` was given.

    Raises:
        StlError: The bytes are not what `pack` made.
    """
    head = len(MAGIC) + CHECK
    body = data[head:]
    if data[: len(MAGIC)] != MAGIC or data[len(MAGIC) : head] != hashlib.blake2b(body, digest_size=CHECK).digest():
        raise StlError("a saved monitor is damaged, or none", fix="save it again")
    try:
        state: Any = _decode(msgspec.msgpack.decode(body))
    except (msgspec.DecodeError, TypeError, ValueError, KeyError):
        raise StlError("a saved monitor can't be read", fix="save it again") from None
    if not isinstance(state, dict):
        raise StlError("a saved monitor is no table", fix="save it again")
    return state


def _encode(value: object) -> dict[str, Any]:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fi":
        little = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<")))
        return {"__array__": value.dtype.str.lstrip("<>=|"), "shape": list(value.shape), "bytes": little.tobytes()}
    raise NotImplementedError


def _decode(value: object) -> Any:
    if isinstance(value, list):
        return [_decode(each) for each in value]
    if not isinstance(value, dict):
        return value
    if "__array__" in value:
        array = np.frombuffer(value["bytes"], dtype="<" + {"f8": "f8", "i8": "i8"}[value["__array__"]])
        return array.astype(array.dtype.newbyteorder("=")).reshape(value["shape"])
    return {key: _decode(each) for key, each in value.items()}
