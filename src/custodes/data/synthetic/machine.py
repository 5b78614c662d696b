"""The semi-Markov machine: all processes step through their states together, then stays unfold to events."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from custodes.data.synthetic.programs import PROGRAMS
from custodes.data.synthetic.vocabulary import SYMBOLS, Objects, cycle

_NOISE = 0.1
"""Share of benign events that leave their loop for any other of the program's."""
_GAP_SPREAD, _PAUSE_SPREAD, _SIZE_SPREAD = 0.9, 1.2, 1.0
"""Standard deviations of the logarithms of gaps, pauses and sizes."""
_SIZES = np.array([symbol.size for symbol in SYMBOLS])


@dataclass(frozen=True, kw_only=True)
class Machine:
    """All programs' states as arrays, one state space, so that all processes step together."""

    loops: NDArray[np.int64]
    """[states, longest loop] symbols; padded by repeating the loop."""
    loop_length: NDArray[np.int64]
    """[states] symbols in the loop."""
    dwell: NDArray[np.float64]
    """[states] mean number of events of a stay."""
    gap: NDArray[np.float64]
    """[states] median seconds between events."""
    pause: NDArray[np.float64]
    """[states] median seconds before a stay."""
    upper: NDArray[np.float64]
    """[states, widest] cumulative probability of the next states, 1 from the last one on."""
    target: NDArray[np.int64]
    """[states, widest] next states."""
    first: NDArray[np.int64]
    """[programs] each program's first state."""
    count: NDArray[np.int64]
    """[programs] each program's number of states."""


@dataclass(frozen=True, kw_only=True)
class Events:
    """Events as columns of equal length; names are put in at the very end."""

    process: NDArray[np.int64]
    """Acting process, its number in the recording."""
    time: NDArray[np.int64]
    """Microseconds since the start of the recording."""
    symbol: NDArray[np.int64]
    """What happened, a place in `SYMBOLS`."""
    size: NDArray[np.float64]
    """Bytes, whole."""
    object: NDArray[np.int64]
    """Place in the object names; of a start or end of a process, minus one minus its image."""
    phase: NDArray[np.int64]
    """Tactic, or -1 where benign."""

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Pick rows, by place or by mask."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def concatenate(parts: list[Events]) -> Events:
    """Put tables one after the other."""
    return Events(**{field.name: np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Events)})


def build_machine() -> Machine:
    """Compile `PROGRAMS` to arrays."""
    states = [(program, state) for program in PROGRAMS for state in program.states]
    count = np.array([len(program.states) for program in PROGRAMS], dtype=np.int64)
    place = {(program.name, state.name): i for i, (program, state) in enumerate(states)}
    loops = [cycle(state.loop) for _, state in states]
    longest, widest = max(map(len, loops)), max(len(state.then) for _, state in states)
    upper = np.ones((len(states), widest))
    target = np.zeros((len(states), widest), dtype=np.int64)
    for i, (program, state) in enumerate(states):
        weights = np.array(list(state.then.values()))
        upper[i, : len(weights) - 1] = (np.cumsum(weights) / weights.sum())[:-1]
        target[i, : len(weights)] = [place[program.name, name] for name in state.then]
    return Machine(
        loops=np.array([np.resize(loop, longest) for loop in loops], dtype=np.int64),
        loop_length=np.array([len(loop) for loop in loops], dtype=np.int64),
        dwell=np.array([state.dwell for _, state in states]),
        gap=np.array([state.gap for _, state in states]),
        pause=np.array([state.pause for _, state in states]),
        upper=upper,
        target=target,
        first=np.cumsum(count) - count,
        count=count,
    )


def within(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the members of groups laid end to end: lengths 2, 3 give 0 1 0 1 2."""
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def sample_stays(
    machine: Machine, program: NDArray[np.int64], length: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Walk every process through its program until it has its number of events.

    Args:
        machine: The programs.
        program: [processes] program of each.
        length: [processes] events of each, > 0.
        rng: Source of chance.

    Returns:
        Process, state and number of events of each stay; processes in order, and each one's stays in order.
    """
    left = length.copy()
    active = np.flatnonzero(left > 0)
    state = machine.first[program[active]]
    stays: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    while active.size:
        drawn = np.rint(rng.gamma(4.0, machine.dwell[state] / 4.0)).astype(np.int64)
        dwell = np.minimum(np.maximum(drawn, 1), left[active])
        stays.append((active, state, dwell))
        left[active] -= dwell
        choice = (rng.random(active.size)[:, None] > machine.upper[state]).sum(axis=1)
        state = machine.target[state, choice]
        going = left[active] > 0
        active, state = active[going], state[going]
    process, states, dwells = (np.concatenate(column) for column in zip(*stays, strict=True))
    order = np.argsort(process, kind="stable")
    return process[order], states[order], dwells[order]


def unfold(
    machine: Machine,
    objects: Objects,
    program: NDArray[np.int64],
    stays: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]],
    pace: NDArray[np.float64],
    rng: np.random.Generator,
) -> Events:
    """Turn stays into events.

    Args:
        machine: The programs.
        objects: The pools that events act on.
        program: [processes] program of each.
        stays: What `sample_stays` returned.
        pace: [processes] factor on all of a process's gaps, > 0.
        rng: Source of chance.

    Returns:
        Events in the order of the processes and, within each, of time; times run from the process's own start.
    """
    owner, states, dwell = stays
    step = within(dwell)
    process, state = np.repeat(owner, dwell), np.repeat(states, dwell)
    total = process.size
    symbol = machine.loops[state, step % machine.loop_length[state]]
    stray = np.flatnonzero(rng.random(total) < _NOISE)
    other = program[process[stray]]
    elsewhere = machine.first[other] + (rng.random(stray.size) * machine.count[other]).astype(np.int64)
    symbol[stray] = machine.loops[elsewhere, (rng.random(stray.size) * machine.loop_length[elsewhere]).astype(np.int64)]
    gaps = np.exp(_GAP_SPREAD * rng.standard_normal(total)) * machine.gap[state]
    begins = np.flatnonzero(step == 0)
    gaps[begins] = np.exp(_PAUSE_SPREAD * rng.standard_normal(begins.size)) * machine.pause[state[begins]]
    return Events(
        process=process,
        time=run_times(gaps * pace[process], np.bincount(process, minlength=program.size)),
        symbol=symbol,
        size=_draw_sizes(symbol, process, rng),
        object=_draw_objects(objects, symbol, process, rng),
        phase=np.full(total, -1),
    )


def run_times(gaps: NDArray[np.float64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add up gaps [s] within groups laid end to end, in whole microseconds of at least one each."""
    steps = np.maximum(np.rint(gaps * 1e6), 1.0).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(steps)])
    first = np.cumsum(lengths) - lengths
    run: NDArray[np.int64] = total[1:] - np.repeat(total[first], lengths)
    return run


def _draw_sizes(symbol: NDArray[np.int64], process: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
    habit = 0.5 * rng.standard_normal(int(process.max()) + 1)
    spread = np.exp(_SIZE_SPREAD * rng.standard_normal(symbol.size) + habit[process])
    size: NDArray[np.float64] = np.rint(_SIZES[symbol] * spread)
    return size


def _draw_objects(
    objects: Objects, symbol: NDArray[np.int64], process: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Each process has favourites in every pool: a rank with a heavy head, counted from a place of its own."""
    home = rng.integers(0, 1 << 20, int(process.max()) + 1)
    count = objects.count[symbol]
    rank = (rng.random(symbol.size) ** 3 * count).astype(np.int64)
    place: NDArray[np.int64] = objects.first[symbol] + (home[process] + rank) % count
    return place
