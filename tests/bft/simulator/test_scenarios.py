"""Small budgets of what `custodes bft simulate` plays in full."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from custodes.bft.simulator import suite, twins
from custodes.bft.simulator.directed import DIRECTED
from custodes.bft.simulator.scenario import Length, draw, liveness_bound
from custodes.bft.simulator.stage import KEYS
from custodes.bft.simulator.world import World


def test_short_seeds_keep_every_safety_property() -> None:
    found = suite.play_all(suite.fuzz(4, "short", 0, 300), 1)
    assert (found.scenarios, found.safety_violations, found.failures) == (300, 0, [])
    assert found.commits > 300
    assert found.twice == found.real == 3


def test_long_seeds_commit_within_the_bound() -> None:
    found = suite.play_all(suite.fuzz(4, "long", 0, 60), 1)
    assert (found.safety_violations, found.liveness_misses, found.failures) == (0, 0, [])
    assert 0.0 < found.slowest <= 1.0


def test_seven_replicas_stand_two_liars() -> None:
    found = suite.play_all(suite.fuzz(7, "long", 0, 12), 1)
    assert (found.safety_violations, found.liveness_misses) == (0, 0)


def test_the_result_does_not_depend_on_the_number_of_processes() -> None:
    tasks = [suite.Fuzz(n=4, length="short", first=first, count=5) for first in (0, 5, 10)]
    assert suite.play_all(tasks, 1) == suite.play_all(tasks, 2)


def test_the_bound_is_the_documented_one() -> None:
    assert liveness_bound(4, 1) == 6 * 32 + 4 * 7 == 220
    assert liveness_bound(7, 2) == 8 * 32 + 4 * 10 == 296


@pytest.mark.parametrize("name", DIRECTED)
def test_scenarios_made_by_hand_hold(name: str) -> None:
    assert DIRECTED[name].play() == ("", "")


@pytest.mark.parametrize(("n", "length"), [(4, "short"), (4, "long"), (7, "long")])
def test_a_scenario_follows_from_its_seed(n: int, length: Length) -> None:
    assert draw(n, 5, length) == draw(n, 5, length)
    assert draw(n, 5, length) != draw(n, 6, length)
    scenario = draw(n, 5, length)
    assert len(scenario.liars) == scenario.f
    assert all(crash.back <= scenario.heal for crash in scenario.crashes)


def test_a_trace_is_the_same_in_every_process() -> None:
    program = (
        "from custodes.bft.simulator.scenario import draw; from custodes.bft.simulator.world import World;"
        "w = World(draw(4, 11, 'long'), trace=True); w.run(); print(w.trace.digest())"
    )
    hashes = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


def test_two_traces_of_a_seed_are_equal_and_of_two_seeds_are_not() -> None:
    digests = []
    for seed in (3, 3, 4):
        world = World(draw(4, seed, "short"), keep=True)
        world.run()
        assert world.trace is not None
        assert world.trace.lines
        digests.append(world.trace.digest())
    assert digests[0] == digests[1] != digests[2]


def test_keyed_hashes_stand_in_for_ed25519() -> None:
    """The stand-in changes signatures and nothing else: the same blocks are committed at the same times."""
    scenario = draw(4, 8, "long")
    fast, real = World(scenario).run(), World(replace(scenario, real=True)).run()
    assert (fast.commits, fast.steps, fast.views) == (real.commits, real.steps, real.views)
    assert fast.commits > 0


def test_one_liar_too_many_parts_the_honest_and_is_proven() -> None:
    found = suite.play_all(suite.fuzz(4, "short", 0, 300, byzantine=2), 1)
    assert found.parted > 0
    assert found.proven == found.parted
    assert {failure.rule for failure in found.failures} == {"agreement"}
    assert "--byzantine 2" in found.failures[0].replay


def test_twins_of_one_and_two_views_agree() -> None:
    for views in (1, 2):
        found = [twins.explore(views, part) for part in twins.parts_of(views)]
        assert sum(each.scenarios for each in found) == twins.count_of(views) == 64**views
        assert sum(each.failed for each in found) == 0
    assert sum(each.committing for each in found) > 0


def test_the_whole_twins_sets_are_as_large_as_documented() -> None:
    assert twins.count_of(3) == 262_144
    assert twins.count_of(4) == 331_776
    assert len(twins.parts_of(3)) * 64 * 16 == 262_144
    assert len(twins.parts_of(4)) * 24 * 24 * 6 == 331_776


def test_a_twins_scenario_replays_as_it_was_explored() -> None:
    """The shared beginnings change nothing: a scenario played alone commits what it commits within the tree."""
    part = twins.parts_of(2)[60]
    together = twins.explore(2, part)
    alone = 0
    for side in twins.SPLITS:
        for _ in range(KEYS):
            _, lines = twins.replay(f"{part[1]}.{part[0]}-{side}.{part[2]}")
            alone += any(" commits " in line and line.split()[0] in "123" for line in lines)
    # The leader of a third view is not part of a scenario of two: each split stands for one.
    assert together.scenarios == len(twins.SPLITS)
    assert together.committing * KEYS == alone


@pytest.mark.parametrize("name", ["", "31", "31.4", "32.0", "a.b", "31.0-"])
def test_a_bad_twins_case_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"Twins|names a side"):
        twins.replay(name)
