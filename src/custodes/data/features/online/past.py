"""Groups that look back at the process and the stream, event by event: `timing`, `counts`, `novelty`, `lineage`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from custodes.data.features.lineage import DEEPEST
from custodes.data.features.online.group import Event, OnlineGroup, new_in
from custodes.data.features.online.memory import Key, Process, Recent, Stream

_MILLISECOND = 1e6  # ns

Find = Callable[[Key], Process | None]
"""Looks a process up without using it."""


def elapsed(clock: int, since: int) -> int:
    """Nanoseconds since an earlier event; 0 where its time is unknown or lies ahead."""
    return max(clock - since, 0) if since > 0 else 0


@final
class Timing(OnlineGroup):
    """See `history.TIMING`."""

    names = ("timing:entity", "timing:stream", "timing:age", "timing:unknown")

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int]] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        first = process.first_clock if process.events else clock
        self._rows.append(
            (
                elapsed(clock, process.last_clock),
                elapsed(clock, stream.last_clock),
                elapsed(clock, first),
                event["time"] <= 0,
            )
        )

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = np.array(self._rows, dtype=np.int64).reshape(-1, 4).T, []
        made = np.empty(rows.shape, dtype=np.float32)
        made[:3] = np.log1p(rows[:3] / _MILLISECOND)
        made[3] = rows[3]
        return made


@final
class Counts(OnlineGroup):
    """See `history.COUNTS`."""

    def __init__(self, channels: Sequence[str | float]) -> None:
        self._place = {channel: index for index, channel in enumerate(channels)}
        self.names = ("counts:all", *(f"counts:{channel}" for channel in channels))
        self._rows: list[list[int]] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        if not process.channels:
            process.channels = [0] * len(self._place)
        index = self._place.get(event["channel"])
        if index is not None:
            process.channels[index] += 1
        self._rows.append([process.events + 1, *process.channels])

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = np.array(self._rows, dtype=np.int64).reshape(-1, len(self.names)).T, []
        return np.log1p(rows).astype(np.float32)


@final
class Novelty(OnlineGroup):
    """See `history.NOVELTY`."""

    names = ("novelty:kind", "novelty:object_seen")

    def __init__(self, objects: Recent[Any, list[None]], kinds: int) -> None:
        self._objects, self._kinds = objects, kinds
        self._rows: list[tuple[bool, bool]] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        kind, thing = event["kind"], event["object"]
        new = kind not in process.kinds
        if new and len(process.kinds) < self._kinds:
            process.kinds.append(kind)
        seen = thing != "" and not new_in(self._objects, (event["stream"], thing))
        self._rows.append((new, seen))

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = np.array(self._rows, dtype=np.float32).reshape(-1, 2).T, []
        return rows


@final
class Lineage(OnlineGroup):
    """See `lineage.LINEAGE`."""

    names = ("lineage:depth", "lineage:children", "lineage:first", "lineage:parent_seen")

    def __init__(self, find: Find) -> None:
        self._find = find
        self._rows: list[tuple[int, int, int, int]] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        parent = event["parent"]
        seen = False
        if parent != "":
            above = self._find((event["stream"], parent))
            seen = parent == event["entity"] or (above is not None and above.events > 0)
        self._rows.append((len(ancestors(process, self._find)), process.children, process.events == 0, seen))

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = np.array(self._rows, dtype=np.int64).reshape(-1, 4).T, []
        made = rows.astype(np.float32)
        made[1] = np.log1p(rows[1])
        return made


def ancestors(process: Process, find: Find) -> list[Process | None]:
    """Whom the links so far lead to, the parent first, at most `DEEPEST`; None at the end for one that is forgotten."""
    found: list[Process | None] = []
    person: Process | None = process
    while person is not None and person.link is not None and len(found) < DEEPEST:
        person = find(person.link)
        found.append(person)
    return found
