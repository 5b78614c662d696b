"""The saved encoder at work on events as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from custodes.data.features.encoder import GROUPS, LIMIT, Encoder
from custodes.data.features.online.columns import Numeric, Size, Values
from custodes.data.features.online.group import Event, OneHot, OnlineGroup
from custodes.data.features.online.memory import Key, Limits, Process, Recent, Stream
from custodes.data.features.online.past import Counts, Lineage, Novelty, Timing
from custodes.data.features.online.standing import Names, Reputation
from custodes.data.schema import EVENT_SCHEMA
from custodes.errors import CustodesError

VERSION: Final = 1
"""Of a saved state."""

Seen = Recent[Any, list[None]]


@final
class OnlineEncoder:
    """Gives for every event the inputs that `Encoder.transform` gives for the recording up to it, to the last bit.

    That holds as long as nothing was forgotten (`dropped`), and for whatever batches the events come in.

    Args:
        encoder: The run's.
        limits: How much is remembered.
        gone: Called with each process that is forgotten, and with (stream, None) for a stream.

    Raises:
        CustodesError: The encoder has a group that cannot be worked out event by event.
    """

    def __init__(
        self,
        encoder: Encoder,
        limits: Limits | None = None,
        gone: Callable[[tuple[str, str | None]], None] | None = None,
    ) -> None:
        self.encoder, self.limits = encoder, limits or Limits()
        stream_gone = None if gone is None else lambda stream: gone((stream, None))
        self._processes: Recent[Key, Process] = Recent(self.limits.entities, Process, gone)
        self._streams: Recent[str, Stream] = Recent(self.limits.streams, Stream, stream_gone)
        self._objects: Seen = Recent(self.limits.objects, list)
        self._pairs: Seen = Recent(self.limits.objects, list)
        # Where no numeric column varied in training, their groups have nothing to say.
        groups = (name for name in encoder.groups if encoder.numeric or name not in ("numeric", "values"))
        self._groups = tuple(self._group(name) for name in groups)
        place = {column.name: index for index, column in enumerate(encoder.columns)}
        self._places = [
            (
                np.array([place[name] for name in group.names if name in place], dtype=np.int64),
                np.array([row for row, name in enumerate(group.names) if name in place], dtype=np.int64),
            )
            for group in self._groups
        ]
        self.back_in_time = 0
        """Events whose time lay before the latest of their stream."""
        self._mean = np.array([column.mean for column in encoder.columns], dtype=np.float32)[:, None]
        self._scale = np.array([column.scale for column in encoder.columns], dtype=np.float32)[:, None]
        read = [column for name in encoder.groups for column in GROUPS[name].reads]
        self.reads = frozenset(["time", "stream", "entity", "parent", *encoder.numeric, *read])
        """Columns that an event must have."""

    @property
    def numeric(self) -> tuple[str, ...]:
        """Columns that an event must have beside those of the event table."""
        return tuple(name for name in self.encoder.numeric if name not in EVENT_SCHEMA)

    @property
    def dropped(self) -> dict[str, int]:
        """How often something was forgotten: entities, streams, objects."""
        return {
            "entities": self._processes.drops,
            "streams": self._streams.drops,
            "objects": self._objects.drops + self._pairs.drops,
        }

    @property
    def held(self) -> dict[str, int]:
        """How much is remembered now: entities, streams, objects."""
        return {
            "entities": len(self._processes),
            "streams": len(self._streams),
            "objects": len(self._objects) + len(self._pairs),
        }

    def process(self, key: Key) -> Process | None:
        """What is known of a process; None for nothing."""
        return self._processes.get(key)

    def clock(self, stream: str) -> int:
        """Latest time of a stream's events so far [ns]; 0 where none is known."""
        found = self._streams.get(stream)
        return 0 if found is None else found.latest

    def encode(self, events: Sequence[Event]) -> NDArray[np.float32]:
        """Inputs of the next events, float32 [K, D], each in [-8, 8].

        Args:
            events: In the order in which they happened; every column of `reads`, checked already.
        """
        for event in events:
            self.take(event)
        return self.inputs()

    def take(self, event: Event) -> tuple[Process, int]:
        """Take one event; `inputs` gives it then.

        Returns:
            What is known of its process, this event included, and the time that counts [ns]: its stream's latest.
        """
        key = (event["stream"], event["entity"])
        stream, process = self._streams.use(key[0]), self._processes.use(key)
        time = event["time"]
        clock = time if time > 0 else stream.known_time
        self._name_parent(key, event["parent"], process)
        for group in self._groups:
            group.take(event, clock, stream, process)
        if not process.events:
            process.first_clock = clock
        process.events += 1
        process.last_clock = stream.last_clock = clock
        stream.rows += 1
        if time > 0:
            stream.known_time = time
        self.back_in_time += clock < stream.latest
        stream.latest = max(stream.latest, clock)
        return process, stream.latest

    def inputs(self) -> NDArray[np.float32]:
        """Inputs of the K events taken since the last call, float32 [K, D]."""
        parts = [group.values() for group in self._groups]
        inputs = np.zeros((len(self.encoder.columns), parts[0].shape[1]), dtype=np.float32)
        for (places, rows), part in zip(self._places, parts, strict=True):
            inputs[places] = part[rows]
        inputs -= self._mean
        inputs /= self._scale
        np.clip(inputs, -LIMIT, LIMIT, out=inputs)
        return np.ascontiguousarray(inputs.T)

    def state(self) -> dict[str, Any]:
        """All that was remembered, as JSON has it; `restore` goes on from it to the last bit."""
        return {
            "version": VERSION,
            "processes": [[*key, *process.dump()] for key, process in self._processes.items()],
            "streams": [[key, *stream.dump()] for key, stream in self._streams.items()],
            "objects": [list(key) for key, _ in self._objects.items()],
            "pairs": [list(key) for key, _ in self._pairs.items()],
            "drops": [each.drops for each in self._tables()],
            "back_in_time": self.back_in_time,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where another one with the same encoder stood.

        Raises:
            CustodesError: It is no such state, or holds more than the limits allow.
        """
        try:
            if state["version"] != VERSION:
                raise ValueError(f"version {state['version']}")
            drops = [int(count) for count in state["drops"]]
            tables: tuple[Iterator[tuple[Any, Any]], ...] = (
                (((str(row[0]), str(row[1])), Process.load(row[2:])) for row in state["processes"]),
                ((str(row[0]), Stream.load(row[1:])) for row in state["streams"]),
                ((tuple(key), []) for key in state["objects"]),
                ((tuple(key), []) for key in state["pairs"]),
            )
            for table, entries, count in zip(self._tables(), tables, drops, strict=True):
                table.restore(entries, count)
            self.back_in_time = int(state["back_in_time"])
        except (LookupError, TypeError, ValueError) as error:
            raise CustodesError(
                f"no state of this encoder: {error}", fix="restore with the limits that it was saved with"
            ) from error

    def _tables(self) -> tuple[Recent[Any, Any], ...]:
        return self._processes, self._streams, self._objects, self._pairs

    def _name_parent(self, key: Key, parent: str, process: Process) -> None:
        """A process that is named as a parent is remembered; the first to be named is the parent for good."""
        if parent in ("", key[1]):
            return
        above = self._processes.use((key[0], parent))
        if process.link is None:
            process.link = (key[0], parent)
            above.children += 1

    def _group(self, name: str) -> OnlineGroup:
        words, columns = self.encoder.vocabulary[name], self.encoder.numeric
        find = self._processes.get
        made: dict[str, Callable[[], OnlineGroup]] = {
            "numeric": lambda: Numeric(columns, words),
            "values": lambda: Values(columns),
            "size": Size,
            "timing": Timing,
            "counts": lambda: Counts(words["channel"]),
            "lineage": lambda: Lineage(find),
            "novelty": lambda: Novelty(self._objects, self.limits.kinds),
            "reputation": lambda: Reputation("object", words, find),
            "names": lambda: Names(words, self._pairs),
            "standing": lambda: Reputation("image", words, find),
        }
        if name in made:
            return made[name]()
        if name in ("channel", "kind", "object_kind"):
            return OneHot(name, words[name])
        raise CustodesError(
            f"feature group {name!r} cannot be worked out event by event", fix="train with other data.groups"
        )
