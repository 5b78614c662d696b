"""The programs around the rules: their command lines, and comparisons that can fail."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import stl, stl_differences, stl_forecast, stl_oracle
from custodes.stl import formula as f
from custodes.stl.bench import ENVIRONMENTS
from custodes.stl.bench.environments import interpreter
from custodes.stl.parser import parse
from custodes.stl.printer import format_formula
from tests.stl import definition
from tests.stl.generate import Grammar, random_formula, random_trace


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["sentil", "rtamt"])
def test_exact_peers_agree(peer: str) -> None:
    if interpreter(peer)[0] is None:
        pytest.skip(interpreter(peer)[1])
    found = stl_oracle.exact(peer, 150, 77)
    assert found["mismatches"] == 0, found["examples"]
    assert found["samples"] > 5_000


@pytest.mark.slow
def test_stlcgpp_agrees_inside_only_with_its_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    if interpreter("stlcgpp")[0] is None:
        pytest.skip(interpreter("stlcgpp")[1])
    found = stl_oracle.interior(150, 77)
    assert found["mismatches"] == 0, found["examples"]
    monkeypatch.setattr(stl_oracle, "inclusive", lambda node: node)
    assert stl_oracle.interior(150, 77)["mismatches"] > 0


def test_a_mismatch_is_found_and_named() -> None:
    formula = parse("always[0,1](x > 0)")
    case = stl_oracle.Case(formula=formula, horizon=1, traces=[{"x": [1.0, 2.0, 3.0]}], values=[[1.0, 2.0, 3.0]])

    def against(*values: float, interior: bool = False) -> int:
        found = stl_oracle.compare([case], [list(values)], ["G"], tolerance=0.0, interior=interior)
        assert found["formulas"] == found["traces"] == 1
        return int(found["mismatches"])

    assert against(1.0, 2.0, 3.0) == 0
    assert against(1.0, 2.0 + 1e-15 * 4, 3.0) == 1
    assert against(1.0, 2.0, -1e9) == 1
    assert against(1.0, 2.0, -1e9, interior=True) == 0
    assert against(math.nan, 2.0, 3.0) == 1
    assert against(1.0, 2.0, 3.0, 4.0) == 1
    found = stl_oracle.compare([case], [[1.0, 0.0, 3.0]], ["their words"], tolerance=0.0, interior=False)
    assert found["examples"] == [
        {
            "formula": "always[0,1](x > 0)",
            "peer_text": "their words",
            "sample": 1,
            "custodes": 2.0,
            "peer": 0.0,
        }
    ]


def test_open_windows_mean_the_same_rewritten() -> None:
    rng = np.random.default_rng(3)
    rewritten = 0
    for _ in range(150):
        node = random_formula(rng, Grammar(plain=True, aggregates=False, depth=3))
        other = stl_oracle.without_open_windows(node)
        rewritten += other != node
        trace = {name: values.tolist() for name, values in random_trace(rng, 12).items()}
        assert definition.evaluate(other, trace) == definition.evaluate(node, trace)
        format_formula(other, dialect="rtamt")
    assert rewritten > 10


def test_the_inclusive_guard_is_put_in_everywhere() -> None:
    found = stl_oracle.inclusive(parse("not (((x > 0) until[0,1] (y > 0)) until[0,2] (z > 0))"))
    assert found == parse(
        "not (((x > 0) until[0,1] ((x > 0) and (y > 0))) until[0,2] "
        "(((x > 0) until[0,1] ((x > 0) and (y > 0))) and (z > 0)))"
    )


def test_trees_for_stlcgpp() -> None:
    tree = stl_oracle.tree(parse("always[0,2]((x < 1) -> not (next(y >= 2)))"))
    inner = ["Implies", ["LessThan", "x", 1.0], ["Negation", ["Eventually", ["GreaterThan", "y", 2.0], [1, 1]]]]
    assert tree == ["Always", inner, [0, 2]]
    with pytest.raises(ValueError, match="has no Once"):
        stl_oracle.tree(f.Once(operand=parse("x > 0")))
    assert not stl_oracle.comparable(parse("x > y"))


@pytest.mark.usefixtures("nowhere")
def test_oracle_without_peers_says_how_to_get_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert stl_oracle.main(["--formulas", "1"]) == 2
    assert capsys.readouterr().err.startswith("sentil: not installed")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stl_oracle, "interpreter", lambda name: (None, "not installed, alas"))


def test_differences_are_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(stl_differences, "interpreter", lambda name: (None, "not installed, alas"))
    assert stl_differences.main(["--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len(stl_differences.ROWS)
    by_name = {row["what"]: row for row in rows}
    assert by_name["next after the last sample"]["custodes_says"][-1] == -math.inf
    assert "comparisons do not chain" in by_name["chained comparison"]["custodes_says"]
    assert {row["peer_says"] for row in rows} == {"not installed, alas"}
    assert stl_differences.main([]) == 0
    assert "not installed, alas" in capsys.readouterr().out


def test_forecast_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stl_forecast, "SIZES", (100,))
    monkeypatch.setattr(stl_forecast, "TESTS", 2_000)
    code = stl_forecast.main(["--json", "--draws", "3", "--runs", "2"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["ok"] else 1)
    assert set(found["coverage"]) == set(found["drift"]) == {"normal", "student3"}
    assert 0.8 < found["coverage"]["normal"]["direct"]["100"]["scores"]["mean"] <= 1
    assert "100" in stl_forecast.table(found)


@pytest.mark.parametrize("program", [stl, stl_oracle, stl_forecast])
def test_bad_options_are_refused(program: object, capsys: pytest.CaptureFixture[str]) -> None:
    option = {stl: "--rounds", stl_oracle: "--formulas", stl_forecast: "--draws"}[program]  # type: ignore[index]
    with pytest.raises(SystemExit) as ended:
        program.main([option, "0"])  # type: ignore[attr-defined]
    assert ended.value.code == 2
    assert "must be at least" in capsys.readouterr().err


def test_bench_command_prints_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, object] = {}

    def run_bench(**options: object) -> dict[str, object]:
        asked.update(options)
        return {"failed": {"rtamt": "ended with 1"}}

    monkeypatch.setattr(stl, "run_bench", run_bench)
    assert stl.main(["--json", "--rounds", "2", "--no-peers"]) == 1
    assert json.loads(capsys.readouterr().out) == {"failed": {"rtamt": "ended with 1"}}
    assert asked == {"rounds": 2, "seconds": 0.5, "peers": False}


def test_install_makes_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    made: list[str] = []

    def install(name: str) -> str:
        made.append(name)
        return "rtamt: no" if name == "rtamt" else ""

    here = (Path(os.devnull), "")
    monkeypatch.setattr(stl, "install", install)
    monkeypatch.setattr(stl, "interpreter", lambda name: here if name == "sentil" else (None, "missing"))
    assert stl.main(["--install"]) == 1
    assert made == [name for name in ENVIRONMENTS if name != "sentil"]
    assert capsys.readouterr().err == "rtamt: no\n"
    assert stl.main(["--install", "sentil"]) == 0
    assert made[-1] == "sentil"
