"""What the environments are timed on: a generated recording, or a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.schema import DEFAULTS, EVENT_SCHEMA
from custodes.env.lanes import Lanes, build_lanes
from custodes.env.response.config import ResponseConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.env import ResponseEnv
from custodes.env.response.recording import Recording, recording_of
from custodes.env.table import EnvTable
from custodes.env.triage import TriageConfig, TriageEnv
from custodes.team.config import TeamConfig
from custodes.team.workload import prepare

AGENTS = 4
INPUTS = 64
EVENTS_PER_PROCESS = 100
_SECOND = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A recording, played whole."""

    dataset: Dataset
    """Its N events."""
    table: EnvTable
    """Inputs and views of 4 agents, each of which misses one group of channels."""
    costs: ResponseCosts
    """The defaults."""

    @property
    def rows(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """All of them, int64 [N]."""
        return np.arange(len(self.dataset))

    def lanes(self) -> Lanes:
        """Processes' lives."""
        return build_lanes(self.dataset, self.rows, "by_entity", 0)

    def recording(self, events: int = 0) -> Recording:
        """The first `events` of them as one part (0: all)."""
        return recording_of(self.dataset, self.rows[: events or None], self.costs)

    def triage(self, slots: int) -> TriageEnv:
        """Triage with this many slots."""
        return TriageEnv(self.table, self.lanes(), TriageConfig(slots=slots), f=1)

    def response(self, slots: int) -> ResponseEnv:
        """Response with this many slots."""
        config = ResponseConfig(slots=slots)
        return ResponseEnv(self.table, self.lanes(), self.recording(), self.costs, config, f=1)


def generated(events: int, seed: int = 0) -> Stage:
    """A day of one host: processes of very different lengths in a tree, one in fifty malicious.

    Args:
        events: N.
        seed: Seed of everything.
    """
    draw = np.random.default_rng(seed)
    processes = max(2, events // EVENTS_PER_PROCESS)
    # Few processes with most of the events, as on real hosts: shares of 1 / rank.
    share = 1.0 / np.arange(1, processes + 1)
    who = np.sort(draw.choice(processes, events, p=share / share.sum()))[draw.permutation(events)]
    parent = np.where(np.arange(processes) > 0, draw.integers(0, np.maximum(1, np.arange(processes))), 0)
    bad = draw.random(processes) < 0.02
    bad[-1] = True
    labels = (bad[who] & (draw.random(events) < 0.5)).astype(np.int8)
    names = np.array([f"p{index}" for index in range(processes)])
    columns = {
        "time": np.sort(draw.integers(1, 86_400 * _SECOND, events)),
        "entity": names[who],
        "parent": names[parent[who]],
        "kind": np.full(events, "read"),
        "label": labels,
    }
    table = pl.DataFrame(columns).with_columns(
        pl.lit(DEFAULTS[name]).alias(name) for name in EVENT_SCHEMA if name not in columns
    )
    table = table.select(pl.col(name).cast(dtype) for name, dtype in EVENT_SCHEMA.items())
    dataset = Dataset(name="generated", source="table", events=table, recorded_order=True, digest="", rejected=0)
    features = draw.standard_normal((events, INPUTS), dtype=np.float32)
    sees = np.arange(AGENTS)[:, None] != draw.integers(0, AGENTS, events)
    inputs = EnvTable.from_numpy(features, dataset.labels, row_mask=sees)
    return Stage(dataset=dataset, table=inputs, costs=ResponseCosts())


def from_file(path: str) -> Stage:
    """A file in any format that custodes reads, with the inputs and views of a default team.

    Args:
        path: The file.

    Raises:
        CustodesError: It cannot be used.
    """
    work = prepare(DataConfig(path=path), TriageConfig(lanes="by_entity"), TeamConfig(views="overlapping"))
    return Stage(dataset=work.dataset, table=work.table, costs=ResponseCosts())
