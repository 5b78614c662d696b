"""What a replay cost, process by process, and the response score with its bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ALLOW, BLOCK
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import DELAYED, SUPPRESSED, Replayed, replay

DRAWS: Final = 2000
"""Bootstrap draws."""
_TAIL: Final = 0.025


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A replay in figures. Costs are in the units of `ResponseCosts`."""

    replayed: Replayed
    """What happened."""
    unit_cost: NDArray[np.float64]
    """float64 [E]: cost by attack tree (or single process outside of one), at the place of its root."""
    harm: float
    """Of the malicious events that executed."""
    false_blocks: int
    """Blocks of processes that never do anything malicious."""
    false_quarantines: int
    """Quarantines of such processes, renewals not counted."""
    alerts: int
    """Alerts raised, lost ones included."""
    benign_delayed: int
    """Benign events that executed late."""
    benign_suppressed: int
    """Benign events that never executed."""
    malicious_prevented: int
    """Malicious events that never executed."""

    @property
    def cost(self) -> float:
        """All of it."""
        return float(self.unit_cost.sum())


def outcome(recording: Recording, decisions: NDArray[np.integer], costs: ResponseCosts) -> Outcome:
    """Replay decisions and add up what they cost.

    Args:
        recording: A part of a recording, M events.
        decisions: Int [M], one for each of `recording.rows`, or [M, 3] (`replay`).
        costs: Costs and times.
    """
    return price(recording, replay(recording, decisions, costs), costs)


def price(recording: Recording, replayed: Replayed, costs: ResponseCosts) -> Outcome:
    """Add up what a replay cost."""
    forest, rows = recording.forest, recording.rows
    entity, fate = forest.entity[rows], replayed.fate
    executed = fate != SUPPRESSED
    benign = recording.benign[rows]
    delayed, suppressed = benign & (fate == DELAYED), benign & ~executed
    harm = recording.harm[rows] * executed
    innocent = recording.innocent
    false_blocks = [e for e, _, _ in replayed.blocked if innocent[e]]
    false_quarantines = [e for e, _ in replayed.quarantined if innocent[e]]
    alerted = [e for e, _, _ in replayed.alerts]
    per_entity = np.bincount(
        entity, weights=harm + costs.delayed * delayed + costs.suppressed * suppressed, minlength=forest.entities
    )
    for who, each in (
        (false_blocks, costs.false_block),
        (false_quarantines, costs.false_quarantine),
        (alerted, costs.alert),
    ):
        np.add.at(per_entity, np.array(who, dtype=np.int64), each)
    root = forest.attack_roots(recording.malicious)
    return Outcome(
        replayed=replayed,
        unit_cost=np.bincount(root, weights=per_entity, minlength=forest.entities).astype(np.float64),
        harm=float(harm.sum()),
        false_blocks=len(false_blocks),
        false_quarantines=len(false_quarantines),
        alerts=len(alerted),
        benign_delayed=int(delayed.sum()),
        benign_suppressed=int(suppressed.sum()),
        malicious_prevented=int(((recording.phase[rows] >= 0) & ~executed).sum()),
    )


def allow_all(recording: Recording) -> NDArray[np.int8]:
    """Decisions [M] of doing nothing."""
    return np.full(len(recording.rows), ALLOW, dtype=np.int8)


def oracle(recording: Recording) -> NDArray[np.int8]:
    """Decisions [M] that block every process at its first malicious event."""
    return np.where(recording.phase[recording.rows] >= 0, BLOCK, ALLOW).astype(np.int8)


def response_score(cost: float, cost_allow: float, cost_oracle: float) -> float | None:
    """(allow - cost) / (allow - oracle): 0 is doing nothing, 1 is acting exactly at the first malicious event.

    None where the oracle saves nothing: there is no attack in the part.
    """
    saved = cost_allow - cost_oracle
    return (cost_allow - cost) / saved if saved > 0 else None


def total_cost(result: Outcome, costs: ResponseCosts) -> float:
    """Cost of a replay under other prices: what happened stays as it was."""
    return (
        result.harm
        + costs.false_block * result.false_blocks
        + costs.false_quarantine * result.false_quarantines
        + costs.alert * result.alerts
        + costs.delayed * result.benign_delayed
        + costs.suppressed * result.benign_suppressed
    )


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The two ends of the response score."""

    allow: Outcome
    """Of doing nothing: score 0."""
    oracle: Outcome
    """Of acting exactly at each process's first malicious event: score 1."""


def reference_of(recording: Recording, costs: ResponseCosts) -> Reference:
    """Replay both ends of the score on a part."""
    return Reference(
        allow=outcome(recording, allow_all(recording), costs), oracle=outcome(recording, oracle(recording), costs)
    )


Interval = tuple[float, float]


def bootstrap(recording: Recording, result: Outcome, reference: Reference, seed: int) -> Interval | None:
    """A 95 % percentile interval of the response score over attack trees and the processes outside of them.

    Args:
        recording: The part.
        result: Of the policy.
        reference: Both ends of the score.
        seed: Seed of the draws.

    Returns:
        Low and high end; None where the score is not defined.
    """
    return _interval(recording, reference.allow.unit_cost - result.unit_cost, reference, seed)


def bootstrap_lead(
    recording: Recording, first: Outcome, second: Outcome, reference: Reference, seed: int
) -> Interval | None:
    """The same for the score of one policy less that of another, both drawn with the same attack trees."""
    return _interval(recording, second.unit_cost - first.unit_cost, reference, seed)


def _interval(recording: Recording, saved: NDArray[np.float64], reference: Reference, seed: int) -> Interval | None:
    """Interval of (sum of `saved` [E]) / (what the oracle saves) over draws of units with replacement."""
    possible = reference.allow.unit_cost - reference.oracle.unit_cost
    root = recording.forest.attack_roots(recording.malicious)
    units = np.union1d(root[recording.acting], np.flatnonzero((saved != 0) | (possible != 0)))
    if possible.sum() <= 0:
        return None
    # Units with the same two numbers (nearly all of them: nothing happened) are drawn together, as one multinomial.
    kinds, count = np.unique(np.stack((saved[units], possible[units])), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(units), count / len(units), size=DRAWS)
    above, below = draws @ kinds[0], draws @ kinds[1]
    scores = above[below > 0] / below[below > 0]
    low, high = np.quantile(scores, (_TAIL, 1 - _TAIL))
    return float(low), float(high)
