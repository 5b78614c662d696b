"""The critic: does it learn, is it clipped away, are its targets of a scale that it can follow?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding, Severity
from custodes.doctor.onset import onset, onset_measured
from custodes.doctor.signals import Signals

SETTLED: Final = 15
"""Iterations that a critic gets before its loss is judged."""
ABOVE: Final = 3.0
"""Value loss over its floor."""
EXPLAINED: Final = 0.2
"""Explained variance below which a loss far above its floor is one of a critic that does not learn."""
NARROW: Final = 0.05
"""Value clip over the spread of the targets."""
LARGE: Final = 100.0
HUGE: Final = 1000.0
"""Spread of value targets that are not normalised, in the critic's units."""


@detector("value-head-frozen", needs=("grad_value_head",))
def value_head_moves(signals: Signals) -> Iterable[Finding]:
    """Gradients reach the value head."""
    dead = (signals["grad_value_head"].reshape(len(signals), -1) == 0.0).all(1)
    row = onset_measured(signals, "grad_value_head", dead, 2)
    if row is not None:
        shown = Evidence(
            metric="grad_value_head",
            value=0.0,
            expectation="above 0",
            source="a squared error that is not 0 has a slope",
        )
        yield found("value-head-frozen", signals.iterations[row], shown)


@detector("critic-not-learning", needs=("value_loss", "value_loss_floor", "explained_variance"))
def critic_learns(signals: Signals) -> Iterable[Finding]:
    """The value loss comes near its floor."""
    loss, floor, told = signals["value_loss"], signals["value_loss_floor"], signals["explained_variance"]
    behind = (loss > ABOVE * floor) & (loss - floor > 0.05) & (told < EXPLAINED)
    behind &= np.arange(len(signals)) >= SETTLED
    row = onset(behind, 10)
    if row is not None:
        source = "a critic at its floor has loss / floor = 1 (docs/learning.md)"
        shown = Evidence(
            metric="value_loss / value_loss_floor",
            value=float(loss[row] / max(floor[row], 1e-12)),
            expectation=f"below {ABOVE:g} after {SETTLED} iterations",
            source=source,
        )
        yield found("critic-not-learning", signals.iterations[row], shown)


@detector("value-clip", needs=("facts.value_clip",))
def value_clip(signals: Signals) -> Iterable[Finding]:
    """The value clip is wide enough for the critic to follow its targets."""
    clip = signals.facts.value_clip or 0.0
    if clip <= 0.0 or not len(signals):
        return
    spread = np.ones(len(signals)) if signals.facts.normalise_value else _spread(signals)
    row = onset(clip < NARROW * spread, 2)
    if row is not None:
        shown = Evidence(
            metric="value_clip",
            value=clip,
            expectation=f"at least {NARROW * spread[row]:.3g}",
            source="a clip of c moves values by about c per iteration; the targets' deviation is "
            f"{spread[row]:.3g} in its units",
        )
        yield found("value-clip", signals.iterations[row], shown)


@detector("value-target-scale", needs=("value_loss",))
def target_scale(signals: Signals) -> Iterable[Finding]:
    """Targets that are not normalised are of a scale that a network can follow."""
    if signals.facts.normalise_value:
        return
    spread = _spread(signals)
    row = onset(spread > LARGE, 3)
    if row is not None:
        shown = Evidence(
            metric="spread of the value targets",
            value=float(spread[row]),
            expectation=f"below {LARGE:g}",
            source="Adam moves a weight by at most its step size; such targets take thousands of steps",
        )
        severity: Severity = "critical" if spread[row] > HUGE else "warning"
        yield found("value-target-scale", signals.iterations[row], shown, severity=severity)


def _spread(signals: Signals) -> np.ndarray:
    """Deviation of the value targets [I]; from value loss and explained variance where it was not recorded."""
    if signals.has("return_std"):
        return signals["return_std"]
    unexplained = np.clip(1.0 - np.nan_to_num(signals.get("explained_variance")), 1e-3, None)
    return np.sqrt(signals.get("value_loss") / unexplained)
