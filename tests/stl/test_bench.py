"""The benchmark engine: what it prints, who is missing or fails, and that its peers compute the same thing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from custodes.stl.bench import environments, run, table
from custodes.stl.bench.environments import ENVIRONMENTS, folder_of, install, interpreter
from custodes.stl.bench.peers import driver
from custodes.stl.bench.worker import PEERS, Worker, WorkerEndedError, WorkerError


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Sizes of a second, and nowhere that a peer could be."""
    monkeypatch.setenv("CUSTODES_BENCH_HOME", str(tmp_path))
    monkeypatch.setattr(run, "BATCHES", (1, 64))
    monkeypatch.setattr(run, "STREAMS", (1, 3))
    monkeypatch.setattr(run, "WINDOWS", (10,))
    monkeypatch.setattr(run, "WINDOW_STREAMS", 2)
    monkeypatch.setattr(run, "MEMORY_LENGTHS", (100,))


def positive(values: Any) -> bool:
    return all(value > 0 for value in values)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_everything_is_measured_and_absent_peers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    finds = environments._finds
    monkeypatch.setattr(environments, "_finds", lambda python, module: module == "custodes" and finds(python, module))
    result = run.run_bench(rounds=1, seconds=0.01)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["failed"] == {}
    for phi in ("phi1", "phi2"):
        engines = result["offline"][phi]
        assert list(engines) == ["custodes", "sentil", "rtamt", "stlcgpp"]
        assert positive(engines["custodes"][batch] for batch in ("1", "64"))
        assert positive(result["offline_float64"][phi]["custodes"].values())
        assert result["online"][phi]["custodes"] > 0
        assert result["agreement"][phi]["custodes"] < 1e-6
        for peer in ENVIRONMENTS:
            assert engines[peer] == {"1": None, "64": None}
            assert "custodes stl bench --install-peers" in result["missing"][peer]
    assert list(result["fleet"]) == ["1", "3"]
    assert positive(result["fleet"].values())
    assert positive(result["fleet_window"].values())
    assert list(result["memory"]) == ["100"]
    assert result["versions"]["custodes"]["torch"]
    assert result["threads"] == 1
    text = table(result)
    assert "custodes float32" in text
    assert "missing: rtamt: not installed" in text


@pytest.mark.slow
@pytest.mark.parametrize("peer", ENVIRONMENTS)
def test_peers_that_are_installed_compute_the_same(peer: str) -> None:
    python, reason = interpreter(peer)
    if python is None:
        pytest.skip(reason)
    board = run._Board(1, 0.01)
    with Worker(peer, python) as theirs, Worker("custodes64", Path(sys.executable)) as ours:
        board.compare({peer: theirs, "custodes64": ours})
        assert theirs.ask("offline", formula=run.FORMULAS["phi1"], batch=3, length=50, seconds=0.0)["samples"] >= 50
    result = board.result((peer, "custodes"))
    assert result["failed"] == {}
    tolerance = 1e-6 if peer == "stlcgpp" else 0.0
    assert result["agreement"]["phi1"][peer] <= tolerance
    assert peer == "stlcgpp" or result["agreement"]["phi2"][peer] <= tolerance


def test_one_failed_job_leaves_the_others() -> None:
    board = run._Board(1, 0.01)
    with Worker("custodes", Path(sys.executable)) as worker:
        assert board._ask("custodes", worker, "values", formula="x >", length=10) is None
        found = board._ask("custodes", worker, "values", formula="x > 0.25", length=3)
    assert found is not None
    expected = [value - 0.25 for value in driver.traces(1, 3)[0]["x"]]
    assert found["values"] == pytest.approx(expected, abs=1e-6)
    [(job, reason)] = board.result(("custodes",))["failed"].items()
    assert job == "custodes, values x >"
    assert reason.startswith("FormulaError: formula, line 1")


def test_a_process_that_ends_is_named() -> None:
    with Worker("no_such", Path(sys.executable)) as worker, pytest.raises(WorkerEndedError, match="no_such_peer"):
        worker.ask("hello")


def test_an_engine_that_lacks_a_job_says_so() -> None:
    with Worker("custodes", Path(sys.executable)) as worker, pytest.raises(WorkerError, match="AttributeError"):
        worker.ask("dance")


@pytest.mark.usefixtures("small")
def test_memory_and_fleet_are_measured_by_the_worker() -> None:
    with Worker("custodes", Path(sys.executable)) as worker:
        formula = run.FORMULAS["phi1"]
        fleet = worker.ask("fleet", formula=formula, streams=4, seconds=0.0, warmup=5)
        assert fleet["steps"] == 10
        assert 0 < fleet["slowest"] <= fleet["seconds"]
        grown = worker.ask("memory", formula=formula, batch=64, length=4000)
        assert grown["inputs"] == 2 * 64 * 4000 * 4
        assert grown["peak"] >= 64 * 4000 * 5  # At least its result: a float and a bool for each sample.


def test_adapters_of_peers_need_nothing_of_custodes() -> None:
    """They run where only the peer is installed."""
    for name in ("driver", *(f"{peer}_peer" for peer in ENVIRONMENTS)):
        assert "from custodes" not in (PEERS / f"{name}.py").read_text()


def test_traces_are_the_same_everywhere() -> None:
    made = driver.traces(40, 5)
    assert len(made) == 40
    assert made[0] == made[16] != made[1]
    code = (
        f"import sys; sys.path.insert(0, {str(PEERS)!r}); import driver, json; print(json.dumps(driver.traces(40, 5)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == made


def test_timing_counts_what_was_run() -> None:
    calls: list[int] = []
    found = driver.timed([(lambda: calls.append(1), 10), (lambda: calls.append(2), 20)], 0.005)
    assert calls[0] == 1  # Warm-up, not counted.
    assert found["samples"] == sum(10 if call == 1 else 20 for call in calls[1:])
    assert found["seconds"] >= 0.005


def test_environments_lie_in_the_working_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUSTODES_BENCH_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    assert folder_of("rtamt") == tmp_path / ".venv-bench-rtamt"
    monkeypatch.setattr(environments, "_finds", lambda python, module: False)
    python, reason = interpreter("rtamt")
    assert python is None
    assert reason.startswith("not installed")
    own = folder_of("rtamt") / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    monkeypatch.setattr(environments, "_finds", lambda python, module: python == own)
    assert interpreter("rtamt") == (own, "")
    assert interpreter("custodes") == (Path(sys.executable), "")


def test_an_install_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CUSTODES_BENCH_HOME", str(tmp_path))
    pip = tmp_path / ".venv-bench-sentil" / "bin" / "python"

    def create(folder: Path, **_: object) -> None:
        (folder / "bin").mkdir(parents=True)
        pip.write_text('#!/bin/sh\necho "some talk" >&2\necho "ERROR: no such thing" >&2\nexit 3\n')
        pip.chmod(0o755)

    monkeypatch.setattr("venv.create", create)
    assert install("sentil") == "sentil: pip ended with 3: ERROR: no such thing"
    pip.write_text("#!/bin/sh\nexit 0\n")
    monkeypatch.setattr("venv.create", lambda folder, **_: None)
    assert install("sentil") == ""
    monkeypatch.setattr("venv.create", _no_space)
    assert "No space left" in install("sentil")
    assert os.linesep not in install("sentil")


def _no_space(folder: Path, **_: object) -> None:
    raise OSError(28, "No space left on device")
