"""The columns that a replica holds for batches that are not decided yet, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from custodes.bft.messages import Column


RARELY = 4
"""How much more rarely than its own an agent sends others' columns again: only while nothing is decided."""


@final
class _Held:
    """A column, when it came, and when it was last sent on."""

    __slots__ = ("column", "sent", "since")

    def __init__(self, column: Column, since: float) -> None:
        self.column = column
        self.since = since
        self.sent: float | None = None

    def fits(self, digest: bytes, count: int) -> bool:
        return self.column.items_digest == digest and len(self.column.severities) == count


@final
class ColumnBook:
    """One checked column per agent and batch, the first that came, in a window of undecided batches.

    Args:
        window: Batches kept, from the first undecided one.
        n: Agents.
    """

    __slots__ = ("_batches", "_n", "_window")

    def __init__(self, window: int, n: int) -> None:
        self._window = window
        self._n = n
        self._batches: dict[int, dict[int, _Held]] = {}

    def __len__(self) -> int:
        return sum(len(held) for held in self._batches.values())

    def __bool__(self) -> bool:
        return bool(self._batches)

    def get(self, batch: int, agent: int) -> Column | None:
        """The column of an agent."""
        held = self._batches.get(batch, {}).get(agent)
        return None if held is None else held.column

    def add(self, column: Column, now: float, first: int) -> None:
        """Keeps a checked column unless one of its agent is there or the batch is not in the window from `first`."""
        if first <= column.batch < first + self._window:
            self._batches.setdefault(column.batch, {}).setdefault(column.agent, _Held(column, now))

    def sent(self, column: Column, now: float) -> None:
        """Notes that a column was just sent to everyone."""
        held = self._batches.get(column.batch, {}).get(column.agent)
        if held is not None:
            held.sent = now

    def drop(self, first: int) -> None:
        """Forgets batches before `first`."""
        for batch in [batch for batch in self._batches if batch < first]:
            del self._batches[batch]

    def fitting(self, batch: int, digest: bytes, count: int) -> tuple[tuple[Column | None, ...], list[float]]:
        """The columns for these items by agent (None where missing), and when they came, ascending."""
        columns: list[Column | None] = [None] * self._n
        since = []
        for agent, held in self._batches.get(batch, {}).items():
            if held.fits(digest, count):
                columns[agent] = held.column
                since.append(held.since)
        return tuple(columns), sorted(since)

    def held(self, batch: int, agents: Sequence[int], digest: bytes, count: int, before: float) -> list[Column]:
        """Columns of these agents for these items that came before a time."""
        held = self._batches.get(batch, {})
        found = [held[agent] for agent in agents if agent in held]
        return [each.column for each in found if each.since < before and each.fits(digest, count)]

    def due(self, batches: int, now: float, age: float, again: float, own: int) -> list[Column]:
        """Columns of the oldest batches to send to everyone now, noted as sent.

        Args:
            batches: How many of the oldest batches.
            now: Time, seconds.
            age: Others' columns are due at this age.
            again: Own columns are due again this long after they were last sent, others' after `RARELY` times as long.
            own: This agent.
        """
        due = []
        for batch in sorted(self._batches)[:batches]:
            for agent, held in self._batches[batch].items():
                if held.sent is None:
                    ready = agent == own or now - held.since >= age
                else:
                    ready = now - held.sent >= (again if agent == own else RARELY * again)
                if ready:
                    held.sent = now
                    due.append(held.column)
        return due
