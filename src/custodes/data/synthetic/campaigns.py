"""Attack campaigns: which technique acts when, in which process, and which processes it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from custodes.data.synthetic.config import SyntheticConfig
from custodes.data.synthetic.machine import Events
from custodes.data.synthetic.population import SPAN, Processes, working_hours
from custodes.data.synthetic.programs import NAMES
from custodes.data.synthetic.techniques import ENDS, FIRST_HOST, NEXT_HOST, TACTICS, TECHNIQUES, Technique

START_UP = 4_000_000
"""A new process acts for its campaign after so many microseconds."""
START_UP_EVENTS = 3
"""What a new process does before: loads, reads its settings, as any process of its image does."""
STAGE_EVENTS = 6
"""Fewest events of a stage; a campaign with too few events takes fewer stages."""
_GAP_SPREAD = 0.9
_EVENT_BUDGET_PER_HOST = 70.0
"""A campaign moves on to one more host for each of so many events, up to four hosts."""
_TECHNIQUES_OF = {tactic: [i for i, t in enumerate(TECHNIQUES) if t.tactic == tactic] for tactic in TACTICS}


@dataclass(frozen=True, kw_only=True)
class Action:
    """One stage of one campaign: a technique at work in a process."""

    campaign: int
    """Number of the campaign."""
    technique: int
    """Place in `TECHNIQUES`."""
    process: int
    """Acting process."""
    start: int
    """Microseconds since the start of the recording."""
    events: int
    """Number of events, at least one."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process that a campaign starts."""

    host: int
    """Its host."""
    parent: int
    """Number of the process that starts it."""
    model: int
    """Number of the benign process whose program and image it bears."""
    start: int
    """Start [us]."""
    tactic: int
    """Tactic that starting it belongs to."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that the campaigns do, before it becomes events."""

    actions: tuple[Action, ...]
    """Stages; the processes they name may be children."""
    children: tuple[Child, ...]
    """New processes, numbered on from the benign ones, in this order; a parent's number is below its child's."""


class _Planner:
    """Draws the plan; holds what is known of the benign processes and the plan so far."""

    def __init__(self, config: SyntheticConfig, processes: Processes, events: Events, rng: np.random.Generator) -> None:
        self.config, self.processes, self.rng = config, processes, rng
        self.last = np.zeros(processes.host.size, dtype=np.int64)
        np.maximum.at(self.last, events.process, events.time)
        known = (self.last > 0) & (processes.parent >= 0)
        self.starter_image = np.where(known, processes.image[processes.parent], -1)
        self.actions: list[Action] = []
        self.children: list[Child] = []
        self.slow = slowdown(config.stealth)

    def campaign(self, number: int, events: int, start: float) -> None:
        """Plan one campaign: stages in the order of tactics, host after host, each after the one before."""
        stages, spread = self._stages(events), self.config.hosts > 1
        host = int(self.rng.integers(self.config.hosts))
        time, foothold = int(start * SPAN), -1
        weights = np.array([TECHNIQUES[t].events for t, _ in stages]) * self.rng.gamma(6.0, 1 / 6.0, len(stages))
        newcomers = sum(TECHNIQUES[t].actor == "child" for t, _ in stages)
        left = max(events - newcomers * (START_UP_EVENTS + 2), 0)
        counts = np.maximum(np.rint(weights * left / weights.sum()), STAGE_EVENTS).astype(np.int64)
        for (number_of_technique, hop), count in zip(stages, counts, strict=True):
            technique = TECHNIQUES[number_of_technique]
            if hop and spread:
                host = (host + int(self.rng.integers(1, self.config.hosts))) % self.config.hosts
                foothold = -1
            process, foothold = self._actor(technique, host, time, foothold)
            begin = time + START_UP
            self.actions.append(
                Action(campaign=number, technique=number_of_technique, process=process, start=begin, events=int(count))
            )
            lasts = technique.gap * self.slow * int(count) * float(np.exp(_GAP_SPREAD**2 / 2))
            rest = float(self.rng.exponential(60.0 * self.slow))
            time = begin + int((1.2 * lasts + rest) * 1e6)

    def _stages(self, events: int) -> list[tuple[int, bool]]:
        """Techniques of a campaign in order, each with whether it is the first on a further host."""
        hosts = 1 + min(int(self.rng.poisson(events / _EVENT_BUDGET_PER_HOST / 2)), 3)
        tactics = [(tactic, False) for tactic, chance in FIRST_HOST if self.rng.random() < chance]
        for _ in range(hosts - 1):
            taken = [tactic for tactic, chance in NEXT_HOST if self.rng.random() < chance]
            tactics += [(tactic, i == 1) for i, tactic in enumerate(taken)]
        end = ENDS[int(self.rng.random() >= ENDS[0][1])][0]
        most = max(events // STAGE_EVENTS, 1)
        tactics = [*tactics[: most - 1], (end, False)] if most > 1 else tactics[:1]
        return [(int(self.rng.choice(_TECHNIQUES_OF[tactic])), hop) for tactic, hop in tactics]

    def _actor(self, technique: Technique, host: int, time: int, foothold: int) -> tuple[int, int]:
        """The process that acts, and the campaign's own process on this host from now on."""
        wanted = [NAMES[name] for name in technique.hosts]
        if technique.actor == "inject":
            process = self._alive(host, time, wanted)
            return process, foothold if foothold >= 0 else process
        if technique.actor == "foothold" and foothold >= self.processes.host.size:
            return foothold, foothold
        parent = foothold if foothold >= 0 else self._alive(host, time, [NAMES["service"]])
        parent, model = self._model(wanted, parent, host)
        self.children.append(
            Child(
                host=host,
                parent=parent,
                model=model,
                start=time,
                tactic=TACTICS.index(technique.tactic),
            )
        )
        child = self.processes.host.size + len(self.children) - 1
        return child, child

    def _model(self, wanted: list[int], parent: int, host: int) -> tuple[int, int]:
        """Who starts a new process, and the benign process that it looks like.

        An image that the parent's image never starts benignly would tell at once: the host's first process then starts
        it, as a scheduled task or a remote command would.
        """
        first = self.processes.host.size
        above = self.children[parent - first].model if parent >= first else parent
        root = host * self.config.processes
        for owner, image in ((parent, self.processes.image[above]), (root, self.processes.image[root])):
            started = np.flatnonzero(self.starter_image == image)
            models = started[np.isin(self.processes.program[started], wanted)]
            if models.size:
                return owner, int(self.rng.choice(models))
        return root, int(self.rng.choice(started))

    def _alive(self, host: int, time: int, wanted: list[int]) -> int:
        """A benign process of the host, alive, of a wanted program if there is one; the host's first if none is."""
        first = host * self.config.processes
        own = slice(first, first + self.config.processes)
        alive = (self.processes.start[own] < time) & (self.last[own] > time)
        suited = np.flatnonzero(alive & np.isin(self.processes.program[own], wanted))
        if not suited.size:
            suited = np.flatnonzero(alive)
        return first + (int(self.rng.choice(suited)) if suited.size else 0)


def plan_campaigns(
    config: SyntheticConfig, processes: Processes, events: Events, malicious: int, rng: np.random.Generator
) -> Plan:
    """Draw all campaigns.

    Args:
        config: Settings.
        processes: The benign processes.
        events: What they do within the recording.
        malicious: Events that all campaigns together aim at.
        rng: Source of chance.
    """
    planner = _Planner(config, processes, events, rng)
    weights = rng.gamma(8.0, 1 / 8.0, config.campaigns)
    counts = np.rint(weights * malicious / weights.sum()).astype(np.int64) if config.campaigns else weights
    starts = campaign_starts(config.campaigns, rng)
    for number in range(config.campaigns):
        planner.campaign(number, max(int(counts[number]), STAGE_EVENTS), float(starts[number]))
    return Plan(actions=tuple(planner.actions), children=tuple(planner.children))


def slowdown(stealth: float) -> float:
    """Factor on the gaps within and between stages: 1 at stealth 0, 8 at stealth 1."""
    return float(8.0**stealth)


def campaign_starts(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Spread campaigns evenly over the recording's activity, so that no period lacks them; shares of its length."""
    share = (np.arange(count) + rng.random(count)) / max(count, 1)
    return np.clip(working_hours(share), 0.005, 0.97)
