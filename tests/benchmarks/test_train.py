"""The command, and every program that is installed, end to end at tiny sizes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import train
from benchmarks.train_peers import registry, rounds
from benchmarks.train_peers.install import ENVIRONMENTS, ROOT
from benchmarks.train_peers.registry import PROGRAMS
from benchmarks.train_peers.rounds import interpreter, run_rounds
from benchmarks.train_peers.summary import summarise, table
from benchmarks.train_peers.workload import Workload

TINY = {"lanes": 8, "hidden": 8, "rollout": 16, "epochs": 1, "minibatches": 2, "distinct": 16}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_program_takes_its_turns(name: str) -> None:
    python, reason = interpreter(name)
    if python is None:
        pytest.skip(reason)
    result = run_rounds([name], 2, 0.01, 0, TINY)
    assert not result.failed
    summary = summarise(result, replace(Workload(), **TINY), 1e6, 0.01)
    assert summary["steps_per_second"][name] > 0
    assert len(summary["rounds"][name]) == 2
    assert summary["parameters"][name] > 0
    assert summary["versions"][name]["torch"]
    assert result.workers[0].hello["threads"] == 1


def test_programs_that_are_missing_or_fail_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = replace(PROGRAMS["benchmarl"], imports=("no_such_module",))
    broken = replace(PROGRAMS["lstm-loop"], factory="no_such_factory")
    for module in (registry, rounds, train):
        monkeypatch.setattr(module, "PROGRAMS", {"benchmarl": missing, "lstm-loop": broken})
    code = train.main(["--json", "--programs", "benchmarl", "--rounds", "1", "--seconds", "0.01"])
    printed = json.loads(capsys.readouterr().out)
    assert code == 0
    assert printed["steps_per_second"] == printed["ratios"] == {}
    assert "no_such_module" in printed["skipped"]["benchmarl"]
    assert "--install benchmarl" in printed["skipped"]["benchmarl"]


@pytest.mark.slow
def test_a_program_that_breaks_is_named_with_its_last_words_and_the_command_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(name: str, *_: object) -> rounds.Worker:
        raise rounds.ProgramError("ended with 1: ValueError: made up")

    monkeypatch.setattr(rounds, "start", start)
    code = train.main(["--json", "--programs", "lstm-loop", "--rounds", "1", "--seconds", "0.01"])
    assert code == 1
    assert "ValueError: made up" in json.loads(capsys.readouterr().out)["skipped"]["lstm-loop"]


@pytest.mark.slow
def test_a_worker_that_dies_leaves_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(rounds.ProgramError, match=r"ended with 1: .*no-such-program"):
        rounds.start("no-such-program", Path(sys.executable), 0, {}, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--programs", "nobody"], "no such program: nobody"),
        (["--programs", ","], "no such program"),
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--seconds", "0"], "--seconds more than 0"),
    ],
)
def test_bad_usage_exits_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        train.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def worker(name: str, rates: list[float]) -> rounds.Worker:
    """A worker that has run already."""
    process = subprocess.Popen([sys.executable, "-c", ""], text=True)
    process.wait()
    turns = [{"steps": rate * 2.0, "seconds": 2.0, "cpu_seconds": 1.0, "reward": 0.5} for rate in rates]
    hello = {"parameters": 7, "note": "made up", "versions": {}, "threads": 1}
    return rounds.Worker(name=name, process=process, errors=Path("none"), hello=hello, turns=turns)


def test_summary_quotes_medians_and_ratios_to_the_reference() -> None:
    workers = (worker("sb3-recurrent", [10.0, 20.0, 90.0]), worker("lstm-loop", [40.0, 60.0, 90.0]))
    result = rounds.Rounds(workers=workers, absent={"pufferlib": "not installed"}, failed={"benchmarl": "broke"})
    summary = summarise(result, Workload(), 3e6, 2.0)
    assert summary["steps_per_second"] == {"sb3-recurrent": 20.0, "lstm-loop": 60.0}
    assert summary["ratios"] == {"sb3-recurrent": 1.0, "lstm-loop": 3.0}
    assert summary["ratio_ranges"]["lstm-loop"] == [1.0, 4.0]
    assert summary["cpu_ratios"]["lstm-loop"] == 3.0
    assert summary["skipped"] == {"pufferlib": "not installed", "benchmarl": "failed: broke"}
    assert summary["workload"]["resets_per_step"] == 1.28
    assert json.loads(json.dumps(summary)) == summary
    assert "pufferlib" in table(summary)


def test_every_environment_has_pinned_requirements_with_one_torch() -> None:
    for entry in ENVIRONMENTS.values():
        text = (ROOT / "benchmarks" / entry.requirements).read_text()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        assert all("==" in line for line in (*lines, *entry.bare))
        assert "torch==2.13.0" in lines
    assert {entry.environment for entry in PROGRAMS.values()} - {""} == set(ENVIRONMENTS)
