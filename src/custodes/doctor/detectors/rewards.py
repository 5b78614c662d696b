"""Rewards: do they vary, are they those of the actions beside them, and does one action win whatever is learned?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import early, onset_measured, worst
from custodes.doctor.signals import Signals

FIRST: Final = 3
"""Iterations in which the policy still tries everything."""
ENDS: Final = 0.95
"""Share of the rewards other than 0 that sit at the ends of their range, from which they are clipped."""
MISMATCH: Final = 0.01
"""Share of rewards unlike the table's."""
LAG: Final = 3.0
"""Signal of the step before over that of the step itself; healthy runs have 0.1."""
CLEAR: Final = 10.0
"""Signal that is one; 1 is chance."""
LOOK: Final = 10
"""Iterations over which the signal is averaged."""
SIGNAL: Final = 2.0
"""Mean of the signal; 1 is none, and ten iterations of four actions have deviation 0.26 around it."""
GAIN: Final = 0.01
"""Share of the reward to be had that the best threshold must reach."""
ENOUGH: Final = 200
"""Malicious events in the sample from which a low gain is not the sample's fault."""
CHANCE: Final = 0.6
"""AUROC below which inputs tell nothing."""


@detector("reward-constant", needs=("reward_min", "reward_max"))
def varies(signals: Signals) -> Iterable[Finding]:
    """Rewards differ."""
    low, high = early(signals, "reward_min", FIRST), early(signals, "reward_max", FIRST)
    if len(low) >= 2 and bool((high - low <= 1e-9 * np.maximum(np.abs(high), 1e-9)).all()):
        shown = Evidence(
            metric="reward_max - reward_min",
            value=float((high - low).max()),
            expectation="above 0",
            source="definition",
        )
        yield found("reward-constant", signals.iterations[0], shown)


@detector(
    "reward-misaligned", "reward-saturated", "reward-unlike-table", needs=("reward_mismatch", "facts.reward_table")
)
def against_table(signals: Signals) -> Iterable[Finding]:
    """Rewards are the table's for the action beside them."""
    off = signals["reward_mismatch"]
    row = onset_measured(signals, "reward_mismatch", off > MISMATCH)
    if row is None:
        return
    at, table = signals.iterations[row], np.array(signals.facts.reward_table)
    shown = Evidence(metric="reward_mismatch", value=float(off[row]), expectation="0", source="the run's reward table")
    lagged = float(signals.get("reward_lagged")[row])
    spread = float(signals.get("reward_max")[row] - signals.get("reward_min")[row])
    if lagged > 0.99:
        late = Evidence(metric="reward_lagged", value=lagged, expectation="below 1", source="the run's reward table")
        yield found("reward-misaligned", at, shown, late)
    elif spread < 0.9 * float(table.max() - table.min()) and _at_ends(signals) > ENDS:
        ends = Evidence(metric="reward_at_ends", value=_at_ends(signals), expectation="below 0.95", source="the table")
        yield found("reward-saturated", at, shown, ends)
    else:
        yield found("reward-unlike-table", at, shown)


@detector("reward-saturated", needs=("reward_at_ends", "reward_min", "reward_max"))
def saturated(signals: Signals) -> Iterable[Finding]:
    """Rewards that no table lists are not all at the ends of their range."""
    if signals.has("reward_mismatch"):
        return
    low, high = (float(early(signals, name, FIRST).mean()) for name in ("reward_min", "reward_max"))
    if low < 0.0 < high and _at_ends(signals) > ENDS:
        shown = Evidence(
            metric="reward_at_ends",
            value=_at_ends(signals),
            expectation=f"below {ENDS}",
            source="healthy runs: costs of different size are paid differently",
        )
        yield found("reward-saturated", signals.iterations[0], shown)


@detector("reward-misaligned", needs=("advantage_signal", "advantage_signal_lagged"))
def lagged(signals: Signals) -> Iterable[Finding]:
    """Advantages depend on the action beside them, not on the one before."""
    if len(signals) < FIRST:
        return
    now = float(np.nanmean(worst(early(signals, "advantage_signal", FIRST))))
    before = float(np.nanmean(worst(early(signals, "advantage_signal_lagged", FIRST))))
    if before > LAG * now and before > CLEAR:
        shown = Evidence(
            metric="advantage_signal_lagged",
            value=before,
            expectation=f"below that of the step itself ({now:.2f})",
            source="Kruskal and Wallis 1952; 1 is chance",
        )
        yield found("reward-misaligned", signals.iterations[0], shown)


@detector("advantage-no-signal", needs=("advantage_signal",))
def advantage(signals: Signals) -> Iterable[Finding]:
    """Advantages depend on the actions taken while the policy still tries all."""
    seen = worst(early(signals, "advantage_signal", LOOK))
    if len(seen) < LOOK or np.isnan(seen).all():
        return
    mean = float(np.nanmean(seen))
    if mean < SIGNAL:
        shown = Evidence(
            metric="advantage_signal",
            value=mean,
            expectation=f"above {SIGNAL:g} over the first {LOOK} iterations",
            source="Kruskal and Wallis 1952; 1 is chance",
        )
        yield found("advantage-no-signal", signals.iterations[min(LOOK, len(signals)) - 1], shown)


@detector("one-action-optimal", needs=("facts.ceiling", "facts.reward_table"))
def one_action(signals: Signals) -> Iterable[Finding]:
    """Some threshold on what the inputs tell earns more than one action for all."""
    ceiling = signals.facts.ceiling
    assert ceiling is not None
    if ceiling.gain is None or ceiling.threats < ENOUGH:
        return
    if ceiling.gain < GAIN and ceiling.auroc_context >= CHANCE:
        shown = Evidence(
            metric="gain of the best threshold",
            value=ceiling.gain,
            expectation=f"at least {GAIN} of what perfect knowledge earns above one action for all",
            source="boosted trees on held-out lanes and the reward table",
        )
        yield found("one-action-optimal", 0, shown)


def _at_ends(signals: Signals) -> float:
    return float(np.nanmean(early(signals, "reward_at_ends", FIRST)))
