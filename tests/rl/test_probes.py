"""The learner on tasks with a known optimum: the part of benchmarks/probes.py that is cheap enough for every change.

The benchmark's 150 iterations leave room: with generalised advantages 75 solve every probe, seeds 0 and 1 alike.
"""

from __future__ import annotations

from typing import get_args

import pytest

from benchmarks.probes import SOLVABLE, VALUE_ONLY, solve
from custodes.env.probes import PROBES
from custodes.rl.returns import Estimator

ITERATIONS = 80


def test_every_probe_with_an_optimum_to_reach_is_in_the_table() -> None:
    """`noise` has none: it is for the floor (test_floor_learner)."""
    assert set(SOLVABLE) == set(PROBES) - {"noise"}
    assert all("gae" in able for able in SOLVABLE.values())
    assert {name: set(get_args(Estimator)) - set(able) for name, able in SOLVABLE.items() if len(able) < 4} == {
        "delayed_reward": {"td0"}
    }


@pytest.mark.parametrize("name", VALUE_ONLY)
def test_an_untrained_critic_solves_nothing(name: str) -> None:
    """The measure can fail."""
    assert not solve(name, "gae", seed=0, iterations=0)["solved"]


@pytest.mark.slow
@pytest.mark.parametrize("name", SOLVABLE)
def test_generalised_advantages_solve_every_probe(name: str) -> None:
    assert solve(name, "gae", seed=0, iterations=ITERATIONS)["solved"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "name"),
    [("mc", "truncation_vs_termination"), ("td-lambda", "delayed_reward"), ("td0", "memory")],
)
def test_each_other_estimator_solves_what_it_can(estimator: Estimator, name: str) -> None:
    assert estimator in SOLVABLE[name]
    assert solve(name, estimator, seed=0, iterations=ITERATIONS)["solved"]


@pytest.mark.slow
def test_one_step_targets_cannot_solve_a_delayed_reward() -> None:
    """The first step's reward is 0 and the second step's value does not show what was done, so nothing is learnt.

    The best constant answer earns half of the optimum; more would mean that the reward leaks into earlier targets.
    """
    assert "td0" not in SOLVABLE["delayed_reward"]
    found = solve("delayed_reward", "td0", seed=0, iterations=ITERATIONS)
    assert not found["solved"]
    assert found["score"] < 0.6 * found["optimum"]
