from __future__ import annotations

import json

import pytest

from custodes.bft.simulator import suite
from tests.cli.conftest import custodes


def test_seeds_that_hold() -> None:
    ran = custodes("bft", "simulate", "--n", 4, "--seeds", 20, "--first-seed", 100, "--workers", 1, "--json")
    assert ran.code == 0
    found = json.loads(ran.out)
    expected = {"n": 4, "f": 1, "scenarios": 20, "safety_violations": 0, "liveness_misses": 0, "seeds_failed": []}
    assert found.items() >= expected.items()


def test_a_failing_seed_is_named_with_the_command_that_replays_it() -> None:
    ran = custodes("bft", "simulate", "--seeds", 300, "--byzantine", 2, "--workers", 1)
    assert ran.code == 1
    line = next(line for line in ran.out.splitlines() if line.strip().startswith("custodes bft simulate --seed"))
    again = custodes(*line.split()[1:])
    assert again.code == 1
    assert "agreement" in again.out
    assert "trace hash" in again.out


def test_a_trace_has_a_line_per_event_and_a_hash() -> None:
    ran = custodes("bft", "simulate", "--seed", 3, "--n", 4, "--long", "--trace", "--json")
    found = json.loads(ran.out)
    assert ran.code == 0
    assert len(found["trace_hash"]) == 64
    assert any("proposal v1" in line for line in found["trace"])
    assert any(" commits h1" in line for line in found["trace"])


def test_a_mutant_is_found_and_its_seed_replays() -> None:
    ran = custodes("bft", "simulate", "--mutant", "vote-after-timeout", "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["killed"], found["rule"]) == (1, True, "no-vote-after-timeout")
    again = custodes(*found["replay"].split()[1:])
    assert again.code == 1
    assert found["what"] in again.out


def test_mutants_and_scenarios_are_listed() -> None:
    mutants = json.loads(custodes("bft", "simulate", "--mutant", "list", "--json").out)["mutants"]
    assert {"no-lock", "quorum-2f", "no-log"} <= {mutant["name"] for mutant in mutants}
    assert "no-lock" in custodes("bft", "simulate", "--mutant", "list").out
    assert "other-chain" in custodes("bft", "simulate", "--directed", "list").out


def test_a_scenario_made_by_hand() -> None:
    assert custodes("bft", "simulate", "--directed", "silent-4").out == "silent-4: all holds\n"


def test_twins() -> None:
    ran = custodes("bft", "simulate", "--twins", 1, "--workers", 1, "--json")
    assert (ran.code, json.loads(ran.out)["scenarios"]) == (0, 64)
    case = custodes("bft", "simulate", "--twins-case", "31.0-31.1-31.2")
    assert case.code == 0
    assert "commits h1" in case.out


def test_the_gate_plays_every_part_and_demands_proofs(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [suite.Directed(name="silent-4"), *suite.fuzz(4, "short", 0, 10), suite.TwinsPart(views=2, part=(0, 31, 1))]
    monkeypatch.setattr(suite, "gate", lambda: tasks)
    monkeypatch.setattr(suite, "control", lambda: suite.fuzz(4, "short", 0, 300, byzantine=2))
    ran = custodes("bft", "simulate", "--workers", 1, "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["scenarios"], found["safety_violations"]) == (0, 1 + 10 + 16, 0)
    assert 0 < found["too_many_liars"]["parted"] == found["too_many_liars"]["proven"]
    monkeypatch.setattr(suite, "control", lambda: suite.fuzz(4, "short", 0, 1, byzantine=0))
    assert custodes("bft", "simulate", "--workers", 1).code == 1


def test_the_gate_has_the_promised_parts() -> None:
    counts: dict[tuple[int, str], int] = {}
    for task in suite.gate():
        if isinstance(task, suite.Fuzz):
            counts[task.n, task.length] = counts.get((task.n, task.length), 0) + task.count
    assert counts == {(4, "short"): 20_000, (4, "long"): 5_000, (7, "long"): 2_000}
    assert sum(isinstance(task, suite.TwinsPart) for task in suite.gate()) == 256 + 96


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--n", 3], "--n 3 is not between 4 and 31"),
        (["--seeds", 0], "--seeds 0 is not at least 1"),
        (["--seed", 1, "--seeds", 2], "together make no sense"),
        (["--byzantine", 4], "--byzantine 4 is not between 0 and 3"),
        (["--mutant", "nobody"], "is no mutant"),
        (["--mutant", "nobody", "--seed", 1], "is no mutant"),
        (["--directed", "nobody"], "is no scenario"),
        (["--twins", 5], "at most 4 views"),
        (["--twins-case", "x"], "is not a Twins scenario"),
        (["--workers", 0], "--workers 0"),
    ],
)
def test_bad_usage_is_one_line(flags: list[object], what: str) -> None:
    assert what in custodes("bft", "simulate", *flags).refusal
