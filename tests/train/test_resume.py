"""A run that is killed and resumed is, to the last bit, the run that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from custodes.train import checkpoint
from custodes.train.loop import Watcher, resume, train
from custodes.train.presets import load_preset

SMALL = [
    "rl.warm_start=false",
    "data.synthetic.hosts=2",
    "data.synthetic.processes=40",
    "data.synthetic.events=6000",
    "data.synthetic.campaigns=8",
    "env.slots=8",
    "rl.rollout=16",
    "rl.encoder=8",
    "rl.hidden=8",
    "train.iterations=20",
    "train.checkpoint_every=5",
    "train.eval_every=1000",
]
ENTRY = "from custodes.cli import main; main()"
TIMING = ("steps_per_second", "seconds")


def lines(run: Path) -> list[dict[str, object]]:
    """The metrics without what depends on the clock."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMING} for line in found]


def tensors(run: Path, file: str) -> dict[str, torch.Tensor]:
    return dict(checkpoint.load_file(run / "checkpoints" / f"{file}.safetensors").tensors)


def assert_same_run(one: Path, other: Path) -> None:
    for file in ("last", "best"):
        first, second = tensors(one, file), tensors(other, file)
        assert first.keys() == second.keys()
        # What was never measured is not a number in both.
        assert [name for name in first if first[name].shape != second[name].shape] == []
        same = partial(torch.allclose, rtol=0.0, atol=0.0, equal_nan=True)
        assert [name for name in first if not same(first[name], second[name])] == []
    assert lines(one) == lines(other)
    assert [line["iteration"] for line in lines(one)] == list(range(1, 21))


def straight(out: Path, *more: str) -> Path:
    train(load_preset("quick", [*SMALL, *more]), out)
    return out


@pytest.mark.slow
def test_kill_9_after_ten_iterations_and_resume(tmp_path: Path) -> None:
    whole = straight(tmp_path / "whole")
    cut = tmp_path / "cut"
    overrides = [part for change in SMALL for part in ("--set", change)]
    command = [sys.executable, "-c", ENTRY, "train", "--preset", "quick", "--out", str(cut), *overrides]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 120
    while not (cut / "metrics.jsonl").exists() or len(lines_so_far(cut)) < 11:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 10 <= len(lines_so_far(cut)) < 20
    resume(cut)
    assert_same_run(whole, cut)


def lines_so_far(run: Path) -> list[bytes]:
    """Whole lines only: the writer may be in the middle of one."""
    return [line for line in (run / "metrics.jsonl").read_bytes().split(b"\n")[:-1] if line]


@pytest.mark.parametrize(
    "more", [(), ("rl.algorithm=mappo", "rl.core=gru", "rl.sharing=shared"), ("rl.warm_start=true",)]
)
def test_stopping_between_checkpoints_and_resuming(tmp_path: Path, more: tuple[str, ...]) -> None:
    whole = straight(tmp_path / "whole", *more)
    seen: list[int] = []
    watcher = Watcher(iterated=lambda line: seen.append(line["iteration"]), stop=lambda: len(seen) == 13)
    train(load_preset("quick", [*SMALL, *more]), tmp_path / "cut", watcher)
    assert seen == list(range(1, 14))
    resume(tmp_path / "cut")
    assert_same_run(whole, tmp_path / "cut")


@pytest.mark.parametrize(("rollouts", "solve"), [(0, 0), (3, 0), (6, 3)])
def test_stopping_in_the_warm_start_leaves_a_run_that_resumes(tmp_path: Path, rollouts: int, solve: int) -> None:
    more = (
        "rl.warm_start=true",
        "rl.warm_start_iterations=5",
        "rl.warm_start_by=worth",
        f"rl.warm_start_solve={solve}",
    )
    whole = straight(tmp_path / "whole", *more)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > rollouts

    cut = tmp_path / "cut"
    train(load_preset("quick", [*SMALL, *more]), cut, Watcher(stop=stop))
    assert not (cut / "metrics.jsonl").exists()
    resume(cut)
    assert_same_run(whole, cut)


def test_a_run_cut_before_its_first_checkpoint_resumes(tmp_path: Path) -> None:
    whole = straight(tmp_path / "whole")
    cut = tmp_path / "cut"
    train(load_preset("quick", SMALL), cut, Watcher(stop=lambda: True))
    for file in (cut / "checkpoints").iterdir():
        file.unlink()
    resume(cut)
    assert_same_run(whole, cut)


def test_other_versions_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = tmp_path / "cut"
    train(load_preset("quick", SMALL), cut, Watcher(stop=lambda: True))
    monkeypatch.setattr("custodes.train.loop.current_versions", lambda: {"torch": "9.9"})
    said: list[str] = []
    resume(cut, Watcher(warn=said.append, stop=lambda: True))
    assert any("-> 9.9" in line for line in said)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    one, two = straight(tmp_path / "one"), straight(tmp_path / "two")
    assert_same_run(one, two)
    train(load_preset("quick", [*SMALL, "seed=1"]), tmp_path / "three")
    assert lines(tmp_path / "three") != lines(one)


def test_a_damaged_last_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    whole = straight(tmp_path / "whole")
    cut = tmp_path / "cut"
    seen: list[int] = []
    watcher = Watcher(iterated=lambda line: seen.append(line["iteration"]), stop=lambda: len(seen) == 12)
    train(load_preset("quick", SMALL), cut, watcher)
    last = cut / "checkpoints" / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-7])
    said: list[str] = []
    resume(cut, Watcher(warn=said.append))
    assert sum("damaged" in line for line in said) == 1
    assert_same_run(whole, cut)
