"""Inputs: do they vary, keep their scale, give the answer away, and carry the task?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset_measured, some
from custodes.doctor.signals import Signals

SCALE: Final = 100.0
"""Root mean square of an input from which the first layer is saturated whatever it holds."""
STRETCH: Final = 3.0
SHIFT: Final = 2.0
"""Change of an input's deviation (a factor) and mean (deviations), median over inputs, against the first iteration."""
LEAK: Final = 0.999
"""AUROC of a single input."""
CHANCE: Final = 0.6
"""AUROC of trees below which inputs tell nothing; half of the events of the sample give it a deviation below 0.05."""
LOW: Final = 0.5
"""F1 that trees must reach."""
ENOUGH: Final = 200
"""Malicious events in the sample from which a low F1 is the inputs' and not the sample's fault."""


@detector("inputs-constant", needs=("inputs_constant",))
def constant(signals: Signals) -> Iterable[Finding]:
    """Every agent has inputs that vary."""
    share = signals["inputs_constant"].reshape(len(signals), -1)
    row = onset_measured(signals, "inputs_constant", some(share >= 1.0), 2)
    if row is not None:
        blind = [str(agent) for agent in np.flatnonzero(share[row] >= 1.0)]
        shown = Evidence(
            metric="inputs_constant", value=tuple(share[row]), expectation="below 1 for each agent", source="definition"
        )
        yield found("inputs-constant", signals.iterations[row], shown, about=f"agent {', '.join(blind)}")


@detector("input-scale", needs=("input_rms_max",))
def scale(signals: Signals) -> Iterable[Finding]:
    """Inputs are near unit scale."""
    most = signals["input_rms_max"]
    row = onset_measured(signals, "input_rms_max", most > SCALE, 2)
    # Inputs that grow on the way are drifting, and are found as such.
    if row is not None and row <= 1:
        shown = Evidence(
            metric="input_rms_max",
            value=float(most[row]),
            expectation=f"below {SCALE:g}",
            source="tanh of 3 is 0.995: weights of size 0.1 saturate",
        )
        yield found("input-scale", signals.iterations[row], shown)


@detector("inputs-drift", needs=("input_stretch", "input_shift"))
def drift(signals: Signals) -> Iterable[Finding]:
    """Inputs keep the scale of the first iteration."""
    stretch, shift = signals["input_stretch"], signals["input_shift"]
    moved = (stretch > STRETCH) | (stretch < 1.0 / STRETCH) | (shift > SHIFT)
    row = onset_measured(signals, "input_stretch", moved, 3)
    if row is not None:
        shown = (
            Evidence(
                metric="input_stretch", value=float(stretch[row]), expectation="1/3 to 3", source="healthy runs' spread"
            ),
            Evidence(
                metric="input_shift", value=float(shift[row]), expectation="below 2", source="healthy runs' spread"
            ),
        )
        yield found("inputs-drift", signals.iterations[row], *shown)


@detector("leaking-input", needs=("facts.input_leak",))
def leak(signals: Signals) -> Iterable[Finding]:
    """No single input tells the label."""
    told = signals.facts.input_leak
    assert told is not None
    if told.auroc >= LEAK:
        shown = Evidence(
            metric=f"AUROC of input {told.column}",
            value=told.auroc,
            expectation=f"below {LEAK}",
            source="a recording's inputs do not hold its labels",
        )
        yield found("leaking-input", 0, shown, about=f"input {told.column}")


@detector("input-ceiling", needs=("facts.ceiling",))
def ceiling(signals: Signals) -> Iterable[Finding]:
    """Boosted trees on the inputs tell malicious events from benign ones."""
    reached = signals.facts.ceiling
    assert reached is not None
    best = max(reached.f1_alone, reached.f1_context)
    chance = reached.auroc_context < CHANCE
    if not chance and (best >= LOW or reached.threats < ENOUGH):
        return
    source = f"boosted trees on {reached.events:,} events of held-out lanes"
    shown = (
        Evidence(
            metric="AUROC of trees",
            value=reached.auroc_context,
            expectation=f"at least {CHANCE}; 0.5 is chance",
            source=source,
        ),
        Evidence(
            metric="F1 of trees with context", value=reached.f1_context, expectation=f"at least {LOW}", source=source
        ),
        Evidence(
            metric="F1 of trees without context", value=reached.f1_alone, expectation=f"at least {LOW}", source=source
        ),
        Evidence(
            metric="F1 of calling all malicious", value=reached.f1_chance, expectation="far below", source="definition"
        ),
    )
    yield found("input-ceiling", 0, *shown, severity="critical" if chance else "warning")
