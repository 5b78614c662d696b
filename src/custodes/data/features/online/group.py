"""What a feature group is when events come one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from custodes.data.features.online.memory import Process, Recent, Stream

Event = Mapping[str, Any]
"""One event: every column of the event table, and the numeric columns of the run."""


class OnlineGroup(ABC):
    """Takes events one by one, and gives the features of those taken since the last time.

    Raw numbers are collected event by event; every formula is then applied to all of them at once with the very NumPy
    functions of the batch encoder, so that both give the same bits.
    """

    names: tuple[str, ...] = ()
    """Names of the F features, as the batch encoder calls them."""

    @abstractmethod
    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """Take one event.

        Args:
            event: The event.
            clock: Its time [ns], or the last one known in the stream, else 0.
            stream: What was known of its stream before it.
            process: What was known of its process before it; its link to a parent is made already.
        """

    @abstractmethod
    def values(self) -> NDArray[np.float32]:
        """Features of the K events taken since the last call, float32 [F, K]."""


@final
class OneHot(OnlineGroup):
    """A text column over its vocabulary; see `plain.one_hot`."""

    def __init__(self, column: str, words: Sequence[str | float]) -> None:
        self._column = column
        self._place = {word: index for index, word in enumerate(words)}
        self._other = len(words)
        self.names = (*(f"{column}={word}" for word in words), f"{column}:other")
        self._codes: list[int] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        self._codes.append(self._place.get(event[self._column], self._other))

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        codes, self._codes = self._codes, []
        return spread(codes, len(self.names))


def spread(codes: list[int], count: int) -> NDArray[np.float32]:
    """1 at each event's code, float32 [count, K]; nothing where the code is below 0."""
    made = np.zeros((count, len(codes)), dtype=np.float32)
    code = np.array(codes, dtype=np.int64)
    events = np.flatnonzero(code >= 0)
    made[code[events], events] = 1.0
    return made


def new_in(seen: Recent[Any, list[None]], key: object) -> bool:
    """Whether a key was not in a memory of what was seen; it is from now on."""
    new = key not in seen
    seen.use(key)
    return new
