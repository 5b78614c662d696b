"""The benign processes of all hosts: what they run, when, for how long, and who started them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from custodes.data.synthetic.config import SyntheticConfig
from custodes.data.synthetic.machine import Events, Machine, sample_stays, unfold
from custodes.data.synthetic.programs import IMAGES, NAMES, PROGRAMS, ROLES
from custodes.data.synthetic.vocabulary import CREATE, Objects

DAYS = 3
SPAN = DAYS * 86_400 * 1_000_000
"""Length of the recording [us]."""
_LOOK_BACK, _TRIES = 64, 24
"""A parent is looked for among this many earlier processes, this many times."""
_DRIFT_MIX, _DRIFT_PACE = 1.5, 0.7
"""Spread of the logarithms of the factors on programs' shares and paces that drift 1 reaches at the end."""
_FEWEST = 6
_INTERACTIVE = np.array([p.interactive for p in PROGRAMS])
_RESIDENT = np.array([p.resident for p in PROGRAMS])
_TABLE = np.linspace(0.0, 1.0, 24 * DAYS + 1)


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Processes as columns; number 0 of each host is its first process."""

    host: NDArray[np.int64]
    """Host of each."""
    parent: NDArray[np.int64]
    """Number of the process that started it, or -1."""
    program: NDArray[np.int64]
    """Place in `PROGRAMS`."""
    image: NDArray[np.int64]
    """Place in `IMAGES`."""
    start: NDArray[np.int64]
    """Start [us]; its first event is later."""
    malicious: NDArray[np.bool_]
    """Started by a campaign."""


def working_hours(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map shares of all activity, 0 to 1, to shares of the recording: 88 % falls between 08:00 and 18:00."""
    hours = np.arange(24 * DAYS) % 24
    weight = np.where((hours >= 8) & (hours < 18), 0.088, 0.12 / 14)
    reached = np.concatenate([[0.0], np.cumsum(weight)]) / weight.sum()
    return np.interp(share, reached, _TABLE)


def build_population(
    config: SyntheticConfig, machine: Machine, objects: Objects, malicious: int, rng: np.random.Generator
) -> tuple[Processes, Events]:
    """Make the benign processes and everything that they do.

    Args:
        config: Settings.
        machine: The programs.
        objects: The pools that events act on.
        malicious: Events left to campaigns, out of the total asked for.
        rng: Source of chance.

    Returns:
        The processes, host after host and by start within each host, and their events, process after process and by
        time.
    """
    host, program, start = _draw_starts(config, rng)
    total, root = host.size, np.arange(host.size) % config.processes == 0
    length = _draw_lengths(program, config.events - malicious - 2 * total, rng)
    tempo = config.drift * _DRIFT_PACE * rng.standard_normal(len(PROGRAMS))
    pace = np.exp(tempo[program] * (start / SPAN))
    events = unfold(machine, objects, program, sample_stays(machine, program, length, rng), pace, rng)
    events = _stretch(events, length, start, _RESIDENT[program])
    image = _draw_images(program, rng)
    image[root] = 0
    parent = _draw_parents(config, program, start, events.time[np.cumsum(length) - 1], rng)
    processes = Processes(
        host=host, parent=parent, program=program, image=image, start=start, malicious=np.zeros(total, dtype=np.bool_)
    )
    return processes, events


def _draw_starts(
    config: SyntheticConfig, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Host, program and start [us] of every process, by host and start; each host's first is its root."""
    host = np.repeat(np.arange(config.hosts), config.processes)
    root = np.arange(host.size) % config.processes == 0
    moment = rng.random(host.size)
    program = np.where(root, NAMES["service"], _draw_programs(config, host, moment, rng))
    when = np.where(_INTERACTIVE[program], working_hours(moment), moment * 0.98)
    when[_RESIDENT[program]] *= 0.3
    start = np.where(root, 0, 1 + np.rint(when * SPAN).astype(np.int64))
    order = np.lexsort((start, host))
    return host, program[order], start[order]


def _draw_programs(
    config: SyntheticConfig, host: NDArray[np.int64], moment: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    role = np.array([[p.weight * p.roles.get(name, 1.0) for p in PROGRAMS] for name in ROLES])
    trend = config.drift * _DRIFT_MIX * rng.standard_normal(len(PROGRAMS))
    weight = role[host % len(ROLES)] * np.exp(moment[:, None] * trend)
    upper = np.cumsum(weight, axis=1)
    chosen = (rng.random(host.size)[:, None] * upper[:, -1:] > upper).sum(axis=1)
    drawn: NDArray[np.int64] = np.minimum(chosen, len(PROGRAMS) - 1).astype(np.int64)
    return drawn


def _draw_lengths(program: NDArray[np.int64], total: int, rng: np.random.Generator) -> NDArray[np.int64]:
    mean = np.array([p.length for p in PROGRAMS])[program]
    weight = mean * np.exp(0.7 * rng.standard_normal(program.size))
    length: NDArray[np.int64] = np.maximum(np.rint(weight * (total / weight.sum())), _FEWEST).astype(np.int64)
    return length


def _draw_images(program: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    count = np.array([len(p.images) for p in PROGRAMS])
    first = 1 + np.cumsum(count) - count
    image: NDArray[np.int64] = first[program] + (rng.random(program.size) ** 1.5 * count[program]).astype(np.int64)
    return np.minimum(image, len(IMAGES) - 1)


def _stretch(
    events: Events, length: NDArray[np.int64], start: NDArray[np.int64], resident: NDArray[np.bool_]
) -> Events:
    """Shift events to their process's start; those of residents are stretched to the end of the recording."""
    last = events.time[np.cumsum(length) - 1]
    factor = np.where(resident, (SPAN - start) / last, 1.0)
    time = start[events.process] + np.rint(events.time * factor[events.process]).astype(np.int64)
    return Events(**{**vars(events), "time": time})


def _draw_parents(
    config: SyntheticConfig,
    program: NDArray[np.int64],
    start: NDArray[np.int64],
    last: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Pick a parent among the host's earlier processes, alive and able to start this program, else the first one."""
    may = np.array([[parent.name in child.parents for child in PROGRAMS] for parent in PROGRAMS])
    number = np.arange(program.size)
    rank = number % config.processes
    back = 1 + (rng.random((program.size, _TRIES)) * np.minimum(rank, _LOOK_BACK)[:, None]).astype(np.int64)
    candidate = np.maximum(number[:, None] - back, (number - rank)[:, None])
    fits = may[program[candidate], program[:, None]] & (last[candidate] > start[:, None])
    choice = candidate[number, fits.argmax(axis=1)]
    parent = np.where(fits.any(axis=1), choice, number - rank)
    return np.where(rank == 0, -1, parent)


def starts_of(processes: Processes, phase: NDArray[np.int64]) -> Events:
    """Make the event of each start of a process, in the process that started it.

    Args:
        processes: All processes.
        phase: [processes] tactic that each start belongs to, or -1.
    """
    child = np.flatnonzero(processes.parent >= 0)
    return Events(
        process=processes.parent[child],
        time=processes.start[child],
        symbol=np.full(child.size, CREATE),
        size=np.zeros(child.size),
        object=-1 - processes.image[child],
        phase=phase[child],
    )
