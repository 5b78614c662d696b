"""Ends of lanes, followed through rollouts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from custodes.bft.votes import BLOCK
from custodes.doctor.lane_ends import NAMES, LaneEnds
from custodes.env.lanes import Lanes

LANES = Lanes(
    order=np.arange(7),
    start=np.array([0, 3, 5]),
    length=np.array([3, 2, 2]),
    terminated=np.array([True, False, False]),
    successor=np.array([2, 5, 6]),
)


def rollout(lane: list[int], terminated: list[bool], truncated: list[bool], decision: int = 0) -> Any:
    """One slot's steps."""
    ended, cut = (torch.tensor(x)[:, None] for x in (terminated, truncated))
    return SimpleNamespace(
        lane=torch.tensor(lane)[:, None],
        terminated=ended,
        done=ended | cut,
        decision=torch.full((len(lane), 1), decision),
    )


def begins(*steps: bool) -> torch.Tensor:
    return torch.tensor(steps)[:, None]


def test_lanes_that_end_as_recorded() -> None:
    ends = LaneEnds(LANES)
    played = rollout([0, 0, 0, 1, 1], [False, False, True, False, False], [False, False, False, False, True])
    assert ends.count(played, begins(True, False, False, True, False)) == dict(zip(NAMES, (1, 1, 0, 0), strict=True))


def test_a_lane_is_followed_from_one_rollout_to_the_next() -> None:
    ends = LaneEnds(LANES)
    none = dict.fromkeys(NAMES, 0)
    assert ends.count(rollout([1], [False], [False]), begins(True)) == none
    wrong = ends.count(rollout([1, 0], [True, False], [False, False]), begins(False, True))
    assert wrong == dict(zip(NAMES, (1, 0, 1, 0), strict=True))
    late = ends.count(rollout([0, 0], [False, False], [False, True]), begins(False, False))
    assert late == dict(zip(NAMES, (0, 1, 0, 1), strict=True))


def test_what_began_before_the_recorder_a_block_and_other_lanes_are_left_out() -> None:
    none = dict.fromkeys(NAMES, 0)
    played = rollout([1, 1], [False, True], [False, False])
    assert LaneEnds(LANES).count(played, begins(False, False)) == none
    assert LaneEnds(LANES).count(rollout([1, 1], [False, True], [False, False], BLOCK), begins(True, False)) == none
    assert LaneEnds(LANES, np.array([True, False, True])).count(played, begins(True, False)) == none
    assert LaneEnds(LANES).count(rollout([9, 9], [False, True], [False, False]), begins(True, False)) == none
