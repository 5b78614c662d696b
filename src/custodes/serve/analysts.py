"""Analysts who answer from a recording's labels, as those of the replay do (`env.response.replay`)."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, final

from custodes.data.features.online.memory import Key
from custodes.env.response.costs import ResponseCosts
from custodes.serve.standings import SECOND

if TYPE_CHECKING:
    from custodes.serve.team import Team


@final
class RecordedAnalysts:
    """A few analysts and a queue of limited length; an alert that finds it full is lost.

    Args:
        team: Gets their verdicts.
        costs: How many they are, how long they take.
        guilty: When each malicious process does its first malicious event [ns].
    """

    def __init__(self, team: Team, costs: ResponseCosts, guilty: dict[Key, int]) -> None:
        self._team, self._costs, self._guilty = team, costs, guilty
        self._busy: list[int] = []
        self._timers: list[tuple[int, int, Key, bool]] = []
        self._asked = 0

    def ask(self, key: Key, time: int) -> None:
        """An alert on a process was raised at a time [ns]."""
        costs, takes = self._costs, round(self._costs.analyst_s * SECOND)
        while self._busy and self._busy[0] < time:
            heapq.heappop(self._busy)
        lost = len(self._busy) >= costs.analysts + costs.queue
        begin = time
        if not lost:
            waiting = len(self._busy) - costs.analysts
            begin = time if waiting < 0 else sorted(self._busy)[waiting]
            heapq.heappush(self._busy, begin + takes)
        self._asked += 1
        heapq.heappush(self._timers, (begin + takes, self._asked, key, lost))

    def answer(self, now: int) -> None:
        """Give every verdict that is due before a time [ns]."""
        while self._timers and self._timers[0][0] < now:
            time, _, (stream, entity), lost = heapq.heappop(self._timers)
            first = self._guilty.get((stream, entity))
            malicious = None if lost else first is not None and first <= time
            self._team.verdict(entity, malicious, stream=stream, time=time)
