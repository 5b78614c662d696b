"""Campaign stages become events: what is done is the technique's, what it looks like is taken from benign events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from custodes.data.synthetic.campaigns import START_UP, START_UP_EVENTS, Plan, slowdown
from custodes.data.synthetic.config import SyntheticConfig
from custodes.data.synthetic.machine import Events, run_times, within
from custodes.data.synthetic.population import Processes
from custodes.data.synthetic.techniques import TACTICS, TECHNIQUES
from custodes.data.synthetic.vocabulary import SYMBOLS, cycle

_GAP_SPREAD = 0.9
_COVER_RUN = 4
"""Events of the host program's own behaviour come in runs of this length."""
_COVER = 0.3
"""Share of such events at stealth 1."""
_SLIP = 0.05
"""Share of a technique's events that leave its loop for another event of the loop."""
_REMOTE = ("address", "name")


@dataclass(frozen=True, kw_only=True)
class _Donors:
    """Benign events in the two orders in which attacks look them up."""

    events: Events
    """All benign events, process after process and by time."""
    gap: NDArray[np.float64]
    """[events] seconds since the process's previous event."""
    by_program: NDArray[np.int64]
    """[events] rows by program, then by process and time."""
    program_first: NDArray[np.int64]
    """[programs + 1] bounds in `by_program`."""
    by_symbol: NDArray[np.int64]
    """[events] rows by symbol, then by size."""
    symbol_first: NDArray[np.int64]
    """[symbols + 1] bounds in `by_symbol`."""


def _donors(processes: Processes, events: Events, programs: int) -> _Donors:
    gap = np.diff(events.time, prepend=0) / 1e6
    fresh = np.diff(events.process, prepend=-1) != 0
    gap[fresh] = 0.05
    program = processes.program[events.process]
    by_symbol = np.lexsort((events.size, events.symbol))
    return _Donors(
        events=events,
        gap=gap,
        by_program=np.argsort(program, kind="stable"),
        program_first=np.concatenate([[0], np.cumsum(np.bincount(program, minlength=programs))]),
        by_symbol=by_symbol,
        symbol_first=np.concatenate([[0], np.cumsum(np.bincount(events.symbol, minlength=len(SYMBOLS)))]),
    )


@dataclass(frozen=True, kw_only=True)
class _Loops:
    """Techniques as arrays; axis 0 is the place in `TECHNIQUES`."""

    symbols: NDArray[np.int64]
    """[techniques, longest] loop, repeated to the width."""
    length: NDArray[np.int64]
    """[techniques] symbols in the loop."""
    gap: NDArray[np.float64]
    """[techniques] median seconds between events at stealth 0."""
    bulk: NDArray[np.float64]
    """[techniques] lean to large sizes, 0 to 1."""
    tactic: NDArray[np.int64]
    """[techniques] place in `TACTICS`."""


def _loops() -> _Loops:
    loops = [cycle(technique.loop) for technique in TECHNIQUES]
    longest = max(map(len, loops))
    return _Loops(
        symbols=np.array([np.resize(loop, longest) for loop in loops], dtype=np.int64),
        length=np.array([len(loop) for loop in loops], dtype=np.int64),
        gap=np.array([technique.gap for technique in TECHNIQUES]),
        bulk=np.array([technique.bulk for technique in TECHNIQUES]),
        tactic=np.array([TACTICS.index(technique.tactic) for technique in TECHNIQUES], dtype=np.int64),
    )


def attack_events(
    config: SyntheticConfig, plan: Plan, processes: Processes, benign: Events, rng: np.random.Generator
) -> Events:
    """Turn the plan's stages into events.

    A technique decides the kinds of events and their order. Size and object of each are those of a benign event of the
    same kind, and runs of events are copied whole from the program that the acting process runs (more of them with more
    stealth), so that every single event of an attack has a benign twin in the recording.

    Args:
        config: Settings.
        plan: What the campaigns do; not empty.
        processes: All processes, the campaigns' own included.
        benign: The benign events, process after process and by time.
        rng: Source of chance.
    """
    donors, loops = _donors(processes, benign, int(processes.program.max()) + 1), _loops()
    count = np.array([action.events for action in plan.actions])
    technique = np.repeat(np.array([action.technique for action in plan.actions]), count)
    campaign = np.repeat(np.array([action.campaign for action in plan.actions]), count)
    process = np.repeat(np.array([action.process for action in plan.actions]), count)
    start = np.repeat(np.array([action.start for action in plan.actions]), count)
    step = within(count)
    covered, cover = _cover_rows(config, donors, processes.program[process], step, rng)
    symbol = _technique_symbols(donors, loops, technique, step, rng)
    row = _twin_rows(donors, symbol, loops.bulk[technique], rng)
    row[covered] = cover
    pace = slowdown(config.stealth)
    gap = loops.gap[technique] * pace * np.exp(_GAP_SPREAD * rng.standard_normal(row.size))
    gap[covered] = np.minimum(donors.gap[cover], 20.0 * pace)
    return Events(
        process=process,
        time=start + run_times(gap, count),
        symbol=benign.symbol[row],
        size=benign.size[row],
        object=_remote_objects(donors, row, campaign, covered, rng),
        phase=loops.tactic[technique],
    )


def start_ups(plan: Plan, processes: Processes, benign: Events) -> Events:
    """Copy the start of a benign process of the same image into every process that a campaign starts.

    Args:
        plan: What the campaigns do.
        processes: All processes, the campaigns' own included.
        benign: The benign events, process after process and by time.
    """
    length = np.bincount(benign.process, minlength=processes.host.size)
    model = np.array([child.model for child in plan.children], dtype=np.int64)
    count = np.minimum(length[model], START_UP_EVENTS)
    first = (np.cumsum(length) - length)[model]
    row = np.repeat(first, count) + within(count)
    child = np.repeat(processes.host.size - model.size + np.arange(model.size), count)
    own = Events(**{**vars(benign.take(row)), "process": child})
    time = np.minimum(
        own.time - processes.start[benign.process[row]], START_UP // START_UP_EVENTS * (1 + within(count))
    )
    tactic = np.array([c.tactic for c in plan.children], dtype=np.int64)
    return Events(
        **{**vars(own), "time": processes.start[child] + np.maximum(time, 1), "phase": np.repeat(tactic, count)}
    )


def _cover_rows(
    config: SyntheticConfig,
    donors: _Donors,
    program: NDArray[np.int64],
    step: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which events are cover, and the benign rows that those copy: runs in the program's own order."""
    run = np.cumsum(step % _COVER_RUN == 0) - 1
    runs = int(run[-1]) + 1
    hidden = rng.random(runs) < _COVER * config.stealth
    anchor, covered = rng.random(runs)[run], hidden[run]
    low, high = donors.program_first[program], donors.program_first[program + 1]
    covered &= high > low
    place = low + (anchor * (high - low)).astype(np.int64) + step % _COVER_RUN
    return covered, donors.by_program[np.minimum(place, high - 1)[covered]]


def _technique_symbols(
    donors: _Donors,
    loops: _Loops,
    technique: NDArray[np.int64],
    step: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    length = loops.length[technique]
    place = np.where(rng.random(step.size) < _SLIP, (rng.random(step.size) * length).astype(np.int64), step % length)
    symbol = loops.symbols[technique, place]
    present = np.diff(donors.symbol_first) > 0
    commonest = int(np.diff(donors.symbol_first).argmax())
    replaced: NDArray[np.int64] = np.where(present[symbol], symbol, commonest)
    return replaced


def _twin_rows(
    donors: _Donors, symbol: NDArray[np.int64], bulk: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each event a benign one of the same symbol, by a quantile of size that leans to the large end with bulk."""
    low, high = donors.symbol_first[symbol], donors.symbol_first[symbol + 1]
    quantile = rng.random(symbol.size) ** (1.0 - 0.8 * bulk)
    row: NDArray[np.int64] = donors.by_symbol[low + (quantile * (high - low)).astype(np.int64)]
    return row


def _remote_objects(
    donors: _Donors,
    row: NDArray[np.int64],
    campaign: NDArray[np.int64],
    covered: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Objects of the twins, but a campaign talks to one address and one name throughout, benign elsewhere."""
    chosen = donors.events.object[row].copy()
    for kind in _REMOTE:
        symbols = [i for i, symbol in enumerate(SYMBOLS) if symbol.object_kind == kind]
        rows = np.flatnonzero(np.isin(donors.events.symbol, symbols))
        if rows.size:
            own = donors.events.object[rows[rng.integers(rows.size, size=int(campaign.max()) + 1)]]
            spoken = np.isin(donors.events.symbol[row], symbols) & ~covered
            chosen[spoken] = own[campaign[spoken]]
    return chosen
