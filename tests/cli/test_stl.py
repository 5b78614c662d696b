"""The commands for rules, end to end on small traces."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Queue
from typing import Any

import polars as pl
import pytest

from custodes.cli.entry import run
from tests.cli.conftest import Ran, custodes

SPECS = """
[[spec]]
name = "contain"
formula = "always (threat -> eventually[0,2] contained)"
severity = "critical"
[[spec]]
name = "soon"
formula = "eventually[0,3] threat"
"""
TRACE = [(0, 0), (1, 0), (0, 0), (0, 1), (0, 0), (1, 0), (0, 0), (0, 0), (0, 1)]
"""threat and contained; sample 1 is contained in time, sample 5 is not."""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def csv(rows: list[tuple[int, int]]) -> str:
    return "time,threat,contained\n" + "".join(f"{time},{a},{b}\n" for time, (a, b) in enumerate(rows))


def jsonl(rows: list[tuple[int, int]]) -> str:
    return "".join(f'{{"time": {time}, "threat": {a}, "contained": {b}}}\n' for time, (a, b) in enumerate(rows))


@pytest.fixture
def rules(write: Write) -> Path:
    return write("rules.toml", SPECS)


@pytest.fixture
def trace(write: Write) -> Path:
    return write("trace.csv", csv(TRACE))


def lines_of(done: Ran) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


# --- check ------------------------------------------------------------------------------------------------------------


def test_check(rules: Path) -> None:
    done = custodes("stl", "check", rules, "--json")
    assert done.code == 0
    first, second = json.loads(done.out)["specs"]
    assert (first["name"], first["horizon"], first["signals"]) == ("contain", "inf", ["contained", "threat"])
    assert (second["name"], second["horizon"], second["signals"]) == ("soon", 3, ["threat"])
    assert second["formula"] == "eventually[0,3](threat > 0.5)"
    text = custodes("stl", "check", rules).out
    assert "no end" in text
    assert "critical" in text


def test_the_rules_of_teams_can_be_looked_at() -> None:
    specs = json.loads(custodes("stl", "check", "team", "--json").out)["specs"]
    assert "innocents-left-alone" in {spec["name"] for spec in specs}


def test_check_the_library() -> None:
    specs = json.loads(custodes("stl", "check", "default", "--json").out)["specs"]
    assert len(specs) > 20
    one = json.loads(custodes("stl", "check", "library:queue-drains", "--json").out)["specs"]
    assert [(each["name"], each["horizon"], each["needs_period"]) for each in one] == [("queue-drains", None, True)]
    assert "did you mean 'queue-drains'" in custodes("stl", "check", "library:queue-drain").refusal


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[spec]]\nname = "a"\nformula = "G(x >"', "formula of spec a, line 1, column"),
        ('[[spec]]\nname = "a"\nformula = "0 < x < 1"', "line 1, column"),
        ("[[spec", "no TOML"),
        ('[[spec]]\nname = "a"', "formula"),
        ("", "the file has no spec"),
    ],
)
def test_check_names_the_place(write: Write, text: str, line: str) -> None:
    assert line in custodes("stl", "check", write("a.toml", text)).refusal


def test_check_what_is_not_there(tmp_path: Path, rules: Path) -> None:
    assert "none.toml: cannot be read" in custodes("stl", "check", tmp_path / "none.toml").refusal
    assert "there is no rule 'son'; did you mean 'soon'?" in custodes("stl", "check", rules, "--spec", "son").refusal


# --- monitor ----------------------------------------------------------------------------------------------------------


def test_monitor(rules: Path, trace: Path) -> None:
    done = custodes("stl", "monitor", rules, trace, "--json")
    assert done.code == 1
    specs = json.loads(done.out)["specs"]
    assert {name: spec["satisfied"] for name, spec in specs.items()} == {"contain": False, "soon": True}
    contain = specs["contain"]
    assert contain["robustness"] == [-0.5] * 6 + [0.5] * 3
    assert (contain["first_violation"], contain["broken_at"]) == (0, 5)
    assert specs["soon"]["robustness"] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, -0.5, -0.5, -0.5]
    assert specs["soon"]["first_violation"] == 6
    assert specs["soon"]["valid"] == [True] * 6 + [False] * 3
    assert custodes("stl", "monitor", rules, trace, "--spec", "soon").code == 0


def test_monitor_for_people(rules: Path, trace: Path) -> None:
    done = custodes("stl", "monitor", rules, trace)
    assert done.code == 1
    assert "9 samples, end policy truncate:" in done.out
    assert "contain: Violated at sample 0 (time 0 s): robustness -0.5 (truncate)." in done.out
    assert "These samples alone make it so: contained at 5..7; threat at 5." in done.out
    assert "soon: " not in done.out


def test_the_same_from_every_format(rules: Path, trace: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = custodes("stl", "monitor", rules, trace, "--json")
    lines = write("trace.jsonl", jsonl(TRACE))
    parquet = trace.with_suffix(".parquet")
    pl.read_csv(trace).write_parquet(parquet)
    assert custodes("stl", "monitor", rules, lines, "--json") == expected
    assert custodes("stl", "monitor", rules, parquet, "--json") == expected
    monkeypatch.setattr("sys.stdin", io.StringIO(jsonl(TRACE)))
    assert custodes("stl", "monitor", rules, "-", "--json") == expected


@pytest.mark.parametrize(
    ("end", "satisfied", "last", "code"),
    [
        ("truncate", True, 0.0, 0),
        ("hold", True, 1.0, 0),
        ("pessimistic", False, "-inf", 1),
        ("interval", None, "-inf", 0),
    ],
)
def test_end_policies(write: Write, end: str, satisfied: bool | None, last: Any, code: int) -> None:
    rules = write("r.toml", '[[spec]]\nname = "a"\nformula = "always[0,3] x > 0 and (x > 1 or eventually[2,3] x > 0)"')
    data = write("t.csv", "x\n1\n1\n1\n")
    done = custodes("stl", "monitor", rules, data, "--end", end, "--json")
    spec = json.loads(done.out)["specs"]["a"]
    assert (done.code, spec["satisfied"], spec["robustness"][-1]) == (code, satisfied, last)
    assert ("upper" in spec) == (end == "interval")
    if end == "interval":
        assert (spec["lower"][0], spec["upper"][0], spec["first_violation"]) == ("-inf", 1.0, None)


def test_a_trace_shorter_than_the_horizon_is_said(write: Write) -> None:
    rules = write("r.toml", '[[spec]]\nname = "a"\nformula = "always[0,9] x > 0"')
    done = custodes("stl", "monitor", rules, write("t.csv", "x\n1\n"), "--json")
    assert done.code == 0
    assert json.loads(done.out)["specs"]["a"]["valid"] == [False]
    assert done.err == (
        "Note: a looks 9 samples ahead and the trace has 1; what lies beyond its end is read as --end truncate.\n"
    )


def test_units_take_the_period_of_the_data(write: Write) -> None:
    rules = write("r.toml", '[[spec]]\nname = "a"\nformula = "eventually[0:4s] x > 0"')
    data = write("t.csv", "time,x\n0,-1\n2,-1\n4,1\n6,-1\n")
    spec = json.loads(custodes("stl", "monitor", rules, data, "--json").out)["specs"]["a"]
    assert spec["robustness"] == [1.0, 1.0, 1.0, -1.0]
    assert "multiple" in custodes("stl", "monitor", rules, write("u.csv", "time,x\n0,1\n3,1\n")).refusal
    assert "period" in custodes("stl", "monitor", rules, write("v.csv", "x\n1\n2\n")).refusal


def test_masked_numbers(write: Write) -> None:
    text = 'nan = "mask"\n[[spec]]\nname = "a"\nformula = "always[0,1] x > 0"'
    data = write("t.csv", "x\n1\nnan\n1\n-1\n")
    spec = json.loads(custodes("stl", "monitor", write("r.toml", text), data, "--json").out)["specs"]["a"]
    assert spec["satisfied"] is None
    assert spec["robustness"] == ["-inf", "-inf", -1.0, -1.0]
    assert spec["upper"] == [1.0, 1.0, -1.0, -1.0]
    assert spec["first_violation"] == 2


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("t.csv", "time,threat\n0,1\n", "there is no column 'contained', which a rule reads"),
        ("t.csv", "time,threat,contain\n0,1,1\n", "did you mean 'contain'?"),
        ("t.csv", "time,threat,contained\n0,1,nan\n1,1,1\n", "contained"),
        ("t.csv", "time,threat,contained\n0,1,inf\n1,1,1\n", "contained"),
        ("t.csv", "time,threat,contained\n0,1,1\n1,1,1\n3,1,1\n", "declare sampling"),
        ("t.csv", "time,threat,contained\n0,1,1\n0,1,1\n", "the second time repeats the first one"),
        ("t.csv", "time,threat,contained\n0,1,1\n1,1,1\n0,1,1\n", "goes back in time"),
        ("t.csv", "time,threat,contained\n0,1,1\n1,x,1\n", "line 3, column 'threat': 'x' is no number"),
        ("t.csv", "time,threat,contained\n", "the trace is empty"),
        ("t.csv", "", "the trace is empty"),
        ("t.jsonl", '{"threat": 1, "contained": 1}\noops\n', "line 2: no JSON object"),
        ("t.txt", "x\n", "the ending names no format"),
    ],
)
def test_bad_traces_are_one_line(rules: Path, write: Write, name: str, text: str, line: str, follow: bool) -> None:
    done = custodes("stl", "monitor", rules, write(name, text), *(["--follow"] if follow else ["--json"]))
    # What was decided before a bad line stays said.
    refusal = Ran(done.code, "" if follow else done.out, done.err).refusal
    assert line in refusal
    if not follow:
        assert custodes("stl", "explain", rules, write(name, text)).refusal == refusal


def test_bad_arguments(rules: Path, trace: Path, tmp_path: Path) -> None:
    assert "Invalid value for '--end'" in custodes("stl", "monitor", rules, trace, "--end", "never").refusal
    assert "cannot be read: no such file" in custodes("stl", "monitor", rules, tmp_path / "none.csv").refusal
    assert "cannot be read: is a directory" in custodes("stl", "monitor", rules, folder(tmp_path)).refusal
    assert "there is no rule 'x'" in custodes("stl", "monitor", rules, trace, "--spec", "x").refusal
    parquet = trace.with_suffix(".parquet")
    pl.read_csv(trace).write_parquet(parquet)
    assert "Parquet can't be read line by line" in custodes("stl", "monitor", rules, parquet, "--follow").refusal


def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder.csv"
    path.mkdir()
    return path


# --- monitor --follow -------------------------------------------------------------------------------------------------


def test_follow_says_what_the_whole_says(rules: Path, trace: Path) -> None:
    done = custodes("stl", "monitor", rules, trace, "--follow")
    assert (done.code, done.err) == (1, "")
    lines = lines_of(done)
    soon = [line for line in lines if line["spec"] == "soon" and "sample" in line]
    assert [line["robustness"] for line in soon] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, -0.5, -0.5, -0.5]
    assert [(line["sample"], line["time_s"]) for line in soon] == [(at, float(at)) for at in range(9)]
    contain = [line["satisfied"] for line in lines if line["spec"] == "contain" and "sample" in line]
    assert contain == [True] * 5 + [False] + [True] * 3
    decided = {line["spec"]: (line["determined"], line["by_sample"]) for line in lines if "determined" in line}
    assert decided == {"contain": ("violated", 7), "soon": ("satisfied", 1)}
    final = {line["spec"]: line for line in lines if "final" in line}
    assert final["contain"] == {
        "spec": "contain",
        "final": True,
        "satisfied": False,
        "robustness": -0.5,
        "broken_at": 5,
        "samples": 9,
    }
    assert final["soon"]["satisfied"] is True


@pytest.mark.parametrize("end", ["truncate", "hold", "pessimistic", "interval"])
def test_follow_ends_as_the_whole_does(rules: Path, write: Write, end: str) -> None:
    data = write("t.jsonl", jsonl(TRACE[:7]))
    whole = json.loads(custodes("stl", "monitor", rules, data, "--end", end, "--json").out)["specs"]
    done = custodes("stl", "monitor", rules, data, "--end", end, "--follow")
    final = {line["spec"]: line for line in lines_of(done) if "final" in line}
    for name, spec in whole.items():
        assert final[name]["satisfied"] == spec["satisfied"]
        assert final[name]["robustness"] == spec["robustness"][0]
        assert final[name]["broken_at"] == spec["broken_at"]


def test_follow_stops_at_a_bad_line(rules: Path, write: Write) -> None:
    data = write("t.jsonl", jsonl(TRACE[:5]) + '{"time": 5, "threat": "much"}\n' + jsonl(TRACE[:1]))
    done = custodes("stl", "monitor", rules, data, "--follow", "--spec", "contain")
    assert done.code == 2
    assert "t.jsonl, line 6, column 'threat': 'much' is no number" in done.err
    assert [line["sample"] for line in lines_of(done)] == [0, 1, 2]


@pytest.mark.parametrize(("cell", "message"), [("nan", 'write nan = "mask" in the file of rules'), ("inf", "infinite")])
def test_follow_refuses_what_is_no_number_as_the_whole_does(rules: Path, write: Write, cell: str, message: str) -> None:
    data = write("t.csv", f"threat,contained\n0,1\n{cell},1\n")
    done = custodes("stl", "monitor", rules, data, "--follow")
    assert done.code == 2
    assert "t.csv, line 3, column 'threat': " in done.err
    assert message in done.err
    assert message in custodes("stl", "monitor", rules, data).refusal


def test_follow_names_the_rule_that_it_cannot_watch(write: Write) -> None:
    rules = write("r.toml", '[[spec]]\nname = "far"\nformula = "F[0,100000000] x"')
    assert (
        "spec far: a window of 100000000 samples"
        in custodes("stl", "monitor", rules, write("t.csv", "x\n1\n"), "--follow").refusal
    )


@pytest.mark.parametrize("end", ["truncate", "hold"])
def test_follow_calls_a_duty_that_was_never_done_violated(write: Write, end: str) -> None:
    rules = write("r.toml", '[[spec]]\nname = "duty"\nformula = "always (x -> eventually y)"')
    data = write("t.csv", "x,y\n0,1\n1,0\n0,0\n")
    done = custodes("stl", "monitor", rules, data, "--follow", "--end", end)
    assert (done.code, lines_of(done)[-1]["satisfied"], lines_of(done)[-1]["robustness"]) == (1, False, -0.5)
    assert custodes("stl", "monitor", rules, data, "--end", end).code == 1


NESTED = (
    "always (x - y > 0 -> eventually y)",
    "always eventually x",
    "always (x -> eventually (y and eventually x))",
    "always eventually y and eventually always x",
    "always[0,9000000] x",
    "always (rate(x, 9000000) < 0.9)",
    "at least 3 of 9000000 (x)",
    "eventually true",
)


@pytest.mark.parametrize("end", ["truncate", "hold", "pessimistic", "interval"])
def test_follow_decides_what_the_whole_decides(write: Write, end: str) -> None:
    specs = "".join(f'[[spec]]\nname = "{at}"\nformula = "{text}"\n' for at, text in enumerate(NESTED))
    rules, data = write("r.toml", specs), write("t.csv", "x,y\n1,0\n1,0\n0,1\n0,0\n")
    whole = custodes("stl", "monitor", rules, data, "--end", end, "--json")
    done = custodes("stl", "monitor", rules, data, "--end", end, "--follow")
    assert (done.code, done.err) == (whole.code, "")
    final = {line["spec"]: line for line in lines_of(done) if "final" in line}
    for name, spec in json.loads(whole.out)["specs"].items():
        assert final[name]["satisfied"] == spec["satisfied"], name
        assert final[name]["robustness"] == spec["robustness"][0], name
        assert final[name]["broken_at"] == spec["broken_at"], name
        assert "open" not in final[name]


def test_follow_says_what_only_a_stored_trace_decides(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.cli.stl_kept.MOST", 2)
    specs = "".join(f'[[spec]]\nname = "{at}"\nformula = "{text}"\n' for at, text in enumerate(NESTED[:4]))
    rules, data = write("r.toml", specs), write("t.csv", "x,y\n1,0\n1,0\n0,1\n0,0\n")
    done = custodes("stl", "monitor", rules, data, "--follow")
    final = {line["spec"]: line for line in lines_of(done) if "final" in line}
    assert [(line["satisfied"], line.get("open")) for line in final.values()] == [
        (True, None),
        (False, None),
        (None, True),
        (False, None),
    ]
    assert not any("broken_at" in line for line in final.values())
    assert done.code == 1
    assert done.err.splitlines() == [
        "Note: 2 is open at the end of the stream, which is too long to keep; "
        "`custodes stl monitor` on the stored trace decides it."
    ]
    assert custodes("stl", "monitor", rules, data, "--follow", "--spec", "2").code == 0
    # a lower bound of the pessimistic value is not yet a violation
    done = custodes("stl", "monitor", rules, data, "--follow", "--spec", "1", "--end", "pessimistic")
    assert (done.code, lines_of(done)[-1]["open"]) == (0, True)


def drain(lines: Iterable[str], into: Queue[str]) -> None:
    for line in lines:
        into.put(line)


def test_follow_speaks_at_once_and_ends_with_its_reader(rules: Path) -> None:
    program = [sys.executable, "-m", "custodes", "stl", "monitor", str(rules), "-", "--follow", "--spec", "soon"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said: Queue[str] = Queue()
        reader = threading.Thread(target=drain, args=(process.stdout, said))
        reader.start()
        for row in (0, 0, 1):
            process.stdin.write(f'{{"threat": {row}}}\n')
            process.stdin.flush()
        # The input is still open: this was said in the middle of it.
        assert json.loads(said.get(timeout=60)) == {"spec": "soon", "determined": "satisfied", "by_sample": 2}
        process.stdin.close()
        assert process.wait(timeout=60) == 0
        reader.join(timeout=60)
    rest = [json.loads(said.get()) for _ in range(said.qsize())]
    assert rest[-1]["final"] is True
    assert [line["sample"] for line in rest[:-1]] == [0, 1, 2]


def test_follow_takes_no_more_memory_for_a_longer_stream(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def peak(length: int) -> int:
        lines = (f'{{"time": {at}, "threat": {int(at == 9)}, "contained": 1}}\n' for at in range(length))
        monkeypatch.setattr("sys.stdin", lines)
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            tracemalloc.start()
            try:
                assert run(["stl", "monitor", str(rules), "-", "--follow", "--spec", "contain"]) == 0
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(50)
    assert peak(4_000) < peak(400) + 50_000


# --- explain ----------------------------------------------------------------------------------------------------------


def test_explain(rules: Path, trace: Path, tmp_path: Path) -> None:
    done = custodes("stl", "explain", rules, trace)
    assert done.code == 0
    assert done.out.startswith("contain: Violated at sample 0 (time 0 s)")
    assert "soon:" not in done.out
    found = json.loads(custodes("stl", "explain", rules, trace, "--json").out)["specs"]
    assert list(found) == ["contain"]
    assert found["contain"]["responsible"] == {"contained": [[5, 7]], "threat": [[5, 5]]}
    at = custodes("stl", "explain", rules, trace, "--spec", "soon", "--at", 4, "--plot", tmp_path / "a.svg")
    assert "soon: Satisfied at sample 4 (time 4 s): robustness 0.5" in at.out
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_explain_when_all_is_well(rules: Path, write: Write) -> None:
    good = write("good.csv", csv(TRACE[:5]))
    assert custodes("stl", "explain", rules, good).out == "All 2 rules are satisfied.\n"
    assert json.loads(custodes("stl", "explain", rules, good, "--json").out) == {"specs": {}}


def test_explain_refuses(rules: Path, trace: Path, tmp_path: Path) -> None:
    one = ("stl", "explain", rules, trace, "--spec", "soon")
    assert "there is no sample 99" in custodes(*one, "--at", 99).refusal
    assert "names no picture format" in custodes(*one, "--plot", tmp_path / "a.gif").refusal
    two = custodes("stl", "explain", rules, trace, "--at", 0, "--plot", tmp_path / "a.png").refusal
    assert "a plot shows one rule, not 2; add --spec" in two
    assert not (tmp_path / "a.png").exists()


# --- bench, help ------------------------------------------------------------------------------------------------------


def test_bench_prints_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def measured(**how: Any) -> dict[str, Any]:
        asked.update(how)
        return {"offline": {}}

    monkeypatch.setattr("custodes.stl.bench.run_bench", measured)
    done = custodes("stl", "bench", "--rounds", 2, "--seconds", 0.01, "--no-peers", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"offline": {}})
    assert asked == {"rounds": 2, "seconds": 0.01, "peers": False}
    monkeypatch.setattr("custodes.stl.bench.table", lambda result: f"{len(result)} tables")
    assert custodes("stl", "bench").out == "1 tables\n"


def test_help() -> None:
    for args in (("stl",), ("stl", "--help"), *(("stl", each, "-h") for each in ("check", "monitor", "explain"))):
        done = custodes(*args)
        assert done.code == 0
        assert "Usage: custodes stl" in done.out
