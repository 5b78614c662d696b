"""Every command that docs/data.md shows runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL_FLAGS, custodes

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
COMMANDS = sorted(set(re.findall(r"(?:`|^ {4})custodes ((?:data|train) [^`\n]*-[^`\n]*)", TEXT, re.MULTILINE)))


def test_there_are_commands() -> None:
    assert {command.split()[0] for command in COMMANDS} == {"data", "train"}
    assert {command.split()[1] for command in COMMANDS} >= {"describe", "convert", "split"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_documentation_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, command: str
) -> None:
    if "--preset" in command:
        monkeypatch.setenv("CUSTODES_DATA", str(request.getfixturevalue("shared_data")))
    data = tmp_path / "events.csv"
    rows = "".join(f"{time},s,p{time % 30},file,{time % 7},{time % 3 % 2}\n" for time in range(2000))
    data.write_text(f"time,stream,entity,kind,size,label\n{rows}oops\n")
    places = {"FILE": str(data), "OUT": str(data if command.startswith("train") else tmp_path / "out.parquet")}
    args = [places.get(word, word) for word in shlex.split(command)]
    if args[0] == "train":
        changes = ("--set", "data.split=rows", "--set", "train.iterations=1")
        args += [*SMALL_FLAGS, *changes, "--out", str(tmp_path / "run")]
    done = custodes(*args)
    assert done.code == 0, done.err
