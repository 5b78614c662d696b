"""When a message arrives, or whether it does."""

from __future__ import annotations

import random
from typing import final

from custodes.bft.simulator.scenario import DELTA, Scenario

_SOONEST = 0.05
"""Shortest delay, as a share of the longest."""


@final
class Network:
    """Loses, delays, doubles and reorders until the heal; then delivers everything within `DELTA`.

    Args:
        scenario: What the network does.
        rng: Drawn from once or a few times per message, in the order in which they are sent.
    """

    def __init__(self, scenario: Scenario, rng: random.Random) -> None:
        self._heal = scenario.heal
        self._weather = scenario.weather
        self._random = rng.random
        self._muted: dict[int, float] = {}

    def mute(self, sender: int, until: float) -> None:
        """Lose everything that a replica sends until then, or until the heal: before it, liars may rule the network."""
        self._muted[sender] = until

    def arrivals(self, sender: int, receiver: int, now: float) -> tuple[float, ...]:
        """Times at which a message sent now arrives: none when it is lost, two when it is doubled."""
        random = self._random
        if now >= self._heal:
            return (now + DELTA * (_SOONEST + (1.0 - _SOONEST) * random()),)
        if self._muted and self._muted.get(sender, 0.0) > now:
            return ()
        weather = self._weather
        for split in weather.partitions:
            if split.begin <= now < split.end and (sender in split.side) != (receiver in split.side):
                return ()
        if weather.loss and random() < weather.loss:
            return ()
        first = self._until(now + weather.delay * (_SOONEST + (1.0 - _SOONEST) * random()))
        if weather.duplication and random() < weather.duplication:
            return (first, self._until(first + weather.replay * random()))
        return (first,)

    def _until(self, arrival: float) -> float:
        """What is on its way at the heal arrives within `DELTA` after it."""
        latest = self._heal + DELTA
        return arrival if arrival <= latest else self._heal + DELTA * self._random()
