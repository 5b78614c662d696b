"""Faults of inputs, labels and parts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl
import torch

from custodes.doctor.faults.fault import Fault, Wrapped, in_env
from custodes.env.table import EnvTable
from custodes.interface import Observation, Step, VectorEnv
from custodes.team.seams import Seams
from custodes.team.workload import Workload


def _table(workload: Workload, table: EnvTable) -> Workload:
    return replace(workload, table=table, features=table.features.cpu().numpy())


def _leaking(workload: Workload) -> Workload:
    """The last input holds the label."""
    table = workload.table
    features, columns = table.features.clone(), table.column_mask.clone()
    features[:, -1] = (table.labels == 1).float()
    columns[:, -1] = True
    return _table(workload, replace(table, features=features, column_mask=columns))


def _blind_agent(workload: Workload) -> Workload:
    """Agent 1 sees no column."""
    columns = workload.table.column_mask.clone()
    columns[1] = False
    return _table(workload, replace(workload.table, column_mask=columns))


def _unscaled(workload: Workload) -> Workload:
    """Inputs as they were counted: bytes and nanoseconds, not deviations."""
    return _table(workload, replace(workload.table, features=workload.table.features * 1e4))


def _wrong_join(workload: Workload) -> Workload:
    """Inputs are joined to labels by a row number that is off."""
    table = workload.table
    order = torch.randperm(len(table.labels), generator=torch.Generator().manual_seed(0))
    return _table(workload, replace(table, features=table.features[order], row_mask=table.row_mask[:, order]))


def _ruled(workload: Workload) -> Workload:
    """Labels that follow from the kind of event: the rarest kinds that make up a tenth of the events."""
    events = workload.dataset.events
    counts = events["kind"].value_counts().sort(["count", "kind"])
    share = counts["count"].cum_sum() / len(events)
    bad = counts["kind"].filter(share <= max(0.1, float(share[0]))).to_list()
    ruled = events.with_columns(
        label=pl.col("kind").is_in(bad).cast(pl.Int8),
        phase=pl.when(pl.col("kind").is_in(bad)).then(pl.lit("attack")).otherwise(pl.lit("")),
    )
    labels = torch.as_tensor(ruled["label"].to_numpy().astype(np.int64))
    table = replace(workload.table, labels=labels.to(workload.table.labels.device))
    return replace(workload, dataset=replace(workload.dataset, events=ruled), table=table)


def _rare(workload: Workload) -> Workload:
    """Of the malicious training rows all but a few are left out."""
    rows = workload.split.rows("train")
    bad = rows[workload.dataset.labels[rows] == 1]
    part = workload.split.part.copy()
    part[bad[np.arange(len(bad)) % max(1, len(bad) // 5) != 0]] = -1
    return replace(workload, split=replace(workload.split, part=part))


class _Growing(Wrapped):
    """Inputs whose unit shrinks by a tenth in a few hundred decisions."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self._steps = 0

    def after(self, step: Step) -> Step:
        self._steps += 1
        return step

    def observation(self, seen: Observation) -> Observation:
        scale = math.exp(min(self._steps, 600) * 8e-3)
        return replace(seen, agents=seen.agents * scale, central=seen.central * scale)


class _Noisy(Wrapped):
    """A little noise on the inputs from a generator that nobody seeds or saves."""

    def observation(self, seen: Observation) -> Observation:
        return replace(seen, agents=seen.agents + 1e-3 * torch.randn_like(seen.agents))


FAULTS: Final = (
    Fault(
        name="leaking-column",
        finds="leaking-input",
        what="one input holds the label",
        seams=lambda: Seams(workload=_leaking),
    ),
    Fault(
        name="ruled-labels",
        finds="label-is-a-rule",
        what="labels follow from the kind of event",
        seams=lambda: Seams(workload=_ruled),
    ),
    Fault(
        name="blind-agent",
        finds="inputs-constant",
        what="one agent's view holds no column",
        seams=lambda: Seams(workload=_blind_agent),
    ),
    Fault(
        name="unscaled-inputs",
        finds="input-scale",
        what="inputs are ten thousand times too large",
        seams=lambda: Seams(workload=_unscaled),
    ),
    Fault(
        name="drifting-inputs",
        finds="inputs-drift",
        what="inputs grow as training goes",
        seams=in_env(_Growing),
    ),
    Fault(
        name="wrong-join",
        finds="input-ceiling",
        what="inputs are joined to the labels of other rows",
        seams=lambda: Seams(workload=_wrong_join),
    ),
    Fault(
        name="rare-threats",
        finds="class-too-rare",
        what="all but a few malicious events are left out of training",
        seams=lambda: Seams(workload=_rare),
    ),
    Fault(
        name="leaky-split",
        finds="split-leakage",
        what="rows are dealt to the parts one by one",
        settings=("data.split=rows",),
    ),
    Fault(
        name="unseeded-noise",
        finds="unreproducible",
        what="inputs carry noise from a generator that nobody seeds",
        seams=in_env(_Noisy),
    ),
)
