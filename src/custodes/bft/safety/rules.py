"""The rules of what may be signed after what, as pure functions, and what a record does to the state."""

from __future__ import annotations

from dataclasses import replace

from custodes.bft.messages import NO_TC, Block, Qc
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
from custodes.bft.verify import basis_fault


def vote_refusal(state: SafetyState, block: Block) -> str | None:
    """Whether a vote for a block may follow what was signed: once per view, never after giving the view up.

    Why this is enough (Jolteon, section 3): a commit of b (view v) rests on a quorum that voted in view v + 1 for a
    block which carries the certificate of b. Each honest one of them shows view >= v in every later timeout, so every
    later timeout certificate has a high view >= v, and no block that rests on less gets an honest vote.
    """
    if block.view <= state.voted_view:
        return "already voted in this view or a later one"
    if block.view <= state.timeout_view:
        return "already gave up on this view or a later one"
    return basis_fault(block.view, block.qc.view, NO_TC if block.tc is None else block.tc.high)


def timeout_refusal(state: SafetyState, view: int, high_qc: Qc) -> str | None:
    """Whether giving up on a view may follow what was signed: never hiding the highest certificate rested on."""
    if view < state.voted_view:
        return "already voted in a later view"
    if view <= state.timeout_view:
        return "already gave up on this view or a later one"
    if high_qc.view < state.high_view:
        return "certificate is lower than one rested on before"
    return "certificate is not of an earlier view" if high_qc.view >= view else None


def proposal_refusal(state: SafetyState, view: int) -> str | None:
    """Whether a proposal may follow what was signed: one per view."""
    return "already proposed in this view or a later one" if view <= state.proposed_view else None


def column_refusal(state: SafetyState, batch: int) -> str | None:
    """Whether votes on a batch may follow what was signed: one column per batch, in order."""
    return "already voted on this batch or a later one" if batch <= state.batch else None


def apply(state: SafetyState, record: Record) -> SafetyState:
    """The state after a record. The same for the running replica and for one that reads its log."""
    if isinstance(record, VoteRecord):
        return _raised(state, record.block.qc, voted_view=record.block.view, voted_block=record.id)
    if isinstance(record, TimeoutRecord):
        return _raised(state, record.high_qc, timeout_view=record.view, timeout_qc=record.high_qc, timeout_tc=record.tc)
    if isinstance(record, ProposalRecord):
        return replace(state, proposed_view=record.view, proposed_block=record.id)
    if isinstance(record, ColumnRecord):
        return replace(state, batch=record.column.batch)
    if isinstance(record, CommitRecord):
        if record.height <= state.committed_height:
            return state
        return replace(state, committed_height=record.height, committed_block=record.id)
    if isinstance(record, AbstainRecord):
        return abstained(state, record.view, record.batch)
    assert isinstance(record, SnapshotRecord)
    return record.state


def abstained(state: SafetyState, view: int, batch: int) -> SafetyState:
    """The largest state that may have been forgotten: as if it had voted in, and given up on, `view`.

    A lost vote was for a view <= `view` and rested on a certificate of a view <= `view` - 1, so this state forbids all
    that any lost state would forbid. Above all a timeout must show `view` - 1 or more: a replica that only kept silent
    until `view` could later deny a certificate that it had helped to commit.
    """
    if view > state.voted_view:
        state = replace(state, voted_view=view, voted_block=b"")
    if view > state.timeout_view:
        state = replace(state, timeout_view=view, timeout_qc=None, timeout_tc=None)
    if view > state.proposed_view:
        state = replace(state, proposed_view=view, proposed_block=b"")
    if batch > state.batch:
        state = replace(state, batch=batch)
    return replace(state, high_view=max(state.high_view, view - 1), abstain_view=max(state.abstain_view, view))


def _raised(state: SafetyState, qc: Qc, **changes: object) -> SafetyState:
    if qc.view > state.high_qc.view:
        changes["high_qc"] = qc
    return replace(state, high_view=max(state.high_view, qc.view), **changes)  # type: ignore[arg-type]
