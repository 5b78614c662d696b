"""The `stl` part of `evaluation-<split>.json` (docs/run-folder.md)."""

from __future__ import annotations

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SpecEvidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one rule fares under another policy on the same events."""

    triggered: Count
    satisfied_rate: Share | None


class SpecRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one rule held in the team's replay."""

    feasible: bool
    triggered: Count
    satisfied: Count
    satisfied_rate: Share | None
    robustness_min: float | None
    robustness_mean: float | None
    allowed: Share
    processes: Count
    label: bool
    evidence: dict[str, SpecEvidence]

    def __post_init__(self) -> None:
        """Refuse counts that contradict themselves."""
        if self.satisfied > self.triggered or self.processes > self.triggered:
            raise ValueError("satisfied or processes is above triggered")

    def can_be_kept(self) -> bool | None:
        """Whether anybody keeps the rule; None where nobody who was tried has a window, so that nothing was shown."""
        met = self.triggered or any(each.triggered for each in self.evidence.values())
        return True if self.feasible else False if met else None
