"""From signals to a diagnosis: every detector, root causes first, consequences folded under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import custodes.doctor.detectors  # noqa: F401  (registers them)
from custodes.doctor.catalogue import CATALOGUE
from custodes.doctor.detector import DETECTORS
from custodes.doctor.finding import SEVERITIES, Diagnosis, Finding, NotExamined
from custodes.doctor.signals import Signals

SLACK: Final = 5
"""Iterations by which a consequence may show before its cause: thresholds are crossed at different times."""
SETTLED: Final = frozenset(("class-too-rare", "inputs-constant", "reward-constant"))
"""Causes in settings and data that are seen from the first iteration on: they explain what was wrong before it too."""


def diagnose(signals: Signals) -> Diagnosis:
    """Run every detector that has its signals.

    Args:
        signals: Of one run; no iterations at all leave every detector without signals.
    """
    findings: list[Finding] = []
    missing: list[NotExamined] = []
    examined: list[str] = []
    for one in DETECTORS:
        lacking = signals.missing(one.needs)
        if lacking:
            missing.append(NotExamined(name=one.name, findings=one.findings, missing=lacking))
        else:
            examined.append(one.name)
            findings += one.examine(signals)
    roots, folded = fold(findings)
    return Diagnosis(findings=roots, folded=folded, not_examined=tuple(missing), examined=tuple(examined))


def fold(findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Part root causes from what they explain.

    A finding is folded when another one of the run explains it by the catalogue and did not begin well after it. What
    explains it may itself be folded; the root then names both. What was wrong before the first iteration (settings,
    data) follows from nothing that only training can show, but from other settings and data (`SETTLED`).

    Args:
        findings: In any order.

    Returns:
        Root causes in order, with what they explain, and the folded ones in order.
    """
    ordered = sorted(findings, key=_rank)
    explained = {root.name: [other for other in ordered if _explains(root, other)] for root in ordered}
    below = {other.name for others in explained.values() for other in others}
    roots = []
    for root in ordered:
        if root.name not in below:
            names = list(dict.fromkeys(_reached(root.name, explained)))
            roots.append(replace(root, explains=tuple(names)))
    return tuple(roots), tuple(one for one in ordered if one.name in below)


def _explains(root: Finding, other: Finding) -> bool:
    slack = SLACK if other.iteration > 0 or root.name in SETTLED else 0
    return other.name in CATALOGUE[root.name].explains and root.iteration <= other.iteration + slack


def _reached(name: str, explained: dict[str, list[Finding]]) -> list[str]:
    """Names of all that follows from a finding; the catalogue has no circles (tests/doctor/test_catalogue.py)."""
    names: list[str] = []
    for other in explained[name]:
        names += [other.name, *_reached(other.name, explained)]
    return names


def _rank(finding: Finding) -> tuple[int, int, int]:
    """Gravest first; then the order of the catalogue, which goes from the mechanism to its effects; then onset."""
    names = list(CATALOGUE)
    return SEVERITIES.index(finding.severity), names.index(finding.name), finding.iteration
