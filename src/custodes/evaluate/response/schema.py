"""The `response` part of `evaluation-<split>.json`: what is written of a replay (docs/run-folder.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from custodes.evaluate.response.timeline import Shielded

Count = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Multiplier = Annotated[float, msgspec.Meta(gt=0)]
Wait = Amount | Literal["inf"] | None
"""Seconds; "inf" for never, None where there is nothing to wait for."""
Interval = tuple[float, float]


class PhaseFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One attack phase in the part."""

    malicious: Count
    prevented: Count

    def __post_init__(self) -> None:
        """Refuse more than there are."""
        if self.prevented > self.malicious:
            raise ValueError("prevented is above malicious")


class Waits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Median and 95th percentile; order statistics, so that a process that is never contained stays infinite."""

    p50: Wait
    p95: Wait


class SensitivityPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same actions, with the costs of disruption multiplied."""

    multiplier: Multiplier
    score: float | None


class ResponseFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a policy's actions came to: of a team, one of its members, or a baseline."""

    score: float | None
    score_ci: Interval | None
    cost: Amount
    harm: Amount
    malicious_prevented: Count
    benign_suppressed: Count
    benign_delayed: Count
    false_blocks: Count
    false_quarantines: Count
    false_containments: Count
    false_containments_per_1000: Amount
    alerts: Count
    alerts_lost: Count
    alerts_per_hour: Amount | None
    per_phase: dict[str, PhaseFigures]
    time_to_contain_s: Waits
    sensitivity: tuple[SensitivityPoint, ...]

    def __post_init__(self) -> None:
        """Refuse an interval or counts that contradict themselves."""
        if self.score_ci is not None and self.score_ci[0] > self.score_ci[1]:
            raise ValueError("score_ci ends before it begins")
        if self.alerts_lost > self.alerts:
            raise ValueError("alerts_lost is above alerts")


class TunedThresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Act from this score on; None for never."""

    alert: float | None
    quarantine: float | None
    block: float | None


class BaselineResponse(ResponseFigures, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a baseline's actions came to on the same events."""

    thresholds: TunedThresholds | None
    tuned_score: float | None
    behind_ci: Interval | None
    note: str
    seconds: Amount


class ResponseRecord(ResponseFigures, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Scores of the response task; docs/response.md says how each is made."""

    cost_allow: Amount
    cost_oracle: Amount
    events: Count
    processes: Count
    malicious_processes: Count
    attack_trees: Count
    hours: Amount
    per_member: tuple[ResponseFigures, ...]
    needs_names: tuple[str, ...]
    costs: dict[str, float]
    seconds: Amount
    events_per_second: Amount


class ShieldRecord(Shielded, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the shield did on a part that was evaluated under it."""

    specs: str
    left_out: dict[str, str]
    seconds: Amount

    @property
    def replaced(self) -> int:
        """Decisions that became another action."""
        return sum(self.by_rule.values())
