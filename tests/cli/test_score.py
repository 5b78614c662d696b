"""`custodes score` as a user runs it: files, pipes, bad lines, verdicts, states."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from custodes.serve import Team
from custodes.train.jsontext import json_value
from tests.cli.conftest import custodes
from tests.serve.conftest import Case, make_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("score") / "run")


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def answers(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_file_of_events(case: Case, tmp_path: Path) -> None:
    events = case.events(0, 300)
    done = custodes("score", case.path, write(tmp_path / "in.jsonl", events))
    assert (done.code, done.err) == (0, "")
    rows = answers(done.out)
    expected = [decision.to_json() for decision in Team.load(case.path).observe_many(events)]
    assert [row.pop("line") for row in rows] == list(range(1, 301))
    assert rows == expected
    assert set(rows[0]) == {"time", "stream", "entity", "action", "votes", "score", "standing", "alert"}


def test_bad_lines_are_answered_counted_and_kept(case: Case, tmp_path: Path) -> None:
    events, kept = case.events(0, 40), tmp_path / "rejects.jsonl"
    rows = [*events[:10], "{not json\n", "[1]\n", "\n", {**events[0], "channel": "radio"}, *events[10:]]
    source = write(tmp_path / "in.jsonl", rows)
    done = custodes("score", case.path, source, "--rejects", kept, "--max-rejects", "0.2")
    assert done.code == 0
    assert done.err == f"Note: 3 malformed lines left out (kept in {kept}).\n"
    told = answers(done.out)
    assert [row["line"] for row in told] == [*range(1, 13), *range(14, 45)]
    assert [row["rejected"] for row in told if "rejected" in row][1:] == [
        "not a JSON object",
        "channel is 'radio', not one of file, registry, module, process, network, script, memory, other",
    ]
    assert [json.loads(line)["line"] for line in kept.read_text().splitlines()] == [11, 12, 14]
    # What was no event changed nothing.
    good = [row for row in told if "action" in row]
    assert [row["votes"] for row in good] == [row["votes"] for row in _scored(case, events)]


def test_too_many_bad_lines(case: Case, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [*case.events(0, 5), "nothing\n"])
    done = custodes("score", case.path, source)
    assert done.code == 2
    assert len(answers(done.out)) == 6
    assert "1 of 6 lines are malformed, more than 1.00% (line 6: not JSON" in done.err


def test_verdicts_between_events(case: Case, tmp_path: Path) -> None:
    event = case.events(0, 1)[0]
    who = {"entity": event["entity"], "stream": event["stream"]}
    rows = [
        {"verdict": "malicious", **who},
        event,
        {"verdict": "benign", **who},
        event,
        {"verdict": None, **who},
        {"verdict": "malicious", **who},
        event,
        {"verdict": "perhaps", **who},
        {"verdict": "benign", "stream": "s"},
        {"verdict": "benign", **who, "why": "x"},
    ]
    done = custodes("score", case.path, write(tmp_path / "in.jsonl", rows), "--max-rejects", "1")
    told = answers(done.out)
    assert [row.get("known") for row in told[:7]] == [False, None, True, None, True, True, None]
    assert [row.get("standing") for row in told if "standing" in row] == ["free", "cleared", "gone"]
    assert told[6]["action"] == "Block"
    assert [row["rejected"] for row in told[7:]] == [
        "verdict is 'perhaps', not malicious, benign or null",
        "a verdict names no entity",
        "unknown key 'why' beside a verdict",
    ]


def test_a_state_goes_on_where_it_stopped(case: Case, tmp_path: Path) -> None:
    events, state = case.events(0, 200), tmp_path / "state"
    parts = []
    for start, stop in ((0, 77), (77, 200)):
        source = write(tmp_path / "in.jsonl", events[start:stop])
        done = custodes("score", case.path, source, "--state", state, "--specs", "library")
        assert done.code == 0, done.err
        parts += [{**row, "line": 0} for row in answers(done.out)]
    whole = Team.load(case.path, specs="library").observe_many(events)
    assert parts == [json_value({"line": 0, **decision.to_json()}) for decision in whole]
    refused = custodes("score", case.path, tmp_path / "in.jsonl", "--state", state)
    assert "the state is of a team with other rules" in refused.refusal


def test_history_is_taken_and_not_decided_on(case: Case, tmp_path: Path) -> None:
    events = case.events(0, 120)
    before, now = write(tmp_path / "before.jsonl", events[:100]), write(tmp_path / "now.jsonl", events[100:])
    done = custodes("score", case.path, now, "--history", before)
    assert done.code == 0
    assert "100 events from before" in done.err
    team = Team.load(case.path)
    team.remember(events[:100])
    assert [row["votes"] for row in answers(done.out)] == [
        row.to_json()["votes"] for row in team.observe_many(events[100:])
    ]
    assert "not JSON" in custodes("score", case.path, now, "--history", write(before, ["x\n"])).refusal


def test_rules_are_told_and_those_that_cannot_be_watched_named(case: Case, tmp_path: Path) -> None:
    done = custodes("score", case.path, write(tmp_path / "in.jsonl", case.events(0, 60)), "--specs", "library")
    assert done.code == 0
    assert "rule containment-time is not watched: it reads the true label." in done.err
    assert "rule mean-latency is not watched: it reads latency_s, which decisions do not tell." in done.err
    verdict = answers(done.out)[-1]["specs"]["quarantine-budget"]
    assert set(verdict) == {"sample", "satisfied", "lower", "upper"}
    assert verdict["satisfied"] is True


@pytest.mark.parametrize("case_of", ["missing", "folder", "run", "specs", "state folder"])
def test_refusals(case: Case, tmp_path: Path, case_of: str) -> None:
    source = write(tmp_path / "in.jsonl", case.events(0, 3))
    flags: dict[str, tuple[tuple[object, ...], str]] = {
        "missing": ((case.path, tmp_path / "nothing"), "cannot read it"),
        "folder": ((case.path, tmp_path), "it is a folder"),
        "run": ((tmp_path, source), "no run here"),
        "specs": ((case.path, source, "--specs", tmp_path / "no.toml"), "cannot be read"),
        "state folder": ((case.path, source, "--state", tmp_path / "no" / "state"), "cannot write it"),
    }
    arguments, told = flags[case_of]
    assert told in custodes("score", *arguments).refusal


def start(case: Case, *flags: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "custodes", "score", str(case.path), "-", *map(str, flags)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_pipe_is_answered_line_by_line_and_ends_in_order(case: Case, tmp_path: Path) -> None:
    """Every answer is there before the next line is written; SIGTERM keeps the state."""
    state = tmp_path / "state"
    process = start(case, "--state", state)
    assert process.stdin is not None
    assert process.stdout is not None
    for number, event in enumerate(case.events(0, 5), start=1):
        process.stdin.write(json.dumps(event) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["line"] == number
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "custodes: interrupted\n")
    assert Team.load(case.path, state=state).counts.decisions == 5


def test_a_reader_that_goes_away(case: Case) -> None:
    process = start(case)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    lines = "".join(json.dumps(event) + "\n" for event in case.events(0, 50))
    try:
        process.stdin.write(lines)
        process.stdin.close()
    except BrokenPipeError:
        pass
    assert process.wait(60) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def _scored(case: Case, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [decision.to_json() for decision in Team.load(case.path).observe_many(events)]
