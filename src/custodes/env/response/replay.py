"""The full replay: decisions on the events of a part, in recorded order, with what they do to everything that follows.

Only rows with a decision, and timers that run out, are visited; what happens to the events between them follows from
running sums. So a replay is linear in events, and takes a time that grows with how much a policy acts.

Limit: the rest of the recording goes on as it was recorded. An attacker who was blocked does not come back another way.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ALERT, ALLOW, BLOCK, QUARANTINE
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.forest import IntArray
from custodes.env.response.recording import Recording

EXECUTED: Final = 0
DELAYED: Final = 1
SUPPRESSED: Final = 2
"""Fate of an event: it ran when recorded, ran late after a Quarantine, or never ran. Each has exactly one."""

FREE: Final = 0
OPEN: Final = 1
CLEARED: Final = 2
"""State of an entity that its masks depend on: nothing is under way, an alert is open, a benign verdict stands."""

GONE: Final = 4
"""State of an entity that does not act any more, in a trace of a replay."""

MASKS: Final = ((True, True, True, True), (True, False, True, True), (True, False, False, True))
"""For each of these states: is Allow, Alert, Quarantine, Block allowed? Where the entity is gone, none matters."""

Overrule = Callable[[int, int, int], int]
"""From the place of an event, the state of its process (FREE, OPEN, CLEARED) and what was decided in it, 0 to 3, to
what is done."""

NEVER: Final = np.inf
_EXPIRY, _VERDICT, _FORGOTTEN = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a policy's decisions came to."""

    fate: NDArray[np.int8]
    """int8 [M]: EXECUTED, DELAYED or SUPPRESSED, for each row of the part."""
    blocked: tuple[tuple[int, float, bool], ...]
    """Blocks in order: entity, seconds, whether an analyst's verdict did it."""
    quarantined: tuple[tuple[int, float], ...]
    """Quarantines in order: entity, seconds at which each began."""
    alerts: tuple[tuple[int, float, bool], ...]
    """Alerts in order: entity, seconds, whether the queue was full and it was lost."""
    contained: NDArray[np.float64]
    """float64 [E]: seconds at which each entity was first contained (by itself or with an ancestor); inf for never."""
    trace: Trace | None = None
    """What each decision met and did, where that was asked for."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A replay, event by event."""

    state: NDArray[np.int8]
    """int8 [M]: FREE, OPEN, CLEARED or GONE, of the event's process when it is decided on."""
    held: NDArray[np.bool_]
    """bool [M]: the process is withheld by then."""
    taken: NDArray[np.int8]
    """int8 [M]: the decision that took effect, Allow where it changed nothing (a renewal changes nothing)."""
    alert: NDArray[np.bool_]
    """bool [M]: an alert was raised, accepted or lost."""


@dataclass(kw_only=True, slots=True)
class _Process:
    """What is in force for one entity."""

    own: IntArray
    """Places in the part of its events, K of them."""
    rows: IntArray
    """[K]: their rows."""
    clock: NDArray[np.float64]
    """[K]: seconds of each."""
    guilty: int
    """First of them that is malicious, K where none is."""
    held: int = -1
    """First of `own` that is withheld, -1 when none is."""
    until: float = 0.0
    """Seconds at which the Quarantine runs out."""
    asked: bool = False
    """An alert is open."""
    cleared: float = -NEVER
    """Seconds until which a benign verdict stands."""


@dataclass(kw_only=True)
class _Play:
    """A replay in progress."""

    recording: Recording
    costs: ResponseCosts
    fate: NDArray[np.int8]
    gone: IntArray
    """[E]: first row that no longer executes by the entity's own Block, N for none."""
    contained: NDArray[np.float64]
    processes: dict[int, _Process] = field(default_factory=dict)
    lost: dict[int, bool] = field(default_factory=dict)
    """Whether an ancestor's Block came before the entity, for entities that were asked about."""
    timers: list[tuple[float, int, int]] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    """Seconds at which each accepted alert that is not over will be, as a heap."""
    blocked: list[tuple[int, float, bool]] = field(default_factory=list)
    quarantined: list[tuple[int, float]] = field(default_factory=list)
    alerts: list[tuple[int, float, bool]] = field(default_factory=list)
    places: dict[int, IntArray] = field(default_factory=dict)
    trace: Trace | None = None
    overrule: Overrule | None = None


def replay(
    recording: Recording,
    decisions: NDArray[np.integer],
    costs: ResponseCosts,
    *,
    trace: bool = False,
    overrule: Overrule | None = None,
) -> Replayed:
    """Play decisions over a part.

    Each decision takes effect before its event executes. Severities include the lower ones: Quarantine also alerts.
    A decision on an entity that is gone, an alert while one is open, and Alert or Quarantine while a benign verdict
    stands change nothing. The events of a moment come before what ends at that moment: an analyst's work, a Quarantine,
    the time for which a benign verdict stands. After the last event the clock runs on until every Quarantine and alert
    is over.

    Args:
        recording: The part, M events.
        decisions: Int [M], 0 Allow to 3 Block, for each row of `recording.rows`; or [M, 3], by the state FREE, OPEN or
            CLEARED that its entity is in by then.
        costs: Times; the costs themselves are not read.
        trace: Tell what each decision met and did; every event of a process that is acted on is then visited.
        overrule: Asked before each decision takes effect, in recorded order, about every event of whoever is not gone.
            Replaying what it says gives the same replay.

    Raises:
        ValueError: Not one decision per row, or one outside 0 to 3 (a defect of the caller).
    """
    said = _by_state(decisions, len(recording.rows))
    play = _Play(
        recording=recording,
        costs=costs,
        fate=np.zeros(len(said), dtype=np.int8),
        gone=np.full(recording.forest.entities, len(recording.labels), dtype=np.int64),
        contained=np.full(recording.forest.entities, NEVER),
        trace=_empty_trace(len(said)) if trace else None,
        overrule=overrule,
    )
    acted = _visited(recording, said, trace=trace, everyone=overrule is not None)
    play.places = _places(recording, acted)
    rows = recording.rows[acted]
    for place, row, entity, time, actions in zip(
        acted.tolist(),
        rows.tolist(),
        recording.forest.entity[rows].tolist(),
        recording.clock[rows].tolist(),
        said[acted].tolist(),
        strict=True,
    ):
        if play.timers and play.timers[0][0] < time:
            _run_timers(play, time)
        if play.gone[entity] <= row or _lost(play, entity):
            continue
        _act(play, entity, place, row, time, actions)
    _run_timers(play, NEVER)
    return _finish(play)


def _by_state(decisions: NDArray[np.integer], rows: int) -> NDArray[np.integer]:
    """Decisions as int [rows, 3], checked."""
    said = np.asarray(decisions)
    said = np.repeat(said[:, None], len(MASKS), axis=1) if said.ndim == 1 else said
    if said.shape != (rows, len(MASKS)):
        raise ValueError(f"{said.shape} decisions for {rows} rows")
    if len(said) and not (said.min() >= ALLOW and said.max() <= BLOCK):
        raise ValueError(f"decisions {said.min()} to {said.max()} are not within 0 to 3")
    return said


def _visited(recording: Recording, said: NDArray[np.integer], *, trace: bool, everyone: bool) -> IntArray:
    """Places at which something may happen, or has to be told, ascending."""
    if everyone:
        return np.arange(len(said))
    return _whole_lives(recording, said) if trace else _that_count(recording, said)


def _that_count(recording: Recording, said: NDArray[np.integer]) -> IntArray:
    """Places with a decision that may change something.

    Those are the ones that are not Allow in every state, but for an entity's after the first that is Block in every
    state: the entity is gone by then, whatever came before.
    """
    acted = np.flatnonzero(said.any(axis=1))
    sure = acted[(said[acted] == BLOCK).all(axis=1)]
    entity = recording.forest.entity[recording.rows]
    blocked, first = np.unique(entity[sure], return_index=True)
    ends = np.full(recording.forest.entities, len(said), dtype=np.int64)
    ends[blocked] = sure[first]
    return acted[acted <= ends[entity[acted]]]


def _empty_trace(count: int) -> Trace:
    """Nobody acted on."""
    return Trace(
        state=np.full(count, FREE, dtype=np.int8),
        held=np.zeros(count, dtype=np.bool_),
        taken=np.full(count, ALLOW, dtype=np.int8),
        alert=np.zeros(count, dtype=np.bool_),
    )


def _whole_lives(recording: Recording, said: NDArray[np.integer]) -> IntArray:
    """Every place of the entities that are acted on at some place: a trace tells about each."""
    entity = recording.forest.entity[recording.rows]
    touched = np.zeros(recording.forest.entities, dtype=np.bool_)
    touched[entity[said.any(axis=1)]] = True
    return np.flatnonzero(touched[entity])


def _places(recording: Recording, acted: IntArray) -> dict[int, IntArray]:
    """Places in the part of the events of each entity that is acted on."""
    entity = recording.forest.entity[recording.rows]
    order = np.argsort(entity, kind="stable")
    ordered = entity[order]
    touched = np.unique(entity[acted])
    begin, end = np.searchsorted(ordered, touched), np.searchsorted(ordered, touched, side="right")
    return {int(e): order[b:n] for e, b, n in zip(touched, begin, end, strict=True)}


def _lost(play: _Play, entity: int) -> bool:
    """Whether an ancestor was blocked before the entity was born; what is done to ancestors later changes nothing."""
    known = play.lost.get(entity)
    if known is None:
        forest, child, known = play.recording.forest, entity, False
        while not known and (above := int(forest.parent[child])) >= 0:
            known, child = bool(play.gone[above] <= forest.birth[child]), above
        play.lost[entity] = known
    return known


def _act(play: _Play, entity: int, place: int, row: int, time: float, actions: list[int]) -> None:
    process = play.processes.get(entity) or _meet(play, entity)
    state = CLEARED if time <= process.cleared else OPEN if process.asked else FREE
    action = actions[state]
    if play.overrule is not None:
        action = play.overrule(place, state, action)
    if play.trace is not None:
        _note(play.trace, place, process, state, action)
    if action == BLOCK:
        _block(play, entity, process, row, time, by_verdict=False)
        return
    if time <= process.cleared or action == ALLOW:
        return
    if action == QUARANTINE:
        _withhold(play, entity, process, place, time)
    if action >= ALERT and not process.asked:
        _alert(play, entity, process, time)


def _note(trace: Trace, place: int, process: _Process, state: int, action: int) -> None:
    """Write down what a decision meets and does, before it does it."""
    held = process.held >= 0
    trace.state[place], trace.held[place] = state, held
    free_to_act = state != CLEARED and not (action == QUARANTINE and held)
    trace.taken[place] = action if action == BLOCK or (free_to_act and (action != ALERT or state == FREE)) else ALLOW
    trace.alert[place] = action in (ALERT, QUARANTINE) and state == FREE


def _meet(play: _Play, entity: int) -> _Process:
    """Look up an entity's events once, so that no timer has to."""
    own = play.places[entity]
    rows = play.recording.rows[own]
    malicious = np.flatnonzero(play.recording.phase[rows] >= 0)
    guilty = int(malicious[0]) if len(malicious) else len(own)
    process = _Process(own=own, rows=rows, clock=play.recording.clock[rows], guilty=guilty)
    play.processes[entity] = process
    return process


def _block(play: _Play, entity: int, process: _Process, row: int, time: float, *, by_verdict: bool) -> None:
    """End an entity; what is withheld never executes."""
    if process.held >= 0:
        play.fate[process.own[process.held : np.searchsorted(process.rows, row)]] = SUPPRESSED
        process.held = -1
    play.gone[entity] = row
    play.contained[entity] = min(play.contained[entity], time)
    play.blocked.append((entity, time, by_verdict))


def _withhold(play: _Play, entity: int, process: _Process, place: int, time: float) -> None:
    """Begin or renew a Quarantine."""
    process.until = time + play.costs.quarantine_s
    heapq.heappush(play.timers, (process.until, _EXPIRY, entity))
    if process.held < 0:
        process.held = int(np.searchsorted(process.own, place))
        play.quarantined.append((entity, time))
        play.contained[entity] = min(play.contained[entity], time)


def _release(play: _Play, process: _Process, time: float) -> None:
    """Let what is withheld execute, late."""
    if process.held >= 0:
        play.fate[process.own[process.held : _first_after(process, time)]] = DELAYED
        process.held = -1


def _first_after(process: _Process, time: float) -> int:
    """Index into `own` of the first event after a time."""
    return int(np.searchsorted(process.clock, time, side="right"))


def _alert(play: _Play, entity: int, process: _Process, time: float) -> None:
    """Ask an analyst: at once where one is free, in the queue where it has room, else the alert is lost.

    A lost alert stays open for as long as an analyst takes, so that one process does not raise it at every event.
    """
    costs = play.costs
    while play.busy and play.busy[0] < time:
        heapq.heappop(play.busy)
    full = len(play.busy) >= costs.analysts + costs.queue
    play.alerts.append((entity, time, full))
    process.asked = True
    if full:
        heapq.heappush(play.timers, (time + costs.analyst_s, _FORGOTTEN, entity))
        return
    # The alert begins when so many of those before it are over that an analyst is free.
    waiting = len(play.busy) - costs.analysts
    begin = time if waiting < 0 else sorted(play.busy)[waiting]
    heapq.heappush(play.busy, begin + costs.analyst_s)
    heapq.heappush(play.timers, (begin + costs.analyst_s, _VERDICT, entity))


def _run_timers(play: _Play, now: float) -> None:
    """Let every timer before `now` run out, in order; an expiry comes before a verdict of the same moment."""
    while play.timers and play.timers[0][0] < now:
        time, what, entity = heapq.heappop(play.timers)
        process = play.processes[entity]
        if what == _VERDICT:
            _verdict(play, entity, process, time)
        elif what == _FORGOTTEN:
            process.asked = False
        elif process.held >= 0 and time >= process.until:
            _release(play, process, time)


def _verdict(play: _Play, entity: int, process: _Process, time: float) -> None:
    """The analyst has the truth about what the entity tried so far: it is blocked, or let go and left alone."""
    process.asked = False
    if play.gone[entity] < len(play.recording.labels):
        return
    if process.guilty < _first_after(process, time):
        # Of all rows, not only of the part: who is born from then on is not started, whatever part that is in.
        row = int(np.searchsorted(play.recording.clock, time, side="right"))
        _block(play, entity, process, row, time, by_verdict=True)
        return
    _release(play, process, time)
    process.cleared = time + play.costs.cleared_s


def _finish(play: _Play) -> Replayed:
    """Spread the Blocks over the descendants and tell every event's fate."""
    recording, forest = play.recording, play.recording.forest
    gone = forest.spread(play.gone)
    mine = forest.entity[recording.rows]
    suppressed = recording.rows >= gone[mine]
    fate = play.fate
    fate[suppressed] = SUPPRESSED
    if play.trace is not None:
        over = suppressed & ~((play.trace.taken == BLOCK) & (recording.rows == play.gone[mine]))
        play.trace.state[over], play.trace.held[over] = GONE, False
        play.trace.taken[over] = ALLOW
        play.trace.alert[over] = False
    inherited = np.flatnonzero(gone < play.gone)
    play.contained[inherited] = np.minimum(play.contained[inherited], recording.clock[forest.birth[inherited]])
    return Replayed(
        fate=fate,
        blocked=tuple(play.blocked),
        quarantined=tuple(play.quarantined),
        alerts=tuple(play.alerts),
        contained=play.contained,
        trace=play.trace,
    )
