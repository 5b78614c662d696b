"""What the shield remembers: of the team, of each process, and of each rule."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, final

from custodes.stl.streaming import Snapshot
from custodes.team.shield.signals import Tally, key_of

BEGINNING: Final = -(1 << 63)
"""Before all times."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """What rules about one process, or about the team, have seen; never changed, only replaced."""

    period: int
    """Number of the open sample's period; meaningless where every decision is a sample."""
    tally: Tally
    """What happened since the last sample."""
    monitors: tuple[Snapshot, ...]
    """Memory of each rule's monitor after the last closed sample."""
    held_until: int = BEGINNING
    """Of a process: until when it is in quarantine [ns]."""
    blocked: bool = False
    """Of a process: whether it is blocked."""
    events: int = 0
    """Of a process: its events so far."""
    born: int = 0
    """Of a process: when its first event was [ns]."""
    samples: tuple[tuple[float, ...], ...] = ()
    """Of a process: the samples that a forecast is made from, the first first."""

    def dump(self) -> list[Any]:
        """As JSON has it."""
        return [
            self.period,
            self.tally.dump(),
            list(self.monitors),
            self.held_until,
            self.blocked,
            self.events,
            self.born,
            [list(row) for row in self.samples],
        ]

    @classmethod
    def load(cls, row: list[Any]) -> Scope:
        """Back from `dump`."""
        period, tally, monitors, held, blocked, events, born, samples = row
        return cls(
            period=int(period),
            tally=Tally.load(tally),
            monitors=tuple((int(age), places, memory, last) for age, places, memory, last in monitors),
            held_until=int(held),
            blocked=bool(blocked),
            events=int(events),
            born=int(born),
            samples=tuple(tuple(float(value) for value in row) for row in samples),
        )


@final
class ShieldState:
    """All of it. `fork` gives one that goes its own way: scopes are shared, as nobody changes them."""

    __slots__ = (
        "alerts",
        "contained",
        "critical",
        "dropped",
        "entities",
        "held",
        "judged",
        "now",
        "overruled",
        "team",
        "unavoidable",
    )

    def __init__(self, team: Scope) -> None:
        self.team = team
        """Of the rules about the team."""
        self.entities: OrderedDict[Hashable, Scope] = OrderedDict()
        """Of each process, the one that was decided on least recently first."""
        self.held: OrderedDict[Hashable, int] = OrderedDict()
        """Until when each process in quarantine is so [ns], the first to be free first."""
        self.critical: set[Hashable] = set()
        """Critical processes that are blocked."""
        self.now = BEGINNING
        """Latest time told [ns]."""
        self.judged = 0
        """Votes so far."""
        self.alerts: tuple[int, ...] = ()
        """Of the latest votes, the numbers of those that raised an alert."""
        self.contained: tuple[int, ...] = ()
        """Of those, the numbers of those that began a containment."""
        self.dropped = 0
        """Processes that were forgotten to make room."""
        self.overruled = 0
        """Decisions that the shield replaced."""
        self.unavoidable = 0
        """Decisions at which every action would have violated a hard rule."""

    def fork(self) -> ShieldState:
        """The same state, to go on from apart from this one."""
        made = ShieldState(self.team)
        made.entities, made.held, made.critical = self.entities.copy(), self.held.copy(), set(self.critical)
        made.now, made.dropped = self.now, self.dropped
        made.overruled, made.unavoidable = self.overruled, self.unavoidable
        made.judged, made.alerts, made.contained = self.judged, self.alerts, self.contained
        return made

    def dump(self) -> list[Any]:
        """As JSON has it (infinities as Python's json writes them)."""
        return [
            self.team.dump(),
            [[entity, scope.dump()] for entity, scope in self.entities.items()],
            [[entity, until] for entity, until in self.held.items()],
            sorted(self.critical, key=repr),
            [self.now, self.dropped, self.overruled, self.unavoidable, self.judged],
            [list(self.alerts), list(self.contained)],
        ]

    @classmethod
    def load(cls, row: list[Any]) -> ShieldState:
        """Back from `dump`."""
        team, entities, held, critical, counts, recent = row
        made = cls(Scope.load(team))
        made.entities = OrderedDict((key_of(entity), Scope.load(scope)) for entity, scope in entities)
        made.held = OrderedDict((key_of(entity), int(until)) for entity, until in held)
        made.critical = {key_of(entity) for entity in critical}
        made.now, made.dropped, made.overruled, made.unavoidable, made.judged = map(int, counts)
        made.alerts, made.contained = (tuple(map(int, numbers)) for numbers in recent)
        return made
