"""The gate that makes a closed training loop take turns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from benchmarks.train_peers.program import Finished, Gate, count_parameters
from benchmarks.train_peers.workload import LanePlayer, Workload

TINY = Workload(lanes=4, inputs=2, distinct=3, shortest=2, longest=3)


def drive(warmup: int, turns: list[float | None], iterations: int) -> tuple[list[dict[str, float | None]], int]:
    """Reports of a loop that plays one step per iteration, and how many iterations it came to."""
    player, reports = LanePlayer(TINY, 0), list[dict[str, float | None]]()
    waiting: Iterator[float | None] = iter(turns)
    gate = Gate(warmup=warmup, wait=lambda: next(waiting), report=reports.append, players=[player], samples=TINY.lanes)
    for done in range(1, iterations + 1):
        player.step(np.zeros(TINY.lanes, dtype=np.int64))
        try:
            gate()
        except Finished:
            return reports, done
    pytest.fail("the gate never ended the loop")


def test_turns_without_length_are_one_iteration_each_after_the_warm_up() -> None:
    reports, done = drive(warmup=2, turns=[0.0, 0.0, 0.0, None], iterations=100)
    assert done == 2 + 3
    assert [report["steps"] for report in reports] == [TINY.lanes] * 3


def test_a_turn_lasts_until_its_time_is_over() -> None:
    reports, done = drive(warmup=1, turns=[0.02, None], iterations=10**6)
    (report,) = reports
    assert report["seconds"] is not None
    assert report["seconds"] >= 0.02
    assert report["steps"] == (done - 1) * TINY.lanes
    assert report["reward"] is not None
    assert 0.0 <= report["reward"] <= 1.0


def test_finished_passes_through_handlers_of_exceptions() -> None:
    assert not issubclass(Finished, Exception)


def test_shared_parameters_count_once() -> None:
    layer = torch.nn.Linear(3, 2)
    assert count_parameters([layer.weight, layer.bias, layer.weight]) == 8
