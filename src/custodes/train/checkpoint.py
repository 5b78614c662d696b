"""Checkpoints: tensors and plain values in one safetensors file that proves that it is whole.

Nothing is pickled. The SHA-256 of the whole file (with the digest's own 64 characters set to zero) stands in the
header's metadata, so a file that was cut or changed at any byte is refused. `last` is written anew each time and the
one before it kept as `previous`, so a bad disk costs one interval, not the run.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from torch import Tensor

from custodes.errors import CustodesError
from custodes.train.atomic import disk_error, write_atomic

FORMAT: Final = 1
"""Version of the layout below; another one is refused by name."""
LAST: Final = "last.safetensors"
PREVIOUS: Final = "previous.safetensors"
BEST: Final = "best.safetensors"

_NO_DIGEST: Final = b"0" * 64
# Metadata values are JSON strings, so quotes inside them are escaped and cannot look like this key.
_DIGEST: Final = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_LENGTH_BYTES: Final = 8


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One saved state."""

    tensors: Mapping[str, Tensor]
    """Everything that is an array, by name; any shape and type that safetensors knows."""
    scalars: Mapping[str, Any]
    """Everything else, as JSON values: numbers, text, booleans, lists, tables."""


def encode(tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> bytes:
    """Make the file's content.

    Args:
        tensors: Arrays by name, any device; they are copied.
        scalars: Values that JSON holds; floats keep every bit.

    Returns:
        A safetensors file with its digest.

    Raises:
        TypeError: A scalar is not a JSON value (a defect of the caller).
    """
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    metadata = {"format": str(FORMAT), "scalars": json.dumps(dict(scalars)), "sha256": _NO_DIGEST.decode()}
    blank = safetensors.torch.save(copies, metadata)
    place = _DIGEST.search(blank, 0, _header_end(blank))
    assert place is not None, "safetensors writes compact JSON metadata"
    digest = hashlib.sha256(blank).hexdigest().encode()
    return blank[: place.start(1)] + digest + blank[place.end(1) :]


def decode(data: bytes, where: str) -> Checkpoint:
    """Check and open a file's content.

    Args:
        data: All of it.
        where: The file's name, for the error.

    Returns:
        What `encode` was given, tensors on the CPU.

    Raises:
        CustodesError: It is not a whole checkpoint, or one of another format.
    """
    place = _DIGEST.search(data, 0, _header_end(data))
    if place is None:
        raise _damaged(where, "it is cut or no checkpoint")
    digest = hashlib.sha256(data[: place.start(1)] + _NO_DIGEST + data[place.end(1) :]).hexdigest()
    if digest.encode() != place.group(1):
        raise _damaged(where, "its content does not match its checksum")
    header = json.loads(data[_LENGTH_BYTES : _header_end(data)])["__metadata__"]
    if header.get("format") != str(FORMAT):
        raise CustodesError(
            f"this checkpoint has format {header.get('format')}, this program reads format {FORMAT}",
            where=where,
            fix="use the version of custodes that wrote it",
        )
    return Checkpoint(tensors=safetensors.torch.load(data), scalars=json.loads(header["scalars"]))


def load_file(path: Path) -> Checkpoint:
    """Read one checkpoint file.

    Args:
        path: The file.

    Returns:
        The state in it, tensors on the CPU.

    Raises:
        CustodesError: It cannot be read, is damaged, or is of another format.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise disk_error(error, path, "read") from error
    return decode(data, str(path))


def save(folder: Path, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
    """Write `last`, keeping the one before as `previous`. Interrupted at any point, one good checkpoint remains.

    Args:
        folder: The run's `checkpoints` folder; must exist.
        tensors: As for `encode`.
        scalars: As for `encode`.

    Raises:
        CustodesError: The disk refused.
    """
    data = encode(tensors, scalars)
    last = folder / LAST
    if last.exists():
        try:
            old = last.read_bytes()
            decode(old, str(last))
        except (OSError, CustodesError):
            pass  # A damaged `last` must not replace a good `previous`.
        else:
            write_atomic(folder / PREVIOUS, old)
    write_atomic(last, data)


def save_best(folder: Path, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
    """Write `best`, the state that did best on validation.

    Args:
        folder: The run's `checkpoints` folder; must exist.
        tensors: As for `encode`.
        scalars: As for `encode`.

    Raises:
        CustodesError: The disk refused.
    """
    write_atomic(folder / BEST, encode(tensors, scalars))


def load(folder: Path, warn: Callable[[str], None]) -> Checkpoint:
    """Read `last`, or the one before it where `last` is damaged or gone.

    Args:
        folder: The run's `checkpoints` folder.
        warn: Gets one line when `previous` is used instead.

    Returns:
        The newest good state.

    Raises:
        CustodesError: Neither file is there, or neither is good.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    if not last.exists() and not previous.exists():
        raise CustodesError(
            "this run has no checkpoint yet", where=str(folder), fix="start it again with another --out folder"
        )
    try:
        return load_file(last)
    except CustodesError as error:
        if not previous.exists():
            raise
        try:
            state = load_file(previous)
        except CustodesError as other:
            raise CustodesError(
                f"neither checkpoint can be used ({error.what}; {PREVIOUS}: {other.what})",
                where=str(last),
                fix="restore one of them from a backup, or start a new run",
            ) from other
        warn(f"{last}: {error.what}; continuing from the checkpoint before it ({PREVIOUS})")
        return state


def _header_end(data: bytes) -> int:
    """Where the header ends, by the length that the file states; 0 where that does not fit the file."""
    if len(data) < _LENGTH_BYTES:
        return 0
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    return end if end <= len(data) else 0


def _damaged(where: str, what: str) -> CustodesError:
    return CustodesError(
        f"the checkpoint is damaged: {what}", where=where, fix="restore it from a backup, or start a new run"
    )


def file_of(folder: Path, which: str) -> Path:
    """The file of the `best` (on validation) or the `last` checkpoint; the last where no best was kept."""
    file = folder / f"{which}.safetensors"
    return folder / LAST if which == "best" and not file.exists() else file
