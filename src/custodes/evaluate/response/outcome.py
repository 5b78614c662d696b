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


def bootstrap(
    recording: Recording, cost: NDArray[np.float64], allow: NDArray[np.float64], best: NDArray[np.float64], seed: int
) -> tuple[float, float] | None:
    """A 95 % percentile interval of the response score over attack trees and the processes outside of them.

    Args:
        recording: The part.
        cost: `Outcome.unit_cost` of the policy, float64 [E].
        allow: The same of doing nothing.
        best: The same of the oracle.
        seed: Seed of the draws.

    Returns:
        Low and high end; None where the score is not defined.
    """
    root = recording.forest.attack_roots(recording.malicious)
    units = np.unique(root[recording.acting])
    units = np.unique(np.concatenate((units, np.flatnonzero((cost != 0) | (allow != 0)))))
    saved, possible = (allow - cost)[units], (allow - best)[units]
    if possible.sum() <= 0:
        return None
    # Units with the same two numbers (nearly all of them: nothing happened) are drawn together, as one multinomial.
    kinds, count = np.unique(np.stack((saved, possible)), axis=1, return_counts=True)
    draws = np.random.default_rng(seed).multinomial(len(units), count / len(units), size=DRAWS)
    above, below = draws @ kinds[0], draws @ kinds[1]
    scores = above[below > 0] / below[below > 0]
    low, high = np.quantile(scores, (_TAIL, 1 - _TAIL))
    return float(low), float(high)
