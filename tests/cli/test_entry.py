from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import custodes as package
from custodes.cli import report as report_command
from custodes.errors import CustodesError
from tests.cli.conftest import custodes

PROGRAM = [sys.executable, "-m", "custodes"]


def break_report(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make `custodes report x` raise."""

    def broken(*_: Any) -> None:
        raise error

    monkeypatch.setattr("custodes.train.run_folder.open_run", broken)
    assert report_command.report.__name__ == "report"


def test_help_and_version() -> None:
    for args in ((), ("--help",), ("-h",), ("data",), ("data", "--help"), ("train", "--help")):
        done = custodes(*args)
        assert done.code == 0
        assert "Usage: custodes" in done.out
        assert done.err == ""
    assert custodes("--version").out == f"custodes {package.__version__}\n"


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; from custodes.cli.entry import run; run(['train', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert not loaded & {"torch", "polars", "numpy", "sklearn", "msgspec", "jinja2"}


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["dat"], "No such command 'dat'. Did you mean 'data'?; see 'custodes --help'"),
        (["data", "nope"], "No such command 'nope'; see 'custodes data --help'"),
        (["evaluate"], "Missing argument 'RUN'; see 'custodes evaluate --help'"),
        (["report", "a", "b"], "nexpected extra argument"),
        (["train", "--seed", "x"], "Invalid value for '--seed'"),
        (["train", "--nope"], "No such option"),
        (["train", "--out"], "--out"),
        (["evaluate", "x", "--split", "all"], "Invalid value for '--split'"),
    ],
)
def test_usage_errors_are_one_line(args: list[str], line: str) -> None:
    refusal = custodes(*args).refusal
    assert line in refusal
    assert "--help'" in refusal


def test_our_errors_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    break_report(monkeypatch, CustodesError("it is\nbroken", where="a", fix="mend it"))
    assert custodes("report", "x").refusal == "a: it is broken; mend it"


def test_a_defect_is_one_line_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    break_report(monkeypatch, ValueError("two\nlines"))
    done = custodes("report", "x")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("custodes: this is a defect: ValueError: two lines; run it again with CUSTODES_DEBUG=1")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("error", [ValueError("x"), CustodesError("x")])
def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    break_report(monkeypatch, error)
    monkeypatch.setenv("CUSTODES_DEBUG", "1")
    assert "Traceback" in custodes("report", "x").err


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    break_report(monkeypatch, KeyboardInterrupt())
    done = custodes("report", "x")
    assert (done.code, done.out, done.err) == (130, "", "custodes: interrupted\n")


def test_a_reader_that_went_away_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*PROGRAM, "data", "list"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_output_on_a_full_disk() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*PROGRAM, "data", "list"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"custodes: no space left on device; check disk and permissions")
    assert done.stderr.count(b"\n") == 1


def test_what_the_system_refuses_is_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    break_report(monkeypatch, PermissionError(13, "Permission denied", "/some/file"))
    assert custodes("report", "x").refusal.startswith("/some/file: permission denied; check disk and permissions")


def test_the_installed_program_and_the_module_are_one() -> None:
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="custodes")
    assert script.value == "custodes.cli:main"
    done = subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"custodes {package.__version__}\n"


def test_completion_is_served() -> None:
    env = {**os.environ, "_CUSTODES_COMPLETE": "complete_bash", "COMP_WORDS": "custodes ev", "COMP_CWORD": "1"}
    done = subprocess.run([*PROGRAM], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["evaluate"]


def test_ctrl_c_in_a_real_process() -> None:
    # A shell starts what it puts into the background deaf to Ctrl-C, and the tests may have been started so.
    code = """
import signal, sys, time
import custodes.train.run_folder as folder
from custodes.cli.entry import run
signal.signal(signal.SIGINT, signal.default_int_handler)
folder.open_run = lambda path: (print("up", flush=True), time.sleep(60))
sys.exit(run(["report", "x"]))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (130, "", "custodes: interrupted\n")
