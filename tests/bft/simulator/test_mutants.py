"""Every seeded defect is found, and taken out again."""

from __future__ import annotations

import json

import pytest

from benchmarks import bft_mutants
from custodes.bft.simulator import broken, suite
from custodes.bft.simulator.directed import DIRECTED
from custodes.bft.simulator.faults import applied
from custodes.bft.simulator.hunting import hunt
from custodes.bft.simulator.monitor import Monitor
from custodes.bft.simulator.mutants import BY_NAME, MUTANTS, Mutant
from custodes.bft.verify import Verifier


def test_there_are_enough_of_them() -> None:
    assert len(BY_NAME) == len(MUTANTS) >= 15


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_defect_is_found(mutant: Mutant) -> None:
    kill = hunt(mutant)
    assert kill.killed, f"{mutant.name} survived {kill.tried} scenarios"
    assert kill.rule
    assert mutant.name in kill.replay


def test_nothing_is_left_of_a_defect() -> None:
    before = Verifier.qc_fault
    with applied(broken.unchecked_qc):
        assert Verifier.qc_fault is not before
    assert Verifier.qc_fault is before
    for mutant in MUTANTS:
        with applied(mutant.seed):
            pass
    assert suite.play_all(suite.fuzz(4, "short", 0, 20), 1).failures == []


def test_a_harmless_change_survives() -> None:
    harmless = Mutant(name="harmless", what="nothing", seed=lambda patches: None, hunts=())
    assert not hunt(harmless).killed


def test_the_table_is_printed_and_fails_when_one_survives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harmless = Mutant(name="harmless", what="nothing", seed=lambda patches: None, hunts=())
    monkeypatch.setattr(bft_mutants, "MUTANTS", (BY_NAME["quorum-2f"],))
    assert bft_mutants.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["killed"] == 1
    monkeypatch.setattr(bft_mutants, "MUTANTS", (BY_NAME["quorum-2f"], harmless))
    assert bft_mutants.main([]) == 1
    assert "1 of 2 found" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["no-lock", "lowest-high"])
def test_a_lock_that_does_not_hold_parts_honest_replicas(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only a rule about votes breaks, which the suite sees first: two replicas commit different blocks."""
    fail = Monitor.fail

    def only_agreement(self: Monitor, rule: str, what: str, at: float) -> None:
        if rule == "agreement":
            fail(self, rule, what, at)

    monkeypatch.setattr(Monitor, "fail", only_agreement)
    with applied(BY_NAME[name].seed):
        rule, what = DIRECTED["bait-4"].play()
    assert rule == "agreement"
    assert "commits another block" in what
