"""The replay by its definition: one event after the other, every timer, birth and withheld event by itself."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from custodes.env.response.costs import ResponseCosts
from tests.env.response.worlds import SECOND, World

EXECUTED, DELAYED, SUPPRESSED = 0, 1, 2
Name = tuple[str, str]


@dataclass(kw_only=True)
class Life:
    """All there is to know of one process at a moment."""

    tried: bool = False
    born: bool = False
    gone: bool = False
    until: float | None = None
    withheld: list[int] = field(default_factory=list)
    asked: bool = False
    cleared: float = float("-inf")
    contained: float = float("inf")


def clocks(world: World) -> list[float]:
    """Seconds of each row since the first known time, never back within a host."""
    times = [round(event.time * SECOND) for event in world.events]
    known = [time for time in times if time > 0]
    latest: dict[str, float] = {}
    result = []
    for event, time in zip(world.events, times, strict=True):
        now = (time - min(known)) / SECOND if time > 0 else 0.0
        latest[event.stream] = max(latest.get(event.stream, 0.0), now)
        result.append(latest[event.stream])
    return result


def family(world: World, order: Sequence[int]) -> dict[Name, Name | None]:
    """Parent of each process: whom its first row with a usable one names, if that one acts; no rings."""
    names = list(dict.fromkeys((world.events[row].stream, world.events[row].entity) for row in order))
    parents: dict[Name, Name | None] = {}
    for row in order:
        event = world.events[row]
        if event.entity and event.parent and event.parent != event.entity:
            parents.setdefault((event.stream, event.entity), (event.stream, event.parent))
    links = {name: parents.get(name) for name in names}
    links = {name: above if above in links else None for name, above in links.items()}

    def in_ring(name: Name) -> bool:
        above, steps = links[name], 0
        while above is not None and above != name and steps < len(names):
            above, steps = links[above], steps + 1
        return above == name

    rings = {name for name in names if in_ring(name)}
    return {name: None if name in rings else above for name, above in links.items()}


class Definition:
    """Plays decisions over a world."""

    def __init__(self, world: World) -> None:
        self.world, self.costs, self.clock = world, world.costs, clocks(world)
        # Python's sort keeps the order of equals: rows of one moment stay as recorded.
        self.order = sorted(range(len(world.events)), key=lambda row: self.clock[row])
        self.parent = family(world, self.order)
        self.lives = {name: Life() for name in self.parent}
        self.fate: dict[int, int] = {}
        self.serving: list[tuple[float, Name]] = []
        self.waiting: deque[Name] = deque()
        self.forgotten: list[tuple[float, Name]] = []
        self.blocked: list[tuple[Name, float, bool]] = []
        self.quarantined: list[tuple[Name, float]] = []
        self.alerts: list[tuple[Name, float, bool]] = []

    def play(self, said: dict[int, Sequence[int]]) -> None:
        """Play decisions (by row: free, open, cleared) and let the clock run on."""
        for row in self.order:
            event, now = self.world.events[row], self.clock[row]
            name = (event.stream, event.entity)
            self.pass_time(now)
            self.bear(name)
            if row in said:
                self.decide(name, row, now, said[row])
                self.happen(name, row, event.label == 1)
        self.pass_time(float("inf"))
        for name, life in self.lives.items():
            if life.gone and life.contained == float("inf"):
                life.contained = min(self.clock[row] for row in self.order if self.is_below(row, name))

    def is_below(self, row: int, name: Name) -> bool:
        """Whether a row is of a process or of one that descends from it."""
        event = self.world.events[row]
        one: Name | None = (event.stream, event.entity)
        while one is not None and one != name:
            one = self.parent[one]
        return one == name

    def bear(self, name: Name | None) -> None:
        """Whoever acts exists, and so does whoever started it."""
        while name is not None:
            self.lives[name].born = True
            name = self.parent[name]

    def decide(self, name: Name, row: int, now: float, actions: Sequence[int]) -> None:
        life = self.lives[name]
        if life.gone:
            return
        is_cleared = now <= life.cleared
        action = actions[2 if is_cleared else 1 if life.asked else 0]
        if action == 3:
            self.block(name, now, by_verdict=False)
        if is_cleared or action in (0, 3):
            return
        if action == 2:
            if life.until is None:
                self.quarantined.append((name, now))
                life.contained = min(life.contained, now)
            life.until = now + self.costs.quarantine_s
        if not life.asked:
            self.ask(name, now)

    def happen(self, name: Name, row: int, malicious: bool) -> None:
        life = self.lives[name]
        if life.gone:
            self.fate[row] = SUPPRESSED
            return
        life.tried |= malicious
        if life.until is None:
            self.fate[row] = EXECUTED
        else:
            life.withheld.append(row)

    def ask(self, name: Name, now: float) -> None:
        self.lives[name].asked = True
        lost = len(self.serving) == self.costs.analysts and len(self.waiting) == self.costs.queue
        self.alerts.append((name, now, lost))
        if lost:
            self.forgotten.append((now + self.costs.analyst_s, name))
        elif len(self.serving) < self.costs.analysts:
            self.serving.append((now + self.costs.analyst_s, name))
        else:
            self.waiting.append(name)

    def end(self, name: Name, fate: int) -> None:
        """End a Quarantine."""
        life = self.lives[name]
        self.fate.update(dict.fromkeys(life.withheld, fate))
        life.withheld, life.until = [], None

    def block(self, name: Name, now: float, *, by_verdict: bool) -> None:
        self.end(name, SUPPRESSED)
        self.lives[name].gone = True
        self.lives[name].contained = min(self.lives[name].contained, now)
        self.blocked.append((name, now, by_verdict))
        self.forbid(name)

    def forbid(self, name: Name) -> None:
        """Whoever is not born yet never will be, nor whom it would have started."""
        for child, above in self.parent.items():
            if above == name and not self.lives[child].born:
                self.lives[child].gone = True
                self.forbid(child)

    def pass_time(self, now: float) -> None:
        """Let everything end that ends before `now`, the earliest first."""
        while True:
            ends = [
                *((life.until, 0, name) for name, life in self.lives.items() if life.until is not None),
                *((time, 1, name) for time, name in self.serving),
                *((time, 2, name) for time, name in self.forgotten),
            ]
            if not ends or min(ends)[0] >= now:
                return
            time, what, name = min(ends)
            if what == 0:
                self.end(name, DELAYED)
            elif what == 1:
                self.serving.remove((time, name))
                if self.waiting:
                    self.serving.append((time + self.costs.analyst_s, self.waiting.popleft()))
                self.answer(name, time)
            else:
                self.forgotten.remove((time, name))
                self.lives[name].asked = False

    def answer(self, name: Name, time: float) -> None:
        life = self.lives[name]
        life.asked = False
        if life.gone:
            return
        if life.tried:
            self.block(name, time, by_verdict=True)
        else:
            self.end(name, DELAYED)
            life.cleared = time + self.costs.cleared_s


def cost_of(played: Definition, costs: ResponseCosts) -> float:
    """What a finished replay cost, counted event by event."""
    events = played.world.events
    part = played.fate.keys()
    phases = Counter(events[row].phase or "attack" for row in part if events[row].label == 1)
    labels: dict[Name, set[int]] = {}
    for event in events:
        labels.setdefault((event.stream, event.entity), set()).add(event.label)
    innocent = {name for name, seen in labels.items() if 0 in seen and 1 not in seen}
    cost = costs.alert * len(played.alerts)
    cost += costs.false_block * sum(name in innocent for name, _, _ in played.blocked)
    cost += costs.false_quarantine * sum(name in innocent for name, _ in played.quarantined)
    for row, fate in played.fate.items():
        if events[row].label == 1 and fate != SUPPRESSED:
            cost += costs.phase_harm / phases[events[row].phase or "attack"]
        if events[row].label == 0:
            cost += {EXECUTED: 0.0, DELAYED: costs.delayed, SUPPRESSED: costs.suppressed}[fate]
    return cost
