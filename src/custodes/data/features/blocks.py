"""What a feature group hands to the encoder: numbers, or one value out of a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.features.segments import IntArray
from custodes.data.features.table import Table

Scaling = Literal["standard", "scale", "none"]
Vocabulary = dict[str, tuple[str | float, ...]]
"""Values that a group learned on the training rows, by the name of what they are for."""


@dataclass(frozen=True, kw_only=True)
class Number:
    """One numeric feature."""

    name: str
    """Name of the column, unique within the encoder."""
    values: Callable[[], NDArray[np.generic]]
    """Works the feature out, [N] finite."""
    scaling: Scaling = "none"
    """standard: mean 0, deviation 1; scale: root mean square 1 over the non-zero values, 0 stays 0; none: as it is."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One value out of a vocabulary, spread over one column for each."""

    names: tuple[str, ...]
    """Names of the columns."""
    codes: Callable[[], IntArray]
    """Works out which column is 1, int64 [N]; -1 for none."""


Block = Number | Choice


@dataclass(frozen=True, kw_only=True)
class Group:
    """A feature group: what it reads, what it learns, what it gives."""

    name: str
    """Name in `DataConfig.groups`."""
    reads: tuple[str, ...]
    """Columns of the event table that it reads beside `stream` and the configured numeric columns."""
    learn: Callable[[Table], Vocabulary]
    """Vocabulary from the training rows."""
    blocks: Callable[[Table, Vocabulary], Iterator[Block]]
    """Features of a table, each row from rows up to it; lazily, so that a dropped feature costs nothing."""
    learns_from: tuple[str, ...] = ()
    """Columns that `learn` reads too, of training rows alone; `blocks` never does."""
    optional: tuple[str, ...] = ()
    """Columns that it reads where there are any."""


def learn_nothing(_table: Table) -> Vocabulary:
    """Vocabulary of a group that needs none."""
    return {}


def frequent(column: pl.Series, most: int, least_share: float = 0.0) -> tuple[str | float, ...]:
    """The most frequent values of a column, the most frequent first, ties in the order of the values.

    Args:
        column: Values, [N].
        most: Values kept at most.
        least_share: Share of the rows that a value must reach, in [0, 1].
    """
    name = column.name
    counts = column.value_counts(name="rows").filter(pl.col("rows") >= least_share * len(column))
    return tuple(counts.sort(["rows", name], descending=[True, False]).head(most)[name].to_list())


def text_codes(column: pl.Series, words: tuple[str | float, ...]) -> IntArray:
    """Place of each text in a vocabulary, int64 [N]; the length of the vocabulary for any other text."""
    if not words:
        return np.zeros(len(column), dtype=np.int64)
    places = column.replace_strict(list(words), list(range(len(words))), default=len(words), return_dtype=pl.Int64)
    return places.to_numpy()


def signed_log(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """sign(x) log(1 + |x|), float32 [N]: linear near 0, logarithmic far from it."""
    return np.copysign(np.log1p(np.abs(values)), values).astype(np.float32)
