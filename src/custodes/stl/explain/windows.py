"""Windows of samples as arrays: which samples they hold, and which few of them stand for all.

A window is the closed range [first, last] of samples; many windows are two integer arrays. Empty windows (last < first)
hold nothing and need nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.int64]
"""Sorted sample numbers, each once."""
Mask: TypeAlias = npt.NDArray[np.bool_]
"""One truth value per sample."""
Floats: TypeAlias = npt.NDArray[np.float64]
"""One number per sample."""


@final
@dataclass(frozen=True, kw_only=True)
class Windows:
    """One window per asking sample."""

    first: Samples
    """First sample of each."""
    last: Samples
    """Last sample of each; before the first where the window is empty."""

    def filled(self) -> Windows:
        """Only the windows that hold a sample."""
        some = self.first <= self.last
        return Windows(first=self.first[some], last=self.last[some])


def union(windows: Windows, length: int) -> Samples:
    """Every sample that lies in some window.

    Args:
        windows: Inside [0, length).
        length: How many samples there are.
    """
    some = windows.filled()
    opened = np.bincount(some.first, minlength=length + 1)
    closed = np.bincount(some.last + 1, minlength=length + 1)
    return np.flatnonzero(np.cumsum(opened - closed)[:length] > 0)


def witnesses(windows: Windows, good: Mask, badness: Floats) -> Samples:
    """As few good samples as hit every window that is not empty.

    Args:
        windows: Each holds a good sample, or none at all.
        good: Which samples may be chosen.
        badness: With one window alone, the good sample where this is least is chosen, the first of equals.

    Returns:
        The greedy choice by right ends, which no other choice beats in number.
    """
    some = windows.filled()
    if some.first.size == 1:
        inside = np.arange(some.first[0], some.last[0] + 1)
        inside = inside[good[inside]]
        return inside[[int(np.argmin(badness[inside]))]]
    previous = last_true(good)
    order = np.argsort(some.last, kind="stable")
    chosen: list[int] = []
    for first, last in zip(some.first[order].tolist(), some.last[order].tolist(), strict=True):
        if not chosen or chosen[-1] < first:
            chosen.append(int(previous[last]))
    return np.array(chosen, dtype=np.int64)


def least_in_each(windows: Windows, values: Floats) -> Samples:
    """The sample with the least value in each window, without repetition; windows sorted by both ends."""
    found: set[int] = set()
    queue: deque[int] = deque()
    upcoming = 0
    for first, last in zip(windows.first.tolist(), windows.last.tolist(), strict=True):
        for each in range(max(upcoming, first), last + 1):
            while queue and values[queue[-1]] > values[each]:
                queue.pop()
            queue.append(each)
        upcoming = max(upcoming, last + 1)
        while queue and queue[0] < first:
            queue.popleft()
        if queue:
            found.add(queue[0])
    return np.array(sorted(found), dtype=np.int64)


def next_true(mask: Mask) -> Samples:
    """For each sample the first one from there on where the mask is true; the mask's length where there is none."""
    places = np.where(mask, np.arange(mask.size), mask.size)
    return np.minimum.accumulate(places[::-1])[::-1]


def last_true(mask: Mask) -> Samples:
    """For each sample the last one up to there where the mask is true; -1 where there is none."""
    return np.maximum.accumulate(np.where(mask, np.arange(mask.size), -1))


@final
@dataclass(frozen=True, kw_only=True)
class Interval:
    """A closed range of samples."""

    first: int
    """First sample."""
    last: int
    """Last sample."""

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}..{self.last}"


def intervals(samples: Samples) -> tuple[Interval, ...]:
    """Sorted samples as maximal ranges without a hole."""
    if samples.size == 0:
        return ()
    breaks = np.flatnonzero(np.diff(samples) > 1)
    starts, ends = samples[[0, *(breaks + 1)]], samples[[*breaks, -1]]
    return tuple(Interval(first=a, last=b) for a, b in zip(starts.tolist(), ends.tolist(), strict=True))
