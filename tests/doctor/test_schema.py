"""The files that the doctor reads are documented, and training writes what is documented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from custodes.doctor.schema import (
    DIAGNOSTIC_KEYS,
    DIAGNOSTICS,
    FACT_KEYS,
    SESSION_KEYS,
    SESSIONS,
    DiagnosticLine,
    SessionLine,
)

DOCS = Path(__file__).parents[2] / "docs" / "run-folder.md"


def keys(heading: str) -> Iterator[str]:
    """Keys of the table below a heading of docs/run-folder.md."""
    _, _, below = DOCS.read_text(encoding="utf-8").partition(f"### {heading}\n")
    for line in re.split(r"^##", below, maxsplit=1, flags=re.MULTILINE)[0].splitlines():
        found = re.match(r"^\| `([\w.]+)` \|", line)
        if found:
            yield found[1]


def test_every_key_of_the_record_is_documented_in_order() -> None:
    assert sorted(keys(DIAGNOSTICS)) == sorted(DIAGNOSTIC_KEYS)


def test_every_key_of_a_session_is_documented() -> None:
    documented = list(keys(SESSIONS))
    assert [key for key in documented if "." not in key] == list(SESSION_KEYS)
    assert [key.removeprefix("facts.") for key in documented if "." in key] == list(FACT_KEYS)


@pytest.mark.parametrize(("file", "kind"), [(DIAGNOSTICS, DiagnosticLine), (SESSIONS, SessionLine)])
def test_training_writes_what_is_documented(trained_run: Path, file: str, kind: type[msgspec.Struct]) -> None:
    lines = [json.loads(text) for text in (trained_run / file).read_text().splitlines()]
    assert lines
    for line in lines:
        assert set(line) == {field.name for field in msgspec.structs.fields(kind)}
        msgspec.convert(line, kind, strict=True)
