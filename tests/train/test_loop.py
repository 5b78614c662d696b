"""What the loop writes: schema, schedules, evaluation cadence, best checkpoint, warm start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from custodes.errors import CustodesError
from custodes.evaluate.run_schema import validate_line
from custodes.rl.learner import iterate
from custodes.train import checkpoint
from custodes.train.loop import check_digest, train
from custodes.train.presets import load_preset
from custodes.train.run_folder import RunFolder
from custodes.train.scoring import evaluate_run, workload_of
from tests.train.test_resume import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train(load_preset("quick", SMALL), tmp_path_factory.mktemp("runs") / "run")


def read(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def test_every_line_is_in_the_documented_schema(run: RunFolder) -> None:
    for line in read(run):
        validate_line(line)


def test_counts_cover_the_whole_iteration(run: RunFolder) -> None:
    for line in read(run):
        assert line["tp"] + line["fp"] + line["tn"] + line["fn"] == 8 * 16
        assert line["decisions"] == line["iteration"] * 8 * 16


def test_evaluated_at_least_every_interval_and_at_the_end(run: RunFolder) -> None:
    evaluated = [line["decisions"] for line in read(run) if line["eval_f1"] is not None]
    assert evaluated[-1] == 20 * 8 * 16
    assert all(b - a <= 1000 for a, b in zip([0, *evaluated], evaluated, strict=False))


def test_best_checkpoint_is_the_best_on_validation(run: RunFolder) -> None:
    best = max(line["eval_f1"] for line in read(run) if line["eval_f1"] is not None)
    saved = checkpoint.load_file(run.checkpoints / "best.safetensors")
    assert saved.scalars["best_f1"] == best
    played = evaluate_run(run, workload_of(run), part="validation", baselines=())
    assert played.f1 == pytest.approx(best)


def test_other_data_is_refused(run: RunFolder) -> None:
    other = RunFolder(path=run.path, config=run.config, digest="0" * 64, versions=run.versions)
    with pytest.raises(CustodesError, match="not the data"):
        check_digest(other, workload_of(run))


def test_tensorboard_events_are_written(run: RunFolder) -> None:
    assert list((run.path / "tensorboard").glob("events*"))


def test_an_existing_run_is_left_alone(run: RunFolder) -> None:
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    with pytest.raises(CustodesError, match="not empty"):
        train(run.config, run.path)
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = iterate

    def broken(*args: Any) -> dict[str, Any]:
        line = real(*args)
        return line | {"value_loss": float("nan")} if line["iteration"] == 7 else line

    monkeypatch.setattr("custodes.train.loop.iterate", broken)
    with pytest.raises(CustodesError, match="value_loss is nan at iteration 7"):
        train(load_preset("quick", SMALL), tmp_path / "run")
    assert checkpoint.load_file(tmp_path / "run" / "checkpoints" / "last.safetensors").scalars["iteration"] == 5


def test_missing_cuda_is_said(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match="no CUDA"):
        train(load_preset("quick", [*SMALL, "train.device=cuda"]), tmp_path / "run")
