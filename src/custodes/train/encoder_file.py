"""The encoder of a run, kept beside its settings so that evaluation sees the inputs that training saw."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any, Final

import polars as pl

from custodes.data.dataset import Dataset
from custodes.data.features import Encoder
from custodes.data.schema import EVENT_SCHEMA
from custodes.errors import CustodesError
from custodes.train.atomic import disk_error, write_atomic

ENCODER: Final = "encoder.json"
_FIX: Final = "restore it from a backup"


def encoder_digest(encoder: Encoder) -> str:
    """SHA-256 of the file that `write_encoder` writes, in hexadecimal."""
    return hashlib.sha256(_content(encoder)).hexdigest()


def write_encoder(run: Path, encoder: Encoder) -> None:
    """Write it, all or nothing."""
    write_atomic(run / ENCODER, _content(encoder))


def read_encoder(run: Path, digest: str = "") -> Encoder:
    """Read it.

    Args:
        run: The run folder.
        digest: What `encoder_digest` gave when the run was made; empty where the run does not say.

    Raises:
        CustodesError: It is missing, damaged, or not the one that the run was trained with.
    """
    path = run / ENCODER
    try:
        data = path.read_bytes()
    except OSError as error:
        raise disk_error(error, path, "read") from error
    if digest and hashlib.sha256(data).hexdigest() != digest:
        raise CustodesError("not the encoder that the run was trained with", where=str(path), fix=_FIX)
    try:
        encoder = Encoder.from_json(json.loads(data))
    except CustodesError as error:
        raise CustodesError(error.what, where=str(path), fix=_FIX) from error
    except ValueError as error:
        raise CustodesError("the run's encoder is not JSON", where=str(path), fix=_FIX) from error
    _refuse_unusable(encoder, str(path))
    return encoder


def _content(encoder: Encoder) -> bytes:
    return (json.dumps(encoder.to_json()) + "\n").encode()


def _refuse_unusable(encoder: Encoder, where: str) -> None:
    """What has the right types may still encode nothing: a scale of 0, a vocabulary that its group does not know."""
    for column in encoder.columns:
        if not (math.isfinite(column.mean) and math.isfinite(column.scale) and column.scale > 0):
            raise CustodesError(
                f"column {column.name} has mean {column.mean} and scale {column.scale}, not finite above 0",
                where=where,
                fix=_FIX,
            )
    if not encoder.columns:
        raise CustodesError("the run's encoder has no column", where=where, fix=_FIX)
    try:
        encoder.transform(_one_event(encoder))
    except (LookupError, TypeError, ValueError, ArithmeticError, pl.exceptions.PolarsError) as error:
        what = f"the run's encoder cannot encode an event ({type(error).__name__}: {error})"
        raise CustodesError(what, where=where, fix=_FIX) from error


def _one_event(encoder: Encoder) -> Dataset:
    """A recording of one event with every column that an encoder reads, all empty."""
    values: dict[str, Any] = {name: "" if kind == pl.String else 0 for name, kind in EVENT_SCHEMA.items()}
    schema = {**dict.fromkeys(encoder.numeric, pl.Float64()), **EVENT_SCHEMA}
    row = {name: [values.get(name, 0.0)] for name in schema}
    events = pl.DataFrame(row, schema=schema)
    return Dataset(name="probe", source="table", events=events, recorded_order=True, digest="", rejected=0)
