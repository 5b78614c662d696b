"""Deal records to train, validation and test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np
import polars as pl

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset, codes
from custodes.data.dealing import deal, level, loose_order, number_blocks
from custodes.data.schema import BENIGN, MALICIOUS, PART
from custodes.errors import CustodesError

PartName = Literal["train", "validation", "test"]
PARTS: Final[tuple[PartName, ...]] = ("train", "validation", "test")
RATE_TOLERANCE: Final = 0.005
"""Difference of a part's threat rate from the whole's that split `blocks` stays under or warns about (0.5 points)."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which part each record belongs to."""

    part: np.ndarray
    """Part of each record, int8 [N]: 0 train, 1 validation, 2 test, -1 left out."""
    method: str
    """How it was made: rows, blocks, temporal, entity or given."""
    seed: int
    """Seed that it was made with."""
    warnings: tuple[str, ...]
    """What a reader of scores on this split must know, a sentence each."""

    def rows(self, name: PartName) -> np.ndarray:
        """Rows of a part in recorded order, int64 [M]."""
        return np.flatnonzero(self.part == PARTS.index(name))

    def summary(self, labels: np.ndarray) -> dict[str, dict[str, float | int | None]]:
        """Count records and threats of each part.

        Args:
            labels: Labels, int [N].

        Returns:
            Part name to `records` (all of them), `threats` (label 1) and `rate` (threats over records labelled 0 or
            1; None without any).
        """
        table: dict[str, dict[str, float | int | None]] = {}
        for name in PARTS:
            mine = labels[self.rows(name)]
            threats, benign = int(np.sum(mine == MALICIOUS)), int(np.sum(mine == BENIGN))
            rate = threats / (threats + benign) if threats + benign else None
            table[name] = {"records": len(mine), "threats": threats, "rate": rate}
        return table


def split(dataset: Dataset, config: DataConfig) -> Split:
    """Deal the records of a data set to train, validation and test.

    The same data, method, fractions and seed give the same parts on every machine. Records labelled 2 or -1 get a
    part like the others and count in no rate.

    Args:
        dataset: Records in recorded order.
        config: `split`, `fractions`, `block_events`, `split_seed` and `split_time` are read.

    Returns:
        A part for each record, with warnings where one entity or neighbouring rows stand on both sides.

    Raises:
        CustodesError: Fractions, seed or time make no sense, or a part would be empty.
    """
    _check(config)
    method = _METHODS[config.split]
    rng = np.random.default_rng(config.split_seed)
    part, notes = method(dataset, config, rng)
    for index, name in enumerate(PARTS):
        if config.fractions[index] > 0 and not np.any(part == index):
            raise CustodesError(
                f"the {name} part of split {config.split} is empty",
                where=dataset.name,
                fix="choose another data.split, data.fractions, data.block_events or data.split_time",
            )
    warnings = (*notes, *_leaks(dataset, part))
    return Split(part=part, method=config.split, seed=config.split_seed, warnings=warnings)


def _check(config: DataConfig) -> None:
    shares = config.fractions
    if (
        len(shares) != 3
        or any(not 0 <= share <= 1 for share in shares)
        or shares[0] == 0
        or not math.isclose(sum(shares), 1.0)
    ):
        raise CustodesError(
            f"{list(shares)} are not three shares that add up to 1, the first above 0",
            where="data.fractions",
            fix="such as 0.7, 0.15, 0.15",
        )
    if config.split not in _METHODS:
        raise CustodesError(
            f"unknown split {config.split!r}", where="data.split", fix=f"choose one of {', '.join(_METHODS)}"
        )
    if config.block_events < 1:
        raise CustodesError(f"{config.block_events} is not at least 1", where="data.block_events")
    if config.split_seed < 0:
        raise CustodesError(f"{config.split_seed} is not at least 0", where="data.split_seed")


_Dealt = tuple[np.ndarray, tuple[str, ...]]


def _rows(dataset: Dataset, config: DataConfig, rng: np.random.Generator) -> _Dealt:
    return _shuffled(dataset.labels, np.arange(len(dataset)), config.fractions, rng), ()


def _shuffled(
    labels: np.ndarray, rows: np.ndarray, fractions: tuple[float, ...], rng: np.random.Generator
) -> np.ndarray:
    """Stratified random parts of `rows`, int8 [N]; -1 for rows that are not among them."""
    part = np.full(len(labels), -1, np.int8)
    for label in np.unique(labels[rows]):
        stratum = rng.permutation(rows[labels[rows] == label])
        cuts = np.rint(np.cumsum(fractions[:-1]) * len(stratum)).astype(np.int64)
        for index, piece in enumerate(np.split(stratum, cuts)):
            part[piece] = index
    return part


def _blocks(dataset: Dataset, config: DataConfig, rng: np.random.Generator) -> _Dealt:
    stream = codes(dataset.events, "stream")
    order = np.argsort(stream, kind="stable")
    block = np.empty(len(dataset), np.int64)
    block[order] = number_blocks(stream[order], config.block_events)
    labels = dataset.labels
    count = int(block.max()) + 1 if len(block) else 0
    size = np.bincount(block, minlength=count)
    threats = np.bincount(block, weights=labels == MALICIOUS, minlength=count)
    known = np.bincount(block, weights=(labels == MALICIOUS) | (labels == BENIGN), minlength=count)
    rate = threats / np.maximum(known, 1)
    side = deal(size, loose_order(rate, rng), np.array(config.fractions), np.zeros(3))
    whole = threats.sum() / max(known.sum(), 1)
    part = level(side, threats - whole * known, size)[block]
    return part, _uneven(labels, part)


def _uneven(labels: np.ndarray, part: np.ndarray) -> tuple[str, ...]:
    known = (labels == MALICIOUS) | (labels == BENIGN)
    whole = float(np.mean(labels[known] == MALICIOUS)) if known.any() else 0.0
    notes = []
    for index, name in enumerate(PARTS):
        mine = labels[known & (part == index)]
        rate = float(np.mean(mine == MALICIOUS)) if len(mine) else whole
        if abs(rate - whole) > RATE_TOLERANCE:
            notes.append(
                f"threat rate of {name} is {rate:.2%}, of the whole {whole:.2%}: blocks are too few or too uneven"
            )
    return tuple(notes)


def _temporal(dataset: Dataset, config: DataConfig, rng: np.random.Generator) -> _Dealt:
    # A record without a time (0) stands at that of the one before it in its stream; before any time, at the first.
    known = pl.when(pl.col("time") != 0).then(pl.col("time"))
    nearest = known.forward_fill().over("stream").fill_null(known.backward_fill().over("stream")).fill_null(0)
    time = dataset.events.select(nearest.alias("time"))["time"].to_numpy()
    ordered = np.sort(time)
    train, validation, _ = config.fractions
    if config.split_time:
        test_start = _parse_time(config.split_time)
        before = int(np.searchsorted(ordered, test_start))
        share = train / (train + validation)
    else:
        test_start = _cut_time(ordered, train + validation)
        before = int(np.searchsorted(ordered, test_start))
        share = train / (train + validation)
    validation_start = _cut_time(ordered[:before], share) if before else test_start
    part = ((time >= validation_start).astype(np.int8) + (time >= test_start)).astype(np.int8)
    if validation == 0:
        part[time < test_start] = 0
    elif config.validation == "entity" and before:
        early = np.flatnonzero(time < test_start)
        period = replace(dataset, events=dataset.events[early])
        part[early], _ = _entity(period, replace(config, fractions=(share, 1 - share, 0.0)), rng)
    return part, ()


def _cut_time(ordered: np.ndarray, share: float) -> int:
    """First time of the later part when about `share` of the records lie before it; equal times stay together."""
    place = round(share * len(ordered))
    if place >= len(ordered):
        return int(ordered[-1]) + 1
    left = int(np.searchsorted(ordered, ordered[place]))
    right = int(np.searchsorted(ordered, ordered[place], side="right"))
    nearer_right = right - place < place - left and right < len(ordered)
    return int(ordered[right] if nearer_right else ordered[place])


def _parse_time(text: str) -> int:
    """ISO 8601 to nanoseconds UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CustodesError(
            f"{text!r} is not an ISO 8601 time", where="data.split_time", fix="such as 2024-05-08T00:00:00Z"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def _entity(dataset: Dataset, config: DataConfig, rng: np.random.Generator) -> _Dealt:
    entity = codes(dataset.events, "stream", "entity")
    labels = dataset.labels
    acting = (dataset.events["entity"] != "").to_numpy()
    size = np.bincount(entity, weights=acting)
    threats = np.bincount(entity, weights=acting & (labels == MALICIOUS))
    fractions = np.array(config.fractions)
    side = np.zeros(len(size), np.int8)
    guilty, clean = np.flatnonzero(threats > 0), np.flatnonzero((threats == 0) & (size > 0))
    side[guilty] = deal(threats[guilty], loose_order(threats[guilty], rng), fractions, np.zeros(3))
    held = np.bincount(side[guilty], weights=size[guilty], minlength=3).astype(np.float64)
    side[clean] = deal(size[clean], loose_order(size[clean], rng), fractions, held)
    part = side[entity]
    return _attach(dataset, part, acting), ()


def _attach(dataset: Dataset, part: np.ndarray, acting: np.ndarray) -> np.ndarray:
    """Send a record without a process where the next one with a process goes: objects are recorded before their use."""
    given = pl.when(pl.Series(acting)).then(pl.Series(part))
    frame = dataset.events.select("stream").with_columns(part=given)
    filled = frame.select(
        pl.col("part").backward_fill().over("stream").fill_null(pl.col("part").forward_fill().over("stream"))
    )
    return filled["part"].fill_null(0).to_numpy().astype(np.int8)


def _given(dataset: Dataset, config: DataConfig, rng: np.random.Generator) -> _Dealt:
    if PART not in dataset.events.columns:
        raise CustodesError(f"split given needs column {PART}", where=dataset.name, fix="choose another data.split")
    part = dataset.events[PART].to_numpy().astype(np.int8)
    train, validation, _ = config.fractions
    if validation == 0 or np.any(part == 1):
        return part, ()
    share = validation / (train + validation)
    carved = _shuffled(dataset.labels, np.flatnonzero(part == 0), (1 - share, share), rng)
    return np.where(part == 0, carved, part).astype(np.int8), (
        f"the data names no validation part: {share:.1%} of the train part was drawn for it, stratified random rows",
    )


_METHODS: Final[dict[str, Callable[[Dataset, DataConfig, np.random.Generator], _Dealt]]] = {
    "rows": _rows,
    "blocks": _blocks,
    "temporal": _temporal,
    "entity": _entity,
    "given": _given,
}


def _leaks(dataset: Dataset, part: np.ndarray) -> tuple[str, ...]:
    """Say where one entity, or neighbouring rows of an ordered stream, stand in more than one part."""
    frame = dataset.events.select("stream", "entity", "time").with_columns(part=pl.Series(part))
    acting = frame.filter((pl.col("entity") != "") & (pl.col("part") >= 0))
    sides = acting.group_by("stream", "entity").agg(pl.col("part").n_unique())
    torn = int((sides["part"] > 1).sum())
    notes = []
    if torn:
        notes.append(f"{torn} of {sides.height} entities have records in more than one part")
    # A stream whose time never moves holds independent rows, which have no neighbours.
    flips = frame.group_by("stream").agg(
        (pl.col("part") != pl.col("part").shift(1)).sum().alias("flips"),
        (pl.col("time").min() < pl.col("time").max()).alias("ordered"),
    )
    borders = int(flips.filter("ordered")["flips"].sum())
    if borders:
        notes.append(f"neighbouring rows stand in different parts at {borders} places of {len(part)}")
    return tuple(notes)
