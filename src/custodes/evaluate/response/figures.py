"""From a replay to the figures of the record: score with interval, phases, waits, and the cost-sensitivity curve."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import EXECUTED, SUPPRESSED, Replayed
from custodes.evaluate.response.outcome import Outcome, Reference, bootstrap, response_score, total_cost
from custodes.evaluate.response.schema import PhaseFigures, ResponseFigures, SensitivityPoint, Waits

MULTIPLIERS: Final = (0.25, 0.5, 1.0, 2.0, 4.0)
"""By how much the costs of disruption are multiplied in the cost-sensitivity curve."""
_HOUR: Final = 3600.0


def figures_of(
    recording: Recording, result: Outcome, reference: Reference, costs: ResponseCosts, *, seed: int = 0
) -> ResponseFigures:
    """Everything that the record says of one policy.

    Args:
        recording: The part.
        result: Of the policy's decisions on it.
        reference: Both ends of the score.
        costs: Under which it was replayed.
        seed: Seed of the bootstrap.
    """
    return ResponseFigures(**figure_values(recording, result, reference, costs, seed=seed))


def figure_values(
    recording: Recording, result: Outcome, reference: Reference, costs: ResponseCosts, *, seed: int = 0
) -> dict[str, Any]:
    """The same by name, for records that hold more."""
    contained = falsely_contained(recording, result.replayed)
    hours = hours_of(recording)
    lost = sum(full for _, _, full in result.replayed.alerts)
    return {
        "score": response_score(result.cost, reference.allow.cost, reference.oracle.cost),
        "score_ci": bootstrap(recording, result, reference, seed),
        "cost": result.cost,
        "harm": result.harm,
        "malicious_prevented": result.malicious_prevented,
        "benign_suppressed": result.benign_suppressed,
        "benign_delayed": result.benign_delayed,
        "false_blocks": result.false_blocks,
        "false_quarantines": result.false_quarantines,
        "false_containments": contained,
        "false_containments_per_1000": 1000 * contained / len(recording.acting),
        "alerts": result.alerts,
        "alerts_lost": lost,
        "alerts_per_hour": result.alerts / hours if hours > 0 else None,
        "per_phase": phases_of(recording, result.replayed),
        "time_to_contain_s": waits_of(recording, result.replayed),
        "sensitivity": sensitivity_of(result, reference, costs),
    }


def falsely_contained(recording: Recording, replayed: Replayed) -> int:
    """Innocent processes that were blocked or quarantined, each once.

    A process that is gone with its blocked ancestor is not among them: what it would have done counts as suppressed.
    """
    touched = {e for e, _, _ in replayed.blocked} | {e for e, _ in replayed.quarantined}
    return sum(bool(recording.innocent[e]) for e in touched)


def hours_of(recording: Recording) -> float:
    """Hours from the first to the last event of the part."""
    return float(recording.clock[recording.rows[-1]] - recording.clock[recording.rows[0]]) / _HOUR


def phases_of(recording: Recording, replayed: Replayed) -> dict[str, PhaseFigures]:
    """Malicious events of each attack phase in the part, and how many of them never executed."""
    phase = recording.phase[recording.rows]
    gone = replayed.fate == SUPPRESSED
    return {
        name: PhaseFigures(malicious=int((phase == code).sum()), prevented=int(((phase == code) & gone).sum()))
        for code, name in enumerate(recording.phases)
        if (phase == code).any()
    }


def waits_of(recording: Recording, replayed: Replayed) -> Waits:
    """Median and 95th percentile of the time to contain, over the processes with malicious events in the part."""
    waits = np.sort(times_to_contain(recording, replayed))
    if not len(waits):
        return Waits(p50=None, p95=None)
    return Waits(p50=seconds_in_json(quantile(waits, 0.5)), p95=seconds_in_json(quantile(waits, 0.95)))


def times_to_contain(recording: Recording, replayed: Replayed) -> NDArray[np.float64]:
    """Seconds from each process's first malicious event in the part to its containment.

    0 where that event did not execute when recorded; else until the next Block or Quarantine; inf where none came. A
    Quarantine that was over before the event contained nothing.

    Returns:
        float64, one for each process with malicious events in the part, in the order of the first of them.
    """
    rows = recording.rows
    places = np.flatnonzero(recording.phase[rows] >= 0)
    entities, first = np.unique(recording.forest.entity[rows[places]], return_index=True)
    begun = dict(zip(entities.tolist(), places[first].tolist(), strict=True))
    waits = {e: 0.0 if replayed.fate[place] != EXECUTED else math.inf for e, place in begun.items()}
    for e, time in (*((e, time) for e, time, _ in replayed.blocked), *replayed.quarantined):
        since = time - float(recording.clock[rows[begun[e]]]) if e in begun else -1.0
        if since >= 0:
            waits[e] = min(waits[e], since)
    return np.array([waits[e] for e in sorted(begun, key=begun.__getitem__)])


def sensitivity_of(result: Outcome, reference: Reference, costs: ResponseCosts) -> tuple[SensitivityPoint, ...]:
    """The score of the same actions where false Blocks, false Quarantines and disrupted events cost more or less."""
    points = []
    for multiplier in MULTIPLIERS:
        priced = dearer(costs, multiplier)
        ends = total_cost(reference.allow, priced), total_cost(reference.oracle, priced)
        points.append(SensitivityPoint(multiplier=multiplier, score=response_score(total_cost(result, priced), *ends)))
    return tuple(points)


def dearer(costs: ResponseCosts, multiplier: float) -> ResponseCosts:
    """The same costs with those of disruption multiplied; harm and analysts' time keep theirs."""
    return replace(
        costs,
        false_block=multiplier * costs.false_block,
        false_quarantine=multiplier * costs.false_quarantine,
        delayed=multiplier * costs.delayed,
        suppressed=multiplier * costs.suppressed,
    )


def quantile(ordered: NDArray[np.float64], share: float) -> float:
    """The smallest value with at least `share` of all at or below it: no mean of a number and infinity."""
    return float(ordered[math.ceil(share * len(ordered)) - 1])


def seconds_in_json(seconds: float) -> float | Literal["inf"]:
    """A wait as the record holds it: JSON has no infinity."""
    return seconds if math.isfinite(seconds) else "inf"
