"""The process forest of a recording: who started whom, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.dataset import Dataset

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Forest:
    """E entities of N events. Parents are known entities only; a link that would close a cycle is left out."""

    entity: IntArray
    """int64 [N]: entity of each row, 0 to E - 1 in the order of first appearance."""
    parent: IntArray
    """int64 [E]: the entity that the first row with a parent names; -1 where none is known or it never acts."""
    first: IntArray
    """int64 [E]: first row of each entity."""

    @property
    def entities(self) -> int:
        """E."""
        return len(self.parent)

    @cached_property
    def depth(self) -> IntArray:
        """int64 [E]: ancestors of each entity."""
        depth, above = (self.parent >= 0).astype(np.int64), self.parent
        while (above >= 0).any():  # Pointer jumping: `above` is 2^k ancestors up, `depth` counts as many of them.
            inside = np.flatnonzero(above >= 0)
            depth[inside] += depth[above[inside]]
            above = np.where(above >= 0, above[above], -1)
        return depth

    @cached_property
    def levels(self) -> tuple[IntArray, ...]:
        """Entities of each depth, from the roots down."""
        order = np.argsort(self.depth, kind="stable")
        return tuple(np.split(order, np.cumsum(np.bincount(self.depth))[:-1]))

    @cached_property
    def birth(self) -> IntArray:
        """int64 [E]: row at which each entity exists at the latest: the first row of it or of any descendant."""
        birth = self.first.copy()
        for level in reversed(self.levels[1:]):
            np.minimum.at(birth, self.parent[level], birth[level])
        return birth

    def total(self, per_row: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum over each entity and all its descendants of a value per row [N]; float64 [E]."""
        total = np.bincount(self.entity, weights=per_row, minlength=self.entities).astype(np.float64)
        for level in reversed(self.levels[1:]):
            np.add.at(total, self.parent[level], total[level])
        return total

    def spread(self, own: IntArray) -> IntArray:
        """Row from which each entity is gone, int64 [E].

        Args:
            own: Row from which each entity itself is blocked, [E]; N for never.

        Returns:
            The same, or the entity's birth where an ancestor was gone by then: who was never started starts nobody.
        """
        gone = own.copy()
        for level in self.levels[1:]:
            unborn = self.birth[level] >= gone[self.parent[level]]
            gone[level[unborn]] = np.minimum(gone[level[unborn]], self.birth[level[unborn]])
        return gone

    def attack_roots(self, malicious: NDArray[np.bool_]) -> IntArray:
        """The topmost malicious ancestor of each entity, or itself where there is none; int64 [E].

        Args:
            malicious: Which entities do anything malicious, bool [E].
        """
        root = np.arange(self.entities)
        under = malicious.copy()
        for level in self.levels[1:]:
            above = self.parent[level]
            inside = under[above]
            root[level[inside]] = root[above[inside]]
            under[level] |= inside
        return root


def forest_of(dataset: Dataset) -> Forest:
    """Read the process forest of a recording.

    Entities of two streams are two, whatever their names. Events without an entity are one root entity of their stream.

    Args:
        dataset: Events; `stream`, `entity` and `parent` are read.
    """
    events = dataset.events.select("stream", "entity", "parent").with_row_index("row")
    people = events.group_by("stream", "entity", maintain_order=True).agg(pl.col("row").first().alias("first"))
    people = people.with_row_index("code")
    code = events.join(people, on=["stream", "entity"], how="left", maintain_order="left")["code"]
    named = events.filter((pl.col("parent") != "") & (pl.col("entity") != "") & (pl.col("parent") != pl.col("entity")))
    links = named.group_by("stream", "entity", maintain_order=True).agg(pl.col("parent").first())
    linked = people.join(links, on=["stream", "entity"], how="left", maintain_order="left")
    names = people.select("stream", pl.col("entity").alias("parent"), pl.col("code").alias("above"))
    above = linked.join(names, on=["stream", "parent"], how="left", maintain_order="left")["above"]
    parent = above.cast(pl.Int64).fill_null(-1).to_numpy().astype(np.int64)
    return Forest(
        entity=code.to_numpy().astype(np.int64),
        parent=_without_cycles(parent),
        first=people["first"].to_numpy().astype(np.int64),
    )


def _without_cycles(parent: IntArray) -> IntArray:
    """The same links without those of entities that are their own ancestors."""
    above, steps = parent.copy(), 1
    while steps <= len(parent):  # Pointer jumping: after k rounds 2^k ancestors up.
        above = np.where(above >= 0, above[above], -1)
        steps *= 2
    if (above < 0).all():
        return parent
    # Only what lies on a cycle, or below one, still has an ancestor that far up; the ones on it are cut.
    on_cycle = np.zeros(len(parent), dtype=np.bool_)
    place = np.unique(above[above >= 0])
    while not on_cycle[place].all():
        on_cycle[place] = True
        place = parent[place]
    return np.where(on_cycle, -1, parent)
