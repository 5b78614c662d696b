"""Group `names`: what the executables' names tell; an input only where the run shows names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.features.blocks import Block, Choice, Group, Number, Vocabulary, frequent, text_codes
from custodes.data.features.table import Table

MOST_NAMES = 16
"""Executables that get a column of their own, at most, for the process and for its parent."""
MOST_COUNTED = 4096
"""Executables (and pairs) whose training count is kept, at most."""

_COLUMNS = ("image", "parent_image")
_PAIR = "lineage"
_BETWEEN = "\x1f"  # unit separator: in no file name


def _pairs(table: Table) -> pl.Series:
    return table.events.select(pl.concat_str("parent_image", "image", separator=_BETWEEN).alias(_PAIR))[_PAIR]


def _column(table: Table, name: str) -> pl.Series:
    return _pairs(table) if name == _PAIR else table.events[name]


def _learn(table: Table) -> Vocabulary:
    learned: Vocabulary = {}
    for name in (*_COLUMNS, _PAIR):
        column = _column(table, name)
        words = frequent(column, MOST_COUNTED)
        rows = np.bincount(text_codes(column, words), minlength=len(words))[: len(words)]
        learned[name] = words
        learned[f"{name}:rows"] = tuple(float(count) for count in rows)
    return learned


def _log_rows(table: Table, vocabulary: Vocabulary, name: str) -> NDArray[np.float64]:
    """Logarithm of 1 + the training rows with the same name, [N]; 0 for a name that training never saw."""
    rows = np.array([*vocabulary[f"{name}:rows"], 0.0], dtype=np.float64)
    return np.log1p(rows[text_codes(_column(table, name), vocabulary[name])])


def _names(table: Table, vocabulary: Vocabulary) -> Iterator[Block]:
    for name in (*_COLUMNS, _PAIR):
        yield Number(name=f"names:{name}:rows", values=partial(_log_rows, table, vocabulary, name), scaling="standard")
    yield Number(
        name="names:lineage:new", values=lambda: table.within(table.stream, "parent_image", "image").position() == 0
    )
    for name in _COLUMNS:
        words = vocabulary[name][:MOST_NAMES]
        titles = (*(f"{name}={word}" for word in words), f"{name}:other")
        yield Choice(names=titles, codes=partial(text_codes, table.events[name], words))


NAMES = Group(name="names", reads=_COLUMNS, learn=_learn, blocks=_names)
"""Executable and parent executable: the frequent ones, how often training saw each and the pair, new pairs."""
