"""TensorBoard event files: scalars of the first and the second kind, and texts.

A file is a row of records: length (uint64), checksum of it, the bytes of an `Event`, checksum of them. A writer that is
killed leaves its last record unfinished: what stands before counts, and a note says so. Damage is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from custodes.doctor.foreign.scalars import Scalars
from custodes.errors import CustodesError

PATTERN: Final = "*tfevents*"
"""Names of event files."""
_HEADER: Final = struct.Struct("<QI")
_CHECK: Final = struct.Struct("<I")


def read_event_files(paths: list[Path]) -> Scalars:
    """Read the event files of one run.

    Args:
        paths: In the order in which they were written; a later file's value of the same tag and step counts.

    Raises:
        CustodesError: A file cannot be read, is damaged, or holds no events.
    """
    scalars = Scalars()
    for path in paths:
        for event in events(path, scalars):
            for value in event.summary.value:
                _keep(scalars, value, int(event.step))
    return scalars


def events(path: Path, scalars: Scalars) -> Iterator[Any]:
    """Events of one file, in order.

    Args:
        path: The file.
        scalars: Gets a note where the last record is unfinished.

    Raises:
        CustodesError: The file cannot be read or is damaged.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorboard.compat.proto.event_pb2 import Event

    for place, data in _records(path, scalars):
        try:
            yield Event.FromString(data)
        except DecodeError:
            raise _damaged(path, place) from None


def _records(path: Path, scalars: Scalars) -> Iterator[tuple[int, bytes]]:
    """Place and bytes of each whole record."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix="name a folder of event files") from None
    place = 0
    while place < len(data):
        header = data[place : place + _HEADER.size]
        if len(header) < _HEADER.size:
            break
        length, check = _HEADER.unpack(header)
        if masked_crc32c(header[:8]) != check:
            raise _damaged(path, place)
        begin = place + _HEADER.size
        end = begin + length + _CHECK.size
        if end > len(data):
            break
        body = data[begin : begin + length]
        if masked_crc32c(body) != _CHECK.unpack(data[begin + length : end])[0]:
            raise _damaged(path, place)
        yield place, body
        place = end
    if place < len(data):
        scalars.notes.append(f"{path.name}: the last record is unfinished (the writer was stopped); it is left out")


def _damaged(path: Path, place: int) -> CustodesError:
    return CustodesError(
        f"no TensorBoard event at byte {place}",
        where=str(path),
        fix="copy the file again from where it was written, or move it out of the folder",
    )


def _keep(scalars: Scalars, value: Any, step: int) -> None:
    """One value of a summary: a number, or a text; pictures and histograms are of no use here."""
    if value.HasField("simple_value"):
        scalars.add(value.tag, step, float(value.simple_value))
    elif value.HasField("tensor"):
        from tensorboard.util.tensor_util import make_ndarray

        found = make_ndarray(value.tensor)
        if found.dtype.kind in "fiu" and found.size == 1:
            scalars.add(value.tag, step, float(found.reshape(())))
        elif found.dtype.kind in "OSU" and found.size:
            first = found.reshape(-1)[0]
            scalars.texts[value.tag] = first.decode(errors="replace") if isinstance(first, bytes) else str(first)
