"""Where an agent's votes come from: JSON lines, or made up for measurements."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.ballots import fixed_point, make_items
from custodes.bft.core.duty import BatchVotes
from custodes.bft.encoding import MAX_ITEMS
from custodes.bft.errors import BftError
from custodes.bft.votes import BLOCK

_PATTERNS: Final = 16
"""Made-up batches that differ; making each anew would measure the making."""


class Source(ABC):
    """An agent's votes, batch by batch."""

    @abstractmethod
    def take(self, batch: int) -> BatchVotes | None:
        """The votes on a batch; None when they are not known yet."""


@final
class Lines(Source):
    """Votes from JSON lines, one batch a line, in the order of batches:
    `{"entities": [...], "times": [...], "severities": [...], "scores": [...]}` (scores may be left out).

    Args:
        first: Number of the batch that the first line is about.
    """

    def __init__(self, first: int) -> None:
        self._waiting: deque[BatchVotes] = deque()
        self._next = first
        self._read = 0

    def feed(self, line: str) -> None:
        """Take one line.

        Raises:
            BftError: It is not such a line; names its number.
        """
        self._read += 1
        if not line.strip():
            return
        try:
            row = json.loads(line)
            votes = _votes(self._next, row)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            what = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)
            raise BftError(f"not a batch of votes: {what}", where=f"standard input, line {self._read}") from None
        self._waiting.append(votes)
        self._next += 1

    @property
    def waiting(self) -> int:
        """How many lines have not been handed in or dropped."""
        return len(self._waiting)

    def take(self, batch: int) -> BatchVotes | None:
        """The votes on a batch, once; lines about batches that are decided already are dropped."""
        while self._waiting and self._waiting[0].batch < batch:
            self._waiting.popleft()
        return self._waiting.popleft() if self._waiting and self._waiting[0].batch == batch else None


@final
class Synthetic(Source):
    """Votes that honest agents could give: mostly Allow, mostly the same.

    Args:
        size: Items per batch, K.
        agent: Who votes.
        seed: Same seed, same items for all agents.
    """

    def __init__(self, size: int, agent: int, seed: int = 0) -> None:
        self._patterns = [_pattern(size, agent, seed, number) for number in range(_PATTERNS)]

    def take(self, batch: int) -> BatchVotes:
        """The votes on any batch."""
        items, severities = self._patterns[batch % _PATTERNS]
        return BatchVotes(batch=batch, items=items, severities=severities)


def _pattern(size: int, agent: int, seed: int, number: int) -> tuple[Any, bytes]:
    shared = np.random.default_rng([seed, number])
    items = make_items(
        shared.integers(0, 2**63, size, dtype=np.uint64), np.arange(size, dtype=np.int64) + number * size
    )
    agreed = shared.choice(4, size, p=[0.96, 0.02, 0.01, 0.01])
    own = np.random.default_rng([seed, number, agent])
    severities = np.where(own.random(size) < 0.02, own.integers(0, 4, size), agreed)
    return items, severities.astype(np.uint8).tobytes()


_FIELDS: Final = frozenset(("entities", "times", "severities", "scores"))


def _votes(batch: int, row: Any) -> BatchVotes:
    if not isinstance(row, dict):
        raise TypeError("it is no object")
    if unknown := sorted(row.keys() - _FIELDS):
        raise ValueError(f"unknown '{unknown[0]}'")
    entities = _column(row["entities"], np.uint64)
    times = _column(row["times"], np.int64)
    severities = _column(row["severities"], np.int64)
    if not 1 <= len(entities) <= MAX_ITEMS or not len(entities) == len(times) == len(severities):
        raise ValueError(f"entities, times and severities need one length, 1 to {MAX_ITEMS}")
    if severities.min() < 0 or severities.max() > BLOCK:
        raise ValueError("severities are 0 (Allow) to 3 (Block)")
    scores = np.asarray(row.get("scores", []), dtype=np.float64)
    if scores.shape not in ((0,), (len(entities),)):
        raise ValueError("scores need one number per entity")
    if not np.isfinite(scores).all():
        raise ValueError("scores need finite numbers")
    return BatchVotes(
        batch=batch,
        items=make_items(entities, times),
        severities=severities.astype(np.uint8).tobytes(),
        scores=fixed_point(scores) if len(scores) else b"",
    )


def _column(values: Any, kind: type[Any]) -> NDArray[Any]:
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise ValueError("entities, times and severities are lists of integers")
    return np.array(values, dtype=kind)
