"""The fixes one at a time, each on top of the last, and what each buys: the table of docs/doctor-origin.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Final

import torch

from custodes.data.dataset import Dataset
from custodes.doctor.origin.defects import Repairs
from custodes.doctor.origin.material import prepare, read_recording
from custodes.doctor.origin.settings import OriginSettings
from custodes.doctor.origin.training import Iteration, train


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of the table."""

    name: str
    """What was done, in a few words."""
    repairs: Repairs
    """What is repaired."""
    monte_carlo: bool = False
    """The author's own fix: Monte Carlo returns."""


_UPDATE: Final = ("ratio-broadcast", "start-state-mismatch", "dropout-mismatch")
_REWARD: Final = ("return-unpredictable", "spec-always-violated")
_REST: Final = ("consensus-f0", "metric-window")
VARIANTS: Final = (
    Variant(name="as published", repairs=Repairs()),
    Variant(name="+ Monte Carlo returns (the author's fix)", repairs=Repairs(), monte_carlo=True),
    Variant(name="ratio shape fixed", repairs=Repairs.of(_UPDATE[:1])),
    Variant(name="+ same recurrent state, no dropout", repairs=Repairs.of(_UPDATE)),
    Variant(name="+ discount 0", repairs=Repairs.of((*_UPDATE, *_REWARD[:1]))),
    Variant(name="+ without the rules' penalty", repairs=Repairs.of((*_UPDATE, *_REWARD))),
    Variant(name="+ four agents that vote, whole counts", repairs=Repairs.of((*_UPDATE, *_REWARD, *_REST))),
    Variant(name="+ eight records of context", repairs=Repairs.of((*_UPDATE, *_REWARD, *_REST, "input-ceiling"))),
    Variant(name="everything fixed but the ratio shape", repairs=Repairs.of((*_UPDATE[1:], *_REWARD))),
)
"""The rows of research on the original, in its order, and two more."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one variant came to in its last iteration."""

    name: str
    """The variant's."""
    value_loss: float
    """Normalised value loss, mean over agents and the last iteration's gradient steps."""
    explained_variance: float | None
    """Mean over agents, of the last iteration; None where the targets do not vary."""
    ratio_error: float
    """Mean |ratio - 1| before the first step, mean over agents: the least of the iterations."""
    ratio_error_most: float
    """The greatest of them."""
    entropy: float
    """Nats, mean over the agents whose votes count (the first one alone, or all four); uniform is 1.386."""
    tp: int
    """Threats that the greedy team contains, of those among the scored validation records."""
    fp: int
    """Benign records that it contains."""
    fn: int
    """Threats that it does not contain."""
    f1: float
    """F1 of the same."""


def run_variant(recording: Dataset, variant: Variant, settings: OriginSettings) -> Row:
    """Train one variant.

    Args:
        recording: From `read_recording`.
        variant: Which.
        settings: For the iterations and sizes of every row.
    """
    settings = replace(settings, returns="mc") if variant.monte_carlo else settings
    material = prepare(recording, variant.repairs, settings.seed)
    return row_of(variant.name, train(material, settings, variant.repairs))


def run_variants(
    path: str,
    settings: OriginSettings,
    *,
    jobs: int = 1,
    watch: Callable[[Row], None] = lambda row: None,
    variants: Sequence[Variant] = VARIANTS,
) -> tuple[Row, ...]:
    """Train every variant.

    Args:
        path: The recording.
        settings: For every row.
        jobs: How many to train at once, each in a process of its own with one thread; 1 trains them here.
        watch: Called with each row as it is done, in the order of the variants.
        variants: Which.

    Raises:
        CustodesError: The recording cannot be used.
    """
    tasks = [(path, variant, settings) for variant in variants]
    rows = []
    if jobs < 2:
        for row in map(_run_task, tasks):
            watch(row)
            rows.append(row)
        return tuple(rows)
    # A fresh interpreter each: a forked one would share torch's threads with its parent.
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        for row in pool.map(_run_task, tasks):
            watch(row)
            rows.append(row)
    return tuple(rows)


def _run_task(task: tuple[str, Variant, OriginSettings]) -> Row:
    path, variant, settings = task
    return run_variant(read_recording(path), variant, settings)


def row_of(name: str, iterations: tuple[Iteration, ...]) -> Row:
    """The figures of one training."""
    last = iterations[-1]
    errors = [sum(r.ratio_error for r in it.reports) / len(it.reports) for it in iterations]
    variances = [r.explained_variance for r in last.reports if r.explained_variance is not None]
    agents = len(last.reports)
    return Row(
        name=name,
        value_loss=sum(r.value_loss_update for r in last.reports) / agents,
        explained_variance=sum(variances) / len(variances) if variances else None,
        ratio_error=min(errors),
        ratio_error_most=max(errors),
        entropy=_entropy(last),
        tp=last.greedy["tp"],
        fp=last.greedy["fp"],
        fn=last.greedy["fn"],
        f1=last.greedy["f1"],
    )


def _entropy(iteration: Iteration) -> float:
    """Mean over the agents whose votes count; with a quorum of one that is the first alone."""
    counted = iteration.reports[:1] if len(iteration.reports) < 4 else iteration.reports
    return sum(report.entropy for report in counted) / len(counted)
