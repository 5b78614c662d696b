"""Groups `numeric` and `values`: the configured numeric columns, with and without what they did before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.features.blocks import Block, Choice, Group, Number, Vocabulary, frequent, learn_nothing, signed_log
from custodes.data.features.segments import BoolArray, IntArray
from custodes.data.features.table import Table

FREQUENT = 16
"""Values of a column that get a column of their own, at most."""
LEAST_SHARE = 0.002
"""Share of the training rows that such a value reaches at least."""
PAGE = 4096
"""Bytes of a memory page."""
WINDOW = 16
"""Rows of the trailing activity."""
LAGS = 6
"""Earlier rows whose value a busy column repeats."""
BUSY = 0.25
"""Share of non-zero training rows from which a column is busy."""

_BUSY = ":busy"


@dataclass(frozen=True, kw_only=True, eq=False)
class _History:
    """A numeric column beside its last non-zero value; an absent one reads as 0."""

    table: Table
    column: str

    @cached_property
    def values(self) -> NDArray[np.float64]:
        return self.table.number(self.column)

    @cached_property
    def active(self) -> BoolArray:
        return np.not_equal(self.values, 0)

    @cached_property
    def last(self) -> IntArray:
        return self.table.by_stream.previous(self.active)

    @cached_property
    def change(self) -> NDArray[np.float64]:
        known = self.active & (self.last >= 0)
        return np.where(known, self.values - self.values[self.last], 0.0)

    @cached_property
    def _log_value(self) -> NDArray[np.float32]:
        return signed_log(self.values)

    @cached_property
    def _log_change(self) -> NDArray[np.float32]:
        return signed_log(self.change)

    def log_value(self, steps: int = 0) -> NDArray[np.float32]:
        return self.table.by_stream.shift(self._log_value, steps) if steps else self._log_value

    def log_change(self, steps: int = 0) -> NDArray[np.float32]:
        return self.table.by_stream.shift(self._log_change, steps) if steps else self._log_change

    def zero(self) -> BoolArray:
        return ~self.active

    def at_least(self, value: float) -> BoolArray:
        return np.greater_equal(self.values, value)

    def equal(self) -> BoolArray:
        same: BoolArray = self.active & (self.last >= 0) & (self.change == 0)
        return same

    def pages(self) -> BoolArray:
        pages = self.values / PAGE
        whole: BoolArray = self.active & (pages == np.floor(pages))
        return whole

    def gap(self) -> NDArray[np.float32]:
        place = self.table.place
        return np.log1p((place - np.where(self.last >= 0, place[self.last], -1)).astype(np.float32))

    def activity(self) -> NDArray[np.float32]:
        return self.table.by_stream.trailing(self.active, WINDOW).astype(np.float32) / np.float32(WINDOW)

    def choice(self, values: tuple[str | float, ...]) -> IntArray:
        wanted = np.array(values, dtype=np.float64)
        order = np.argsort(wanted)
        place = np.minimum(np.searchsorted(wanted, self.values, sorter=order), len(wanted) - 1)
        return np.where(wanted[order[place]] == self.values, order[place], -1).astype(np.int64)


def _learn(table: Table) -> Vocabulary:
    learned: Vocabulary = {}
    for column in table.columns:
        values = pl.Series("value", table.number(column))
        distinct = values.unique()
        if len(distinct) == 2:
            learned[flag_key(column)] = (max(distinct),)
            continue
        top = frequent(values, FREQUENT + 1, LEAST_SHARE)
        learned[column] = tuple(value for value in top if value != 0)[:FREQUENT]
    busy = tuple(column for column in table.columns if np.mean(table.number(column) != 0) >= BUSY)
    return {**learned, _BUSY: busy}


def flag_key(column: str) -> str:
    """Key of the vocabulary for the larger of a column's two values."""
    return f":flag:{column}"


def _numeric(table: Table, vocabulary: Vocabulary) -> Iterator[Block]:
    for column in table.columns:
        past = _History(table=table, column=column)
        if flag := vocabulary.get(flag_key(column)):
            yield Number(name=f"{column}.high", values=partial(past.at_least, float(flag[0])))
            continue
        yield Number(name=f"{column}.log", values=past.log_value, scaling="standard")
        yield Number(name=f"{column}.zero", values=past.zero)
        yield Number(name=f"{column}.change", values=past.log_change, scaling="scale")
        yield Number(name=f"{column}.equal", values=past.equal)
        yield Number(name=f"{column}.pages", values=past.pages)
        yield Number(name=f"{column}.gap", values=past.gap, scaling="standard")
        yield Number(name=f"{column}.activity", values=past.activity, scaling="standard")
        if values := vocabulary[column]:
            names = tuple(f"{column}={value:.17g}" for value in values)
            yield Choice(names=names, codes=partial(past.choice, values))
        if column in vocabulary[_BUSY]:
            yield from _lags(past, counter=not values)


def _lags(past: _History, *, counter: bool) -> Iterator[Block]:
    """Earlier rows: of a column without frequent values (a counter) its changes, of any other its values."""
    for steps in range(1, LAGS + 1):
        if counter:
            yield Number(name=f"{past.column}.change-{steps}", values=partial(past.log_change, steps), scaling="scale")
        else:
            yield Number(name=f"{past.column}.log-{steps}", values=partial(past.log_value, steps), scaling="standard")


def _values(table: Table, _vocabulary: Vocabulary) -> Iterator[Block]:
    for column in table.columns:
        past = _History(table=table, column=column)
        yield Number(name=f"{column}.value", values=past.log_value, scaling="standard")
        yield Number(name=f"{column}.none", values=past.zero)


NUMERIC = Group(name="numeric", reads=(), learn=_learn, blocks=_numeric)
"""Each column: its value, its change against the last non-zero value, its frequent values, and some earlier rows.

A column with two training values is a flag and gives one input.
"""

VALUES = Group(name="values", reads=(), learn=learn_nothing, blocks=_values)
"""Each column: signed logarithm and is zero; for tables of independent rows."""
