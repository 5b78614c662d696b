"""Looking back inside a key: running counts, first rows and last earlier rows, without a loop over rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True, eq=False)
class Runs:
    """Rows of a table grouped by a key, each group in the order of the table.

    Every method answers for row i from rows up to i of its group only, so what is built on it is causal.
    """

    key: IntArray
    """Key of each row, int64 [N]."""

    @cached_property
    def order(self) -> IntArray | None:
        """Row at each place of the table grouped by key, int64 [N]; None when the table is grouped as it stands."""
        if np.all(self.key[1:] >= self.key[:-1]):
            return None
        return np.argsort(self.key, kind="stable").astype(np.int64)

    @cached_property
    def head(self) -> IntArray:
        """Place at which the group of each place begins, int64 [N]."""
        key = self._gather(self.key)
        opens = np.ones(len(key), dtype=np.bool_)
        opens[1:] = key[1:] != key[:-1]
        return np.maximum.accumulate(np.where(opens, np.arange(len(key)), 0)).astype(np.int64)

    @cached_property
    def _age(self) -> IntArray:
        return np.arange(len(self.key)) - self.head

    def position(self) -> IntArray:
        """Number of earlier rows with the same key, int64 [N]."""
        return self._scatter(self._age)

    def first(self) -> IntArray:
        """First row with the same key, int64 [N]; the row itself where it is the first."""
        return self._scatter(self.head if self.order is None else self.order[self.head])

    def previous(self, mask: BoolArray | None = None) -> IntArray:
        """Last earlier row with the same key at which `mask` holds, int64 [N]; -1 where there is none.

        Args:
            mask: Rows that count, bool [N]; all rows by default.
        """
        place = np.arange(len(self.key))
        if mask is None:
            last = place - 1
        else:
            last = np.full(len(place), -1, dtype=np.int64)
            last[1:] = np.maximum.accumulate(np.where(self._gather(mask), place, -1))[:-1]
        found = last >= self.head
        row = last if self.order is None else self.order[last]
        return self._scatter(np.where(found, row, -1))

    def shift(self, values: NDArray[Scalar], steps: int) -> NDArray[Scalar]:
        """Value `steps` rows back with the same key, [N]; 0 where the group is younger.

        Args:
            values: Value of each row, [N].
            steps: Rows to go back, at least 1.
        """
        shifted = np.zeros_like(values)
        shifted[steps:] = self._gather(values)[:-steps]
        shifted[self._age < steps] = 0
        return self._scatter(shifted)

    def count(self, mask: BoolArray) -> IntArray:
        """Number of rows up to and including this one, with the same key, at which `mask` holds, int64 [N]."""
        held = self._gather(mask)
        total = np.cumsum(held, dtype=np.int64)
        return self._scatter(total - total[self.head] + held[self.head])

    def trailing(self, mask: BoolArray, window: int) -> IntArray:
        """Number of the last `window` rows with the same key, this one included, at which `mask` holds, int64 [N].

        Args:
            mask: Rows that count, bool [N].
            window: Rows looked at, at least 1; fewer where the group is younger.
        """
        total = np.zeros(len(self.key) + 1, dtype=np.int64)
        np.cumsum(self._gather(mask), out=total[1:])
        place = np.arange(len(self.key))
        start = np.maximum(place - window + 1, self.head)
        return self._scatter(total[1:] - total[start])

    def _gather(self, rows: NDArray[Scalar]) -> NDArray[Scalar]:
        return rows if self.order is None else rows[self.order]

    def _scatter(self, places: NDArray[Scalar]) -> NDArray[Scalar]:
        if self.order is None:
            return places
        rows = np.empty_like(places)
        rows[self.order] = places
        return rows


def codes(*columns: pl.Series) -> tuple[IntArray, ...]:
    """Number the distinct strings of some columns, one numbering for all of them.

    Returns:
        For each column int64 [N]; equal numbers for equal strings. Which number a string gets says nothing.
    """
    lengths = [len(column) for column in columns]
    whole = pl.concat([column.rename("key") for column in columns]) if len(columns) > 1 else columns[0]
    if len(whole) and bool((whole == whole[0]).all()):
        numbers = np.zeros(len(whole), dtype=np.int64)
    else:
        numbers = whole.cast(pl.Enum(whole.unique(maintain_order=True))).to_physical().to_numpy().astype(np.int64)
    return tuple(np.split(numbers, np.cumsum(lengths)[:-1]))


def pair(left: IntArray, right: IntArray) -> IntArray:
    """One key for each pair of keys that are at least 0, int64 [N]."""
    if not len(left) or not left.any():
        return right
    return left * (int(right.max()) + 1) + right
