"""Lanes: which events of a recording are played together, in which order, and how each run of events ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.data.dataset import Dataset

LaneMode = Literal["by_stream", "by_entity", "rows"]
"""by_stream: recorded order of one host; by_entity: one process's life; rows: every event its own episode."""

PROCESS_ENDS: Final = frozenset({"exit", "procend", "process_end", "process_exit", "terminate", "process_terminate"})
"""Kinds that record the end of the acting process, in lower case and without CDM's prefix `EVENT_`."""


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """L runs over M events of one table; every event is in exactly one of them."""

    order: NDArray[np.int64]
    """[M]: row of the event table that is played at each place; a lane's places are contiguous."""
    start: NDArray[np.int64]
    """[L]: first place of each lane, 0 <= start < M; lane i + 1 starts where lane i ends."""
    length: NDArray[np.int64]
    """[L]: events in each lane, at least 1."""
    terminated: NDArray[np.bool_]
    """[L]: the lane's end is an end (one-event episode, or the process ended); otherwise the lane was cut."""
    successor: NDArray[np.int64]
    """[L]: row observed after the last event: the next row where a window cut the lane, else the last row itself."""

    def __post_init__(self) -> None:
        """Refuse lanes that overlap, leave places out or point outside.

        Raises:
            CustodesError: The arrays do not describe lanes.
        """
        places, count = len(self.order), len(self.start)
        if count == 0 or places == 0:
            raise CustodesError("there is no event to play", where="lanes", fix="choose a part that holds events")
        if not len(self.length) == len(self.terminated) == len(self.successor) == count:
            raise CustodesError("start, length, terminated and successor differ in length", where="lanes")
        ends = self.start + self.length
        if self.length.min() < 1 or self.start[0] != 0 or ends[-1] != places or (ends[:-1] != self.start[1:]).any():
            raise CustodesError("lanes overlap or leave places out", where="lanes")
        if min(self.order.min(), self.successor.min()) < 0:
            raise CustodesError("a row is negative", where="lanes")

    def rows(self, lane: int) -> NDArray[np.int64]:
        """Rows of one lane, int64 [length], in the order in which they are played."""
        return self.order[self.start[lane] : self.start[lane] + self.length[lane]]


def build_lanes(
    dataset: Dataset,
    rows: ArrayLike,
    mode: LaneMode,
    window: int = 0,
    *,
    ends: Collection[str] = PROCESS_ENDS,
) -> Lanes:
    """Order a part's events into lanes.

    A lane never runs across an event that is not in `rows`: by_stream lanes break where the stream's next event belongs
    to another part, by_entity lanes where the process's next event does. The event behind such a gap is never the
    successor either, so that no part observes another one. What comes after a recorded end of a process (a
    reused process id, a late record) is a new life. Events without an entity count as one entity of their stream.

    Args:
        dataset: Events in recorded order; columns `stream`, `entity` and `kind` are read.
        rows: Row numbers of the part, int [M], each at most once; played in recorded order whatever their order here.
        mode: How events are grouped.
        window: Longest lane in events; a longer run is cut there and truncated, and its successor is the next row.
            0 means no limit.
        ends: Kinds that end a process's life (by_entity only), in lower case and without the prefix `EVENT_`.

    Returns:
        Lanes in the order of their first event.

    Raises:
        CustodesError: Rows are missing, repeated or outside the table; unknown mode; negative window.
    """
    played = _checked_rows(rows, dataset.events.height)
    if window < 0:
        raise CustodesError(f"a window of {window} events", where="env.window", fix="use 0 for no limit")
    if mode == "rows":
        return _one_row_each(played)
    if mode not in ("by_stream", "by_entity"):
        raise CustodesError(f"unknown lanes '{mode}'", where="env.lanes", fix="use by_stream, by_entity or rows")
    group = _codes(dataset.events, ("stream",) if mode == "by_stream" else ("stream", "entity"))
    ended = np.zeros(len(group), dtype=np.bool_) if mode == "by_stream" else _process_ends(dataset.events, ends)
    return _runs(played, group, ended, window)


def _checked_rows(rows: ArrayLike, height: int) -> NDArray[np.int64]:
    """Rows in recorded order, each inside the table and there once."""
    found = np.sort(np.asarray(rows, dtype=np.int64).ravel())
    if not len(found):
        raise CustodesError("the part holds no events", where="lanes", fix="choose another split or more data")
    if found[0] < 0 or found[-1] >= height:
        raise CustodesError(f"rows {found[0]} to {found[-1]} reach outside the {height} events", where="lanes")
    if (found[1:] == found[:-1]).any():
        raise CustodesError("a row is in the part twice", where="lanes")
    return found


def _one_row_each(played: NDArray[np.int64]) -> Lanes:
    """Every row a terminated episode of its own."""
    ones = np.ones(len(played), dtype=np.int64)
    return Lanes(
        order=played,
        start=np.arange(len(played), dtype=np.int64),
        length=ones,
        terminated=ones.astype(np.bool_),
        successor=played,
    )


def _codes(events: pl.DataFrame, columns: tuple[str, ...]) -> NDArray[np.int64]:
    """A number from 0 on for each distinct combination of the columns, int64 [N]."""
    ranks = events.select(pl.struct(columns).rank("dense").alias("code"))["code"]
    return ranks.to_numpy().astype(np.int64) - 1


def _process_ends(events: pl.DataFrame, ends: Collection[str]) -> NDArray[np.bool_]:
    """Where the acting process's end is recorded, bool [N]."""
    kind = pl.col("kind").str.to_lowercase().str.strip_prefix("event_")
    return events.select(kind.is_in(list(ends)).alias("end"))["end"].to_numpy().astype(np.bool_)


def _runs(played: NDArray[np.int64], group: NDArray[np.int64], ended: NDArray[np.bool_], window: int) -> Lanes:
    """Cut each group's events into runs without a gap, at ends and at the window.

    Args:
        played: Rows of the part in recorded order [M].
        group: Group of every row of the table [N].
        ended: Where a run ends for good [N].
        window: Longest run, 0 for no limit.
    """
    # Place of each row within its group over the whole table: neighbours in a group differ by one.
    by_group = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    rank = np.empty(len(group), dtype=np.int64)
    rank[by_group] = np.arange(len(group)) - np.repeat(np.cumsum(sizes) - sizes, sizes)

    order = played[np.argsort(group[played], kind="stable")]
    before, after = order[:-1], order[1:]
    follows = (group[before] == group[after]) & (rank[after] == rank[before] + 1)
    breaks = ~follows | ended[before]
    begin = np.flatnonzero(np.concatenate(([True], breaks)))
    length = np.diff(np.append(begin, len(order)))
    start, length = _cut(begin, length, window)

    last = start + length - 1
    terminated = ended[order[last]]
    follows = np.append(follows, False)
    next_place = np.where(follows[last] & ~terminated, last + 1, last)
    return _by_first_event(order, start, length, terminated, order[next_place])


def _cut(
    begin: NDArray[np.int64], length: NDArray[np.int64], window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths after every run has been cut into pieces of at most `window`."""
    if window == 0:
        return begin, length
    pieces = -(-length // window)
    piece = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    start = np.repeat(begin, pieces) + piece * window
    return start, np.minimum(np.repeat(begin + length, pieces) - start, window)


def _by_first_event(
    order: NDArray[np.int64],
    start: NDArray[np.int64],
    length: NDArray[np.int64],
    terminated: NDArray[np.bool_],
    successor: NDArray[np.int64],
) -> Lanes:
    """Sort lanes by the row of their first event, so that playing them unshuffled follows the recording."""
    sort = np.argsort(order[start], kind="stable")
    lengths = length[sort]
    starts = np.cumsum(lengths) - lengths
    places = np.repeat(start[sort] - starts, lengths) + np.arange(len(order))
    return Lanes(
        order=order[places], start=starts, length=lengths, terminated=terminated[sort], successor=successor[sort]
    )
