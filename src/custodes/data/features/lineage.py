"""Group `lineage`: the entity's place in the process tree, as far as the stream has told it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from custodes.data.features.blocks import Block, Group, Number, Vocabulary, learn_nothing
from custodes.data.features.segments import BoolArray, IntArray
from custodes.data.features.table import Table

DEEPEST = 16
"""Ancestors followed at most; it also ends the walk where reused names make a cycle."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tree:
    """Who descends from whom, and since which row that is known."""

    table: Table

    @cached_property
    def people(self) -> IntArray:
        """Every entity and parent once, sorted, int64 [P]."""
        both = np.concatenate([self.table.entity, self.table.parent])
        return np.unique(both[both >= 0])

    @cached_property
    def entity(self) -> IntArray:
        """Place of each row's entity in `people`, int64 [N]."""
        return np.searchsorted(self.people, self.table.entity).astype(np.int64)

    @cached_property
    def parent(self) -> IntArray:
        """Place of each row's parent in `people`, int64 [N]; -1 where none is recorded."""
        named = self.table.parent
        return np.where(named >= 0, np.searchsorted(self.people, named), -1).astype(np.int64)

    @cached_property
    def first_row(self) -> IntArray:
        """First row at which each of `people` acts, int64 [P]; N for one that never does."""
        return self._first(self.entity, np.arange(self.table.rows))

    @cached_property
    def link_row(self) -> IntArray:
        """First row that names a parent of each of `people`, int64 [P]; N where none does."""
        named = np.flatnonzero((self.parent >= 0) & (self.parent != self.entity))
        return self._first(self.entity[named], named)

    @cached_property
    def link(self) -> IntArray:
        """Parent of each of `people` by its first link, int64 [P]; -1 for none."""
        linked = self.link_row < self.table.rows
        return np.where(linked, self.parent[np.where(linked, self.link_row, 0)], -1).astype(np.int64)

    def _first(self, person: IntArray, row: IntArray) -> IntArray:
        first = np.full(len(self.people), self.table.rows, dtype=np.int64)
        first[person[::-1]] = row[::-1]  # the last assignment to a place wins: the smallest row
        return first

    def depth(self) -> IntArray:
        """Ancestors of each row's entity whose link stood in the stream by that row, int64 [N], at most `DEEPEST`."""
        depth = np.zeros(self.table.rows, dtype=np.int64)
        row, person = np.arange(self.table.rows), self.entity
        for _ in range(DEEPEST):
            known = self.link_row[person] <= row
            row, person = row[known], self.link[person[known]]
            if not len(row):
                break
            depth[row] += 1
        return depth

    def children(self) -> IntArray:
        """Entities that named each row's entity as parent by that row, int64 [N]."""
        child = np.flatnonzero(self.link >= 0)
        span = self.table.rows + 1
        told = np.sort(self.link[child] * span + self.link_row[child])
        below = np.searchsorted(told, self.entity * span)
        return np.searchsorted(told, self.entity * span + np.arange(self.table.rows), side="right") - below

    def parent_seen(self) -> BoolArray:
        """Rows whose parent had acted by then, bool [N]."""
        if not self.table.rows:
            return np.zeros(0, dtype=np.bool_)
        return (self.parent >= 0) & (self.first_row[self.parent] <= np.arange(self.table.rows))


def _lineage(table: Table, _vocabulary: Vocabulary) -> Iterator[Block]:
    tree = Tree(table=table)

    def children() -> NDArray[np.float64]:
        return np.log1p(tree.children())

    yield Number(name="lineage:depth", values=tree.depth, scaling="standard")
    yield Number(name="lineage:children", values=children, scaling="standard")
    yield Number(name="lineage:first", values=lambda: table.by_entity.position() == 0)
    yield Number(name="lineage:parent_seen", values=tree.parent_seen)


LINEAGE = Group(name="lineage", reads=("entity", "parent"), learn=learn_nothing, blocks=_lineage)
"""Depth in the tree known so far, children so far, is the entity's first event, has the parent acted."""
