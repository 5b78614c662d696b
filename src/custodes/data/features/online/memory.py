"""What is remembered of streams, processes and objects, and when it is forgotten.

Each table is bounded and drops what was used least recently. Who comes back after that starts from nothing, as if it
had never been seen; how often something was dropped is counted, so that nobody has to guess whether memory was enough.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar, final

K = TypeVar("K")
V = TypeVar("V")

Key = tuple[str, str]
"""Stream and name: processes of two streams are two, whatever their names."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much is remembered at most."""

    entities: int = 50_000
    """Processes, 2 or more: those that act, and those that are named as a parent."""
    streams: int = 4_096
    """Streams, 1 or more."""
    objects: int = 500_000
    """Objects of all streams, and pairs of executables, 1 or more of each."""
    kinds: int = 256
    """Kinds of event of one process, 1 or more; one that found no room counts as new each time."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for each in fields(self):
            least = 2 if each.name == "entities" else 1
            if getattr(self, each.name) < least:
                raise ValueError(f"{each.name} is {getattr(self, each.name)}, below {least}")


@final
class Recent(Generic[K, V]):
    """A table that holds at most `limit` entries and drops the one that was used least recently.

    Args:
        limit: Entries, 1 or more.
        make: Makes the entry of a key that is not there.
        dropped: Called with each key that is dropped.
    """

    __slots__ = ("_dropped", "_entries", "_make", "drops", "limit")

    def __init__(self, limit: int, make: Callable[[], V], dropped: Callable[[K], None] | None = None) -> None:
        self.limit, self._make, self._dropped = limit, make, dropped
        self._entries: OrderedDict[K, V] = OrderedDict()
        self.drops = 0
        """Entries dropped so far."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def get(self, key: K) -> V | None:
        """The entry of a key, without using it; None where there is none."""
        return self._entries.get(key)

    def use(self, key: K) -> V:
        """The entry of a key, new where there was none, from now on the one used last."""
        entries = self._entries
        entry = entries.get(key)
        if entry is not None:
            entries.move_to_end(key)
            return entry
        entry = entries[key] = self._make()
        if len(entries) > self.limit:
            old, _ = entries.popitem(last=False)
            self.drops += 1
            if self._dropped is not None:
                self._dropped(old)
        return entry

    def items(self) -> Iterator[tuple[K, V]]:
        """Keys and entries, the one used least recently first."""
        return iter(self._entries.items())

    def restore(self, entries: Iterator[tuple[K, V]], drops: int) -> None:
        """Hold these entries instead, in the order of `items`.

        Raises:
            ValueError: They are more than the limit.
        """
        self._entries = OrderedDict(entries)
        self.drops = drops
        if len(self._entries) > self.limit:
            raise ValueError(f"{len(self._entries)} entries are more than the limit of {self.limit}")


@final
class Process:
    """What is known of a process by its events so far."""

    __slots__ = ("channels", "children", "events", "first_clock", "kinds", "last_clock", "link", "worst")

    def __init__(self) -> None:
        self.events = 0
        """Events so far; 0 for one that was only named as a parent."""
        self.first_clock = 0
        """Time of its first event [ns]; 0 where that is unknown."""
        self.last_clock = 0
        """Time of its latest event [ns]; 0 where that is unknown."""
        self.channels: list[int] = []
        """Events by channel, in the order of the encoder's vocabulary; empty until it is counted."""
        self.kinds: list[str] = []
        """Kinds of its events so far, in the order in which they came."""
        self.link: Key | None = None
        """Its parent by the first event that names another process."""
        self.children = 0
        """Processes whose first link names it."""
        self.worst: list[float] = [0.0, 0.0]
        """Highest reputation of what it touched, and of its executable, so far."""

    def dump(self) -> list[Any]:
        """As JSON has it."""
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def load(cls, row: list[Any]) -> Process:
        """Back from `dump`."""
        made = cls()
        for name, value in zip(cls.__slots__, row, strict=True):
            setattr(made, name, value)
        if made.link is not None:
            made.link = (str(made.link[0]), str(made.link[1]))
        return made


@final
class Stream:
    """What is known of a stream by its events so far."""

    __slots__ = ("columns", "known_time", "last_clock", "latest", "rows")

    def __init__(self) -> None:
        self.rows = 0
        """Events so far."""
        self.known_time = 0
        """Latest time that an event told [ns]; 0 for none."""
        self.last_clock = 0
        """Time of its latest event [ns], which may have taken it from an earlier one; 0 where that is unknown."""
        self.latest = 0
        """Latest time of all its events [ns], 0 or more."""
        self.columns: list[ColumnPast] = []
        """What the numeric columns did, in the encoder's order; empty until they are read."""

    def dump(self) -> list[Any]:
        """As JSON has it."""
        columns = [column.dump() for column in self.columns]
        return [self.rows, self.known_time, self.last_clock, self.latest, columns]

    @classmethod
    def load(cls, row: list[Any]) -> Stream:
        """Back from `dump`."""
        made = cls()
        made.rows, made.known_time, made.last_clock, made.latest, columns = row
        made.columns = [ColumnPast.load(column) for column in columns]
        return made


@final
class ColumnPast:
    """What a numeric column of a stream did so far."""

    __slots__ = ("active", "changes", "last", "place", "values")

    def __init__(self) -> None:
        self.last = 0.0
        """Last value that was not 0."""
        self.place = -1
        """Number of events of the stream before the one that had it; -1 for none."""
        self.active: list[int] = []
        """Whether each of the latest events had one (0 or 1), the latest last; as many as a window holds."""
        self.values: list[float] = []
        """Latest values, the latest first; as many as there are lags."""
        self.changes: list[float] = []
        """Latest changes, likewise."""

    def dump(self) -> list[Any]:
        """As JSON has it."""
        return [getattr(self, name) for name in self.__slots__]

    @classmethod
    def load(cls, row: list[Any]) -> ColumnPast:
        """Back from `dump`."""
        made = cls()
        for name, value in zip(cls.__slots__, row, strict=True):
            setattr(made, name, value)
        return made
