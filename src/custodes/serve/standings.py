"""What was decided about processes and what analysts said: live, the same rules as in `env.response.replay`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, final

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.data.features.online.memory import Key
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.replay import CLEARED, FREE, OPEN
from custodes.serve.decision import GONE

SECOND: Final = 1_000_000_000
"""Nanoseconds."""
_NEVER: Final = -(1 << 63)


@final
class _Process:
    """What is in force for one process; times in ns."""

    __slots__ = ("asked_until", "cleared_until", "gone_since", "held_until")

    def __init__(self) -> None:
        self.asked_until = _NEVER
        """Until when an alert is open."""
        self.cleared_until = _NEVER
        """Until when a benign verdict stands."""
        self.held_until = _NEVER
        """Until when it is in quarantine."""
        self.gone_since: int | None = None
        """When it was blocked; None where it was not."""


@final
class Standings:
    """Remembers what is in force for each process.

    A process is FREE, has an OPEN alert, was CLEARED by an analyst, or is GONE (blocked, or born after an ancestor
    was). The events of a moment come before what ends at that moment. Only processes for which something is in force
    take memory.

    Args:
        costs: How long a Quarantine lasts and a benign verdict stands.
        answer_s: Seconds after which an alert that nobody answered is open no more, above 0: a lost answer must not
            keep a process from being alerted on for ever.
    """

    def __init__(self, costs: ResponseCosts, answer_s: float) -> None:
        self._quarantine, self._cleared = int(costs.quarantine_s * SECOND), int(costs.cleared_s * SECOND)
        self._answer = int(answer_s * SECOND)
        self._processes: dict[Key, _Process] = {}

    def __len__(self) -> int:
        return len(self._processes)

    def of(self, key: Key, time: int) -> int:
        """FREE, OPEN, CLEARED or GONE at a time [ns]."""
        process = self._processes.get(key)
        if process is None:
            return FREE
        if process.gone_since is not None:
            return GONE
        return CLEARED if time <= process.cleared_until else OPEN if time <= process.asked_until else FREE

    def act(self, key: Key, action: int, time: int) -> bool:
        """Put a decision in force; returns whether an analyst is to look at the process because of it."""
        standing = self.of(key, time)
        if standing == GONE or action < ALERT or (action < BLOCK and standing == CLEARED):
            return False
        process = self._processes.setdefault(key, _Process())
        if action == BLOCK:
            process.gone_since = time
            return False
        if action == QUARANTINE:
            process.held_until = time + self._quarantine
        if standing == OPEN:
            return False
        process.asked_until = time + self._answer
        return True

    def answer(self, key: Key, malicious: bool | None, time: int) -> None:
        """Take an analyst's verdict at a time [ns]; None says that the alert was dropped without one."""
        process = self._processes.setdefault(key, _Process())
        process.asked_until = _NEVER
        if malicious is None or process.gone_since is not None:
            return
        if malicious:
            process.gone_since = time
        else:
            process.held_until = _NEVER
            process.cleared_until = time + self._cleared

    def inherit(self, child: Key, parent: Key, born: int) -> None:
        """A process whose parent was gone when it was born, at a time [ns], is gone too."""
        above = self._processes.get(parent)
        if above is not None and above.gone_since is not None and above.gone_since <= born:
            self._processes.setdefault(child, _Process()).gone_since = born

    def held(self, key: Key, time: int) -> bool:
        """Whether a process is in quarantine at a time [ns]."""
        process = self._processes.get(key)
        return process is not None and process.gone_since is None and time <= process.held_until

    def forget(self, key: Key) -> None:
        """Nothing is in force for a process any more."""
        self._processes.pop(key, None)

    def state(self) -> list[list[Any]]:
        """As JSON has it."""
        return [
            [*key, each.asked_until, each.cleared_until, each.held_until, each.gone_since]
            for key, each in self._processes.items()
        ]

    def restore(self, state: list[list[Any]]) -> None:
        """Go on from `state`."""
        self._processes = {}
        for stream, entity, asked, cleared, held, gone in state:
            process = self._processes[(str(stream), str(entity))] = _Process()
            process.asked_until, process.cleared_until, process.held_until = int(asked), int(cleared), int(held)
            process.gone_since = None if gone is None else int(gone)


def as_config(costs: ResponseCosts, answer_s: float) -> Mapping[str, float]:
    """What a saved state has to agree on."""
    return {"quarantine_s": costs.quarantine_s, "cleared_s": costs.cleared_s, "answer_s": answer_s}
