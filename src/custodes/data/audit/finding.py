"""What an audit says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Severity = Literal["info", "warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")
"""The gravest first."""


@dataclass(frozen=True, kw_only=True)
class AuditFinding:
    """One thing that a reader of scores on this data should know."""

    name: str
    """Check that found it, such as `label-determined`; one check may find several things."""
    severity: Severity
    """info: worth knowing; warning: weakens a score; critical: makes one meaningless."""
    what: str
    """The finding in one line."""
    evidence: dict[str, Any]
    """The numbers behind it, JSON-able and finite."""
