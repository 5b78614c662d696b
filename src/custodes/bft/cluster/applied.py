"""What the committed blocks came to: containments and the next batch. Can be written down and taken up again."""

from __future__ import annotations

import hashlib
import json
from typing import Final, final

import numpy as np

from custodes.bft.ballots import Ballot, entities_of, times_of
from custodes.bft.containment import Containment, ContainmentLedger, TimeToLive
from custodes.bft.errors import BftError
from custodes.bft.votes import QUARANTINE

_VERSION: Final = 1


@final
class Applied:
    """The application's state.

    Args:
        lives: How long containments last.
    """

    def __init__(self, lives: TimeToLive) -> None:
        self.ledger = ContainmentLedger(lives)
        self.next_batch = 0

    def apply(self, ballots: tuple[Ballot, ...]) -> None:
        """Apply what a block decides."""
        for ballot in ballots:
            times = times_of(ballot.items)
            decisions = np.frombuffer(ballot.decisions, dtype=np.uint8)
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

    def dump(self) -> bytes:
        """All of it, as a line of JSON after its digest."""
        held = self.ledger.contained().items()
        body = json.dumps(
            {
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
        contained = {
            entity: Containment(level=level, since=since, until=until)
            for entity, level, since, until in row["contained"]
        }
        self.ledger.restore(row["now"], contained)
        self.next_batch = row["next_batch"]
