"""The signals that rules on decisions read, of one process or of the whole team, gathered between two samples.

They are made of nothing but what a ballot holds (entities, times, votes, scores) and of the decisions before it, so
that every replica computes the same numbers. The names are those of the shipped rules (docs/stl-rules.md).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Final

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.team.shield.verdicts import Voted

SECOND: Final = 1_000_000_000
"""Nanoseconds."""

SIGNALS: Final[dict[str, str]] = {
    "score": "highest probability of harm since the last sample, of the (f+1)-th agent",
    "alerted": "1 where an Alert or a new Quarantine was decided since the last sample, else 0",
    "alerts": "how many of these",
    "contain": "1 where a Quarantine or Block began since the last sample, else 0",
    "votes": "fewest votes for it behind a containment that began since the last sample; 0 where none began",
    "quarantined": "processes in quarantine now",
    "quarantine_age_s": "seconds since the oldest quarantine began or was renewed; 0 where there is none",
    "released": "quarantines that ran out since the last sample",
    "blocked": "processes blocked since the last sample",
    "flaps": "changes between contained and free since the last sample, of the process with most",
    "critical": "processes on the list of critical ones that are quarantined or blocked now",
    "reporting": "agents whose vote arrived, the most since the last sample",
}
"""Name and meaning; for a rule of one process the counts are of this process."""


PROCESS: Final[dict[str, str]] = {
    "event": "number of this event in the process's life, from 1",
    "first": "1 at the first event of the process",
    "age_s": "seconds since the first event of the process",
    "evidence": "how bad what it touched, or runs, is known to be from training",
    "decision": "severity that takes effect, 0 where it changes nothing",
    "votes": "agents that voted Alert or more",
    "alert": "1 where an alert is raised now (also by a Quarantine)",
    "quarantine": "1 where a Quarantine begins now",
    "block": "1 where the process is blocked now",
    "contain": "1 where a Quarantine begins or the process is blocked now",
    "contained": "1 where this event does not execute now",
    "open": "1 while an alert is open",
    "cleared": "1 while a benign verdict stands",
    "alerts_recent": "alerts over the latest 1,000 events of all processes",
    "contained_recent": "containments over the same",
}
"""Signals of rules of the other kind, those that teams are trained under: a sample at each event of one process."""

UNTOLD: Final = ("evidence", "open", "cleared")
"""Those of them that no ballot tells."""

RECENT: Final = 1_000
"""Events that `alerts_recent` and `contained_recent` count over."""


def process_sample(
    voted: Voted, action: int, *, held: int, event: int, age: int, alerts: int, contained: int
) -> dict[str, float]:
    """A sample of `PROCESS` with an action in force.

    Args:
        voted: The vote.
        action: What is tried.
        held: 0 where the process was free, QUARANTINE or BLOCK where it was not.
        event: Number of the event in its life, from 1.
        age: Nanoseconds since its first.
        alerts: Alerts over the latest events but this one.
        contained: Containments over the same.
    """
    block = action == BLOCK and held < BLOCK
    quarantine = action == QUARANTINE and not voted.cleared and held < QUARANTINE
    alert = action in (ALERT, QUARANTINE) and not voted.cleared and not voted.open and held < BLOCK
    contain = block or quarantine
    return {
        "event": float(event),
        "first": float(event == 1),
        "age_s": age / SECOND,
        "evidence": float(voted.evidence),
        "decision": float(action if contain or alert else 0),
        "votes": float(sum(vote >= ALERT for vote in voted.votes)),
        "alert": float(alert),
        "quarantine": float(quarantine),
        "block": float(block),
        "contain": float(contain),
        "contained": float(contain or held >= QUARANTINE),
        "open": float(voted.open),
        "cleared": float(voted.cleared),
        "alerts_recent": float(alerts + alert),
        "contained_recent": float(contained + contain),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What happened since the last sample."""

    score: float = 0.0
    """See `SIGNALS`, here and below."""
    alerts: int = 0
    """How many."""
    contained: int = 0
    """Containments that began."""
    votes: int = 0
    """Fewest behind one of these; 0 where there is none."""
    released: int = 0
    """How many."""
    blocked: int = 0
    """How many."""
    reporting: int = 0
    """The most."""
    flaps: tuple[tuple[Hashable, int], ...] = ()
    """Changes of each process."""

    def seen(self, voted: Voted) -> Tally:
        """The same after a vote came in."""
        return replace(self, score=max(self.score, voted.score), reporting=max(self.reporting, voted.reporting))

    def release(self, entity: Hashable) -> Tally:
        """The same after a quarantine ran out."""
        return replace(self, released=self.released + 1, flaps=_flap(self.flaps, entity))

    def act(self, voted: Voted, action: int, held: int) -> Tally:
        """The same after an action on a process that is free (0), in quarantine or blocked."""
        begins = action >= QUARANTINE and action > held
        alerts = action == ALERT or (action == QUARANTINE and held < QUARANTINE)
        if not begins:
            return replace(self, alerts=self.alerts + alerts) if alerts else self
        support = sum(vote >= action for vote in voted.votes)
        return replace(
            self,
            alerts=self.alerts + alerts,
            contained=self.contained + 1,
            votes=min(self.votes, support) if self.contained else support,
            blocked=self.blocked + (action == BLOCK),
            flaps=_flap(self.flaps, voted.entity) if held < QUARANTINE else self.flaps,
        )

    def dump(self) -> list[Any]:
        """As JSON has it."""
        fields = (self.score, self.alerts, self.contained, self.votes, self.released, self.blocked, self.reporting)
        return [*fields, [list(each) for each in self.flaps]]

    @classmethod
    def load(cls, row: list[Any]) -> Tally:
        """Back from `dump`."""
        score, alerts, contained, votes, released, blocked, reporting, flaps = row
        return cls(
            score=float(score),
            alerts=int(alerts),
            contained=int(contained),
            votes=int(votes),
            released=int(released),
            blocked=int(blocked),
            reporting=int(reporting),
            flaps=tuple((key_of(entity), int(count)) for entity, count in flaps),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """What is in force now."""

    quarantined: int
    """See `SIGNALS`, here and below."""
    oldest_ns: int
    """Nanoseconds since the oldest quarantine began or was renewed, 0 where there is none."""
    critical: int
    """How many."""


def sample(tally: Tally, levels: Levels) -> dict[str, float]:
    """A sample of every signal."""
    return {
        "score": float(tally.score),
        "alerted": float(tally.alerts > 0),
        "alerts": float(tally.alerts),
        "contain": float(tally.contained > 0),
        "votes": float(tally.votes),
        "quarantined": float(levels.quarantined),
        "quarantine_age_s": levels.oldest_ns / SECOND,
        "released": float(tally.released),
        "blocked": float(tally.blocked),
        "flaps": float(max((count for _, count in tally.flaps), default=0)),
        "critical": float(levels.critical),
        "reporting": float(tally.reporting),
    }


def key_of(value: Any) -> Hashable:
    """An entity back from JSON: a list stands for a tuple."""
    return tuple(value) if isinstance(value, list) else value


def _flap(flaps: tuple[tuple[Hashable, int], ...], entity: Hashable) -> tuple[tuple[Hashable, int], ...]:
    for index, (known, count) in enumerate(flaps):
        if known == entity:
            return (*flaps[:index], (entity, count + 1), *flaps[index + 1 :])
    return (*flaps, (entity, 1))
