"""A recording that can be priced by hand, and small workloads."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from custodes.data.config import DataConfig
from custodes.data.synthetic.config import SyntheticConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording, recording_of
from custodes.env.triage import TriageConfig
from custodes.team.config import TeamConfig
from custodes.team.workload import Workload, prepare
from tests.env.response.worlds import Event, dataset_of

COSTS = ResponseCosts()
EVENTS = (
    Event(time=100, entity="a"),
    Event(time=200, entity="b", parent="a", label=1, phase="x"),
    Event(time=300, entity="c"),
    Event(time=400, entity="b", parent="a", label=1, phase="x"),
    Event(time=500, entity="c"),
    Event(time=600, entity="d", parent="b"),
    Event(time=700, entity="b", parent="a", label=1, phase="y"),
    Event(time=3700, entity="a"),
)
DECISIONS = np.array([0, 0, 2, 3, 0, 0, 0, 0], dtype=np.int8)
"""c is quarantined for nothing at its first event; b is blocked at its second."""


def recording() -> Recording:
    """The eight events above."""
    return recording_of(dataset_of(EVENTS), np.arange(len(EVENTS)), COSTS)


def recording_with(*events: Event, costs: ResponseCosts = COSTS) -> Recording:
    """Some events, all of them in the part."""
    return recording_of(dataset_of(events), np.arange(len(events)), costs)


@cache
def workload(names: Literal["hidden", "shown"] = "hidden") -> Workload:
    """A small synthetic recording, split by process."""
    config = SyntheticConfig(hosts=2, processes=60, events=8_000, campaigns=10)
    return prepare(
        DataConfig(source="synthetic", split="entity", names=names, synthetic=config),
        TriageConfig(lanes="by_entity"),
        TeamConfig(),
    )


def by_kind(kinds: NDArray[np.str_], blocked: str) -> NDArray[np.int8]:
    """Block every event of one kind."""
    return np.where(kinds == blocked, 3, 0).astype(np.int8)
