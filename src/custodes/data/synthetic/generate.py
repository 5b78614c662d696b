"""From settings to the event table: population, campaigns, attacks, ends of processes, names."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.schema import BENIGN, EVENT_SCHEMA, MALICIOUS
from custodes.data.synthetic.attacks import attack_events, start_ups
from custodes.data.synthetic.campaigns import Plan, plan_campaigns
from custodes.data.synthetic.config import SyntheticConfig, check
from custodes.data.synthetic.machine import Events, build_machine, concatenate
from custodes.data.synthetic.population import SPAN, Processes, build_population, starts_of
from custodes.data.synthetic.programs import IMAGES
from custodes.data.synthetic.techniques import TACTICS
from custodes.data.synthetic.vocabulary import EXIT, SYMBOLS, Objects, build_objects

EPOCH_NS = 1_767_571_200_000_000_000
"""Start of every recording: 2026-01-05T00:00:00Z, a Monday."""


def generate(config: SyntheticConfig) -> pl.DataFrame:
    """Make a recording with true labels.

    The hosts are interleaved as a collector would receive them: rows are in the order of time over all hosts, and times
    within a host are strictly increasing. Nothing depends on anything but the settings.

    Args:
        config: Settings; the number of events is met within about 10 %.

    Returns:
        The columns of `custodes.data.schema.EVENT_SCHEMA`. Every process but the first of each host has a parent whose
        event of starting it comes before its own first event. `phase` is the ATT&CK tactic of a malicious event and ""
        of a benign one.

    Raises:
        CustodesError: A setting is out of its range.
    """
    check(config)
    rng = np.random.default_rng(np.random.PCG64(config.seed))
    machine, objects = build_machine(), build_objects()
    malicious = round(config.events * config.threat_rate) if config.campaigns else 0
    processes, benign = build_population(config, machine, objects, malicious, rng)
    recorded = benign.take(benign.time < SPAN)
    plan = plan_campaigns(config, processes, recorded, malicious, rng) if malicious else Plan(actions=(), children=())
    processes, phase = _join_children(processes, plan)
    parts = [benign, starts_of(processes, phase)]
    if plan.actions:
        parts.append(start_ups(plan, processes, recorded))
        parts.append(attack_events(config, plan, processes, recorded, rng))
    events = concatenate(parts)
    events = concatenate([events, _ends(processes, events, phase, rng)])
    return _table(processes, _in_order(processes, events), objects)


def _join_children(processes: Processes, plan: Plan) -> tuple[Processes, NDArray[np.int64]]:
    """All processes, and the tactic that the start of each belongs to (-1: benign)."""
    model = np.array([child.model for child in plan.children], dtype=np.int64)
    joined = Processes(
        host=np.append(processes.host, np.array([child.host for child in plan.children], dtype=np.int64)),
        parent=np.append(processes.parent, np.array([child.parent for child in plan.children], dtype=np.int64)),
        program=np.append(processes.program, processes.program[model]),
        image=np.append(processes.image, processes.image[model]),
        start=np.append(processes.start, np.array([child.start for child in plan.children], dtype=np.int64)),
        malicious=np.append(processes.malicious, np.ones(model.size, dtype=np.bool_)),
    )
    phase = np.full(joined.host.size, -1)
    phase[processes.host.size :] = [child.tactic for child in plan.children]
    return joined, phase


def _ends(processes: Processes, events: Events, phase: NDArray[np.int64], rng: np.random.Generator) -> Events:
    """The event of each end of a process, after everything it did; the first of a host never ends."""
    last = np.zeros(processes.host.size, dtype=np.int64)
    np.maximum.at(last, events.process, events.time)
    ended = np.flatnonzero(processes.parent >= 0)
    return Events(
        process=ended,
        time=last[ended] + rng.integers(1_000, 500_000, ended.size),
        symbol=np.full(ended.size, EXIT),
        size=np.zeros(ended.size),
        object=-1 - processes.image[ended],
        phase=phase[ended],
    )


def _in_order(processes: Processes, events: Events) -> Events:
    """Cut at the end of the recording, order by time, and make times within a host strictly increasing."""
    kept = events.take(events.time < SPAN)
    host = processes.host[kept.process]
    kept = kept.take(np.lexsort((kept.process, kept.time, host)))
    host = processes.host[kept.process]
    rise = np.arange(host.size)
    # Offsets that keep hosts apart let one running maximum serve all of them; the rise makes it strict.
    offset = host * (4 * SPAN)
    time = np.maximum.accumulate(kept.time + offset - rise) - offset + rise
    order = np.lexsort((host, time))
    return Events(**{**vars(kept), "time": time}).take(order)


def _entity_names(processes: Processes) -> list[str]:
    """Number each host's processes by their start, so that a number says nothing about who started it."""
    order = np.lexsort((processes.start, processes.host))
    sizes = np.bincount(processes.host)
    number = np.empty(order.size, dtype=np.int64)
    number[order] = np.arange(order.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    width = len(str(int(sizes.max())))
    return [f"host-{h:02d}/p{i:0{width}d}" for h, i in zip(processes.host.tolist(), number.tolist(), strict=True)]


def _table(processes: Processes, events: Events, objects: Objects) -> pl.DataFrame:
    hosts = pl.Series([f"host-{i:02d}" for i in range(int(processes.host.max()) + 1)])
    names = pl.Series([*_entity_names(processes), ""])
    images = pl.Series([*IMAGES, ""])
    parent = processes.parent
    parent_image = np.where(parent >= 0, processes.image[parent], len(IMAGES))
    # One list of names for both: images count back from the end, so that -1 - image finds its own.
    things = pl.Series([*objects.names, *reversed(IMAGES)])
    acting, symbol = events.process, events.symbol
    malicious = events.phase >= 0
    columns = {
        "time": pl.Series(EPOCH_NS + events.time * 1000),
        "stream": hosts.gather(processes.host[acting]),
        "entity": names.gather(acting),
        "parent": names.gather(np.where(parent >= 0, parent, processes.host.size)[acting]),
        "channel": pl.Series([s.channel for s in SYMBOLS]).gather(symbol),
        "kind": pl.Series([s.kind for s in SYMBOLS]).gather(symbol),
        "object": things.gather(np.where(events.object < 0, len(things) + events.object, events.object)),
        "object_kind": pl.Series([s.object_kind for s in SYMBOLS]).gather(symbol),
        "image": images.gather(processes.image[acting]),
        "parent_image": images.gather(parent_image[acting]),
        "size": pl.Series(events.size),
        "label": pl.Series(np.where(malicious, MALICIOUS, BENIGN)),
        "phase": pl.Series([*TACTICS, ""]).gather(np.where(malicious, events.phase, len(TACTICS))),
    }
    return pl.DataFrame(columns).cast(dict(EVENT_SCHEMA.items())).select(list(EVENT_SCHEMA))
