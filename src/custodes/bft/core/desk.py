"""The way to signatures: everything that one step wants signed is made durable at once.

The desk decides nothing: `SafetyRules` says what may be signed. It only gathers the tickets of a step (a leader's
proposal and its own vote for it, say), so that one sync serves them all, inside the step or, deferred, outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft.core.events import Sync
from custodes.bft.safety import Refused, SafetyRules, Ticket

if TYPE_CHECKING:
    from custodes.bft.core.outbox import Outbox
    from custodes.bft.messages import Block, Column, Proposal, Qc, Tc, Timeout, Vote


@final
class Desk:
    """Tickets that wait for their signatures, in the order in which they were written down."""

    __slots__ = ("_deferred", "_out", "_safety", "_syncing", "_tickets")

    def __init__(self, safety: SafetyRules, out: Outbox, *, deferred: bool) -> None:
        self._safety = safety
        self._out = out
        self._deferred = deferred
        self._tickets: list[Ticket] = []
        self._syncing = False

    @property
    def index(self) -> int:
        """Whose signatures these are."""
        return self._safety.index

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the last batches that may be asked for again, without signatures."""
        return self._safety.columns

    def vote(self, block: Block) -> str | None:
        """Asks for a vote; returns why it may not be given."""
        try:
            self._tickets.append(self._safety.prepare_vote(block))
        except Refused as refused:
            return refused.reason
        return None

    def timeout(self, view: int, high_qc: Qc, tc: Tc | None) -> str | None:
        """Asks for a timeout; returns why it may not be given."""
        try:
            self._tickets.append(self._safety.prepare_timeout(view, high_qc, tc))
        except Refused as refused:
            return refused.reason
        return None

    def propose(self, block: Block) -> str | None:
        """Asks for a proposal; returns why it may not be made."""
        try:
            self._tickets.append(self._safety.prepare_proposal(block))
        except Refused as refused:
            return refused.reason
        return None

    def column(
        self, *, batch: int, items_digest: bytes, severities: bytes, scores: bytes = b"", model: bytes = bytes(32)
    ) -> str | None:
        """Asks for the signature of this agent's votes on a batch; returns why it may not be given."""
        try:
            ticket = self._safety.prepare_column(
                batch=batch, items_digest=items_digest, severities=severities, scores=scores, model=model
            )
        except Refused as refused:
            return refused.reason
        self._tickets.append(ticket)
        return None

    def take(self, *, synced: bool = False) -> list[Vote | Timeout | Proposal | Column]:
        """Returns what can be signed now; with `synced`, a sync that was asked for has ended."""
        if synced:
            self._syncing = False
        if not self._tickets:
            return []
        if not self._deferred:
            self._safety.sync()
        signed = []
        tickets, self._tickets = self._tickets, []
        for at, ticket in enumerate(tickets):
            try:
                signed.append(self._safety.release(ticket))
            except Refused:
                # Not durable yet, nor is what was written down after it.
                self._tickets = tickets[at:]
                break
        if self._tickets and not self._syncing:
            self._syncing = True
            self._out.add(Sync())
        return signed
