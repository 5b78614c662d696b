"""Training under rules: what is written, what is refused, and that it resumes to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from custodes.doctor import diagnose
from custodes.doctor.read import read_run
from custodes.errors import CustodesError
from custodes.evaluate.byzantine.record import siege_of
from custodes.evaluate.byzantine.refused import USED
from custodes.evaluate.evaluation import decode_evaluation, encode_evaluation
from custodes.evaluate.run_schema import validate_line
from custodes.train.loop import Watcher, resume, train
from custodes.train.presets import load_preset
from custodes.train.rules import RULES
from custodes.train.run_folder import RunFolder, open_run
from custodes.train.scoring import evaluate_run, workload_of
from tests.train.test_resume import SMALL, TIMING, assert_same_run, tensors

TEXT = """
[[spec]]
name = "spared"
formula = "always (first and innocent -> always (not contain))"
tags = ["label"]
[[spec]]
name = "in time"
formula = "always (turned -> eventually[0:6] contained)"
tags = ["label"]
[[spec]]
name = "foreseen"
formula = "always (turned -> once[1:] contained)"
tags = ["label"]
[[spec]]
name = "together"
formula = "always (contain -> votes >= 3)"
"""
LIMITS = {"in time": 0.025, "spared": 0.025, "foreseen": 0.025, "together": 0.025}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "mine.toml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def settings(file: Path, *more: str) -> list[str]:
    return [*SMALL, f"rules.file={file}", *more]


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[str]]:
    said: list[str] = []
    out = tmp_path_factory.mktemp("runs") / "run"
    # So far a step that rules are broken and costs are learned.
    config = load_preset("quick", settings(file, "rl.learning_rate=2e-3"))
    return train(config, out, Watcher(warn=said.append)), said


def read(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def test_every_iteration_says_how_the_rules_did(run: tuple[RunFolder, list[str]]) -> None:
    lines = read(run[0])
    for line in lines:
        validate_line(line)
        assert {name: each["target"] for name, each in line["specs"].items()} == LIMITS
        shares = [each["satisfied"] for each in line["specs"].values() if each["satisfied"] is not None]
        assert line["stl_satisfied"] == (pytest.approx(sum(shares) / len(shares)) if shares else None)
        for each in line["specs"].values():
            assert (each["satisfied"] is None) == (each["triggered"] == 0)
    assert sum(line["specs"]["in time"]["triggered"] for line in lines) > 0
    assert any(each["multiplier"] > 0 for line in lines for each in line["specs"].values())
    assert lines[-1]["specs"]["spared"]["eval_satisfied"] is not None


def test_a_rule_that_nobody_can_keep_is_said_and_not_fought(run: tuple[RunFolder, list[str]]) -> None:
    """Nothing but a crystal ball contains before the first malicious event."""
    folder, said = run
    line = next(each for each in said if "foreseen" in each)
    assert "measured and not trained" in line
    assert "oracle 0.00 of " in line
    for each in read(folder):
        assert not each["specs"]["foreseen"]["trained"]
        assert each["specs"]["foreseen"]["multiplier"] == 0.0
        assert each["specs"]["in time"]["trained"]


def test_the_evaluation_judges_the_replay(run: tuple[RunFolder, list[str]]) -> None:
    folder, _ = run
    found = evaluate_run(folder, workload_of(folder), part="test", baselines=("event-kind",))
    assert found.stl is not None
    assert set(found.stl) == set(LIMITS)
    assert found.stl["spared"].triggered > 0
    assert found.stl["spared"].evidence["allow"].satisfied_rate == 1.0
    assert found.stl["in time"].evidence["oracle"].satisfied_rate == 1.0
    assert found.stl["in time"].feasible
    assert not found.stl["foreseen"].feasible
    assert "event-kind" in found.stl["foreseen"].evidence
    assert decode_evaluation(encode_evaluation(found)) == found


def test_the_attack_table_says_how_rules_hold(run: tuple[RunFolder, list[str]]) -> None:
    folder, _ = run
    siege = siege_of("all", 1, 4, seats=0)
    found = evaluate_run(folder, workload_of(folder), part="test", baselines=(), siege=siege)
    assert found.bft is not None
    assert found.stl is not None
    clean = next(row for row in found.bft.table if row.rule == USED and row.attack is None)
    wanted: dict[str, float | None] = {name: each.satisfied_rate for name, each in found.stl.items()}
    assert clean.mean.stl == wanted | {"together": None}
    assert all((row.worst.stl is None) == (row.rule != USED) for row in found.bft.table)
    assert decode_evaluation(encode_evaluation(found)) == found


@pytest.mark.parametrize(
    "more",
    [
        ("rl.warm_start=true", "rl.warm_start_iterations=3"),
        ("env.credit=team", "env.lane_share=0.3", "rl.algorithm=mappo", "rules.derivative=0.5"),
        ("rules.method=penalty",),
        ("liars.share=0.5", "liars.most=2", "env.credit=pivotal", "env.credit_mix=0.5", "env.lane_share=0.3"),
    ],
)
def test_it_resumes_to_the_bit(file: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    config = load_preset("quick", settings(file, *more))
    train(config, tmp_path / "whole")
    seen: list[int] = []
    watcher = Watcher(iterated=lambda line: seen.append(line["iteration"]), stop=lambda: len(seen) == 13)
    train(config, tmp_path / "cut", watcher)
    file_in_run = tmp_path / "cut" / RULES
    assert file_in_run.read_text(encoding="utf-8") == TEXT
    resume(tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_watching_rules_changes_nothing(file: Path, tmp_path: Path) -> None:
    """A run without rules, one whose rules are only watched: the same parameters and metrics to the last bit."""
    train(load_preset("quick", SMALL), tmp_path / "without")
    train(load_preset("quick", settings(file, "rules.method=watch")), tmp_path / "watched")
    for one, other in zip(read(open_run(tmp_path / "without")), read(open_run(tmp_path / "watched")), strict=True):
        assert one["stl_satisfied"] is None
        assert "specs" not in one
        for name in (*TIMING, "stl_satisfied", "specs"):
            one.pop(name, None)
            other.pop(name, None)
        assert one == other
    bare, watched = tensors(tmp_path / "without", "last"), tensors(tmp_path / "watched", "last")
    assert set(watched) - set(bare) == {name for name in watched if name.startswith("rules.")}
    assert [name for name in bare if not torch.equal(bare[name], watched[name])] == []


def test_watching_rules_changes_nothing_among_liars(file: Path, tmp_path: Path) -> None:
    liars = ("liars.share=0.5", "liars.most=2", "train.iterations=4")
    train(load_preset("quick", [*SMALL, *liars]), tmp_path / "without")
    run = train(load_preset("quick", settings(file, "rules.method=watch", *liars)), tmp_path / "watched")
    bare, watched = tensors(tmp_path / "without", "last"), tensors(tmp_path / "watched", "last")
    assert [name for name in bare if not torch.equal(bare[name], watched[name])] == []
    assert sum(line["specs"]["spared"]["triggered"] for line in read(run)) > 0


def test_the_doctor_is_told_of_the_rules(run: tuple[RunFolder, list[str]]) -> None:
    signals = read_run(run[0].path)
    names = tuple(LIMITS)
    assert set(signals.facts.specs or ()) == set(names)
    order = [signals.facts.specs.index(name) for name in names] if signals.facts.specs else []
    for row, line in enumerate(read(run[0])):
        for spec, name in zip(order, names, strict=True):
            said = line["specs"][name]["satisfied"] if line["specs"][name]["trained"] else None
            held = signals["spec_satisfied"][row, spec]
            assert np.isnan(held) if said is None else held == said
    assert np.isnan(signals["spec_satisfied"][:, order[names.index("foreseen")]]).all()
    assert not any(finding.name == "spec-always-violated" for finding in diagnose(signals).findings)


def test_a_penalty_is_taken_off_the_reward(file: Path, tmp_path: Path) -> None:
    small = settings(file, "train.iterations=2", "rl.normalise_value=false")
    plain = train(load_preset("quick", [*small, "rules.method=watch"]), tmp_path / "plain")
    priced = train(load_preset("quick", [*small, "rules.method=penalty", "rules.penalty=3.0"]), tmp_path / "priced")
    before, after = read(plain)[0], read(priced)[0]
    assert before["reward_per_decision"] == after["reward_per_decision"]
    assert after["return_mean"] < before["return_mean"]
    assert after["specs"]["spared"]["multiplier"] is None


def test_other_rules_are_refused_when_a_run_goes_on(file: Path, tmp_path: Path) -> None:
    config = load_preset("quick", settings(file, "train.iterations=2"))
    stopped = train(config, tmp_path / "run", Watcher(stop=lambda: True))
    (stopped.path / RULES).write_text(TEXT.replace("0:6", "0:9"), encoding="utf-8")
    with pytest.raises(CustodesError, match=r"rules\.toml: these are not the rules that the run was trained under"):
        resume(stopped.path)
    with pytest.raises(CustodesError, match="not the rules"):
        evaluate_run(stopped, workload_of(stopped), baselines=())
    (stopped.path / RULES).unlink()
    with pytest.raises(CustodesError, match=r"rules\.toml"):
        resume(stopped.path)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["rules.file=nowhere.toml"], "cannot read it"),
        (["rules.file=default", "env.task=triage"], "use env.task=response"),
        (["rules.file=default", "rules.most=0"], r"rules\.most"),
        (["rules.file=default", "rules.tighten=0"], r"rules\.tighten"),
        (["rules.file=default", "rules.method=hope"], "unknown value"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(more: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match=says):
        train(load_preset("quick", [*SMALL, *more]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_signals_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[spec]]\nname = "r"\nformula = "always (alert -> wisdom)"', encoding="utf-8")
    with pytest.raises(CustodesError, match="there is no signal 'wisdom'"):
        train(load_preset("quick", settings(file)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
