"""Payloads read back, each once: a replica meets the same payload when it proposes or checks it and when it commits.

Columns that are held already stand in for equal ones in a payload, so that their digests are not computed again.
Nothing is trusted more for it: whoever reads checks the ballots as if they were new.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, final

from custodes.bft.ballots import Ballot, decode_payload

if TYPE_CHECKING:
    from custodes.bft.core.columns import ColumnBook
    from custodes.bft.messages import Column

KEPT: Final = 4
"""Payloads remembered: a block commits two views after it was checked."""


@final
class PayloadReader:
    """Reads payloads and remembers the last few.

    Args:
        n: Agents of the team.
        book: Columns that are held.
    """

    __slots__ = ("_book", "_n", "_read")

    def __init__(self, n: int, book: ColumnBook) -> None:
        self._n = n
        self._book = book
        self._read: dict[bytes, tuple[Ballot, ...]] = {}

    def read(self, payload: bytes) -> tuple[Ballot, ...]:
        """The ballots of a payload.

        Raises:
            DecodeError: It is not the encoding of any ballots.
        """
        known = self._read.get(payload)
        if known is not None:
            return known
        ballots = tuple([self._familiar(ballot) for ballot in decode_payload(payload, self._n)])
        self.note(payload, ballots)
        return ballots

    def note(self, payload: bytes, ballots: tuple[Ballot, ...]) -> None:
        """Remember what a payload encodes."""
        self._read[payload] = ballots
        if len(self._read) > KEPT:
            del self._read[next(iter(self._read))]

    def _familiar(self, ballot: Ballot) -> Ballot:
        return replace(ballot, columns=tuple(map(self._held, ballot.columns)))

    def _held(self, column: Column | None) -> Column | None:
        if column is None:
            return None
        held = self._book.get(column.batch, column.agent)
        return held if held == column else column
