"""The recording: labels that follow a rule, parts that know each other, and threats too rare to meet."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding, Severity
from custodes.doctor.signals import Signals

DETERMINED: Final = 0.8
"""Share of the label's entropy that one column tells; that of `custodes data audit`."""
NEIGHBOURS: Final = 0.05
"""Share of validation events whose event before was trained on; blocks of 1,000 leave 0.001."""
RARE: Final = 1.0
"""Malicious events that a rollout must hold on average: with fewer, e^-1 = 37 % of the rollouts hold none."""
LOOK: Final = 5


@detector("label-is-a-rule", needs=("facts.label_rule",))
def label_rule(signals: Signals) -> Iterable[Finding]:
    """No column of the recording determines the label."""
    rule = signals.facts.label_rule
    assert rule is not None
    if rule.share >= DETERMINED:
        shown = Evidence(
            metric=f"mutual information of {rule.column} and label over the label's entropy",
            value=rule.share,
            expectation=f"below {DETERMINED}",
            source="a truth that was observed follows from no single column",
        )
        severity: Severity = "critical" if rule.is_input else "warning"
        yield found("label-is-a-rule", 0, shown, about=f"column {rule.column}", severity=severity)


@detector("split-leakage", needs=("facts.rows_shared",))
def split_leakage(signals: Signals) -> Iterable[Finding]:
    """Validation events do not continue what was trained on."""
    shared = signals.facts.rows_shared
    assert shared is not None
    if shared > NEIGHBOURS:
        shown = Evidence(
            metric="validation events whose event before was trained on",
            value=shared,
            expectation=f"below {NEIGHBOURS}",
            source="splits by entity, time or blocks leave 0 to 0.01",
        )
        yield found("split-leakage", 0, shown)


@detector("class-too-rare", needs=("threats", "facts.minibatches"))
def rare(signals: Signals) -> Iterable[Finding]:
    """Minibatches hold malicious events."""
    threats = signals["threats"]
    seen = threats[~np.isnan(threats)]
    if len(seen) < LOOK:
        return
    rate = float(seen.mean())
    each = rate / (signals.facts.minibatches or 1)
    if rate < RARE:
        shown = Evidence(
            metric="malicious events per iteration",
            value=rate,
            expectation=f"at least {RARE:g}",
            source=f"Poisson: {math.exp(-rate):.0%} of iterations, {math.exp(-each):.0%} of batches hold none",
        )
        yield found("class-too-rare", signals.iterations[0], shown, severity="critical" if rate < RARE / 5 else None)
