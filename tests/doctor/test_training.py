"""The doctor beside a training changes nothing in it, and follows it through a resume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from custodes.doctor import diagnose
from custodes.doctor.read import read_run
from custodes.doctor.schema import SESSIONS
from custodes.train.loop import Watcher, resume, train
from custodes.train.presets import load_preset
from custodes.train.run_folder import open_run, update_config
from custodes.train.settings import apply_overrides, from_table, to_table
from tests.doctor.conftest import SMALL


def weights(run: Path) -> dict[str, bytes]:
    tensors = load_file(run / "checkpoints" / "last.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def test_the_same_bits_with_the_record_and_without(trained_run: Path, tmp_path: Path) -> None:
    train(load_preset("quick", [*SMALL, "train.diagnostics=false"]), tmp_path / "run")
    assert weights(tmp_path / "run") == weights(trained_run)


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """A run that was stopped after two iterations and resumed."""
    path = tmp_path / "run"
    seen: list[int] = []
    watcher = Watcher(iterated=lambda line: seen.append(line["iteration"]), stop=lambda: len(seen) == 2)
    train(load_preset("quick", SMALL), path, watcher)
    resume(path)
    return path


def test_a_resumed_run_reads_like_one_that_was_not(halves: Path, trained_run: Path) -> None:
    resumed, straight = read_run(halves), read_run(trained_run)
    assert resumed.iterations == straight.iterations
    assert resumed.facts.sessions is not None
    assert [session.iteration for session in resumed.facts.sessions] == [0, 2]
    names = ("parameters_mark_before", "generators_mark_after", "optimiser_steps_before", "advantage_signal", "threats")
    for name in names:
        np.testing.assert_array_equal(resumed[name], straight[name])
    assert not {"resume-mismatch", "unreproducible"} & {finding.name for finding in diagnose(resumed).findings}


def test_a_run_that_goes_on_with_other_code_is_found(halves: Path) -> None:
    lines = [json.loads(line) for line in (halves / SESSIONS).read_text().splitlines()]
    lines[1]["code"] = "other"
    (halves / SESSIONS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = {finding.name: finding for finding in diagnose(read_run(halves)).findings}
    assert found["resume-mismatch"].iteration == 3
    assert found["resume-mismatch"].cause == "the run was continued with another code"


def test_a_run_that_goes_on_with_another_seed_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run"
    train(load_preset("quick", [*SMALL, "train.iterations=2"]), path)
    run = open_run(path)
    changed = apply_overrides(to_table(run.config), ["seed=9", "train.iterations=4"])
    update_config(run, from_table(changed, type(run.config)))
    resume(path)
    found = {finding.name: finding for finding in diagnose(read_run(path)).findings}
    assert found["resume-mismatch"].iteration == 3
    assert [part.metric for part in found["resume-mismatch"].evidence] == ["seed"]


def test_each_finding_is_told_to_the_watcher_once(tmp_path: Path) -> None:
    told: list[str] = []
    watcher = Watcher(found=lambda finding: told.append(finding.name))
    train(load_preset("quick", [*SMALL, "team.agents=3"]), tmp_path / "run", watcher)
    assert told.count("consensus-f0") == 1
    assert len(told) == len(set(told))
