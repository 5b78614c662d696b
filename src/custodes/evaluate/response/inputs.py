"""What any policy may see before it decides on a part, and nothing else: the same for baselines and for yours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.dataset import Dataset, codes
from custodes.data.features import NAMED
from custodes.data.schema import BENIGN, MALICIOUS, PART, UNKNOWN
from custodes.data.split import PARTS, PartName
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording, recording_of
from custodes.errors import CustodesError
from custodes.evaluate.response.folds import deal_folds
from custodes.evaluate.response.rehearsal import Rehearsal
from custodes.team.workload import Workload

_TRUTH: Final = ("label", "phase", PART)
"""Columns that no policy sees; the labels of the training period are given apart."""
_NAMES: Final = ("image", "parent_image")
"""Columns that are left out where executables' names are hidden."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PolicyInputs:
    """A recording of N events as a policy sees it: T of them with labels to learn from, M to decide on.

    A decision on a row must come from that row and earlier ones; that is for the policy to keep.
    """

    events: pl.DataFrame
    """The event table [N] without labels and phases. Where names are hidden there are no executables, and `object` is
    a number that tells the same object from another."""
    features: NDArray[np.float32]
    """float32 [N, D]: the inputs that the team's agents see, all of them; they may hold a process's history."""
    alone: NDArray[np.float32]
    """float32 [N, C]: what a record says by itself."""
    lanes: NDArray[np.int64]
    """int64 [N]: number of the lane (a process's life within a part) of each row; -1 for none."""
    labels: NDArray[np.int8]
    """int8 [N]: 0 benign, 1 malicious, 2 contaminated; -1 unknown, and so is every row outside of `train`."""
    train: NDArray[np.int64]
    """int64 [T]: rows of the period before the scored part, in the order of time."""
    folds: NDArray[np.int64]
    """int64 [T], 0 to 3: fold of each of these rows (`deal_folds`)."""
    rehearsal: Rehearsal
    """The training period to replay on (`Rehearsal.cost`, `tune`), its events in the order of `train`."""
    scored: NDArray[np.int64]
    """int64 [M]: rows to decide on, in the order in which they are replayed."""
    costs: ResponseCosts
    """What acting costs here; as in `rehearsal`."""
    names_shown: bool
    """Whether executables' names are in `events` and in the features."""

    def known(self, mask: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Rows of `train` (of those that a bool mask [T] picks) that are benign or malicious."""
        rows = self.train if mask is None else self.train[mask]
        known: NDArray[np.int64] = rows[(self.labels[rows] == BENIGN) | (self.labels[rows] == MALICIOUS)]
        return known


def policy_inputs(
    workload: Workload, part: PartName = "test", costs: ResponseCosts | None = None
) -> tuple[PolicyInputs, Recording]:
    """Set a part apart for a policy.

    Args:
        workload: Data, split and inputs.
        part: The part to decide on. Labels are shown of the parts before it; for `train` of that part itself.
        costs: Costs and times; None for those of the workload.

    Returns:
        What the policy may see, and the part to replay its decisions on, which it may not.

    Raises:
        CustodesError: No labelled event to learn from, or nothing to decide on.
    """
    prices = costs or workload.costs
    period = PARTS[: max(1, PARTS.index(part))]
    rows = np.sort(np.concatenate([workload.split.rows(name) for name in period]))
    labels = np.full(len(workload.dataset), UNKNOWN, dtype=np.int8)
    labels[rows] = workload.dataset.labels[rows]
    if not np.isin(labels, (BENIGN, MALICIOUS)).any():
        raise CustodesError(
            "no labelled event to learn from", where=f"{', '.join(period)} part", fix="change the split"
        )
    # Who turns malicious later is not known yet: truth outside of the period is taken out before anything is counted.
    known = recording_of(_with_truth(workload.dataset, labels), rows, prices)
    scored = recording_of(workload.dataset, workload.split.rows(part), prices)
    pieces = round(len(known.acting) / len(scored.acting)) if workload.split.method == "entity" else 1
    shown = any(group in workload.encoder.groups for group in NAMED)
    inputs = PolicyInputs(
        events=_shown(workload.dataset.events, names=shown),
        features=workload.features,
        alone=records_alone(workload),
        lanes=lane_of_rows(workload),
        labels=labels,
        train=known.source,
        folds=deal_folds(known),
        rehearsal=Rehearsal.of(known, prices, max(1, pieces)),
        scored=scored.source,
        costs=prices,
        names_shown=shown,
    )
    return inputs, scored


def records_alone(workload: Workload) -> NDArray[np.float32]:
    """[N, C]: the inputs of each record as if nothing had come before it.

    Inputs that then do not vary over the training part are left out, so C may be 0 (inputs of history alone). Every
    record is put into a stream of its own, so that no feature can hold any history.
    """
    events = workload.dataset.events
    row = pl.int_range(len(events)).cast(pl.String)
    alone = workload.encoder.transform(replace(workload.dataset, events=events.with_columns(stream=row)))
    train = alone[workload.split.rows("train")]
    varies = np.ptp(train, axis=0) > 0 if len(train) else np.zeros(alone.shape[1], dtype=np.bool_)
    kept: NDArray[np.float32] = np.ascontiguousarray(alone[:, varies])
    return kept


def lane_of_rows(workload: Workload) -> NDArray[np.int64]:
    """[N]: a number for the lane of each row, over all parts; -1 for rows in no part."""
    found = np.full(len(workload.dataset), -1, dtype=np.int64)
    first = 0
    for part in PARTS:
        if not len(workload.split.rows(part)):
            continue
        lanes = workload.lanes(part)
        found[lanes.order] = first + np.repeat(np.arange(len(lanes.start)), lanes.length)
        first += len(lanes.start)
    return found


def _with_truth(dataset: Dataset, labels: NDArray[np.int8]) -> Dataset:
    """The same events with these labels, and no phase where they are not malicious."""
    phase = pl.when(pl.Series(labels == MALICIOUS)).then(pl.col("phase")).otherwise(pl.lit(""))
    return replace(dataset, events=dataset.events.with_columns(label=pl.Series(labels), phase=phase))


def _shown(events: pl.DataFrame, *, names: bool) -> pl.DataFrame:
    left_out = [name for name in (*_TRUTH, *(() if names else _NAMES)) if name in events.columns]
    seen = events.drop(left_out)
    if names:
        return seen
    number = pl.Series(codes(events, "object")).cast(pl.String)
    return seen.with_columns(object=pl.when(pl.col("object") == "").then(pl.lit("")).otherwise(number))
