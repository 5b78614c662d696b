"""The original's four rules, and what their violation takes off the reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from custodes.bft.votes import ALLOW, BLOCK, QUARANTINE
from custodes.doctor.origin.defects import Repairs
from custodes.stl import evaluate, parse

PENALTY: Final = 10.0
"""Reward per unit of negative robustness."""
PUBLISHED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "detection": "historically[0,9] (detected >= 0.95)",
        "false-alarms": "historically[0,9] (false_alarm <= 0.05)",
        "response-time": "response_time <= 1",
        "utilisation": "utilisation <= 0.8",
    }
)
"""Rates of single labels, over the last ten records; the last two read random numbers, as the original's do."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What the rules said about a rollout of T records."""

    penalty: Tensor
    """[T], at most 0: added to every reward."""
    satisfied: dict[str, float]
    """Share of the steps at which each rule holds; empty without rules."""
    decision_violations: int
    """Steps at which a rule about decisions (detection, false alarms) is violated."""
    reachable: dict[str, float]
    """The largest share at which each rule holds under its own, two constant policies and the truth itself."""


def judge(decision: Tensor, label: Tensor, repairs: Repairs, generator: torch.Generator) -> Judged:
    """Hold a rollout against the rules.

    Args:
        decision: int64 [T], the team's.
        label: int64 [T].
        repairs: `spec-always-violated` takes the rules away.
        generator: Draws the response times and utilisations.
    """
    if not repairs.broken("spec-always-violated"):
        return Judged(penalty=torch.zeros(len(label)), satisfied={}, decision_violations=0, reachable={})
    drawn = _random_signals(len(label), generator)
    found = _robustness(decision, label, drawn)
    stacked = torch.stack(list(found.values()))
    about = torch.stack([found[name] for name in ("detection", "false-alarms")]).amin(0)
    tried = [_shares(_robustness(other, label, drawn)) for other in _policies(decision, label)]
    return Judged(
        penalty=PENALTY * stacked.clamp(max=0.0).sum(0),
        satisfied=_shares(found),
        decision_violations=int((about < 0).sum()),
        reachable={name: max(shares[name] for shares in tried) for name in PUBLISHED},
    )


def _robustness(decision: Tensor, label: Tensor, drawn: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Robustness [T] of each rule at each step."""
    contained = decision >= QUARANTINE
    signals = {
        "detected": (contained & (label == 1)).float(),
        "false_alarm": (contained & (label == 0)).float(),
        **drawn,
    }
    return {name: evaluate(parse(text), signals).value for name, text in PUBLISHED.items()}


def _random_signals(steps: int, generator: torch.Generator) -> dict[str, Tensor]:
    """What the original has for measurements."""
    return {
        "response_time": 0.1 + 1.2 * torch.rand(steps, generator=generator),
        "utilisation": 0.3 + 0.6 * torch.rand(steps, generator=generator),
    }


def _policies(decision: Tensor, label: Tensor) -> tuple[Tensor, ...]:
    """Policies that bound what any policy can do about a rule on containment."""
    constant = [torch.full_like(decision, action) for action in (ALLOW, BLOCK)]
    return decision, *constant, torch.where(label == 1, BLOCK, ALLOW)


def _shares(robustness: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float((value >= 0).float().mean()) for name, value in robustness.items()}
