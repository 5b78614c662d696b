"""Every way in which a network can split four replicas and a twin, view by view, with every leader.

A round is a split of the five replicas in two sides (16 ways) and a leader (4 keys, the twins' among them): 64 rounds.
Three views are 64 ** 3 = 262,144 scenarios. For four views the splits are reduced by symmetry to 6 (which of the three
honest replicas are apart does not matter, their number does, nor which twin is which): 24 rounds, 331,776 scenarios.

Scenarios with the same beginning share it: it is played once, kept, and gone on from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from custodes.bft.simulator.snapshot import Snapshot
from custodes.bft.simulator.stage import KEYS, SLOTS, Stage

SPLITS: Final = tuple(range(1, 2 ** len(SLOTS), 2))
"""Sides that hold the first twin, as bit masks: each split once, the one that parts nobody among them."""
SHAPES: Final = (0b11111, 0b01111, 0b00111, 0b00011, 0b00001, 0b00101)
"""One split of each shape: nobody apart; one, two, three of the others apart from both twins; the first twin alone, or
with one other."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TwinsFailure:
    """A scenario that broke something."""

    rounds: tuple[tuple[int, int], ...]
    """Side and leader of each view."""
    what: str
    """What."""

    @property
    def name(self) -> str:
        """The scenario as `--twins-case` reads it: side and leader per view, such as 31.0-7.2-1.0."""
        return "-".join(f"{side}.{leader}" for side, leader in self.rounds)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TwinsResult:
    """What the scenarios of one part of the set did."""

    scenarios: int
    """Scenarios played."""
    failures: tuple[TwinsFailure, ...]
    """The first of those that broke something, in order."""
    failed: int
    """How many did."""
    committing: int
    """Scenarios in which an honest replica committed something: those in which anything could go wrong."""


def sides_of(views: int) -> tuple[int, ...]:
    """The splits that are played for this many views."""
    return SPLITS if views <= 3 else SHAPES


def parts_of(views: int) -> list[tuple[int, int, int]]:
    """The set in independent parts: first leader, first side, second leader."""
    seconds = range(KEYS) if views > 1 else (0,)
    return [(first, side, second) for first in range(KEYS) for side in sides_of(views) for second in seconds]


def count_of(views: int) -> int:
    """Scenarios of the whole set."""
    return int((len(sides_of(views)) * KEYS) ** views)


def explore(views: int, part: tuple[int, int, int], *, most: int = 3, stop: bool = False) -> TwinsResult:
    """Play every scenario that begins in one way.

    Args:
        views: Views of each scenario, at least 1.
        part: As from `parts_of`.
        most: Failures that are kept.
        stop: End at the first failure.

    Returns:
        The counts.
    """
    first, side, second = part
    tally = _Tally(most=most, stop=stop)
    stage = Stage(first)
    fault = stage.play(side, second)
    _descend(stage, ((side, first),), second, fault, views, tally)
    return TwinsResult(
        scenarios=tally.scenarios, failures=tuple(tally.failures), failed=tally.failed, committing=tally.committing
    )


class _Tally:
    """Counts while the tree is walked."""

    def __init__(self, *, most: int, stop: bool) -> None:
        self.scenarios = self.failed = self.committing = 0
        self.failures: list[TwinsFailure] = []
        self._most = most
        self._stop = stop

    @property
    def over(self) -> bool:
        return self._stop and self.failed > 0

    def add(self, rounds: tuple[tuple[int, int], ...], fault: str, stage: Stage, count: int) -> None:
        """Count the scenarios that begin with these rounds: one when it is complete, all when it failed early."""
        self.scenarios += count
        self.committing += count * bool(stage.commits)
        if fault:
            self.failed += count
            if len(self.failures) < self._most:
                self.failures.append(TwinsFailure(rounds=rounds, what=fault))


def _descend(
    stage: Stage, played: tuple[tuple[int, int], ...], leader: int, fault: str, views: int, tally: _Tally
) -> None:
    left = views - len(played)
    if fault or left == 0:
        tally.add(played, fault, stage, (len(sides_of(views)) * KEYS) ** left)
        return
    saved = Snapshot(stage)
    choices = list(_choices(views, left))
    for index, (side, following) in enumerate(choices):
        if tally.over:
            return
        # The last one plays on the original, which nobody needs any more.
        branch: Stage = saved.make() if index < len(choices) - 1 else stage
        fault = branch.play(side, following)
        _descend(branch, (*played, (side, leader)), following, fault, views, tally)


def _choices(views: int, left: int) -> Iterator[tuple[int, int]]:
    """Sides of the next round, and leaders of the one after it if it is played."""
    for side in sides_of(views):
        for following in range(KEYS) if left > 1 else (0,):
            yield side, following


def replay(name: str) -> tuple[str, list[str]]:
    """Play one scenario.

    Args:
        name: As `TwinsFailure.name`.

    Returns:
        What broke, or nothing, and what happened, line by line.

    Raises:
        ValueError: The name names no scenario.
    """
    try:
        rounds = [(int(side), int(leader)) for side, leader in (each.split(".") for each in name.split("-"))]
    except ValueError:
        raise ValueError(f"{name!r} is not a Twins scenario such as 31.0-7.2-1.0") from None
    if not all(0 <= side < 2 ** len(SLOTS) and 0 <= leader < KEYS for side, leader in rounds):
        raise ValueError(f"{name!r} names a side over {2 ** len(SLOTS) - 1} or a leader over {KEYS - 1}")
    stage, fault = Stage(rounds[0][1]), ""
    stage.lines = []
    for at, (side, _) in enumerate(rounds):
        fault = fault or stage.play(side, rounds[at + 1][1] if at + 1 < len(rounds) else 0)
    return fault, stage.lines
