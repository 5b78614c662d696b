"""Value targets: are they the returns, do episodes end as recorded, and can anything predict them?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import carried, onset, onset_measured, worst
from custodes.doctor.signals import Signals

TARGET: Final = 1e-3
"""Mean |target - return| over the returns' deviation; rounding stays below 1e-6."""
ENDS: Final = 10
"""Ends of episodes that are needed to judge."""
PREDICTABLE: Final = 0.1
"""Share of the returns' variance that inputs or actions must be able to tell."""
LOOK: Final = 5
"""Iterations over which the shares are averaged."""


@detector("return-target", needs=("target_error",))
def target(signals: Signals) -> Iterable[Finding]:
    """The value targets are what the configured estimator makes of rewards and values."""
    error = signals["target_error"]
    row = onset_measured(signals, "target_error", error > TARGET)
    if row is None:
        return
    spread = float(signals.get("target_spread")[row])
    shown = [
        Evidence(
            metric="target_error",
            value=float(error[row]),
            expectation="below 1e-3",
            source="definition of the return (Sutton and Barto 2018, eq. 12.2)",
        )
    ]
    cause = ""
    if abs(spread - 1.0) < 0.05:
        shown.append(
            Evidence(
                metric="target_spread",
                value=spread,
                expectation="that of the rewards",
                source="advantages that were normalised have deviation 1",
            )
        )
        cause = "value targets are formed from normalised advantages, in units that are not the reward's"
    yield found("return-target", signals.iterations[row], *shown, cause=cause)


@detector(
    "truncation-as-termination",
    "termination-as-truncation",
    needs=("ends_cut", "ends_terminal", "ends_wrongly_terminated", "ends_wrongly_truncated"),
)
def ends(signals: Signals) -> Iterable[Finding]:
    """Episodes end in training as the recording says."""
    for name, series, recorded in (
        ("truncation-as-termination", "ends_wrongly_terminated", "ends_cut"),
        ("termination-as-truncation", "ends_wrongly_truncated", "ends_terminal"),
    ):
        wrong, all_ends = np.nancumsum(signals[series]), np.nancumsum(signals[recorded])
        # An analyst's verdict at a last event ends an episode rightly, now and then.
        row = onset((wrong > 0.5 * all_ends) & (all_ends >= ENDS))
        if row is None:
            continue
        first = int(np.flatnonzero(np.nan_to_num(signals[series]) > 0)[0])
        shown = Evidence(
            metric=series, value=int(wrong[row]), expectation=f"0 of {int(all_ends[row])}", source="how lanes end"
        )
        harmless = signals.facts.gamma == 0.0
        yield found(name, signals.iterations[first], shown, severity="warning" if harmless else None)


@detector(
    "return-unpredictable",
    needs=("value_loss", "value_loss_floor", "explained_variance", "facts.gamma"),
)
def predictable(signals: Signals) -> Iterable[Finding]:
    """Inputs or actions tell some of the returns, unless the discount sums what neither influences."""
    gamma, influence = signals.facts.gamma or 0.0, signals.facts.influence
    horizon = 1.0 / (1.0 - gamma) if gamma < 1.0 else np.inf
    if gamma == 0.0 or (influence is not None and horizon <= influence + 1.0):
        return
    loss, floor = signals["value_loss"], signals["value_loss_floor"]
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(loss > 0, (1.0 - signals["explained_variance"]) * np.minimum(floor / loss, 1.0), np.nan)
    inputs = 1.0 - left
    actions = np.nan_to_num(carried(worst(signals.get("action_share"))))
    told = np.maximum(inputs, 0.0) + actions
    rows = np.flatnonzero(~np.isnan(told))
    if len(rows) < LOOK:
        return
    mean = np.convolve(told[rows], np.ones(LOOK) / LOOK, mode="valid")
    row = onset(mean < PREDICTABLE)
    if row is None:
        return
    first = int(rows[row])
    shown = (
        Evidence(
            metric="share of the returns' variance that inputs or actions tell",
            value=float(mean[row]),
            expectation=f"at least {PREDICTABLE}",
            source="value-loss floor (docs/learning.md) and analysis of variance over actions",
        ),
        Evidence(
            metric="gamma",
            value=gamma,
            expectation="0" if influence == 0.0 else "a horizon within the actions' influence",
            source=f"an action changes {'nothing' if influence == 0.0 else 'something'} that follows it",
        ),
    )
    yield found("return-unpredictable", signals.iterations[first], *shown)
