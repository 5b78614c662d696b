"""Response environments for the tests of this folder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.env.lanes import Lanes, build_lanes
from custodes.env.response.config import ResponseConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.env import ResponseEnv
from custodes.env.table import EnvTable
from custodes.interface import Observation
from tests.env.response.worlds import Event, World

ROW = 0
"""Input that names the row."""

PATTERNS = {(True, True, True, True): 0, (True, False, True, True): 1, (True, False, False, True): 2}
"""State by what is allowed in it."""


def lanes_of(world: World, window: int = 0) -> Lanes:
    return build_lanes(world.dataset, world.rows, "by_entity", window)


def table_of(world: World, agents: int = 1) -> EnvTable:
    events = len(world.events)
    features = np.stack((np.arange(events), np.ones(events)), axis=1)
    return EnvTable.from_numpy(features, [event.label for event in world.events], agents=agents)


def environment(
    world: World,
    config: ResponseConfig | None = None,
    *,
    agents: int = 1,
    seed: int = 0,
    shuffle: bool = True,
    window: int = 0,
) -> ResponseEnv:
    return ResponseEnv(
        table_of(world, agents),
        lanes_of(world, window),
        world.recording,
        world.costs,
        config or ResponseConfig(slots=4),
        f=(agents - 1) // 3,
        seed=seed,
        shuffle=shuffle,
    )


def states(observation: Observation) -> list[int]:
    """Free, open or cleared, of each slot, as its mask says."""
    assert observation.mask is not None
    return [PATTERNS[tuple(mask)] for mask in observation.mask[:, 0].tolist()]


def rows_seen(observation: Observation) -> list[int]:
    return [int(row) for row in observation.central[:, ROW]]


def votes(said: dict[int, NDArray[np.int8]], observation: Observation) -> Tensor:
    """What a policy that knows rows and states says, int64 [B, 1]."""
    seen = zip(rows_seen(observation), states(observation), strict=True)
    return torch.tensor([[int(said[row][state])] for row, state in seen])


def city(events: int = 300, processes: int = 40, seed: int = 0, malicious: float = 0.15) -> World:
    """A larger random world; a parent's index is lower than its child's."""
    draw = np.random.default_rng(seed)
    parent = [f"p{draw.integers(0, max(1, index))}" for index in range(processes)]
    bad = draw.random(processes) < malicious
    bad[:2] = True, False
    times = np.sort(draw.integers(1, 4 * events, events))
    who = draw.integers(0, processes, events)
    who[:2] = 0, 1
    rows = [
        Event(
            time=float(time),
            entity=f"p{one}",
            parent=parent[one],
            label=int(draw.random() < 0.5) if bad[one] else int(draw.choice((0, 0, 0, 0, -1, 2))),
            phase=str(draw.choice(("a", "b"))),
            kind="exit" if draw.random() < 0.03 else "read",
        )
        for time, one in zip(times.tolist(), who.tolist(), strict=True)
    ]
    rows[0] = Event(time=1.0, entity="p0", label=1, phase="a")
    costs = ResponseCosts(analyst_s=60, quarantine_s=90, cleared_s=200)
    return World(events=tuple(rows), rows=tuple(range(events)), costs=costs)
