"""Logs of other trainers: what they hold, what they lack, and files that are damaged."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from custodes.doctor import diagnose
from custodes.doctor.foreign import is_foreign, read_foreign
from custodes.errors import CustodesError

LOGS = Path(__file__).parent / "logs"
"""Written by `python -m benchmarks.doctor_sb3 --out`: real runs of Stable-Baselines3."""
TABLE = (
    "|param|value|\n|-|-|\n|gamma|0.9|\n|clip_coef|0.2|\n|clip_vloss|True|\n|batch_size|512|\n|total_timesteps|5120|"
)


def found(path: Path) -> list[tuple[str, str]]:
    return [(finding.name, finding.severity) for finding in diagnose(read_foreign(path).signals).findings]


def write_events(path: Path, values: list[tuple[str, int, object]]) -> Path:
    """An event file: floats as simple values, arrays as tensors, texts as the text plugin's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(file_version="brain.Event:2").SerializeToString())
        for tag, step, value in values:
            if isinstance(value, float):
                part = Summary.Value(tag=tag, simple_value=value)
            else:
                part = Summary.Value(tag=tag, tensor=make_tensor_proto(value))
            writer.write(Event(step=step, summary=Summary(value=[part])).SerializeToString())
        writer.flush()
    return path


def cleanrl(path: Path, value_loss: float) -> Path:
    values: list[tuple[str, int, object]] = [("hyperparameters/text_summary", 0, TABLE)]
    for update in range(1, 31):
        step = 512 * update
        values += [("charts/episodic_return", step - 300 + k, float(update + k)) for k in (0, 100)]
        values += [
            ("losses/value_loss", step, value_loss),
            ("losses/entropy", step, 0.6),
            ("losses/approx_kl", step, 0.01),
            ("losses/clipfrac", step, 0.1),
            ("losses/explained_variance", step, 0.5),
            ("charts/unheard_of", step, 1.0),
        ]
    return write_events(path, values)


@pytest.mark.parametrize("log", ["", "events.out.tfevents.0.bench", "progress.csv"])
def test_the_failing_run_is_named_and_the_sound_one_left_alone(log: str) -> None:
    failing = diagnose(read_foreign(LOGS / "value-clip" / log).signals)
    assert [(f.name, f.severity, f.explains) for f in failing.findings] == [
        ("value-clip", "critical", ("value-target-scale",))
    ]
    assert found(LOGS / "healthy" / log) == []


def test_what_the_log_lacks_is_listed() -> None:
    run = read_foreign(LOGS / "healthy")
    assert run.trainer == "Stable-Baselines3"
    assert (len(run.signals), run.unknown, run.notes) == (63, (), ())
    lacking = {part.name: part.missing for part in diagnose(run.signals).not_examined}
    assert lacking["ratio"] == ("ratio_error",)
    assert lacking["never-falls"] == ("entropy", "advantage_signal")
    assert lacking["consensus"] == ("facts.agents", "facts.tolerated")
    assert run.signals.facts.value_clip == 0.0
    assert read_foreign(LOGS / "value-clip").signals.facts.value_clip == pytest.approx(0.2)


def test_csv_and_events_hold_the_same(tmp_path: Path) -> None:
    for name in ("value_loss", "entropy_per_agent", "explained_variance", "episode_reward"):
        events, table = (read_foreign(LOGS / "healthy" / log).signals for log in ("", "progress.csv"))
        assert np.allclose(events[name], table[name], rtol=1e-5, equal_nan=True)


def test_cleanrl_is_understood(tmp_path: Path) -> None:
    run = read_foreign(cleanrl(tmp_path / "run" / "events.out.tfevents.1.a", 2.0))
    signals = run.signals
    assert (run.trainer, len(signals), run.unknown) == ("CleanRL", 30, ("charts/unheard_of",))
    assert signals["value_loss"].tolist() == [4.0] * 30
    assert signals["episode_reward"][:3].tolist() == [51.0, 52.0, 53.0]
    assert signals["decisions"][:2].tolist() == [512.0, 1024.0]
    facts = signals.facts
    assert (facts.gamma, facts.clip, facts.per_iteration, facts.planned_iterations) == (0.9, 0.2, 512, 10)
    assert facts.value_clip is None
    assert diagnose(signals).findings == ()
    assert found(cleanrl(tmp_path / "large" / "events.out.tfevents.1.a", 5e7)) == [("value-target-scale", "critical")]


def test_tensors_are_read_like_simple_values(tmp_path: Path) -> None:
    values = [("losses/value_loss", step, np.float32(step)) for step in (1, 2)]
    run = read_foreign(write_events(tmp_path / "events.out.tfevents.1.a", list(values)))
    assert run.signals["value_loss"].tolist() == [2.0, 4.0]


def test_a_resumed_run_is_one(tmp_path: Path) -> None:
    write_events(tmp_path / "events.out.tfevents.1.a", [("train/value_loss", s, float(s)) for s in (1, 2, 3)])
    write_events(tmp_path / "events.out.tfevents.2.a", [("train/value_loss", s, 10.0 * s) for s in (3, 4)])
    assert read_foreign(tmp_path).signals["value_loss"].tolist() == [1.0, 2.0, 30.0, 40.0]


def test_a_jump_of_the_policy_is_named(tmp_path: Path) -> None:
    values: list[tuple[str, int, object]] = []
    for step in range(1, 20):
        values += [("train/value_loss", step, 1.0), ("train/approx_kl", step, 19.8 if step == 4 else 0.0)]
        values += [("train/clip_fraction", step, 0.97 if step == 4 else 0.0)]
        values += [("train/entropy_loss", step, -0.69 if step < 5 else -1e-9)]
    assert found(write_events(tmp_path / "events.out.tfevents.1.a", values)) == [("update-too-large", "critical")]


def test_a_killed_writer_costs_its_last_record(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1.a"
    data = (LOGS / "healthy" / "events.out.tfevents.0.bench").read_bytes()
    path.write_bytes(data[:-30])
    run = read_foreign(path)
    assert run.notes == (
        "events.out.tfevents.1.a: the last record is unfinished (the writer was stopped); it is left out",
    )
    assert len(run.signals) in (62, 63)


@pytest.mark.parametrize("place", [3, 30])
def test_damage_is_refused_with_its_place(tmp_path: Path, place: int) -> None:
    path = tmp_path / "events.out.tfevents.1.a"
    data = bytearray((LOGS / "healthy" / "events.out.tfevents.0.bench").read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(CustodesError, match=r"tfevents\.1\.a: no TensorBoard event at byte 0; copy the file again"):
        read_foreign(path)


def test_a_header_that_promises_too_much_is_no_endless_read(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1.a"
    path.write_bytes(struct.pack("<QI", 2**60, 0))
    with pytest.raises(CustodesError, match="no TensorBoard event at byte 0"):
        read_foreign(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train/value_loss\n1.0\n", "no column numbers the rows; one of time/total_timesteps"),
        ("step,train/value_loss\n1,2\nx,3\n", "line 3: 'x' in column step is no step"),
        ("step,height\n1,2\n", r"no log of a trainer that is known here \(tags: height"),
        ("", "no CSV table"),
    ],
)
def test_a_table_that_is_no_log_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "progress.csv"
    path.write_text(text)
    with pytest.raises(CustodesError, match=message):
        read_foreign(path)


def test_cells_may_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,train/value_loss,note\n1,,a\n2,3.5,b\n3,4.5,\n")
    assert read_foreign(path).signals["value_loss"].tolist() == [3.5, 4.5]


def test_folders(tmp_path: Path) -> None:
    assert not is_foreign(tmp_path)
    with pytest.raises(CustodesError, match="no log in this folder"):
        read_foreign(tmp_path)
    shutil.copytree(LOGS / "healthy", tmp_path / "PPO_1")
    assert is_foreign(tmp_path)
    assert len(read_foreign(tmp_path).signals) == 63
    shutil.copytree(LOGS / "healthy", tmp_path / "PPO_2")
    with pytest.raises(CustodesError, match="2 runs in this folder; name one of them: PPO_1, PPO_2"):
        read_foreign(tmp_path)
    with pytest.raises(CustodesError, match="no such file or folder"):
        read_foreign(tmp_path / "nowhere")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(CustodesError, match="no log that is read here"):
        read_foreign(tmp_path / "x.txt")


def test_a_run_of_custodes_is_not_foreign(tmp_path: Path) -> None:
    shutil.copytree(LOGS / "healthy", tmp_path / "run" / "tensorboard")
    (tmp_path / "run" / "config.toml").write_text("")
    assert not is_foreign(tmp_path / "run")
