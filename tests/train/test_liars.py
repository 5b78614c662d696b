"""Training with liars in the team: exact to resume, untouched without them; and a traitor against a finished team."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from custodes.env.liars import LiarsEnv
from custodes.errors import CustodesError
from custodes.evaluate.byzantine.record import siege_of
from custodes.train import checkpoint
from custodes.train.loop import Watcher, resume, train
from custodes.train.presets import load_preset
from custodes.train.scoring import evaluate_run, load_team, workload_of
from custodes.train.traitor import train_traitor, traitor_game
from custodes.train.traitor_file import FILE, TraitorConfig, has_traitor, read_traitor, traitor_config
from tests.train.test_resume import SMALL, assert_same_run, straight, tensors

LIARS = ("liars.share=0.5", "liars.most=2", "team.agents=4")
TINY = TraitorConfig(decisions=600, hidden=8)


@pytest.mark.parametrize("more", [(), ("rl.algorithm=mappo",), ("env.task=triage", "env.lanes=by_stream")])
def test_stopping_and_resuming_with_liars(tmp_path: Path, more: tuple[str, ...]) -> None:
    whole = straight(tmp_path / "whole", *LIARS, *more)
    seen: list[int] = []
    watcher = Watcher(iterated=lambda line: seen.append(line["iteration"]), stop=lambda: len(seen) == 13)
    train(load_preset("quick", [*SMALL, *LIARS, *more]), tmp_path / "cut", watcher)
    resume(tmp_path / "cut")
    assert_same_run(whole, tmp_path / "cut")
    plain = straight(tmp_path / "plain", "team.agents=4", *more)
    assert (plain / "metrics.jsonl").read_text() != (whole / "metrics.jsonl").read_text()
    line = json.loads((whole / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["ratio_error"] < 1e-5


def test_a_team_that_trained_with_liars_is_evaluated(tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = train(load_preset("quick", [*SMALL, *LIARS, "rl.algorithm=mappo", "train.iterations=2"]), out)
    workload = workload_of(run)
    env = workload.training_env(1, 0)
    assert isinstance(env, LiarsEnv)
    assert env.central_inputs == workload.table.inputs + 4
    evaluation = evaluate_run(run, workload, baselines=())
    assert evaluation.bft is not None
    assert evaluation.bft.table == ()


def test_without_liars_their_settings_are_not_read(tmp_path: Path) -> None:
    plain = straight(tmp_path / "plain", "train.iterations=2")
    other = straight(tmp_path / "other", "train.iterations=2", "liars.most=3", "liars.wake=1", "env.credit_mix=0.9")
    first, second = tensors(plain, "last"), tensors(other, "last")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(name.startswith("env.liars") for name in first)


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("liars.share=2", "liars.share: is 2"),
        ('liars.attacks=["bribe"]', "liars.attacks: holds bribe"),
        ("env.credit=mine", "env.credit: unknown value"),
        ("env.credit_mix=-1", "env.credit_mix"),
    ],
)
def test_bad_settings_are_one_line(flag: str, line: str) -> None:
    with pytest.raises(CustodesError, match=line):
        load_preset("quick", [flag])


def test_liars_need_a_team_that_can_stand_one() -> None:
    with pytest.raises(CustodesError, match=r"liars\.most: is 0 .*2 agents"):
        load_preset("quick", ["liars.share=0.5", "team.agents=2"])


@pytest.mark.parametrize("task", ["response", "triage"])
def test_a_traitor_is_trained_kept_and_used(tmp_path: Path, task: str) -> None:
    out = tmp_path / "run"
    run = train(load_preset("quick", [*SMALL, "train.iterations=3", "team.agents=4", f"env.task={task}"]), out)
    workload = workload_of(run)
    team, _ = load_team(run, workload, checkpoint.file_of(run.checkpoints, "best"))
    assert not has_traitor(run)
    path = train_traitor(run, workload, team, TINY, seed=4)
    assert path == out / FILE
    first = checkpoint.load_file(path)
    assert train_traitor(run, workload, team, TINY, seed=4) == path
    again = checkpoint.load_file(path)
    assert again.scalars == first.scalars
    assert all(torch.equal(again.tensors[name], value) for name, value in first.tensors.items())
    kept = read_traitor(run, team)
    assert (kept.seats, kept.agents) == (2, 4)
    assert "600" not in kept.notes[0]  # Whole iterations: at least what was asked for.
    evaluation = evaluate_run(run, workload, baselines=(), siege=siege_of("traitor", None, 4, seats=2))
    assert evaluation.bft is not None
    assert {row.attack for row in evaluation.bft.table} == {None, "traitor"}
    assert evaluation.bft.notes == kept.notes
    # Another team: it is said that the traitor was not trained against this one.
    torch.nn.init.zeros_(next(team.policy.parameters()))
    assert "another checkpoint" in read_traitor(run, team).notes[1]


def test_a_stopped_traitor_keeps_nothing(tmp_path: Path) -> None:
    run = train(load_preset("quick", [*SMALL, "train.iterations=1", "team.agents=4"]), tmp_path / "run")
    workload = workload_of(run)
    team, _ = load_team(run, workload, checkpoint.file_of(run.checkpoints, "best"))
    watcher = Watcher(stop=lambda: True)
    assert train_traitor(run, workload, team, TINY, seed=0, watcher=watcher) is None
    assert not has_traitor(run)
    with pytest.raises(CustodesError, match="9 liars among 4"):
        traitor_game(workload, team, replace(TINY, most=9), 0)


def test_damaged_and_foreign_traitors_are_refused(tmp_path: Path) -> None:
    run = train(load_preset("quick", [*SMALL, "train.iterations=1", "team.agents=4"]), tmp_path / "run")
    workload = workload_of(run)
    team, _ = load_team(run, workload, checkpoint.file_of(run.checkpoints, "best"))
    path = train_traitor(run, workload, team, TINY, seed=0)
    assert path is not None
    data = path.read_bytes()
    path.write_bytes(data[:-9])
    with pytest.raises(CustodesError, match="damaged"):
        read_traitor(run, team)
    path.write_bytes(checkpoint.file_of(run.checkpoints, "best").read_bytes())
    with pytest.raises(CustodesError, match="no traitor"):
        read_traitor(run, team)


def test_settings_of_a_traitor_are_strict() -> None:
    assert traitor_config(["traitor.decisions=5000", "traitor.gamma=0"]).decisions == 5000
    for change, line in (("rl.gamma=0", "unknown setting"), ("traitor.decisions=0", "is 0, below 1")):
        with pytest.raises(CustodesError, match=line):
            traitor_config([change])
