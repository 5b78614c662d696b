"""Whatever is wrong with what a user gives: exit code 2, one line on what, where and what to do, nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from custodes.train.checkpoint import BEST, LAST, PREVIOUS
from tests.cli.conftest import SMALL_FLAGS, Ran, Unchanged, custodes, snapshot
from tests.cli.test_train import iterations, weights
from tests.train.test_atomic import fail

ROWS = 2000
TRAIN = ("train", *SMALL_FLAGS, "--set", "data.split=rows", "--set", "train.iterations=1")


def recording() -> pl.DataFrame:
    """A recording in the event schema that trains."""
    return pl.DataFrame(
        {
            "time": [1_000 * row for row in range(ROWS)],
            "stream": ["host"] * ROWS,
            "entity": [f"p{row % 7}" for row in range(ROWS)],
            "channel": ["file"] * ROWS,
            "kind": ["write" if row % 3 else "read" for row in range(ROWS)],
            "size": [float(row % 5) for row in range(ROWS)],
            "label": [int(row % 10 == 0) for row in range(ROWS)],
        }
    )


def write(folder: Path, fault: str) -> Path:
    """A recording with one fault."""
    frame, path = recording(), folder / "events.parquet"
    if fault == "one class":
        frame = frame.with_columns(label=pl.lit(0, pl.Int64))
    elif fault == "out of order":
        frame = frame.with_columns(time=pl.when(pl.col("time") == 5_000).then(4).otherwise(pl.col("time")))
    elif fault == "not finite":
        frame = frame.with_columns(size=pl.when(pl.col("time") == 5_000).then(float("inf")).otherwise(pl.col("size")))
    elif fault == "wrong schema":
        frame = frame.rename({"label": "lable", "time": "when"})
    elif fault == "wrong type":
        frame = frame.with_columns(label=pl.lit("bad"))
    elif fault == "no rows":
        frame = frame.clear()
    if fault.endswith("csv") or fault.endswith("jsonl"):
        path = folder / f"events.{fault.split()[-1]}"
        (frame.write_csv if fault.endswith("csv") else frame.write_ndjson)(path)
    else:
        frame.write_parquet(path)
    data = path.read_bytes()
    if fault.startswith("truncated"):
        path.write_bytes(data[: len(data) * 2 // 3])
    elif fault.startswith("empty"):
        path.write_bytes(b"")
    elif fault == "missing":
        path.unlink()
    elif fault == "noise":
        path.write_bytes(os.urandom(5000))
    elif fault == "folder":
        path.unlink()
        path.mkdir()
    return path


FAULTS = {
    "missing": "no such file",
    "empty": "",
    "empty csv": "",
    "empty jsonl": "",
    "no rows": "",
    "truncated": "",
    "noise": "",
    "folder": "folder",
    "wrong schema": "",
    "wrong type": "label",
    "one class": "malicious",
    "out of order": "time",
    "not finite": "size",
}


def test_the_recording_itself_trains(tmp_path: Path) -> None:
    done = custodes(*TRAIN, "--data", write(tmp_path, ""), "--out", tmp_path / "out")
    assert done.code == 0, done.err


@pytest.mark.parametrize("fault", FAULTS)
def test_train_on_bad_data(tmp_path: Path, trained: Path, fault: str) -> None:
    path, out = write(tmp_path, fault), tmp_path / "out"
    before = snapshot(trained)
    refusal = custodes(*TRAIN, "--data", path, "--out", out).refusal
    assert "events" in refusal
    assert FAULTS[fault] in refusal
    assert ";" in refusal, "what to do is said too"
    assert not out.exists()
    assert snapshot(trained) == before


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "one class"])
def test_convert_bad_data(tmp_path: Path, fault: str) -> None:
    path, out = write(tmp_path, fault), tmp_path / "out.parquet"
    out.write_bytes(b"an earlier file")
    assert "events" in custodes("data", "convert", out, "--data", path, "--overwrite").refusal
    assert out.read_bytes() == b"an earlier file"
    assert sorted(name for name in os.listdir(tmp_path) if name.startswith(".")) == []


@pytest.mark.parametrize("fault", ["missing", "empty", "truncated", "wrong schema", "out of order", "not finite"])
def test_evaluate_on_bad_data(a_run: Path, tmp_path: Path, unchanged: Callable[[Path], Unchanged], fault: str) -> None:
    check = unchanged(a_run)
    assert "events" in custodes("evaluate", a_run, "--data", write(tmp_path, fault)).refusal
    check()


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--preset", "nope"], "--preset: unknown preset 'nope'; known:"),
        (["--set", "rl.gama=0.9"], "rl.gama: unknown setting; did you mean gamma?"),
        (["--set", "rl.gamma=high"], "rl.gamma: expected a number, got text"),
        (["--set", "rl.gamma=2"], "rl.gamma: is 2.0, above 1"),
        (["--set", "rl.gamma"], "--set rl.gamma: a setting is written key=value"),
        (["--set", "env.slots=0"], "env.slots: is 0, below 1"),
        (["--set", "env.window=-1"], "env.window: is -1, below 0"),
        (["--set", "data.synthetic.events=-5"], "data.synthetic.events"),
        (["--set", "data.fractions=[0.5, 0.4, 0.3]"], "data.fractions"),
        (["--set", "data.groups=['nope']"], "data.groups"),
        (["--set", "train.device=cuda:9"], "train.device: unknown value 'cuda:9'"),
        (["--seed", "-1"], "seed: is -1"),
    ],
)
def test_bad_settings(tmp_path: Path, flags: list[str], line: str) -> None:
    out = tmp_path / "out"
    assert custodes(*TRAIN, "--out", out, *flags).refusal.startswith(line)
    assert not out.exists()


def test_an_existing_out(a_run: Path, unchanged: Callable[[Path], Unchanged]) -> None:
    check = unchanged(a_run)
    refusal = custodes(*TRAIN, "--out", a_run).refusal
    assert refusal == (
        f"{a_run}: the folder exists and is not empty; choose another --out, or continue it with --resume {a_run}"
    )
    check()


COMMANDS: dict[str, Callable[[Path], Ran]] = {
    "resume": lambda run: custodes("train", "--resume", run, "--set", "train.iterations=3"),
    "evaluate": lambda run: custodes("evaluate", run, "--baselines", "none"),
    "report": lambda run: custodes("report", run),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_run_of_another_version(a_run: Path, unchanged: Callable[[Path], Unchanged], command: str) -> None:
    file = a_run / "config.toml"
    file.write_text(file.read_text().replace("format = 1", "format = 2"))
    check = unchanged(a_run)
    assert "this run has format 2" in COMMANDS[command](a_run).refusal
    check()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_run(tmp_path: Path, command: str) -> None:
    assert "no run here" in COMMANDS[command](tmp_path / "nothing").refusal
    assert "no run here" in COMMANDS[command](tmp_path).refusal


@pytest.mark.parametrize("command", COMMANDS)
def test_cut_settings(a_run: Path, command: str) -> None:
    file = a_run / "config.toml"
    text = file.read_bytes()
    for size in (0, len(text) // 2, text.index(b"[versions]")):
        file.write_bytes(text[:size])
        assert "config.toml" in COMMANDS[command](a_run).refusal


@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_a_cut_encoder(a_run: Path, unchanged: Callable[[Path], Unchanged], command: str) -> None:
    file = a_run / "encoder.json"
    text = file.read_bytes()
    for data in (b"", text[:1], text[: len(text) // 2], text[:-3], b"{}", b"[]", b"null"):
        file.write_bytes(data)
        check = unchanged(a_run)
        assert "encoder" in COMMANDS[command](a_run).refusal
        check()


def cut(file: Path, share: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.9999])
def test_a_cut_checkpoint(a_run: Path, unchanged: Callable[[Path], Unchanged], share: float) -> None:
    for name in (BEST, LAST, PREVIOUS):
        cut(a_run / "checkpoints" / name, share)
    for command, name in (("evaluate", BEST), ("resume", LAST)):
        check = unchanged(a_run)
        refusal = COMMANDS[command](a_run).refusal
        assert name in refusal
        assert "damaged" in refusal
        check()


def test_a_cut_last_checkpoint_costs_only_an_interval(a_run: Path, trained: Path) -> None:
    cut(a_run / "checkpoints" / LAST, 0.5)
    done = custodes("train", "--resume", a_run)
    assert done.code == 0
    assert "continuing from the checkpoint before it" in done.err
    assert iterations(a_run) == [1, 2]
    assert weights(a_run) == weights(trained)


def test_resume_on_other_data(a_run: Path, tmp_path: Path, unchanged: Callable[[Path], Unchanged]) -> None:
    check = unchanged(a_run)
    refusal = custodes("train", "--resume", a_run, "--data", write(tmp_path, "")).refusal
    assert "not the data that the run was trained on" in refusal
    check()


def test_damaged_metrics(a_run: Path, unchanged: Callable[[Path], Unchanged]) -> None:
    (a_run / "metrics.jsonl").write_bytes(b"what?\n" + (a_run / "metrics.jsonl").read_bytes())
    check = unchanged(a_run)
    for command in ("resume", "report"):
        assert "line 1" in COMMANDS[command](a_run).refusal
        check()


def test_a_damaged_evaluation(a_run: Path) -> None:
    (a_run / "evaluation-test.json").write_bytes(b'{"f1": ')
    assert "evaluation-test.json" in COMMANDS["report"](a_run).refusal
    assert COMMANDS["evaluate"](a_run).code == 0
    assert COMMANDS["report"](a_run).code == 0


@pytest.mark.parametrize("place", ["file/out", "file/deep/out"])
def test_a_path_below_a_file(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    assert "is not a folder; choose another --out" in custodes(*TRAIN, "--out", tmp_path / place).refusal
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no users to be on this system")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    # The superuser may write everywhere: the child is somebody else just where the folder is made, since another user
    # may not even be able to read the interpreter's modules.
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))  # pytest's own are closed to other users
    folder.chmod(0o555)
    code = """
import os, sys
from custodes.cli.entry import run
from custodes.train import loop
create, user = loop.create_run, os.geteuid()
def create_as_nobody(*args, **kwargs):
    if user == 0:
        os.seteuid(65534)
    try:
        return create(*args, **kwargs)
    finally:
        os.seteuid(user)
loop.create_run = create_as_nobody
sys.exit(run(sys.argv[1:]))
"""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, TRAIN), "--out", str(folder / "out")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "permission denied; make the folder writable" in Ran(done.returncode, done.stdout, done.stderr).refusal
        assert not (folder / "out").exists()
    finally:
        folder.chmod(0o700)
        folder.rmdir()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with monkeypatch.context() as patch:
        fail(patch, "mkdir", OSError(number, os.strerror(number)))
        refusal = custodes(*TRAIN, "--out", tmp_path / "out").refusal
    assert os.strerror(number).lower() in refusal
    assert str(tmp_path / "out") in refusal
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_results_on_a_full_disk(
    a_run: Path, monkeypatch: pytest.MonkeyPatch, unchanged: Callable[[Path], Unchanged], command: str
) -> None:
    assert COMMANDS[command](a_run).code == 0
    check = unchanged(a_run)
    with monkeypatch.context() as patch:
        fail(patch, "write", OSError(errno.ENOSPC, "No space left on device"))
        assert "no space left on device; free some space" in COMMANDS[command](a_run).refusal
    check()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fills_up_anywhere_in_a_training_loses_nothing(
    a_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    flags = ("--set", "train.iterations=4", "--set", "train.checkpoint_every=1")
    whole = Path(shutil.copytree(a_run, tmp_path / "whole"))
    assert custodes("train", "--resume", whole, *flags).code == 0
    for after in range(100):
        broken = Path(shutil.copytree(a_run, tmp_path / f"broken{after}"))
        with monkeypatch.context() as patch:
            fail(patch, step, OSError(errno.ENOSPC, "No space left on device"), after)
            done = custodes("train", "--resume", broken, *flags)
        if done.code == 0:
            break
        assert done.code == 2
        assert done.err.splitlines()[-1].startswith("custodes: ")
        assert "no space left on device" in done.err
        assert custodes("train", "--resume", broken, *flags).code == 0
        assert iterations(broken) == [1, 2, 3, 4]
        assert weights(broken) == weights(whole)
    assert 4 <= after < 99
