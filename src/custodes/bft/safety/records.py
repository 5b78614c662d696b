"""What a replica writes down before it signs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, final

from custodes.bft.messages import Block, Column, Qc, Tc
from custodes.bft.safety.state import SafetyState


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class VoteRecord:
    """About to vote for a block. The whole block is kept, so that it survives a restart of everybody."""

    block: Block
    """What the vote is for."""
    id: bytes
    """Its id (32 bytes)."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TimeoutRecord:
    """About to give up on a view."""

    view: int
    """The view."""
    high_qc: Qc
    """The certificate that the timeout will show."""
    tc: Tc | None
    """The timeout certificate that it will carry."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ProposalRecord:
    """About to propose a block."""

    view: int
    """Its view."""
    id: bytes
    """Its id (32 bytes)."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnRecord:
    """About to sign one's votes on a batch."""

    column: Column
    """The votes; the signature is empty."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class CommitRecord:
    """A block was committed: nothing of its height or below needs to be kept. Not made durable by itself."""

    height: int
    """Height of the committed block."""
    id: bytes
    """Its id (32 bytes)."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class AbstainRecord:
    """Released records were lost: anything may have been signed up to here."""

    view: int
    """Nothing is signed in this view or an earlier one, nor is a timeout that shows less than this view - 1."""
    batch: int
    """No votes on this batch or an earlier one are signed; -1 for none."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotRecord:
    """All that earlier records say."""

    state: SafetyState
    """What was signed."""
    blocks: tuple[Block, ...] = field(default=())
    """Blocks above the committed height that were voted for, in the order of their votes."""
    columns: tuple[Column, ...] = field(default=())
    """The agent's votes on its last batches, ascending; their signatures are empty."""


Record: TypeAlias = (
    VoteRecord | TimeoutRecord | ProposalRecord | ColumnRecord | CommitRecord | AbstainRecord | SnapshotRecord
)
