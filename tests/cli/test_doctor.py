"""`custodes doctor`, and the doctor beside `custodes train`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL_FLAGS, custodes
from tests.doctor.conftest import SMALL

FLAGS = [part for setting in SMALL for part in ("--set", setting)]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two faults; not to be changed."""
    path = tmp_path_factory.mktemp("broken") / "run"
    done = custodes("train", "--out", path, *FLAGS, "--inject", "ratio-broadcast,three-agents")
    assert done.code == 0, done.err
    return path


def test_findings_are_one_json_object(broken: Path) -> None:
    done = custodes("doctor", broken, "--json")
    assert (done.code, done.err) == (0, "")
    printed = json.loads(done.out)
    assert [finding["name"] for finding in printed["findings"]][:2] == ["ratio-broadcast", "consensus-f0"]
    assert {"name": "violated", "findings": ["spec-always-violated"], "missing": ["stl_satisfied"]} in printed[
        "not_examined"
    ]


def test_findings_are_words_for_people(broken: Path) -> None:
    done = custodes("doctor", broken)
    assert done.code == 0
    assert "critical: ratio-broadcast (from iteration 1)\n" in done.out
    assert "  ratio_elements: " in done.out
    assert "warning: consensus-f0 (before the first iteration)\n" in done.out
    assert "Not examined: violated (spec-always-violated), for want of stl_satisfied.\n" in done.out


def test_nothing_fired_is_not_called_healthy(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    for name in ("diagnostics.jsonl", "sessions.jsonl", "inputs.safetensors"):
        (run / name).unlink()
    config = (run / "config.toml").read_text().replace("agents = 2", "agents = 4")
    (run / "config.toml").write_text(config)
    done = custodes("doctor", run)
    assert "Nothing fired over 2 iterations. That is no proof of health.\n" in done.out
    assert "Not examined: continuity" in done.out


def test_training_tells_what_it_finds_once(tmp_path: Path) -> None:
    done = custodes("train", "--out", tmp_path / "run", *FLAGS, "--inject", "ratio-broadcast")
    assert done.code == 0
    told = [line for line in done.err.splitlines() if line.startswith("Doctor: ")]
    assert len(told) == len(set(told))
    assert told[0].startswith("Doctor: critical: ratio-broadcast since iteration 1: ")


def test_a_critical_finding_stops_a_training_that_resumes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = [*FLAGS, "--inject", "ratio-broadcast", "--stop-on", "critical"]
    done = custodes("train", "--out", run, *flags)
    assert (done.code, done.out) == (1, "")
    assert f"Stopped for ratio-broadcast. Continue with: custodes train --resume {run}\n" in done.err
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 1
    done = custodes("train", "--resume", run)
    assert (done.code, done.out) == (0, f"{run}\n")
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 4
    assert len((run / "diagnostics.jsonl").read_text().splitlines()) == 4
    assert len((run / "sessions.jsonl").read_text().splitlines()) == 2


def test_without_diagnostics_there_is_no_record(tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = [*SMALL_FLAGS, "--set", "train.iterations=1", "--set", "train.diagnostics=false"]
    assert custodes("train", "--out", run, *flags).code == 0
    assert not (run / "diagnostics.jsonl").exists()


def test_an_unknown_fault_and_no_run_are_refused(tmp_path: Path) -> None:
    assert "unknown fault nonsense" in custodes("train", *SMALL_FLAGS, "--inject", "nonsense").refusal
    assert "no run here" in custodes("doctor", tmp_path).refusal
