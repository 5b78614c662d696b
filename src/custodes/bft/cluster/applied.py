"""What the committed blocks came to: containments and the next batch. Can be written down and taken up again."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from custodes.bft.ballots import Ballot, entities_of, times_of
from custodes.bft.containment import Containment, ContainmentLedger, TimeToLive
from custodes.bft.errors import BftError
from custodes.bft.votes import QUARANTINE

if TYPE_CHECKING:
    from custodes.bft.safeguard import Safeguard

_VERSION: Final = 1


@final
class Applied:
    """The application's state.

    Args:
        lives: How long containments last.
        guard: What may overrule the vote rule; None for nothing.
        f: Liars that are stood; counts for the guard alone.
    """

    def __init__(self, lives: TimeToLive, guard: Safeguard | None = None, f: int = 0) -> None:
        self.ledger = ContainmentLedger(lives)
        self.next_batch = 0
        self._guard, self._f = guard, f
        self.guarded: Any = None if guard is None else guard.begin()
        """The guard's state; None without one."""

    def apply(self, ballots: tuple[Ballot, ...]) -> tuple[dict[str, Any], ...]:
        """Apply what a block decides; returns a note for every decision that the guard overruled.

        Raises:
            BftError: A quorum decided under another guard.
        """
        notes: list[dict[str, Any]] = []
        expected = b"" if self._guard is None else self._guard.digest
        for ballot in ballots:
            if ballot.guard != expected:
                raise BftError(
                    "the team decided under other rules of the shield than this replica has",
                    where=f"batch {ballot.batch}",
                    fix="start it with the rules of the others; new rules need a new epoch",
                )
            if self._guard is not None:
                judged = self._guard.judge(self.guarded, ballot, self._f)
                self.guarded = judged.state
                notes += ({"batch": ballot.batch, **note} for note in judged.notes)
            times = times_of(ballot.items)
            decisions = np.frombuffer(ballot.taken, dtype=np.uint8)
            (severe,) = np.nonzero(decisions >= QUARANTINE)
            # Most decisions contain nobody: of them only the time counts, and that up to each one that does.
            latest = np.maximum.accumulate(times)
            entities = entities_of(ballot.items)
            self.ledger.apply_batch(
                [*entities[severe].tolist(), 0],
                [*decisions[severe].tolist(), 0],
                [*latest[severe].tolist(), int(latest[-1])],
            )
            self.next_batch = ballot.batch + 1
        return tuple(notes)

    def dump(self) -> bytes:
        """All of it, as a line of JSON after its digest."""
        held = self.ledger.contained().items()
        guard = {}
        if self._guard is not None:
            guard = {"guard": self._guard.digest.hex(), "guarded": self._guard.dump(self.guarded)}
        body = json.dumps(
            {
                **guard,
                "version": _VERSION,
                "next_batch": self.next_batch,
                "now": self.ledger.now,
                "contained": [[entity, each.level, each.since, each.until] for entity, each in held],
            }
        ).encode("ascii")
        return hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body

    def load(self, data: bytes, where: str) -> None:
        """Take up what `dump` wrote.

        Raises:
            BftError: It is something else.
        """
        digest, _, body = data.partition(b"\n")
        if hashlib.sha256(body).hexdigest().encode("ascii") != digest:
            raise BftError("what the earlier blocks came to is damaged", where=where, fix="restore the .state file")
        row = json.loads(body)
        if row["version"] != _VERSION:
            raise BftError("what the earlier blocks came to is of another version", where=where)
        expected = None if self._guard is None else self._guard.digest.hex()
        if row.get("guard") != expected:
            raise BftError(
                "the blocks so far were decided under other rules of the shield than this replica has",
                where=where,
                fix="start it with the rules of before; new rules need a new epoch",
            )
        if self._guard is not None:
            self.guarded = self._guard.load(row["guarded"])
        contained = {
            entity: Containment(level=level, since=since, until=until)
            for entity, level, since, until in row["contained"]
        }
        self.ledger.restore(row["now"], contained)
        self.next_batch = row["next_batch"]
