"""The event table as the feature groups see it: columns as arrays and groupings that are worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.features.segments import BoolArray, IntArray, Runs, codes, pair

BOUND = 1e300  # keeps differences of two values finite


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """Columns of an event table that some feature groups need, N rows in recorded order."""

    events: pl.DataFrame
    """Event table, reduced to the columns in use."""
    columns: tuple[str, ...] = ()
    """Numeric columns of the groups `numeric` and `values`."""

    @property
    def rows(self) -> int:
        """Number of rows N."""
        return self.events.height

    def number(self, name: str) -> NDArray[np.float64]:
        """A numeric column, float64 [N]; null and what is not finite read as 0."""
        values = self.events[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        if not values.size or np.abs(values).max() <= BOUND:
            return values
        return np.clip(np.where(np.isfinite(values), values, 0.0), -BOUND, BOUND)

    def constant(self, name: str) -> bool:
        """Whether a column holds one value in all rows."""
        column = self.events[name]
        return not len(column) or bool((column == column[0]).all())

    @cached_property
    def stream(self) -> IntArray:
        """Number of each row's stream, int64 [N]."""
        return codes(self.events["stream"])[0]

    @cached_property
    def _people(self) -> tuple[IntArray, IntArray]:
        entity, parent = codes(self.events["entity"], self.events["parent"])
        span = int(max(entity.max(), parent.max())) + 1 if len(entity) else 1
        return self.stream * span + entity, self.stream * span + parent

    @property
    def entity(self) -> IntArray:
        """Number of each row's entity, int64 [N]; entities of two streams are two, whatever their names."""
        return self._people[0]

    @property
    def parent(self) -> IntArray:
        """Number of each row's parent in the numbering of `entity`, int64 [N]; -1 where no parent is recorded."""
        return np.where(self.known("parent"), self._people[1], -1)

    def known(self, name: str) -> BoolArray:
        """Rows at which a text column is not empty, bool [N]."""
        return (self.events[name] != "").to_numpy()

    @cached_property
    def by_stream(self) -> Runs:
        """Rows grouped by stream."""
        return Runs(key=self.stream)

    @cached_property
    def place(self) -> IntArray:
        """Number of earlier rows of each row's stream, int64 [N]."""
        return self.by_stream.position()

    @cached_property
    def by_entity(self) -> Runs:
        """Rows grouped by entity."""
        return Runs(key=self.entity)

    def within(self, key: IntArray, *names: str) -> Runs:
        """Rows grouped by a key and the texts of some columns."""
        for name in names:
            key = pair(key, codes(self.events[name])[0])
        return Runs(key=key)
