"""Faults: reachable by name alone, and found in small trainings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from custodes.doctor import CATALOGUE, diagnose
from custodes.doctor.faults import FAULTS, fault_of
from custodes.doctor.faults.update import _interleaved_cut
from custodes.doctor.read import read_run
from custodes.errors import CustodesError
from custodes.rl.mechanics import Mechanics
from custodes.train.loop import train
from custodes.train.presets import load_preset
from custodes.train.session import Experiment
from tests.doctor.conftest import SMALL

SOURCE = Path(__file__).parents[2] / "src" / "custodes"
EXACT = {
    "ratio-broadcast": "ratio-broadcast",
    "dropout": "dropout-mismatch",
    "normaliser-drift": "normaliser-drift",
    "normalised-advantage-returns": "return-target",
    "frozen-critic": "value-head-frozen",
    "rounded-reward": "reward-constant",
    "late-reward": "reward-misaligned",
    "saturated-reward": "reward-saturated",
    "unseeded-noise": "unreproducible",
    "unscaled-inputs": "input-scale",
    "blind-agent": "inputs-constant",
    "lost-votes": "votes-lost",
    "metric-window": "metric-window",
    "three-agents": "consensus-f0",
    "tiny-learning-rate": "update-too-small",
    "high-learning-rate": "update-too-large",
    "entropy-sign": "entropy-collapse",
    "leaky-split": "split-leakage",
}
"""Faults that four iterations of a few events are enough to find; the others are in `make doctor-matrix`."""


def test_there_are_enough_and_each_names_a_finding() -> None:
    assert len(FAULTS) >= 24
    assert {fault.finds for fault in FAULTS.values()} <= set(CATALOGUE)
    assert all(name == fault.name and fault.what for name, fault in FAULTS.items())


def test_nothing_but_the_command_line_reaches_them() -> None:
    importers = set()
    for file in SOURCE.rglob("*.py"):
        if "faults" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("custodes.doctor.faults"):
                importers.add(file.relative_to(SOURCE).as_posix())
    assert importers == {"cli/train.py"}


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(CustodesError, match="unknown fault no-such"):
        fault_of("ratio-broadcast,no-such")


def test_two_faults_share_a_run_unless_they_change_the_same_part() -> None:
    both = fault_of("ratio-broadcast,three-agents")
    assert both.finds == "ratio-broadcast,consensus-f0"
    assert both.settings == ("team.agents=3",)
    assert both.seams().mechanics.losses is not Mechanics().losses
    with pytest.raises(CustodesError, match="two of them change collect"):
        fault_of("zero-start-state,late-reset").seams()


def test_interleaved_units_hold_every_nth_step() -> None:
    begins = torch.zeros(8, 1, dtype=torch.bool)
    sequences = _interleaved_cut(begins, torch.tensor([0, 1]), 4)
    assert sequences.index.t().tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert sorted(sequences.steps.tolist()) == list(range(8))


@pytest.mark.parametrize("name", EXACT)
def test_a_fault_is_the_first_finding(name: str, tmp_path: Path) -> None:
    fault = fault_of(name)
    assert fault.finds == EXACT[name]
    config = load_preset("quick", [*SMALL, *fault.settings])
    train(config, tmp_path / "run", None, Experiment(name=name, seams=fault.seams()))
    found = [finding.name for finding in diagnose(read_run(tmp_path / "run")).findings]
    assert found[:1] == [fault.finds], found


RULED = {"impossible-rule": "rule answered", "lost-costs": "rule all-asked-about"}


@pytest.mark.parametrize("name", RULED)
def test_a_fault_of_rules_is_the_first_finding_and_names_the_rule(name: str, tmp_path: Path) -> None:
    fault = fault_of(name)
    config = load_preset("quick", [*SMALL, "train.iterations=20", *fault.settings])
    train(config, tmp_path / "run", None, Experiment(name=name, seams=fault.seams()))
    found = diagnose(read_run(tmp_path / "run")).findings
    assert [finding.name for finding in found][:1] == [fault.finds], found
    assert RULED[name] in str(found[0])
