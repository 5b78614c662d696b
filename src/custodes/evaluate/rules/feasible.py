"""Whether any policy can keep a rule on a recording: tried with policies that know the truth, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import replay
from custodes.evaluate.response.outcome import allow_all, oracle
from custodes.evaluate.rules.replayed import Floats, Held, judge_replay
from custodes.team.rules.book import Rule, RuleBook

_FURTHER = {"alert-all": ALERT, "quarantine-all": QUARANTINE, "block-all": BLOCK}
"""Tried where neither the oracle nor doing nothing keeps a rule."""


@final
@dataclass(frozen=True, kw_only=True)
class Feasibility:
    """What is known about one rule."""

    feasible: bool
    """Some policy keeps it: it violates no larger share of its windows than is allowed."""
    evidence: Mapping[str, Held]
    """How it held under each policy that was tried, by name."""

    def best(self) -> tuple[str, Held]:
        """The policy that keeps it best."""
        return max(self.evidence.items(), key=lambda item: -1.0 if item[1].rate is None else item[1].rate)


def feasibility(
    book: RuleBook,
    recording: Recording,
    events: Mapping[str, Floats],
    costs: ResponseCosts,
    others: Mapping[str, NDArray[np.integer]] | None = None,
) -> dict[str, Feasibility]:
    """Try policies on a part.

    Args:
        book: The rules.
        recording: The part, M events.
        events: Signals that need no team (`event_signals`).
        costs: Times.
        others: Decisions of further policies, int [M] or [M, 3], such as baselines'.

    Returns:
        By rule. A rule that no tried policy keeps may still be kept by one that was not tried; it is then left to a
        person to say so.
    """
    found: dict[str, dict[str, Held]] = {rule.name: {} for rule in book.rules}

    def attempt(name: str, decisions: NDArray[np.integer]) -> None:
        held = judge_replay(book, recording, replay(recording, decisions, costs, trace=True), events)
        for rule, each in held.items():
            found[rule][name] = each

    attempt("oracle", oracle(recording))
    attempt("allow", allow_all(recording))
    for name, decisions in (others or {}).items():
        attempt(name, decisions)
    if not all(_kept(rule, found[rule.name]) for rule in book.rules):
        for name, action in _FURTHER.items():
            attempt(name, np.full(len(recording.rows), action, dtype=np.int8))
    return {
        rule.name: Feasibility(feasible=_kept(rule, found[rule.name]), evidence=found[rule.name]) for rule in book.rules
    }


def keeps(rule: Rule, held: Held) -> bool:
    """Whether a rule was kept. Without a window only a rule about what the team does is; else nothing was shown."""
    return rule.about_acts if held.rate is None else held.rate >= 1.0 - rule.allowed


def _kept(rule: Rule, tried: Mapping[str, Held]) -> bool:
    return any(keeps(rule, held) for held in tried.values())
