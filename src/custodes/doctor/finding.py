"""What the doctor says: findings with their evidence, and what it could not look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Severity = Literal["critical", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")
"""The gravest first."""

Measured = float | int | str | bool | None | tuple[float, ...]
"""A value as evidence states it."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One number and what it should have been."""

    metric: str
    """Name of the signal, as docs/run-folder.md or docs/doctor.md explains it."""
    value: Measured
    """What was measured."""
    expectation: str
    """What a sound run shows, such as "below 1e-4"."""
    source: str
    """Where the expectation is from: a theorem, a paper, or the spread of healthy runs."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; a tuple as a list."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"metric": self.metric, "value": value, "expectation": self.expectation, "source": self.source}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong with a training."""

    name: str
    """One of `custodes.doctor.catalogue.CATALOGUE`."""
    severity: Severity
    """critical: the run cannot learn what it should, or its numbers mean nothing; warning: it weakens the run; info."""
    iteration: int
    """Onset: the first iteration that shows it; 0 for what is wrong before the first one (data, settings)."""
    cause: str
    """The likely cause, a sentence."""
    evidence: tuple[Evidence, ...]
    """At least one."""
    change: str
    """What to change, a sentence."""
    explains: tuple[str, ...] = ()
    """Names of further findings of this run that follow from this one; they are folded under it."""

    def to_json(self) -> dict[str, Any]:
        """The object that `custodes doctor --json` prints for it."""
        return {
            "name": self.name,
            "severity": self.severity,
            "iteration": self.iteration,
            "cause": self.cause,
            "evidence": [part.to_json() for part in self.evidence],
            "change": self.change,
            "explains": list(self.explains),
        }


@dataclass(frozen=True, kw_only=True)
class NotExamined:
    """A detector that had nothing to read."""

    name: str
    """The detector."""
    findings: tuple[str, ...]
    """What it could have found."""
    missing: tuple[str, ...]
    """Signals that the log lacks, at least one; `facts.NAME` for what is to be known about the run."""

    def to_json(self) -> dict[str, Any]:
        """The object that `custodes doctor --json` prints for it."""
        return {"name": self.name, "findings": list(self.findings), "missing": list(self.missing)}


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All that the doctor says about one run."""

    findings: tuple[Finding, ...]
    """Root causes, the gravest first."""
    folded: tuple[Finding, ...]
    """Findings that one of `findings` explains."""
    not_examined: tuple[NotExamined, ...]
    """What could not be looked at, and why."""
    examined: tuple[str, ...]
    """Detectors that ran."""

    @property
    def critical(self) -> bool:
        """Whether a root cause is critical."""
        return any(finding.severity == "critical" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The object that `custodes doctor --json` prints."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "not_examined": [part.to_json() for part in self.not_examined],
        }
