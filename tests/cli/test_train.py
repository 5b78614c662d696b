from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from safetensors.torch import load_file

from custodes.train.run_folder import open_run
from tests.cli.conftest import SMALL_FLAGS, custodes


def weights(run: Path) -> dict[str, bytes]:
    tensors = load_file(run / "checkpoints" / "last.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def iterations(run: Path) -> list[int]:
    return [json.loads(line)["iteration"] for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_is_a_folder(trained: Path) -> None:
    names = sorted(os.listdir(trained))
    assert names == [
        "checkpoints",
        "config.toml",
        "diagnostics.jsonl",
        "encoder.json",
        "inputs.safetensors",
        "lock",
        "metrics.jsonl",
        "sessions.jsonl",
    ]
    assert iterations(trained) == [1, 2]
    config = open_run(trained).config
    assert (config.preset, config.seed, config.train.iterations, config.env.slots) == ("quick", 1, 2, 8)


def test_the_default_folder_is_named_after_preset_and_seed() -> None:
    done = custodes("train", "--preset", "quick", "--seed", 5, *SMALL_FLAGS, "--set", "train.iterations=1")
    assert (done.code, done.out) == (0, f"{Path('runs', 'quick-seed5')}\n")
    assert Path("runs", "quick-seed5", "metrics.jsonl").is_file()
    assert "Training runs/quick-seed5" in done.err
    assert "100%" in done.err


def test_the_flag_wins_over_the_setting() -> None:
    done = custodes("train", *SMALL_FLAGS, "--set", "train.iterations=1", "--set", "seed=3", "--seed", 4)
    assert done.out == f"{Path('runs', 'quick-seed4')}\n"


def test_ctrl_c_leaves_a_run_that_resumes_to_the_last_bit(tmp_path: Path) -> None:
    straight, halves = tmp_path / "straight", tmp_path / "halves"
    flags = [*SMALL_FLAGS, "--set", "train.iterations=60", "--set", "train.checkpoint_every=100"]
    with subprocess.Popen(
        [sys.executable, "-m", "custodes", "train", "--out", str(halves), *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        while child.stderr.readline() not in (f"Training {halves}\n", ""):
            pass
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=120)
    assert (child.returncode, out) == (130, "")
    assert "Stopping after this iteration" in err
    assert err.endswith(f"Stopped. Continue with: custodes train --resume {halves}\n")
    assert 0 < len(iterations(halves)) < 60
    assert custodes("train", "--resume", halves).code == 0
    assert custodes("train", "--out", straight, *flags).code == 0
    assert iterations(halves) == list(range(1, 61))
    assert weights(halves) == weights(straight)


def test_kill_and_resume_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    flags = [*SMALL_FLAGS, "--set", "train.iterations=6", "--set", "train.checkpoint_every=2"]
    straight = tmp_path / "straight"
    assert custodes("train", "--out", straight, *flags).code == 0
    code = """
import os, sys
from custodes.cli.entry import run
from custodes.train.run_folder import RunFolder
append = RunFolder.append_metrics
def die(self, line):
    append(self, line)
    if line["iteration"] == 5:
        os.kill(os.getpid(), 9)
RunFolder.append_metrics = die
run(sys.argv[1:])
"""
    killed = subprocess.run(
        [sys.executable, "-c", code, "train", "--out", cut, *flags], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert iterations(cut) == [1, 2, 3, 4, 5]
    assert custodes("train", "--resume", cut).code == 0
    assert iterations(cut) == [1, 2, 3, 4, 5, 6]
    assert weights(cut) == weights(straight)


def test_a_finished_run_can_be_made_longer(a_run: Path) -> None:
    assert custodes("train", "--resume", a_run).code == 0
    assert iterations(a_run) == [1, 2]
    assert custodes("train", "--resume", a_run, "--set", "train.iterations=3").code == 0
    assert iterations(a_run) == [1, 2, 3]
    assert tomllib.loads((a_run / "config.toml").read_text())["train"]["iterations"] == 3


@pytest.mark.parametrize("flag", [["--seed", 1], ["--preset", "quick"], ["--out", "x"], ["--max-rejects", 0.5]])
def test_resume_takes_no_other_settings(a_run: Path, flag: list[str]) -> None:
    assert f"leave out {flag[0]}" in custodes("train", "--resume", a_run, *flag).refusal


def test_resume_changes_only_how_long(a_run: Path) -> None:
    refusal = custodes("train", "--resume", a_run, "--set", "rl.gamma=0.5").refusal
    assert refusal == "--set rl.gamma=0.5: a run keeps its settings, only those under train. may change; leave it out"


def test_a_recording_that_moved(tmp_path: Path) -> None:
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    synthetic = [flag for flag in SMALL_FLAGS if flag == "--set" or flag.startswith("data.")][:8]
    assert custodes("data", "convert", first, "--preset", "quick", *synthetic).code == 0
    run = tmp_path / "run"
    flags = ["--set", "train.iterations=1", "--set", "data.split=blocks", "--set", "data.block_events=100"]
    done = custodes("train", "--data", first, "--out", run, *SMALL_FLAGS, *flags)
    assert done.code == 0, done.err
    assert open_run(run).config.data.path == str(first)
    first.rename(second)
    assert "no recording first.parquet" in custodes("train", "--resume", run).refusal
    more = ["--set", "train.iterations=2"]
    assert custodes("train", "--resume", run, "--data", second, *more).code == 0
    assert open_run(run).config.data.path == str(second)
    assert iterations(run) == [1, 2]
