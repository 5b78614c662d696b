"""From verdicts to the record."""

from __future__ import annotations

from collections.abc import Mapping

from custodes.evaluate.rules.feasible import Feasibility, keeps
from custodes.evaluate.rules.replayed import Held
from custodes.evaluate.rules.schema import SpecEvidence, SpecRecord
from custodes.team.rules.book import RuleBook


def spec_records(book: RuleBook, held: Mapping[str, Held], known: Mapping[str, Feasibility]) -> dict[str, SpecRecord]:
    """The `stl` part of an evaluation.

    Args:
        book: The rules.
        held: How each held in the team's replay.
        known: What other policies show of each.
    """
    return {
        rule.name: SpecRecord(
            # A team that keeps a rule shows that it can be kept.
            feasible=known[rule.name].feasible or keeps(rule, held[rule.name]),
            triggered=held[rule.name].triggered,
            satisfied=held[rule.name].satisfied,
            satisfied_rate=held[rule.name].rate,
            robustness_min=held[rule.name].lowest,
            robustness_mean=held[rule.name].mean,
            allowed=rule.allowed,
            processes=held[rule.name].processes,
            label=rule.label,
            evidence={
                name: SpecEvidence(triggered=each.triggered, satisfied_rate=each.rate)
                for name, each in known[rule.name].evidence.items()
            },
        )
        for rule in book.rules
    }


def shortfall(book: RuleBook, held: Mapping[str, Held], counted: Mapping[str, bool]) -> float:
    """By how much rules are missed: the sum over those that count of the satisfied share that is lacking, 0 and up."""
    missing = 0.0
    for rule in book.rules:
        rate = held[rule.name].rate
        if counted[rule.name] and rate is not None:
            missing += max(0.0, 1.0 - rule.allowed - rate)
    return missing
