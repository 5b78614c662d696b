"""A bounded memory of what was seen lately."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar, final

T = TypeVar("T", bound=Hashable)


@final
class RecentSet(Generic[T]):
    """A set that forgets: two generations of at most `capacity` entries, the older dropped when the younger is full.

    Args:
        capacity: Entries that are surely kept; at most twice as many are. 0 keeps nothing.
    """

    __slots__ = ("_capacity", "_old", "_young")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._young: set[T] = set()
        self._old: set[T] = set()

    def __contains__(self, entry: T) -> bool:
        if entry in self._young:
            return True
        if entry in self._old:
            self.add(entry)
            return True
        return False

    def __len__(self) -> int:
        return len(self._young | self._old)

    def add(self, entry: T) -> None:
        """Remember an entry."""
        if self._capacity == 0:
            return
        if len(self._young) >= self._capacity:
            self._old, self._young = self._young, set()
        self._young.add(entry)
