"""What the loop writes: schema, schedules, evaluation cadence, best checkpoint, warm start."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from custodes.errors import CustodesError
from custodes.evaluate.run_schema import validate_line
from custodes.rl.learner import iterate
from custodes.rl.state import LearnerState
from custodes.train import checkpoint
from custodes.train.loop import Watcher, check_digest, resume, train
from custodes.train.presets import load_preset
from custodes.train.run_folder import RunFolder
from custodes.train.scoring import evaluate_run, workload_of
from custodes.train.tensorboard import EventLog
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
    best = max(line["eval_response"] for line in read(run) if line["eval_response"] is not None)
    saved = checkpoint.load_file(run.checkpoints / "best.safetensors")
    assert saved.scalars["best"] == best
    played = evaluate_run(run, workload_of(run), part="validation", baselines=())
    assert played.response is not None
    assert played.response.score == pytest.approx(best)


def test_in_triage_the_best_is_the_best_f1(tmp_path: Path) -> None:
    triage = ["env.task=triage", "train.iterations=3", "train.eval_every=100"]
    run = train(load_preset("quick", [*SMALL, *triage]), tmp_path / "run")
    lines = [line for line in read(run) if line["eval_f1"] is not None]
    assert all(line["eval_response"] is None for line in lines)
    saved = checkpoint.load_file(run.checkpoints / "best.safetensors")
    assert saved.scalars["best"] == max(line["eval_f1"] for line in lines)


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

    def broken(*args: Any, **kwargs: Any) -> dict[str, Any]:
        line = real(*args, **kwargs)
        return line | {"value_loss": float("nan")} if line["iteration"] == 7 else line

    monkeypatch.setattr("custodes.train.loop.iterate", broken)
    with pytest.raises(CustodesError, match="value_loss is nan at iteration 7"):
        train(load_preset("quick", SMALL), tmp_path / "run")
    assert checkpoint.load_file(tmp_path / "run" / "checkpoints" / "last.safetensors").scalars["iteration"] == 5


def test_parameters_that_are_no_numbers_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = iterate

    def broken(state: LearnerState, *args: Any, **kwargs: Any) -> dict[str, Any]:
        line = real(state, *args, **kwargs)
        if line["iteration"] == 10:
            next(state.policy.parameters()).data[0, 0] = float("inf")
        return line

    monkeypatch.setattr("custodes.train.loop.iterate", broken)
    with pytest.raises(CustodesError, match="at iteration 10"):
        train(load_preset("quick", SMALL), tmp_path / "run")
    saved = checkpoint.load_file(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert saved.scalars["iteration"] == 5
    assert all(bool(t.isfinite().all()) for t in saved.tensors.values() if t.is_floating_point())


def test_the_warm_start_counts_in_the_budget(tmp_path: Path) -> None:
    settings = ["train.iterations=0", "train.decisions=1280", "rl.warm_start=true", "rl.warm_start_iterations=4"]
    run = train(load_preset("quick", [*SMALL, *settings]), tmp_path / "run")
    assert [line["decisions"] for line in read(run)] == [5 * 128 + 128 * k for k in range(6)]


def test_rollouts_that_are_solved_on_count_in_the_budget(tmp_path: Path) -> None:
    settings = ["train.iterations=0", "train.decisions=1280", "rl.warm_start=true", "rl.warm_start_iterations=2"]
    solve = ["rl.warm_start_by=worth", "rl.warm_start_solve=3"]
    run = train(load_preset("quick", [*SMALL, *settings, *solve]), tmp_path / "run")
    assert [line["decisions"] for line in read(run)] == [6 * 128 + 128 * k for k in range(5)]


def test_a_full_disk_ends_the_tensorboard_log_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.summary.writer.record_writer import RecordWriter

    def full(self: RecordWriter, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(RecordWriter, "write", full)
    said: list[str] = []
    run = train(load_preset("quick", [*SMALL, "train.iterations=3"]), tmp_path / "run", Watcher(warn=said.append))
    assert len(read(run)) == 3
    assert sum("without TensorBoard" in line for line in said) == 1


def test_what_makes_scores_doubtful_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    settings = ["rl.sharing=shared", "team.views=disjoint", "train.iterations=1"]
    train(load_preset("quick", [*SMALL, *settings]), tmp_path / "run", Watcher(warn=said.append))
    text = " ".join(said)
    assert "share parameters" in text
    assert "too few agents see" in text


def test_tensorboard_reads_what_was_written_and_forgets_what_was_undone(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stopped = train(load_preset("quick", SMALL), tmp_path / "run", Watcher(stop=lambda: True))
    with EventLog(stopped.path, 1, enabled=True, warn=pytest.fail) as log:
        for step in (2, 3, 4):
            log.write({"iteration": step, "f1": 0.0, "entropy_per_agent": [1.0, 2.0]})
    resume(stopped.path)
    events = EventAccumulator(str(stopped.path / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("f1")] == [
        line["iteration"] for line in read(stopped) if line["f1"] is not None
    ]
    assert len(events.Scalars("entropy_per_agent/1")) == 20


def test_missing_cuda_is_said(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match="no CUDA"):
        train(load_preset("quick", [*SMALL, "train.device=cuda"]), tmp_path / "run")
