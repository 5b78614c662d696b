"""Rules that training obeys: violated whatever is done, or priced without end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset
from custodes.doctor.signals import Series, Signals

NEVER: Final = 0.01
"""Share of windows in which a rule holds, below which it never does."""
LOOK: Final = 5
LONG: Final = 20
"""Iterations for a rule that some policy is known to keep: a team that begins at random may break it for a while."""
WINDOWS: Final = 300
"""None of so many kept: the share is below `NEVER` with 95 % confidence (the rule of three, 3 / n)."""
WINDUP: Final = 15
"""Iterations in which a multiplier rises while its cost does not fall."""


@detector("spec-always-violated", needs=("stl_satisfied",))
def violated(signals: Signals) -> Iterable[Finding]:
    """Each rule holds now and then."""
    name = "spec_satisfied" if "spec_satisfied" in signals.series else "stl_satisfied"
    held = _columns(signals[name])
    # Who counts windows also tried beforehand whether a rule can be kept.
    counted = _columns(signals["spec_windows"]) if name == "spec_satisfied" and signals.has("spec_windows") else None
    for spec in range(held.shape[1]):
        rows = np.flatnonzero(~np.isnan(held[:, spec]))
        row = onset(held[rows, spec] < NEVER, LOOK if counted is None else LONG)
        if row is None or not bool((held[rows[row:], spec] < NEVER).all()):
            continue
        if counted is None or counted[rows[row:], spec].sum() >= WINDOWS:
            shown = Evidence(
                metric=name,
                value=float(held[rows[row], spec]),
                expectation=f"above {NEVER} in some iteration",
                source="policies of every entropy were tried; a rule that none satisfies is a constant",
            )
            yield found("spec-always-violated", signals.iterations[rows[row]], shown, about=_name(signals, spec))


@detector("multiplier-windup", needs=("spec_multiplier", "spec_cost"))
def windup(signals: Signals) -> Iterable[Finding]:
    """A multiplier that rises brings its cost down."""
    price, cost = _columns(signals["spec_multiplier"]), _columns(signals["spec_cost"])
    limit = _columns(signals["spec_target"]) if signals.has("spec_target") else np.full(cost.shape, np.nan)
    for spec in range(price.shape[1]):
        rows = np.flatnonzero(~np.isnan(price[:, spec]) & ~np.isnan(cost[:, spec]))
        if len(rows) < WINDUP:
            continue
        last = rows[-WINDUP:]
        rises = bool((np.diff(price[last, spec]) >= 0).all()) and price[last[-1], spec] > 2.0 * price[last[0], spec]
        falls = cost[last[-3:], spec].mean() < 0.9 * cost[last[:3], spec].mean()
        kept = limit[last[-1], spec] >= cost[last[-3:], spec].mean()
        if rises and not falls and not kept and price[last[-1], spec] > 1.0:
            shown = (
                Evidence(
                    metric="spec_multiplier",
                    value=float(price[last[-1], spec]),
                    expectation="level once its cost is within the limit",
                    source="dual ascent converges where the rule can be satisfied",
                ),
                Evidence(
                    metric="spec_cost",
                    value=float(cost[last[-3:], spec].mean()),
                    expectation=f"below {0.9 * cost[last[:3], spec].mean():.3g}",
                    source=f"its mean {WINDUP} iterations before",
                ),
            )
            yield found("multiplier-windup", signals.iterations[last[0]], *shown, about=_name(signals, spec))


def _columns(values: Series) -> Series:
    """[I, S] of a series by rule, or of one for all."""
    return values.reshape(len(values), -1)


def _name(signals: Signals, spec: int) -> str:
    names = signals.facts.specs or ()
    return f"rule {names[spec]}" if spec < len(names) else f"rule {spec}"
