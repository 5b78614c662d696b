"""What a team must beat: the ends of the scale, one action for everything, and methods tuned for the same cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ACTIONS, ALERT, ALLOW, BLOCK, QUARANTINE
from custodes.data.schema import MALICIOUS
from custodes.env.response.recording import Recording
from custodes.errors import CustodesError
from custodes.evaluate.metrics import binary_metrics, contains
from custodes.evaluate.response.detection import highest_so_far
from custodes.evaluate.response.figures import figure_values
from custodes.evaluate.response.fitting import Tuned, fit_and_tune
from custodes.evaluate.response.inputs import PolicyInputs
from custodes.evaluate.response.methods import METHODS
from custodes.evaluate.response.outcome import (
    Outcome,
    Reference,
    bootstrap_lead,
    oracle,
    outcome,
    reference_of,
)
from custodes.evaluate.response.schema import BaselineResponse, TunedThresholds
from custodes.evaluate.response.thresholds import Thresholds
from custodes.evaluate.trees import TreeSettings

ONE_ACTION: Final = {"allow": ALLOW, "alert-all": ALERT, "quarantine-all": QUARANTINE, "block-all": BLOCK}
"""Baselines that take one action on everything."""
ORACLE: Final = "oracle"
"""The end of the scale that nobody beats: it acts on the true labels."""
RESPONSE_BASELINES: Final = (*ONE_ACTION, *METHODS, ORACLE)
"""Every baseline of the response task, in the order of reports."""


Heard = Callable[[str, NDArray[np.int8]], None]
"""Told a baseline's name and its decisions."""


@dataclass(frozen=True, kw_only=True)
class _Actions:
    """What a baseline does on a part."""

    decisions: NDArray[np.int8]
    """int8 [M]."""
    score: NDArray[np.float64]
    """float64 [M], higher is more threatening; for PR-AUC and AUROC."""
    contained: NDArray[np.bool_]
    """bool [M]: what it says is a threat, for precision and recall."""
    tuned: Tuned | None = None
    """How it came to that; None where nothing was tuned."""


def check_response_names(names: Iterable[str]) -> None:
    """Refuse names that no baseline of the response task has; cheap, so call it before anything is played.

    Raises:
        CustodesError: An unknown name; the line lists the known ones.
    """
    unknown = sorted(set(names) - set(RESPONSE_BASELINES))
    if unknown:
        raise CustodesError(
            f"unknown baseline {', '.join(unknown)}", fix=f"choose from {', '.join(RESPONSE_BASELINES)}"
        )


def names_missing(inputs: PolicyInputs, names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Of the baselines asked for (None: all), those that need executables' names where these are hidden."""
    wanted = RESPONSE_BASELINES if names is None else tuple(names)
    return tuple(name for name in wanted if name in METHODS and METHODS[name].needs_names and not inputs.names_shown)


def run_response_baselines(
    inputs: PolicyInputs,
    recording: Recording,
    names: Iterable[str] | None = None,
    *,
    team: Outcome | None = None,
    reference: Reference | None = None,
    seed: int = 0,
    trees: TreeSettings | None = None,
    heard: Heard | None = None,
) -> dict[str, dict[str, Any]]:
    """Fit, tune and score baselines on the part that a team is scored on, for detection and response at once.

    Args:
        inputs: What baselines, as any policy, may see.
        recording: The part, of which `inputs.scored` are the rows.
        names: Which, of `RESPONSE_BASELINES`; None for all. Those that need hidden names are left out
            (`names_missing`).
        team: What the team's decisions came to, for the interval of its lead; None for none.
        reference: Both ends of the score, where they are known already.
        seed: Seeds the methods and the bootstrap.
        trees: One setting of trees to use in place of those that would be tried; None for these.
        heard: Told the decisions of each, int8 [M].

    Returns:
        Name to the keys of `evaluation-<split>.json`.

    Raises:
        CustodesError: An unknown name.
    """
    wanted = RESPONSE_BASELINES if names is None else tuple(names)
    check_response_names(wanted)
    ends = reference or reference_of(recording, inputs.costs)
    missing = names_missing(inputs, wanted)
    run = [name for name in wanted if name not in missing]
    return {name: _record(name, inputs, recording, team, ends, seed, trees, heard) for name in run}


def _record(
    name: str,
    inputs: PolicyInputs,
    recording: Recording,
    team: Outcome | None,
    ends: Reference,
    seed: int,
    trees: TreeSettings | None,
    heard: Heard | None,
) -> dict[str, Any]:
    begin = time.perf_counter()
    actions = _act(name, inputs, recording, seed, trees)
    if heard is not None:
        heard(name, actions.decisions)
    result = outcome(recording, actions.decisions, inputs.costs)
    seconds = time.perf_counter() - begin
    truth = recording.labels[recording.rows]
    tuned = actions.tuned
    note = tuned.note if tuned else _NOTES[name]
    flagged, score = actions.contained, actions.score
    if name != ORACLE:  # It is the labels themselves.
        flagged, score = (highest_so_far(recording, said) for said in (flagged, score))
    return {
        **binary_metrics(labels=truth, predictions=flagged, scores=score, rewards=None),
        "threshold": _finite(tuned.f1_threshold) if tuned else None,
        "note": note,
        "seconds": seconds,
        "response": BaselineResponse(
            **figure_values(recording, result, ends, inputs.costs, seed=seed),
            thresholds=_thresholds(tuned.thresholds) if tuned else None,
            tuned_score=inputs.rehearsal.score(tuned.cost) if tuned else None,
            behind_ci=bootstrap_lead(recording, team, result, ends, seed) if team else None,
            note=note,
            seconds=seconds,
        ),
    }


_NOTES: Final = {
    **{name: f"{ACTIONS[action]}s every event." for name, action in ONE_ACTION.items()},
    ORACLE: "Blocks every process at its first malicious event: it acts on the true labels.",
}


def _act(name: str, inputs: PolicyInputs, recording: Recording, seed: int, trees: TreeSettings | None) -> _Actions:
    count = len(recording.rows)
    if name == ORACLE:
        decisions = oracle(recording)
        malicious = recording.labels[recording.rows] == MALICIOUS
        return _Actions(decisions=decisions, score=malicious.astype(np.float64), contained=malicious)
    if name in ONE_ACTION:
        decisions = np.full(count, ONE_ACTION[name], dtype=np.int8)
        return _Actions(decisions=decisions, score=np.zeros(count), contained=contains(decisions))
    tuned = fit_and_tune(METHODS[name], inputs, seed=seed, trees=trees)
    score = tuned.fitted.score(inputs.scored)
    return _Actions(
        decisions=tuned.thresholds.decide(score), score=score, contained=score >= tuned.f1_threshold, tuned=tuned
    )


def _thresholds(thresholds: Thresholds) -> TunedThresholds:
    return TunedThresholds(
        alert=_finite(thresholds.alert), quarantine=_finite(thresholds.quarantine), block=_finite(thresholds.block)
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
