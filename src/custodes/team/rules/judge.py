"""Verdicts on a rule over many processes' lives at once, and the event at which each verdict is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, final

import torch
from torch import Tensor

from custodes.stl import formula as f
from custodes.stl.batched import evaluate
from custodes.stl.policy import End
from custodes.team.rules.book import Rule

NEVER: Final = -1
"""No event of the trace: the verdict is not known yet, or never will be."""


@final
@dataclass(frozen=True, kw_only=True)
class Lives:
    """N traces of at most L events; what lies behind a trace's length is not read."""

    signals: Mapping[str, Tensor]
    """float32 [N, L], by name: those that the rules read, at least one."""
    lengths: Tensor
    """int64 [N], 1 to L."""
    complete: Tensor
    """bool [N]: the life is over, so that what is still open is judged as it stands; else it goes on unseen."""


@final
@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """What a rule says of each event; all [N, L]."""

    triggered: Tensor
    """bool: a window of the rule begins here."""
    violated: Tensor
    """bool: a window that is violated, whether that is known or not."""
    robustness: Tensor
    """float32: of the window; may be infinite where the end of a life cut it."""
    known: Tensor
    """int64: the event at which the verdict is known, NEVER where the trace does not hold it."""
    breach: Tensor | None
    """bool: where what a duty asks does not hold, in a window or not; None for a rule without a duty."""

    def first(self, rows: int) -> Verdicts:
        """Those of the first traces."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        cut: dict[str, Any] = {name: None if value is None else value[:rows] for name, value in given.items()}
        return Verdicts(**cut)


def judge(rule: Rule, lives: Lives, end: End) -> Verdicts:
    """Judge every window of a rule.

    A verdict is known when all that it depends on has happened (the rule's horizon later), at the end of a life, or,
    for a rule that forbids something for a time, when that happens.

    Args:
        rule: The rule.
        lives: Traces.
        end: What stands after the last event of a life: truncate or hold.

    Raises:
        StlError: A signal is missing or not finite.
    """
    lengths = lives.lengths
    size = next(iter(lives.signals.values())).shape
    place = torch.arange(size[1], device=lengths.device)
    inside = place < lengths[:, None]
    robustness = evaluate(rule.body, lives.signals, lengths=lengths, end=end).value
    triggered = holds(rule.condition, lives, end) & inside
    last = lengths[:, None] - 1
    due = place + rule.horizon if rule.horizon is not None else torch.full_like(place, size[1])
    at_end = torch.where(lives.complete[:, None], last, NEVER)
    known = torch.where(due <= last, due, at_end)
    breach = None
    if rule.duty is not None:
        breach = ~holds(rule.duty.operand, lives, end) & inside
        first = _first_breach(rule.duty, breach)
        known = torch.where(first >= 0, first, known)
    return Verdicts(
        triggered=triggered,
        violated=triggered & (robustness < 0),
        robustness=robustness,
        known=known.expand(size),
        breach=breach,
    )


def costs_of(rule: Rule, lives: Lives, verdicts: Verdicts, end: End) -> Tensor:
    """Where the rule costs something: bool [N, L], at the event at which a violation is known.

    What a rule forbids for a time costs at each event at which it is done, also in a window that is violated already.
    """
    if rule.duty is not None:
        assert verdicts.breach is not None
        if not bool(verdicts.breach.any()):
            return verdicts.breach
        return holds(f.Once(operand=rule.condition, bounds=rule.duty.bounds), lives, end) & verdicts.breach
    cost = torch.zeros_like(verdicts.violated)
    row, place = (verdicts.violated & (verdicts.known >= 0)).nonzero(as_tuple=True)
    cost[row, verdicts.known[row, place]] = True
    return cost


def holds(formula: f.Formula, lives: Lives, end: End) -> Tensor:
    """Where a formula's robustness is at least 0, bool [N, L]."""
    if formula == f.Truth(value=True):
        return torch.ones(next(iter(lives.signals.values())).shape, dtype=torch.bool, device=lives.lengths.device)
    return evaluate(formula, lives.signals, lengths=lives.lengths, end=end).value >= 0


def _first_breach(duty: f.Always, breach: Tensor) -> Tensor:
    """For each window, the first event of a duty's time at which it is breached, NEVER for none; int64 [N, L]."""
    length = breach.shape[1]
    place = torch.arange(length, device=breach.device)
    marked = torch.where(breach, place, length)
    following = marked.flip(1).cummin(dim=1).values.flip(1)
    begin = place + duty.bounds.lower.amount
    found = torch.where(begin < length, following[:, begin.clamp(max=length - 1)], length)
    upper = duty.bounds.upper
    late = found > (length - 1 if upper is None else place + upper.amount)
    return torch.where(late | (found >= length), NEVER, found)
