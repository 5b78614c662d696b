"""Groups that look back at the entity and the stream: `timing`, `counts`, `novelty`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custodes.data.features.blocks import Block, Group, Number, Vocabulary, frequent, learn_nothing
from custodes.data.features.segments import IntArray
from custodes.data.features.table import Table
from custodes.data.schema import CHANNELS

_MILLISECOND = 1e6  # ns


def _clock(table: Table) -> IntArray:
    """Time of each row [ns], int64 [N]; unknown (0 or less) reads as the last one known in the stream, else 0."""
    time = table.events["time"].fill_null(0).to_numpy().astype(np.int64)
    known = time > 0
    if known.all():
        return time
    last = table.by_stream.previous(known)
    return np.where(known, time, np.where(last >= 0, time[last], 0))


def _log_elapsed(clock: IntArray, since: IntArray) -> NDArray[np.float64]:
    """Logarithm of 1 + the milliseconds since an earlier row, [N]; 0 without one, or where time steps back."""
    usable = (since >= 0) & (clock[since] > 0)
    elapsed = np.where(usable, clock - clock[since], 0)
    return np.log1p(np.maximum(elapsed, 0) / _MILLISECOND)


def _timing(table: Table, _vocabulary: Vocabulary) -> Iterator[Block]:
    clock = _clock(table)
    yield Number(
        name="timing:entity", values=lambda: _log_elapsed(clock, table.by_entity.previous()), scaling="standard"
    )
    yield Number(
        name="timing:stream", values=lambda: _log_elapsed(clock, table.by_stream.previous()), scaling="standard"
    )
    yield Number(name="timing:age", values=lambda: _log_elapsed(clock, table.by_entity.first()), scaling="standard")
    yield Number(name="timing:unknown", values=lambda: (table.events["time"] <= 0).to_numpy())


def _learn_channels(table: Table) -> Vocabulary:
    return {"channel": frequent(table.events["channel"], len(CHANNELS))}


def _counts(table: Table, vocabulary: Vocabulary) -> Iterator[Block]:
    def of(channel: str | float) -> NDArray[np.floating[Any]]:
        return np.log1p(table.by_entity.count((table.events["channel"] == channel).to_numpy()))

    yield Number(name="counts:all", values=lambda: np.log1p(table.by_entity.position() + 1), scaling="standard")
    for channel in vocabulary["channel"]:
        yield Number(name=f"counts:{channel}", values=partial(of, channel), scaling="standard")


def _novelty(table: Table, _vocabulary: Vocabulary) -> Iterator[Block]:
    yield Number(name="novelty:kind", values=lambda: table.within(table.entity, "kind").position() == 0)
    yield Number(
        name="novelty:object_seen",
        values=lambda: table.known("object") & (table.within(table.stream, "object").position() > 0),
    )


TIMING = Group(name="timing", reads=("time", "entity", "parent"), learn=learn_nothing, blocks=_timing)
"""Time since the entity's previous event, the stream's previous event, and the entity's first."""

COUNTS = Group(name="counts", reads=("entity", "parent", "channel"), learn=_learn_channels, blocks=_counts)
"""Events of the entity so far, in all and by channel."""

NOVELTY = Group(name="novelty", reads=("entity", "parent", "kind", "object"), learn=learn_nothing, blocks=_novelty)
"""First event of its kind for the entity; object seen before in the stream."""
