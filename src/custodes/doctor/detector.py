"""Detectors: pure functions from signals to what they show, in one registry.

A detector names the signals that it needs. Where one of them is missing it does not run, and is listed as not having
looked. It reports each thing that it finds by its name in the catalogue, which holds the words and the severity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from custodes.doctor.catalogue import CATALOGUE
from custodes.doctor.finding import Evidence, Finding, Severity
from custodes.doctor.signals import Signals

Examine = Callable[[Signals], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """One question to a run."""

    name: str
    """Its function's name, with dashes."""
    needs: tuple[str, ...]
    """Series, and facts as `facts.NAME`; all of them must be there."""
    findings: tuple[str, ...]
    """Names that it can report."""
    examine: Examine
    """Signals of at least one iteration to findings; pure."""


DETECTORS: Final[list[Detector]] = []
"""All detectors, in the order of the modules that `custodes.doctor.detectors` imports."""


def detector(*findings: str, needs: tuple[str, ...]) -> Callable[[Examine], Examine]:
    """Register a function as a detector.

    Args:
        *findings: Names that it can report.
        needs: Signals that it reads.
    """
    unknown = [name for name in findings if name not in CATALOGUE]
    if unknown:
        raise ValueError(f"not in the catalogue: {', '.join(unknown)}")

    def register(examine: Examine) -> Examine:
        name = examine.__name__.replace("_", "-")
        DETECTORS.append(Detector(name=name, needs=needs, findings=findings, examine=examine))
        return examine

    return register


def found(
    name: str,
    iteration: int,
    *evidence: Evidence,
    about: str = "",
    severity: Severity | None = None,
    cause: str = "",
    change: str = "",
) -> Finding:
    """A finding in the catalogue's words.

    Args:
        name: In the catalogue.
        iteration: Onset; 0 for before the first one.
        *evidence: At least one.
        about: What the cause is about where the catalogue leaves it open, such as "agent 2"; put before it.
        severity: Other than the catalogue's.
        cause: Other than the catalogue's.
        change: Other than the catalogue's.
    """
    entry = CATALOGUE[name]
    words = cause or entry.cause
    return Finding(
        name=name,
        severity=severity or entry.severity,
        iteration=iteration,
        cause=f"{about}: {words}" if about else words,
        evidence=evidence,
        change=change or entry.change,
    )
