"""What a reader of a report must know before believing its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from custodes.bft.votes import tolerated
from custodes.evaluate.evaluation import Evaluation
from custodes.evaluate.run_schema import MetricsLine
from custodes.report.files import RunFiles
from custodes.report.response import best_rival, members_ahead
from custodes.report.scale import number, to_floats

RATIO_ERROR = 1e-5
"""Probability ratios may differ from 1 by rounding before the first gradient step; by more is a defect."""
FLOOR_RANGE = (0.9, 1.25)
"""Where value loss over its floor should lie over the last tenth of a training."""
BEHIND = 0.02
"""F1 or response score that a baseline may be ahead without being worth a word."""
NO_RIVALS = ("event-kind", "oracle")
"""Baselines that are no opponents in F1: a kind rule may repeat how the labels were made, and the oracle is told."""


def warnings_of(run: RunFiles) -> tuple[str, ...]:
    """Every warning of a run, once each, the gravest kind first."""
    found = [*_results(run), *_team(run), *_training(run.metrics)]
    return tuple(dict.fromkeys(line[:1].upper() + line[1:] for line in found))


def floor_ratio(metrics: Sequence[MetricsLine]) -> float | None:
    """Mean value loss over mean floor in the last tenth of the iterations; None where either was never measured."""
    last = metrics[-max(1, len(metrics) // 10) :]
    loss = to_floats(line.value_loss for line in last)
    floor = to_floats(line.value_loss_floor for line in last)
    both = np.isfinite(loss) & np.isfinite(floor)
    if not both.any() or floor[both].mean() <= 0:
        return None
    return float(loss[both].mean() / floor[both].mean())


def _results(run: RunFiles) -> Iterator[str]:
    trained_on = run.setting("dataset.digest")
    for evaluation in run.evaluations:
        yield from evaluation.warnings
        if trained_on is not None and evaluation.data_digest != trained_on:
            yield f"the {evaluation.split} evaluation is on other data than the run was trained on"
        yield from _behind(evaluation)
        yield from _response(evaluation)


def _behind(evaluation: Evaluation) -> Iterator[str]:
    rivals = {
        name: row.f1 for name, row in evaluation.baselines.items() if row.f1 is not None and name not in NO_RIVALS
    }
    if rivals and evaluation.f1 is not None:
        best = max(rivals, key=lambda name: rivals[name] or 0.0)
        ahead = (rivals[best] or 0.0) - evaluation.f1
        if ahead > BEHIND:
            yield f"on {evaluation.split} the baseline {best} is ahead of the team by F1 {ahead:.3f}"


def _response(evaluation: Evaluation) -> Iterator[str]:
    record = evaluation.response
    if record is None or record.score is None:
        return
    rival = best_rival(evaluation)
    ahead = (rival[1].score or 0.0) - record.score if rival else 0.0
    if rival and ahead > BEHIND:
        yield f"on {evaluation.split} the baseline {rival[0]} is ahead of the team by a response score of {ahead:.3f}"
    for agent in members_ahead(record):
        yield f"on {evaluation.split} agent {agent} alone responds at least as well as the team"


def _team(run: RunFiles) -> Iterator[str]:
    said = any("share parameters" in line for evaluation in run.evaluations for line in evaluation.warnings)
    if run.setting("rl.sharing") == "shared" and not said:
        yield (
            "the agents share parameters: f, the number of lying agents that the vote stands, means nothing, "
            "since one fault is in all of them"
        )
    agents = run.setting("team.agents")
    if isinstance(agents, int) and agents >= 1 and tolerated(agents) == 0:
        yield f"{agents} agents stand no liar (f = 0): four are needed for f = 1"
    if run.setting("rl.warm_start") is True:
        yield "training began with a supervised warm start: the result is not by reinforcement learning alone"


def _training(metrics: Sequence[MetricsLine]) -> Iterator[str]:
    error = to_floats(line.ratio_error for line in metrics)
    if np.any(error > RATIO_ERROR):
        worst = number(float(np.nanmax(error)))
        yield (
            f"the probability ratio was off by {worst} before the first gradient step: collection and update "
            "see different states"
        )
    loss = to_floats(line.value_loss for line in metrics)
    bad = int(np.count_nonzero(~np.isfinite(loss)))
    if bad:
        yield f"the value loss is missing or not finite in {bad} of {len(loss)} iterations"
    ratio = floor_ratio(metrics)
    if ratio is not None and ratio > FLOOR_RANGE[1]:
        yield f"the value loss ends at {ratio:.2f} times its floor: critics have not learned all that can be foreseen"
    if ratio is not None and ratio < FLOOR_RANGE[0]:
        yield f"the value loss ends at {ratio:.2f} times its floor: its estimate is too high, or a critic sees labels"
