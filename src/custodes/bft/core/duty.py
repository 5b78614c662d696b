"""The duty to include: ballots over all agents, from which no leader can leave out a vote that others have long held.

Rules
-----
- Batches are numbered from 0 and decided in this order, each exactly once: a block decides the next ones after those
  that are committed or stand in its own uncommitted ancestors.
- Every agent signs one column per batch and sends it to everyone. A ballot needs n - f columns (honest agents provide
  so many, and with fewer the promises of the vote rule fail); one that is missing counts as Allow. The leader waits for
  all n, but no longer than `column_delay` after the (n - f)-th has arrived.
- A replica does not vote for a block that leaves out a column which fits the block's items and which the replica has
  held for longer than `inclusion_delay`. Any column of the agent will do: if it signed two, that is a proof against
  it.
- Columns outlive their agent's restart: the log holds them, and they are signed alike and sent again at the start. The
  agent hands the items in again, which the log does not hold.
- A replica forwards each column of an undecided batch to everyone once it has held it for a quarter of
  `inclusion_delay`, sends its own again every `inclusion_delay` and others' every fourth time, and, when it refuses a
  block, forwards at once what the block left out.

Why the duty costs no liveness
------------------------------
Let D be the longest delay of a message after the network has healed, and `inclusion_delay` >= 4 D. If an honest
replica that receives a block at time t refuses it for a column that it has held since before t - inclusion_delay, it
had forwarded this column before t - inclusion_delay / 2 (a quarter to be due, a quarter until the timer), so an honest
leader had it before t - inclusion_delay / 2 + D <= t - D, and thus before it made the block: an honest leader is not
refused. If the delay was set too small for the network, or forwards were lost before it healed, each refusal itself
brings the columns to every later leader within D, long before the view ends: a column costs one view at most, there
are at most n per batch, and only liars send theirs to some and not to others.

Censoring a batch as a whole gains a leader one view: the next honest one proposes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from custodes.bft.ballots import (
    Ballot,
    Items,
    ballot_fault,
    encode_payload,
    items_digest,
    largest_ballot,
    make_ballot,
    needed,
)
from custodes.bft.core.application import Application, Offer
from custodes.bft.core.columns import ColumnBook
from custodes.bft.core.events import Action, Broadcast, Refused, SetTimer, Timer
from custodes.bft.core.reading import PayloadReader
from custodes.bft.encoding import HASH, MAX_ITEMS, MAX_PAYLOAD
from custodes.bft.errors import DecodeError
from custodes.bft.safety.safety import MAX_COLUMNS
from custodes.bft.votes import BLOCK

if TYPE_CHECKING:
    from custodes.bft.core.desk import Desk
    from custodes.bft.core.events import Root
    from custodes.bft.core.watch import Watch
    from custodes.bft.messages import Block, Column
    from custodes.bft.safeguard import GuardChain
    from custodes.bft.verify import Verifier


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class DutyConfig:
    """Delays of the duty, in the seconds of the driver's clock, and its limits."""

    column_delay: float = 0.01
    """How long a leader that has n - f columns waits for the others, seconds."""
    inclusion_delay: float = 0.25
    """For how long a replica must have held a column to refuse a block without it; at least four message delays."""
    window: int = 64
    """How many undecided batches ahead columns and items are kept: at most n columns each; up to `MAX_COLUMNS`."""
    batches: int = 8
    """Most batches in one block."""
    resent: int = 4
    """How many of the oldest undecided batches are sent again and forwarded at a time."""

    def __post_init__(self) -> None:
        if self.column_delay < 0.0 or not self.inclusion_delay > 0.0:
            raise ValueError("column_delay must be at least 0 and inclusion_delay more than 0 seconds")
        if min(self.window, self.batches, self.resent) < 1:
            raise ValueError("window, batches and resent must be at least 1")
        if self.window > MAX_COLUMNS:
            raise ValueError(f"window must be at most {MAX_COLUMNS}, the columns that outlive a restart")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class BatchVotes:
    """What the local agent submits: its votes on a batch. All honest agents cut events into the same batches."""

    batch: int
    """Number of the batch."""
    items: Items
    """What is voted on, K items."""
    severities: bytes
    """One vote (0 to 3) per item."""
    scores: bytes = b""
    """See `messages.Column`."""
    model: bytes = bytes(32)
    """See `messages.Column`."""


@final
class InclusionDuty(Application):
    """Agrees on ballots. See the module for the rules.

    Args:
        config: Delays and limits.
        verifier: Checks columns; knows the team.
        next_batch: First batch that was not decided when the application was at `Start.applied`.
        lookup: See `Application.lookup`; where committed blocks are stored, if they are.
        guard: What may overrule the vote rule, at the state after the blocks up to `Start.applied`; None for nothing.
    """

    def __init__(
        self,
        config: DutyConfig,
        verifier: Verifier,
        *,
        next_batch: int = 0,
        lookup: Callable[[bytes], Block | None] | None = None,
        guard: GuardChain | None = None,
    ) -> None:
        self._config = config
        self._verifier = verifier
        self._team = verifier.team
        self._next = next_batch
        self._lookup = lookup
        self._guard = guard
        self._items: dict[int, tuple[Items, bytes]] = {}
        self._book = ColumnBook(config.window, verifier.team.n)
        self._payloads = PayloadReader(verifier.team.n, self._book)
        self._ticking = False
        self.turned_down: str | None = None
        """Why the last submission was not taken, if it was not."""

    @property
    def next_batch(self) -> int:
        """The first batch that is not decided by a committed block; batches up to `window` ahead can be submitted."""
        return self._next

    def __len__(self) -> int:
        return len(self._book) + len(self._items)

    def ballots(self, block: Block) -> tuple[Ballot, ...]:
        """What a committed block decides; empty for an empty block."""
        return self._payloads.read(block.payload) if block.payload else ()

    def start(self, applied: Root, desk: Desk, watch: Watch, now: float) -> list[Action]:
        """See `Application.start`."""
        self._desk, self._watch = desk, watch
        for column in desk.columns:
            if column.batch >= self._next:
                # Perhaps nobody holds it any more: all may have restarted.
                desk.column(
                    batch=column.batch,
                    items_digest=column.items_digest,
                    severities=column.severities,
                    scores=column.scores,
                    model=column.model,
                )
        return []

    def submit(self, work: object, now: float) -> list[Action]:
        """Takes a `BatchVotes`, or a tuple of them, and asks for the signatures of the columns, which wait for the disk
        together; `turned_down` says why one was not taken, the last one if there are several.
        """
        self.turned_down = None
        for votes in work if isinstance(work, tuple) else (work,):
            reason = self._take(votes)
            if reason is not None:
                self.turned_down = reason
        return []

    def signed(self, column: Column, now: float) -> list[Action]:
        """See `Application.signed`."""
        self._book.add(column, now, self._next)
        self._book.sent(column, now)
        return self._tick()

    def receive(self, sender: int, column: Column, now: float) -> list[Action]:
        """Takes a column from anyone: it speaks for its agent by its signature."""
        if not self._next <= column.batch < self._next + self._config.window:
            return []
        if not 0 <= column.agent < self._team.n:
            return [Refused(sender=sender, reason="column of no agent")]
        known = self._book.get(column.batch, column.agent)
        if known == column:
            return []
        fault = self._verifier.column_fault(column)
        if fault is not None:
            return [Refused(sender=sender, reason=fault)]
        self._watch.see(column)
        if known is None:
            self._book.add(column, now, self._next)
        return self._tick()

    def pending(self) -> bool:
        """Says whether a column of an undecided batch is here."""
        return bool(self._book)

    def offer(self, chain: Sequence[Block], now: float) -> Offer:
        """Offers the next batches that have all columns, or enough and waited long enough for the others."""
        ballots: list[Ballot] = []
        first = self._after(chain)
        for batch in range(first, first + self._config.batches):
            columns, wait = self._ready(batch, now)
            if columns is None or (wait > 0.0 and ballots):
                break
            if wait > 0.0:
                return Offer(payload=b"", wait=wait)
            ballots.append(make_ballot(self._team, batch, self._items[batch][0], columns))
        payload, fitting = _fit(self._judged(chain, tuple(ballots)))
        if payload:
            self._payloads.note(payload, fitting)
        return Offer(payload=payload)

    def validate(self, block: Block, chain: Sequence[Block], now: float) -> str | None:
        """See `Application.validate`: order, exactly once, form, signatures, decisions, and the duty."""
        if not block.payload:
            return None
        try:
            ballots = self._payloads.read(block.payload)
        except DecodeError as error:
            return error.what
        for expected, ballot in enumerate(ballots, self._after(chain)):
            if ballot.batch != expected:
                return "batch is not the next one"
            fault = ballot_fault(self._verifier, ballot)
            if fault is not None:
                return fault
            if self._left_out(ballot, now, self._config.inclusion_delay):
                return "block leaves out a column that was held for long"
        # Last, as it is the dearest, and as the safeguard judges nothing but ballots that hold.
        if tuple(ballots) != self._judged(chain, tuple(ballots)):
            return "actions are not those of the safeguard"
        return None

    def refused(self, block: Block, now: float) -> list[Action]:
        """Forwards to everyone what the block left out, so that no later leader lacks it."""
        try:
            ballots = self._payloads.read(block.payload)
        except DecodeError:
            return []
        known = [ballot for ballot in ballots if self._next <= ballot.batch < self._next + self._config.window]
        left_out = [column for ballot in known for column in self._left_out(ballot, now, 0.0)]
        return [Broadcast(message=column) for column in left_out]

    def commit(self, block: Block) -> None:
        """Notes which batches are decided."""
        if not block.payload:
            return
        if self._guard is not None:
            self._guard.commit(self.ballots(block))
        # A valid payload begins with the number of its batches.
        self._next += block.payload[0]
        self._book.drop(self._next)
        for batch in [batch for batch in self._items if batch < self._next]:
            del self._items[batch]
        self._watch.advance(batch=self._next)

    def period(self, now: float) -> list[Action]:
        """Forwards what was held for a quarter of the inclusion delay; sends own columns again."""
        self._ticking = False
        quarter = self._config.inclusion_delay / 4
        due = self._book.due(self._config.resent, now, quarter, self._config.inclusion_delay, self._desk.index)
        actions: list[Action] = [Broadcast(message=column) for column in due]
        return actions + self._tick()

    def lookup(self, block: bytes) -> Block | None:
        """See `Application.lookup`."""
        return None if self._lookup is None else self._lookup(block)

    def _take(self, votes: object) -> str | None:
        """Asks for the signature of one column; returns why it does not."""
        if not isinstance(votes, BatchVotes):
            return "not votes on a batch"
        reason = _misfit(votes, self._team.n)
        if reason is not None:
            return reason
        if not self._next <= votes.batch < self._next + self._config.window:
            return "batch is decided already or too far ahead"
        digest = items_digest(votes.batch, votes.items)
        self._items.setdefault(votes.batch, (votes.items, digest))
        return self._desk.column(
            batch=votes.batch, items_digest=digest, severities=votes.severities, scores=votes.scores, model=votes.model
        )

    def _judged(self, chain: Sequence[Block], ballots: tuple[Ballot, ...]) -> tuple[Ballot, ...]:
        """Ballots with the actions that stand after the safeguard; without one there are none."""
        if self._guard is None:
            return tuple([replace(each, guard=b"", actions=b"") if each.guard else each for each in ballots])
        return self._guard.judged([self.ballots(block) for block in chain], ballots)

    def _after(self, chain: Sequence[Block]) -> int:
        return self._next + sum(block.payload[0] for block in chain if block.payload)

    def _ready(self, batch: int, now: float) -> tuple[tuple[Column | None, ...] | None, float]:
        """The columns of a batch if there are enough, and how long it is worth to wait for more, seconds."""
        if batch not in self._items:
            return None, 0.0
        items, digest = self._items[batch]
        columns, since = self._book.fitting(batch, digest, len(items))
        if len(since) < needed(self._team):
            return None, 0.0
        if len(since) == self._team.n:
            return columns, 0.0
        return columns, since[needed(self._team) - 1] + self._config.column_delay - now

    def _left_out(self, ballot: Ballot, now: float, delay: float) -> list[Column]:
        missing = [agent for agent, column in enumerate(ballot.columns) if column is None]
        if not missing:
            return []
        digest = items_digest(ballot.batch, ballot.items)
        return self._book.held(ballot.batch, missing, digest, len(ballot.items), now - delay)

    def _tick(self) -> list[Action]:
        if self._ticking or not self._book:
            return []
        self._ticking = True
        return [SetTimer(kind=Timer.COLUMNS, view=0, delay=self._config.inclusion_delay / 4)]


def _misfit(work: BatchVotes, n: int) -> str | None:
    """Why these votes can never stand in a ballot: signed, they would hold up all later batches."""
    items, count = work.items, len(work.items)
    if not 1 <= count <= MAX_ITEMS or not len(items.entities) == len(items.times) == 8 * count:
        return f"not between 1 and {MAX_ITEMS} items with an entity and a time each"
    if largest_ballot(count, n) > MAX_PAYLOAD:
        return "too many items for one block of this team"
    if len(work.severities) != count or len(work.scores) not in (0, 2 * count):
        return "not one vote (and score, if any) per item"
    if max(work.severities) > BLOCK or len(work.model) != HASH:
        return "a vote that is no severity, or a model digest that is none"
    return None


def _fit(ballots: tuple[Ballot, ...]) -> tuple[bytes, tuple[Ballot, ...]]:
    """The payload of as many ballots as fit into one, and these."""
    while ballots:
        try:
            return encode_payload(ballots), ballots
        except DecodeError:
            ballots = ballots[:-1]
    return b"", ()
