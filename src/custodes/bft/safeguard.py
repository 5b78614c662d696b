"""What may overrule the vote rule, alike at every replica: a function of the ballots so far and nothing else.

The actions that a safeguard lets through stand in the ballot beside the decisions. A leader computes them when it makes
a block, and every replica computes them again before it votes for one, so that a leader that leaves the safeguard out,
or makes up another action, gets no vote. A quorum's votes say so to whoever reads the certificate later: with the
ballots of one block alone nobody could compute them, as they depend on all ballots before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

from custodes.bft.ballots import Ballot

KEPT: Final = 32
"""Judged payloads remembered: a replica meets the same one when it makes or checks a block and when it commits it."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Guarded:
    """A judged ballot."""

    actions: bytes
    """Severity (0 to 3) per item."""
    state: Any
    """The state after it."""
    notes: tuple[dict[str, Any], ...]
    """A JSON object for each decision that was overruled, with key `item`, for the log."""


class Safeguard(ABC):
    """Judges ballots in their order. Pure: nothing that it is given is changed, and nothing else counts."""

    @property
    @abstractmethod
    def digest(self) -> bytes:
        """SHA-256 of everything that a judgement depends on beside the ballots (32 bytes)."""

    @abstractmethod
    def begin(self) -> Any:
        """The state before the first ballot."""

    @abstractmethod
    def judge(self, state: Any, ballot: Ballot, f: int) -> Guarded:
        """Judge one ballot. Must not raise on any ballot that `ballot_fault` has nothing against.

        Args:
            state: After the ballots before it.
            ballot: Its decisions follow from its votes; its actions are not looked at.
            f: Liars that are stood.
        """

    @abstractmethod
    def dump(self, state: Any) -> Any:
        """A state as Python's json holds it."""

    @abstractmethod
    def load(self, row: Any) -> Any:
        """Back from `dump`."""


@final
class _Point:
    """A state, told from all others by being itself."""

    __slots__ = ("state",)

    def __init__(self, state: Any) -> None:
        self.state = state


@final
class GuardChain:
    """The safeguard's states along a chain of blocks, of which the last ones are not committed yet.

    Args:
        guard: The safeguard.
        f: Liars that are stood.
        state: After the last committed block; None where nothing was decided yet.
    """

    __slots__ = ("_f", "_guard", "_known", "_settled")

    def __init__(self, guard: Safeguard, f: int, state: Any = None) -> None:
        self._guard, self._f = guard, f
        self._settled = _Point(guard.begin() if state is None else state)
        self._known: dict[tuple[int, tuple[Ballot, ...]], tuple[_Point, _Point, tuple[bytes, ...]]] = {}

    def judged(self, before: Sequence[tuple[Ballot, ...]], ballots: tuple[Ballot, ...]) -> tuple[Ballot, ...]:
        """Ballots with the actions that the safeguard lets through.

        Args:
            before: Ballots of each uncommitted block before them, the oldest first.
            ballots: In their order.
        """
        point = self._after(before)
        _, actions = self._judge(point, ballots)
        digest = self._guard.digest
        return tuple(replace(ballot, guard=digest, actions=each) for ballot, each in zip(ballots, actions, strict=True))

    def commit(self, ballots: tuple[Ballot, ...]) -> None:
        """Go on from the next committed block."""
        if ballots:
            self._settled, _ = self._judge(self._settled, ballots)

    def _after(self, before: Sequence[tuple[Ballot, ...]]) -> _Point:
        point = self._settled
        for ballots in before:
            if ballots:
                point, _ = self._judge(point, ballots)
        return point

    def _judge(self, point: _Point, ballots: tuple[Ballot, ...]) -> tuple[_Point, tuple[bytes, ...]]:
        """The state after some ballots and their actions, worked out once."""
        bare = tuple(replace(ballot, guard=b"", actions=b"") for ballot in ballots)
        known = self._known.get((id(point), bare))
        if known is not None:
            return known[1], known[2]
        state, actions = point.state, []
        for ballot in bare:
            found = self._guard.judge(state, ballot, self._f)
            state = found.state
            actions.append(found.actions)
        after = _Point(state)
        # The point before is kept too, so that its number is not given to another one meanwhile.
        self._known[id(point), bare] = (point, after, tuple(actions))
        if len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        return after, tuple(actions)
