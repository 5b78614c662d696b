"""The record that `custodes.doctor.sb3` writes: facts on the first line, then a line per iteration."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from custodes.doctor.facts import Facts
from custodes.doctor.foreign.aligning import ForeignRun
from custodes.doctor.signals import signals_of
from custodes.errors import CustodesError

RECORD: Final = "doctor.jsonl"
"""Name of the file in its folder."""
SIMPLE: Final = tuple(
    field.name
    for field in dataclasses.fields(Facts)
    if set(str(field.type).split(" | ")) <= {"int", "float", "bool", "None"}
)
"""Facts that are one number."""


def read_record(path: Path) -> ForeignRun:
    """Read a record.

    A last line without its newline was cut when the training was killed; it is left out, with a note.

    Args:
        path: The file.

    Raises:
        CustodesError: It cannot be read, or a line is none of a record.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix=f"name a {RECORD}") from None
    whole, _, cut = data.rpartition(b"\n")
    lines = [_line(text, number, path) for number, text in enumerate(whole.split(b"\n") if whole else (), start=1)]
    if not lines or "facts" not in lines[0]:
        raise CustodesError("no record of a training", where=str(path), fix="record one with custodes.doctor.sb3")
    head, rows = lines[0], lines[1:]
    for number, row in enumerate(rows, start=2):
        if not isinstance(row.get("iteration"), int):
            raise CustodesError("no iteration", where=f"{path}: line {number}", fix="remove that line")
    return ForeignRun(
        trainer=str(head.get("trainer", "unknown")),
        signals=signals_of(rows, _facts(head["facts"], path)),
        unknown=(),
        notes=("the last line is unfinished and left out",) if cut else (),
    )


def _line(text: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise CustodesError(f"not JSON: {error}", where=f"{path}: line {number}", fix="remove that line") from None
    if not isinstance(line, dict):
        raise CustodesError("not a JSON object", where=f"{path}: line {number}", fix="remove that line")
    return line


def _facts(table: Any, path: Path) -> Facts:
    if not isinstance(table, dict) or not all(
        name in SIMPLE and isinstance(value, int | float | None) for name, value in table.items()
    ):
        raise CustodesError("facts that are not known here", where=f"{path}: line 1", fix="record the training again")
    return Facts(**table)
