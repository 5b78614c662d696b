"""Groups that read one column of the row itself: `channel`, `kind`, `object_kind`, `size`."""

from __future__ import annotations

from collections.abc import Iterator

from custodes.data.features.blocks import (
    Block,
    Choice,
    Group,
    Number,
    Vocabulary,
    frequent,
    learn_nothing,
    signed_log,
    text_codes,
)
from custodes.data.features.table import Table

MOST_WORDS = 32
"""Values of a text column that get a column of their own, at most; the rest share one."""


def one_hot(column: str) -> Group:
    """Group that spreads a text column over its training vocabulary and one column for any other value."""

    def learn(table: Table) -> Vocabulary:
        return {column: frequent(table.events[column], MOST_WORDS)}

    def blocks(table: Table, vocabulary: Vocabulary) -> Iterator[Block]:
        words = vocabulary[column]
        names = (*(f"{column}={word}" for word in words), f"{column}:other")
        yield Choice(names=names, codes=lambda: text_codes(table.events[column], words))

    return Group(name=column, reads=(column,), learn=learn, blocks=blocks)


def _size(table: Table, _vocabulary: Vocabulary) -> Iterator[Block]:
    yield Number(name="size:log", values=lambda: signed_log(table.number("size")), scaling="standard")


CHANNEL = one_hot("channel")
KIND = one_hot("kind")
OBJECT_KIND = one_hot("object_kind")
SIZE = Group(name="size", reads=("size",), learn=learn_nothing, blocks=_size)
"""Signed logarithm of the size in bytes."""
