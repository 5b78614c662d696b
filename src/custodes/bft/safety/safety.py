"""The one holder of a replica's key: checks the rules, writes down, makes durable, and only then signs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, TypeVar, final

from custodes.bft import statements
from custodes.bft.crypto import Signer
from custodes.bft.messages import NO_TC, Block, Column, Message, Proposal, Qc, Tc, Timeout, Vote
from custodes.bft.safety import rules
from custodes.bft.safety.log import Log
from custodes.bft.safety.records import (
    AbstainRecord,
    ColumnRecord,
    CommitRecord,
    ProposalRecord,
    Record,
    SnapshotRecord,
    TimeoutRecord,
    VoteRecord,
)
from custodes.bft.safety.state import SafetyState
from custodes.bft.team import Team
from custodes.bft.verify import MAX_VIEW, Verifier

MAX_KEPT: Final = 256
"""Voted blocks above the committed height that are kept for a restart; the oldest go first."""
MAX_COLUMNS: Final = 64
"""The last columns, which are kept for a restart: no more batches than these may be open."""

M = TypeVar("M", bound=Message)


class Refused(Exception):  # noqa: N818 (an answer of the rules, not an error)
    """The rules forbid a signature. Nothing was written or signed."""

    @property
    def reason(self) -> str:
        """Why."""
        return str(self.args[0])


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """A statement that is written down but not signed yet."""

    sequence: int
    """Number of its record in the log."""
    statement: bytes
    """What will be signed."""
    message: Vote | Timeout | Proposal | Column
    """What will carry the signature."""


@final
class SafetyRules:
    """Signs for one replica, and nothing that conflicts with what it signed before, across any crash.

    Every statement passes through here: votes (also those after a timeout), timeouts, proposals, columns. Each has two
    steps, so that a process can do other work while the disk does its own, and make several records durable at once:

        ticket = safety.prepare_vote(block)     # checks the rules, appends the record
        safety.sync()                           # one fdatasync for all that was prepared
        vote = safety.release(ticket)           # signs

    `sign_vote` and the others do all three. An identical request gets the same signature without a second record.

    Args:
        team: Whose chain it signs for.
        index: Which replica it signs as.
        signer: The key; handed to nobody else.
        log: The write-ahead log, opened; its records are read here.
        verifier: Checks the certificates that a vote or timeout rests on, so that no caller can forget to.
    """

    __slots__ = (
        "_blocks",
        "_columns",
        "_log",
        "_sequence",
        "_signer",
        "_state",
        "_synced",
        "_verifier",
        "index",
        "team",
    )

    def __init__(self, *, team: Team, index: int, signer: Signer, log: Log, verifier: Verifier) -> None:
        self.team = team
        self.index = index
        self._signer = signer
        self._log = log
        self._verifier = verifier
        self._state = SafetyState(high_qc=statements.genesis_qc(team))
        self._blocks: dict[bytes, Block] = {}
        self._columns: dict[int, Column] = {}
        for record in log.records():
            self._take(record)
        # All that was read is acknowledged only after it is durable: a replica that was killed may have left it so.
        self._sequence = self._synced = log.sync()

    @property
    def state(self) -> SafetyState:
        """What was signed so far."""
        return self._state

    @property
    def blocks(self) -> tuple[Block, ...]:
        """Blocks above the committed height that it voted for, in the order of the votes."""
        return tuple(self._blocks.values())

    @property
    def columns(self) -> tuple[Column, ...]:
        """This agent's votes on its last batches, ascending, without signatures: the same request signs them again."""
        return tuple(self._columns.values())

    def prepare_vote(self, block: Block) -> Ticket:
        """Write down a vote.

        Raises:
            Refused: The block is not well formed, or the rules forbid the vote.
        """
        name = statements.block_id(self.team, block)
        state = self._state
        high = NO_TC if block.tc is None else block.tc.high
        if name != state.voted_block or block.view != state.voted_view:
            reason = rules.vote_refusal(state, block) or self._verifier.block_fault(block)
            if reason is not None:
                raise Refused(reason)
            self._write(VoteRecord(block=block, id=name), view=block.view)
        vote = Vote(view=block.view, block=name, qc_view=block.qc.view, tc_high=high, voter=self.index, signature=b"")
        return self._ticket(statements.statement_of_vote(self.team, vote), vote)

    def prepare_timeout(self, view: int, high_qc: Qc, tc: Tc | None) -> Ticket:
        """Write down that a view is given up. For a view that was given up already, what was shown then is shown again.

        Raises:
            Refused: A certificate is not valid, or the rules forbid it.
        """
        state = self._state
        if view == state.timeout_view and state.timeout_qc is not None:
            high_qc, tc = state.timeout_qc, state.timeout_tc
        else:
            reason = "view out of range" if not 1 <= view <= MAX_VIEW else None
            reason = reason or rules.timeout_refusal(state, view, high_qc) or self._verifier.qc_fault(high_qc)
            reason = reason or (self._verifier.tc_fault(tc) if tc is not None else None)
            if reason is not None:
                raise Refused(reason)
            self._write(TimeoutRecord(view=view, high_qc=high_qc, tc=tc), view=view)
        timeout = Timeout(view=view, high_qc=high_qc, tc=tc, voter=self.index, signature=b"")
        return self._ticket(statements.statement_of_timeout(self.team, timeout), timeout)

    def prepare_proposal(self, block: Block) -> Ticket:
        """Write down a proposal.

        Raises:
            Refused: It is not this replica's turn, the block is not well formed, or the rules forbid it.
        """
        name = statements.block_id(self.team, block)
        state = self._state
        if name != state.proposed_block or block.view != state.proposed_view:
            reason = "another replica leads this view" if block.proposer != self.index else None
            reason = reason or rules.proposal_refusal(state, block.view) or self._verifier.block_fault(block)
            if reason is not None:
                raise Refused(reason)
            self._write(ProposalRecord(view=block.view, id=name), view=block.view)
        statement = statements.proposal_statement(self.team, block.view, name)
        return self._ticket(statement, Proposal(block=block, signature=b""))

    def prepare_column(
        self, *, batch: int, items_digest: bytes, severities: bytes, scores: bytes = b"", model: bytes = bytes(32)
    ) -> Ticket:
        """Write down this agent's votes on a batch; the parameters are fields of `Column`.

        Raises:
            Refused: Votes on this batch or a later one were signed already, and are not these (or no longer kept).
        """
        column = Column(
            agent=self.index,
            batch=batch,
            items_digest=items_digest,
            severities=severities,
            scores=scores,
            model=model,
            signature=b"",
        )
        if column != self._columns.get(batch):
            reason = rules.column_refusal(self._state, batch) if batch <= MAX_VIEW else "batch out of range"
            if reason is not None:
                raise Refused(reason)
            self._write(ColumnRecord(column=column), batch=batch)
        return self._ticket(statements.statement_of_column(self.team, column), column)

    def sync(self) -> None:
        """Make all that was prepared before this call durable. May run in another thread than the rest.

        Raises:
            BftError: The disk failed; this replica must stop.
        """
        durable = self._log.sync()
        self._synced = max(self._synced, durable)

    def release(self, ticket: Ticket) -> Vote | Timeout | Proposal | Column:
        """Sign what is durable.

        Raises:
            Refused: It is not durable yet.
        """
        if ticket.sequence > self._synced:
            raise Refused("not durable yet")
        return replace(ticket.message, signature=self._signer.sign(ticket.statement))

    def sign_vote(self, block: Block) -> Vote:
        """Vote for a block; raises as `prepare_vote`."""
        return self._now(self.prepare_vote(block), Vote)

    def sign_timeout(self, view: int, high_qc: Qc, tc: Tc | None) -> Timeout:
        """Give up on a view; raises as `prepare_timeout`."""
        return self._now(self.prepare_timeout(view, high_qc, tc), Timeout)

    def sign_proposal(self, block: Block) -> Proposal:
        """Propose a block; raises as `prepare_proposal`."""
        return self._now(self.prepare_proposal(block), Proposal)

    def sign_column(
        self, *, batch: int, items_digest: bytes, severities: bytes, scores: bytes = b"", model: bytes = bytes(32)
    ) -> Column:
        """Sign this agent's votes on a batch; raises as `prepare_column`."""
        ticket = self.prepare_column(
            batch=batch, items_digest=items_digest, severities=severities, scores=scores, model=model
        )
        return self._now(ticket, Column)

    def committed(self, height: int, block: bytes) -> None:
        """Note that blocks up to a height are committed, so that they need not be kept here. Not made durable at once.

        Whoever applies decisions must have made them durable before it calls this.
        """
        if height > self._state.committed_height:
            self._write(CommitRecord(height=height, id=block))

    def _now(self, ticket: Ticket, kind: type[M]) -> M:
        if ticket.sequence > self._synced:
            self.sync()
        message = self.release(ticket)
        assert isinstance(message, kind)
        return message

    def _ticket(self, statement: bytes, message: Vote | Timeout | Proposal | Column) -> Ticket:
        # An identical request waits for the newest record: a little longer than needed, never less.
        return Ticket(sequence=self._sequence, statement=statement, message=message)

    def _write(self, record: Record, *, view: int = 0, batch: int = -1) -> None:
        if self._log.wants_snapshot():
            self._sequence = self._log.compact(
                SnapshotRecord(state=self._state, blocks=self.blocks, columns=self.columns)
            )
            self._synced = self._sequence
        self._log.reserve(view, batch)
        self._sequence = self._log.append(record)
        self._take(record)

    def _take(self, record: Record) -> None:
        self._state = rules.apply(self._state, record)
        if isinstance(record, VoteRecord):
            self._blocks[record.id] = record.block
            if len(self._blocks) > MAX_KEPT:
                del self._blocks[next(iter(self._blocks))]
        elif isinstance(record, ColumnRecord):
            self._columns[record.column.batch] = record.column
            if len(self._columns) > MAX_COLUMNS:
                del self._columns[next(iter(self._columns))]
        elif isinstance(record, AbstainRecord):
            # In a log from a backup there may be one that a crash took later, so that another was signed instead.
            self._columns = {}
        elif isinstance(record, CommitRecord):
            self._drop(record.height)
        elif isinstance(record, SnapshotRecord):
            self._blocks = {statements.block_id(self.team, block): block for block in record.blocks}
            self._columns = {column.batch: column for column in record.columns}

    def _drop(self, height: int) -> None:
        gone = [name for name, block in self._blocks.items() if block.height <= height]
        for name in gone:
            del self._blocks[name]
