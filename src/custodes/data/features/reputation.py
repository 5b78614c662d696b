"""Groups `reputation` and `standing`: what training's labels say of what a process touches, and of its executable.

An object's reputation is the share of the training processes that touched it which were malicious, without the process
that asks: a training process learns nothing from its own label, so that training and later data look alike. Programs
are left out, since they are executables' names by another way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.features.blocks import Block, Group, Number, Vocabulary
from custodes.data.features.lineage import DEEPEST, Tree
from custodes.data.features.segments import IntArray, Runs
from custodes.data.features.table import Table
from custodes.data.schema import MALICIOUS

LEAST = 0.2
"""Share below which an object's reputation counts as 0: nearly everybody touches it."""
MOST_PAIRS = 100_000
"""Pairs of a process and an object that are kept, at most."""
PRIOR = 0.5
"""Processes that are added to those that touched an object, so that one alone is no certainty."""
_BETWEEN = "\x1f"
_KEY = "key"


def _objects(table: Table) -> pl.Series:
    """What each row touches, null where it counts for nothing: other processes, and programs."""
    usable = (pl.col("object") != "") & (pl.col("entity") != "") & (pl.col("object_kind") != "process")
    if "ext_program" in table.events.columns:
        usable &= pl.col("ext_program") == 0
    return table.events.select(pl.when(usable).then("object").alias(_KEY))[_KEY]


def _executables(table: Table) -> pl.Series:
    """What each row's process runs, null where that or the process is unknown."""
    usable = (pl.col("image") != "") & (pl.col("entity") != "")
    return table.events.select(pl.when(usable).then("image").alias(_KEY))[_KEY]


def _pairs(table: Table, keys: pl.Series) -> pl.Series:
    """Process and key of each row, null where there is no key."""
    return table.events.select(pl.concat_str("entity", keys, separator=_BETWEEN).alias("pair"))["pair"]


def _learn(table: Table, keys: pl.Series) -> Vocabulary:
    """Keys with their counts, and which processes those were."""
    rows = pl.DataFrame({_KEY: keys, "pair": _pairs(table, keys), "bad": _malicious_processes(table)})
    pairs = rows.drop_nulls().group_by(_KEY, "pair", maintain_order=True).agg(pl.col("bad").any())
    counted = pairs.group_by(_KEY, maintain_order=True).agg(
        pl.len().alias("processes"), pl.col("bad").sum().alias("malicious")
    )
    kept = counted.filter(pl.col("malicious") >= LEAST * pl.col("processes")).sort(_KEY)
    told = pairs.join(kept.select(_KEY), on=_KEY, how="semi").sort("pair").head(MOST_PAIRS)
    return {
        _KEY: tuple(kept[_KEY].to_list()),
        "processes": tuple(float(count) for count in kept["processes"].to_list()),
        "malicious": tuple(float(count) for count in kept["malicious"].to_list()),
        "pair": tuple(told["pair"].to_list()),
        "pair:malicious": tuple(float(bad) for bad in told["bad"].to_list()),
    }


def _malicious_processes(table: Table) -> pl.Series:
    """Whether each row's process does anything malicious among the rows, bool [N]."""
    bad = (table.events["label"] == MALICIOUS).to_numpy()
    return pl.Series(np.isin(table.entity, np.unique(table.entity[bad])))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reputation:
    """Reputations along a table."""

    table: Table
    vocabulary: Vocabulary
    keys: pl.Series
    """What is judged at each row, null for nothing."""

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """Of each row's key for the row's process, [N]; 0 for one that training's malicious processes left alone."""
        pairs = _pairs(self.table, self.keys)
        malicious = _look_up(self.keys, self.vocabulary[_KEY], self.vocabulary["malicious"])
        processes = _look_up(self.keys, self.vocabulary[_KEY], self.vocabulary["processes"])
        # What the process itself told training is taken back.
        own = _look_up(pairs, self.vocabulary["pair"], (1.0,) * len(self.vocabulary["pair"]))
        own_bad = _look_up(pairs, self.vocabulary["pair"], self.vocabulary["pair:malicious"])
        return (malicious - own_bad) / (processes - own + PRIOR)

    @cached_property
    def worst(self) -> NDArray[np.float64]:
        """The highest so far of each row's process, [N]."""
        return _highest(self.table.by_entity, self.share)

    def inherited(self) -> NDArray[np.float64]:
        """The highest so far of each row's process and its ancestors, as far as the stream has told them, [N]."""
        tree = Tree(table=self.table)
        own = Runs(key=tree.entity)
        order = np.arange(self.table.rows) if own.order is None else own.order
        key = tree.entity[order] * (self.table.rows + 1) + order
        result = self.worst.copy()
        person, row = tree.entity, np.arange(self.table.rows)
        place = row
        for _ in range(DEEPEST):
            known = tree.link_row[person] <= row
            place, row, person = place[known], row[known], tree.link[person[known]]
            if not len(place):
                break
            last = np.searchsorted(key, person * (self.table.rows + 1) + row) - 1
            there = (last >= 0) & (tree.entity[order[np.maximum(last, 0)]] == person)
            result[place] = np.maximum(result[place], np.where(there, self.worst[order[np.maximum(last, 0)]], 0.0))
        return result


def _highest(runs: Runs, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running maximum of values [N] of 0 or more within each group, [N]."""
    order: IntArray = np.arange(len(values)) if runs.order is None else runs.order
    group = np.cumsum(np.concatenate(([False], runs.key[order][1:] != runs.key[order][:-1]))) if len(order) else order
    # Groups are lifted over one another, so that one running maximum restarts at each; by ranks, to stay exact.
    ranks = np.unique(values, return_inverse=True)
    lifted = ranks[1][order] + group * len(ranks[0])
    found = np.empty_like(values)
    found[order] = ranks[0][np.maximum.accumulate(lifted) - group * len(ranks[0])]
    return found


def _look_up(column: pl.Series, words: tuple[str | float, ...], values: tuple[str | float, ...]) -> NDArray[np.float64]:
    """Value of each text, float64 [N]; 0 for one that has none."""
    if not words:
        return np.zeros(len(column))
    found = column.replace_strict(list(words), list(values), default=0.0, return_dtype=pl.Float64)
    return found.fill_null(0.0).to_numpy()


def _reputation(table: Table, vocabulary: Vocabulary) -> Iterator[Block]:
    seen = _Reputation(table=table, vocabulary=vocabulary, keys=_objects(table))
    yield Number(name="reputation:object", values=lambda: seen.share)
    yield Number(name="reputation:process", values=lambda: seen.worst)
    yield Number(name="reputation:lineage", values=seen.inherited)


def _standing(table: Table, vocabulary: Vocabulary) -> Iterator[Block]:
    seen = _Reputation(table=table, vocabulary=vocabulary, keys=_executables(table))
    yield Number(name="standing:image", values=lambda: seen.share)
    yield Number(name="standing:lineage", values=seen.inherited)


REPUTATION = Group(
    name="reputation",
    reads=("entity", "parent", "object", "object_kind"),
    learns_from=("label",),
    optional=("ext_program",),
    learn=lambda table: _learn(table, _objects(table)),
    blocks=_reputation,
)
"""Share of malicious ones among the training processes that touched the object; the worst so far of the process, and of
it and its ancestors."""

STANDING = Group(
    name="standing",
    reads=("entity", "parent", "image"),
    learns_from=("label",),
    learn=lambda table: _learn(table, _executables(table)),
    blocks=_standing,
)
"""The same of the process's executable, and the worst of it and its ancestors' executables; only where names show."""
