"""Before the first step of an update nothing has changed: the ratio is 1 and the value is the value that acted.

Where the ratio is off, the places where it is off tell the causes apart. r, c and i are the median errors at an
episode's first step, at a sequence's first step inside an episode, and elsewhere:

| | r | c | i |
|---|---|---|---|
| inputs differ between collection and update | off | off | off |
| reset at another step | off | 0 | any |
| start state differs | 0 | off | fades along the sequence |
| order differs | 0 | off | as c |

Networks with noise differ from themselves in two passes; a broadcast shows in the number of ratios.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset, onset_measured
from custodes.doctor.signals import Signals

RATIO: Final = 1e-4
"""Mean |ratio - 1|: float32 rounding through a recurrent cell stays below 1e-6 (docs/learning.md)."""
VALUE: Final = 1e-2
"""Largest |value - acting value|, normalised units: rounding stays below 1e-4."""
LOOK: Final = 5
"""Iterations that are looked at together to tell causes apart."""
NOTHING: Final = 0.1
"""An error below this share of the largest of the three counts as none."""
FADED: Final = 0.5
"""Error inside a sequence over that at its start, below which it fades."""
_SOURCE: Final = "the ratio of equal policies is 1; float32 rounding leaves 1e-6"


@detector(
    "ratio-broadcast",
    "dropout-mismatch",
    "start-state-mismatch",
    "reset-misaligned",
    "sequence-order",
    "normaliser-drift",
    "ratio-not-one",
    needs=("ratio_error",),
)
def ratio(signals: Signals) -> Iterable[Finding]:
    """The ratio before the first step is 1; where not, why."""
    error = signals["ratio_error"]
    elements = signals.get("ratio_elements")
    row = onset(elements > 1.5)
    if row is not None:
        shown = Evidence(
            metric="ratio_elements", value=float(elements[row]), expectation="1", source="one ratio for each sample"
        )
        yield found("ratio-broadcast", signals.iterations[row], shown, *_error(signals, row))
        return
    row = onset_measured(signals, "ratio_error", ~(error <= RATIO) & ~np.isnan(error))
    if row is not None:
        yield _cause(signals, row)


def _cause(signals: Signals, row: int) -> Finding:
    """Why the ratio is off from `row` on."""
    window = slice(row, row + LOOK)
    repeat = signals.get("repeat_error")[window]
    at = signals.iterations[row]
    if (repeat > 1e-6).any():
        shown = Evidence(
            metric="repeat_error",
            value=float(np.nanmax(repeat)),
            expectation="0",
            source="two passes over the same inputs give the same numbers",
        )
        return found("dropout-mismatch", at, shown, *_error(signals, row))
    names = ("ratio_error_reset", "ratio_error_chunk", "ratio_error_inside")
    r, c, i = (_median(signals.get(name)[window]) for name in names)
    name = _by_place(r, c, i)
    places = tuple(
        Evidence(metric=metric, value=value, expectation="below 1e-6", source=_SOURCE)
        for metric, value in zip(names, (r, c, i), strict=True)
        if not math.isnan(value)
    )
    return found(name, at, *_error(signals, row), *places)


def _by_place(r: float, c: float, i: float) -> str:
    """The row of the table above; NaN for a place that no step stood at."""
    most = max((x for x in (r, c, i) if not math.isnan(x)), default=0.0)
    if most == 0.0 or math.isnan(c):
        return "ratio-not-one"
    off_reset, off_chunk = r > NOTHING * most, c > NOTHING * most
    if off_reset:
        return "normaliser-drift" if off_chunk else "reset-misaligned"
    if not off_chunk:
        return "sequence-order"
    if math.isnan(r):
        # No episode began: inputs that differ show everywhere alike, another start fades.
        return "start-state-mismatch" if i < FADED * c else "normaliser-drift"
    return "start-state-mismatch" if math.isnan(i) or i < FADED * c else "sequence-order"


def _error(signals: Signals, row: int) -> tuple[Evidence, ...]:
    value = float(signals["ratio_error"][row])
    return (Evidence(metric="ratio_error", value=value, expectation="below 1e-4", source=_SOURCE),)


def _median(values: np.ndarray) -> float:
    finite = values[~np.isnan(values)]
    return float(np.median(finite)) if len(finite) else math.nan


@detector("value-units", needs=("value_error",))
def value(signals: Signals) -> Iterable[Finding]:
    """The value before the first step is the one that advantages were formed with."""
    error = signals["value_error"]
    off = ~(error <= VALUE) & ~np.isnan(error)
    row = onset_measured(signals, "value_error", off, 2)
    if row is not None:
        shown = Evidence(
            metric="value_error",
            value=float(error[row]),
            expectation="below 0.01",
            source="the same critic on the same inputs; rounding leaves 1e-4",
        )
        yield found("value-units", signals.iterations[row], shown)
