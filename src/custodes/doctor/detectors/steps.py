"""The optimiser's steps: too large, too small, exploding, vanishing, always clipped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset, onset_measured, some, worst
from custodes.doctor.signals import Signals

KL: Final = 0.2
CLIPPED: Final = 0.5
"""KL (nats) of one iteration and share of clipped ratios from which a policy is thrown about."""
LEAP: Final = 0.5
STILL: Final = 1e-6
"""Relative change of the parameters in one iteration."""
EXPLODED: Final = 100.0
"""Gradient norm over the clip."""
UNCLIPPED: Final = 1000.0
"""Gradient norm where nothing clips it."""
VANISHED: Final = 1e-6
"""Gradient at the first layer over that at the heads."""
ALWAYS: Final = 0.99
"""Share of steps whose gradient is clipped."""


@detector("update-too-large", needs=("parameter_step",))
def leap(signals: Signals) -> Iterable[Finding]:
    """No iteration replaces the parameters."""
    step = signals["parameter_step"]
    row = onset_measured(signals, "parameter_step", step > LEAP)
    if row is not None:
        shown = Evidence(
            metric="parameter_step",
            value=float(step[row]),
            expectation=f"below {LEAP}",
            source="a change of half their length leaves little of what they were; healthy runs stay below 0.2",
        )
        yield found("update-too-large", signals.iterations[row], shown)


@detector("update-too-large", needs=("kl", "clip_fraction"))
def too_large(signals: Signals) -> Iterable[Finding]:
    """Updates stay near the policy that acted."""
    if signals.has("parameter_step") and any(True for _ in leap(signals)):
        return
    kl, clipped = signals["kl"], signals["clip_fraction"]
    row = onset((kl > KL) & (clipped > CLIPPED), 2)
    if row is not None:
        shown = (
            Evidence(metric="kl", value=float(kl[row]), expectation=f"below {KL}", source="healthy runs' spread"),
            Evidence(
                metric="clip_fraction",
                value=float(clipped[row]),
                expectation=f"below {CLIPPED}",
                source="half of the samples teach nothing beyond the clip",
            ),
        )
        yield found("update-too-large", signals.iterations[row], *shown)


@detector("update-too-small", needs=("parameter_step",))
def too_small(signals: Signals) -> Iterable[Finding]:
    """Updates move the parameters."""
    step = signals["parameter_step"]
    row = onset_measured(signals, "parameter_step", step < STILL, 3)
    if row is not None:
        shown = Evidence(
            metric="parameter_step",
            value=float(step[row]),
            expectation="above 1e-6",
            source="float32 resolves 1e-7; at this pace a weight doubles after a million iterations",
        )
        yield found("update-too-small", signals.iterations[row], shown)


@detector("gradient-explosion", needs=("grad_norm",))
def explosion(signals: Signals) -> Iterable[Finding]:
    """Gradients are of the size that the clip was chosen for."""
    norm = worst(signals["grad_norm"])
    limit = signals.facts.max_grad_norm or 0.0
    most = EXPLODED * limit if limit else UNCLIPPED
    # A rare harm among rewards near zero is a few deviations' worth of gradient, and passes.
    row = onset(norm > most, 5)
    if row is not None:
        shown = Evidence(
            metric="grad_norm", value=float(norm[row]), expectation=f"below {most:g}", source="healthy runs' spread"
        )
        yield found("gradient-explosion", signals.iterations[row], shown)


@detector("gradient-vanishing", needs=("grad_first", "grad_policy_head"))
def vanishing(signals: Signals) -> Iterable[Finding]:
    """Gradients reach the first layer of every network."""
    first = signals["grad_first"].reshape(len(signals), -1)
    heads = np.nan_to_num(worst(signals["grad_policy_head"])) + np.nan_to_num(worst(signals.get("grad_value_head")))
    gone = some(first <= VANISHED * np.maximum(heads, VANISHED)[:, None])
    row = onset_measured(signals, "grad_first", gone, 3)
    if row is not None:
        dead = np.flatnonzero(first[row] <= VANISHED * max(heads[row], VANISHED))
        shown = Evidence(
            metric="grad_first",
            value=float(first[row].min()),
            expectation=f"above {VANISHED:g} of that at the heads ({heads[row]:.2g})",
            source="float32 resolves 1e-7 of a sum",
        )
        about = f"network {', '.join(str(n) for n in dead)}"
        yield found("gradient-vanishing", signals.iterations[row], shown, about=about)


@detector("clipping-always", needs=("clipped_steps",))
def clipping(signals: Signals) -> Iterable[Finding]:
    """Some gradients are below the clip."""
    row = onset_measured(signals, "clipped_steps", signals["clipped_steps"] > ALWAYS, 20)
    if row is not None:
        shown = Evidence(
            metric="clipped_steps",
            value=float(signals["clipped_steps"][row]),
            expectation=f"below {ALWAYS}",
            source="a clip is for outliers",
        )
        yield found("clipping-always", signals.iterations[row], shown)
