"""What a team's decisions come to: which entities are contained, how, and until when.

Every replica applies the committed decisions in their order to a ledger of its own; the rules use nothing but the
decisions and the recorded time of what was decided on, never a clock, so that all ledgers are equal.

- Quarantine contains until its time to live runs out; another Quarantine before that renews it.
- Block contains until its own, longer, time to live runs out; another Block renews it. A Quarantine meanwhile neither
  shortens a Block nor makes it a Quarantine.
- Alert and Allow change nothing: a containment ends by running out, so that no single healthy-looking event sets a
  malicious process free. Who wants it to end sooner lifts it.
- Nothing is contained for ever unless decisions keep renewing it. An old decision that is told again after the end has
  no effect, as each batch is applied once and in order.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

from custodes.bft.votes import ALLOW, BLOCK, QUARANTINE

SECOND: Final = 1_000_000_000
"""Nanoseconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeToLive:
    """How long containments last without renewal."""

    quarantine: int = 300 * SECOND
    """Nanoseconds, > 0."""
    block: int = 86_400 * SECOND
    """Nanoseconds, > 0."""

    def of(self, level: int) -> int:
        """Nanoseconds for a containing severity."""
        return self.block if level == BLOCK else self.quarantine


@dataclass(frozen=True, kw_only=True, slots=True)
class Containment:
    """One entity's containment."""

    level: int
    """QUARANTINE or BLOCK."""
    since: int
    """When it began at this level, ns UTC of the record that was decided on."""
    until: int
    """When it runs out, ns UTC; not contained from then on."""


@final
class ContainmentLedger:
    """Containments after the decisions so far.

    Memory is bounded by the entities that are contained now: what ran out is forgotten as time goes on.

    Args:
        lives: Times to live.
    """

    def __init__(self, lives: TimeToLive | None = None) -> None:
        self._lives = lives or TimeToLive()
        if min(self._lives.quarantine, self._lives.block) <= 0:
            raise ValueError("a time to live is longer than 0 ns")
        self._contained: dict[int, Containment] = {}
        self._ends: list[tuple[int, int]] = []
        self._now = -(1 << 63)

    @property
    def now(self) -> int:
        """Time of the latest record applied, ns UTC; a record from before that counts as of now."""
        return self._now

    def __len__(self) -> int:
        """How many entities are contained now."""
        return len(self._contained)

    def level(self, entity: int) -> int:
        """BLOCK, QUARANTINE, or ALLOW where an entity is not contained."""
        held = self._contained.get(entity)
        return held.level if held else ALLOW

    def contained(self) -> Mapping[int, Containment]:
        """All containments, by entity, in the order of entities."""
        return dict(sorted(self._contained.items()))

    def apply(self, entity: int, decision: int, time: int) -> Containment | None:
        """Apply one committed decision.

        Args:
            entity: Whom it is about.
            decision: Severity 0 to 3.
            time: Of the record that was decided on, ns UTC.

        Returns:
            The entity's containment after it, None where it is free.
        """
        self._apply(entity, decision, time)
        self._compact()
        return self._contained.get(entity)

    def apply_batch(self, entities: Sequence[int], decisions: Sequence[int], times: Sequence[int]) -> None:
        """Apply a ballot's decisions in their order; only those that contain cost anything.

        Args:
            entities: [K].
            decisions: [K], severities.
            times: [K], ns UTC.

        Raises:
            ValueError: The three differ in length; nothing is applied then.
        """
        for entity, decision, time in list(zip(entities, decisions, times, strict=True)):
            if decision >= QUARANTINE:
                self._apply(int(entity), int(decision), int(time))
            elif time > self._now:
                self._now = int(time)
        self._advance(self._now)
        self._compact()

    def restore(self, now: int, contained: Mapping[int, Containment]) -> None:
        """Go on from what another ledger with the same times to live had come to.

        Args:
            now: Its `now`.
            contained: Its `contained()`.
        """
        self._now = now
        self._contained = dict(contained)
        self._ends = [(held.until, entity) for entity, held in contained.items()]
        heapq.heapify(self._ends)
        self._advance(now)

    def lift(self, entity: int) -> bool:
        """End a containment now; False where there is none."""
        return self._contained.pop(entity, None) is not None

    def _apply(self, entity: int, decision: int, time: int) -> None:
        self._advance(time)
        held = self._contained.get(entity)
        if decision < QUARANTINE or (held is not None and held.level > decision):
            return
        since = held.since if held is not None and held.level == decision else self._now
        until = self._now + self._lives.of(decision)
        self._contained[entity] = Containment(level=decision, since=since, until=until)
        heapq.heappush(self._ends, (until, entity))

    def _advance(self, time: int) -> None:
        """Let time pass: what has run out ends."""
        if time > self._now:
            self._now = time
        while self._ends and self._ends[0][0] <= self._now:
            until, entity = heapq.heappop(self._ends)
            held = self._contained.get(entity)
            if held is not None and held.until == until:
                del self._contained[entity]

    def _compact(self) -> None:
        """Each renewal leaves an old end behind; they must not grow beyond what is contained."""
        if len(self._ends) > 2 * len(self._contained) + 64:
            self._ends = [(held.until, entity) for entity, held in self._contained.items()]
            heapq.heapify(self._ends)
