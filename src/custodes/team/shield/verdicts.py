"""What the shield is told of a vote, and what it says."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Voted:
    """One item that was voted on: nothing but what every replica finds in the ballot."""

    entity: Hashable
    """Whom it is about."""
    time: int
    """Of the event [ns]; one before the latest so far counts as of that."""
    votes: tuple[int, ...]
    """Severity that each agent voted for, 0 to 3; a missing vote is Allow."""
    score: float
    """The (f+1)-th largest of the agents' scores, in [0, 1]: f liars alone raise it above no honest score."""
    decision: int
    """What the vote rule made of the votes, 0 to 3."""
    reporting: int
    """Agents whose vote arrived."""
    evidence: float = 0.0
    """How bad what the process touched, or runs, is known to be, 0 to 1; no ballot tells it."""
    open: bool = False
    """An alert on the process is open; no ballot tells it."""
    cleared: bool = False
    """An analyst's benign verdict stands; no ballot tells it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What is known of a rule after a decision."""

    spec: str
    """Name of the rule."""
    sample: int
    """Sample that the bounds are for, from 0; below 0 before there is one."""
    lower: float
    """Lower bound of the robustness there."""
    upper: float
    """Upper bound there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What the shield makes of a vote."""

    action: int
    """What is to be done, 0 to 3."""
    spec: str = ""
    """The first hard rule of the file that the voted action would violate; empty where it violates none."""
    why: str = ""
    """In words, with the number that is below 0."""
    safe: bool = True
    """Whether the action violates no hard rule; False where every action would violate one."""
    findings: tuple[Finding, ...] = ()
    """What is known of each rule that is watched, with the action taken."""
