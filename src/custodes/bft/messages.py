"""What replicas say to each other. Plain values: nothing is checked when one is made (see `verify`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias, final

NO_TC = -1
"""`tc_high` of a vote for a block without a timeout certificate."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Qc:
    """Quorum certificate: a quorum voted for one block. That of genesis has no signatures and view 0."""

    view: int
    """View of the certified block, 0 for genesis."""
    block: bytes
    """Id of the certified block (32 bytes)."""
    qc_view: int
    """View of the certificate that the certified block carries; -1 for genesis."""
    tc_high: int
    """Largest high view in the certified block's timeout certificate, or `NO_TC`."""
    signers: tuple[int, ...]
    """Replica indices, ascending and distinct."""
    signatures: tuple[bytes, ...]
    """Ed25519 signature of each signer over the one vote statement (64 bytes each)."""
    _digest: bytes | None = field(default=None, init=False, compare=False, repr=False)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Tc:
    """Timeout certificate: a quorum gave up on a view."""

    view: int
    """The view that was given up."""
    signers: tuple[int, ...]
    """Replica indices, ascending and distinct."""
    high_views: tuple[int, ...]
    """For each signer, the view of the highest quorum certificate that it knew."""
    signatures: tuple[bytes, ...]
    """Ed25519 signature of each signer over its own timeout statement (64 bytes each)."""
    _digest: bytes | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def high(self) -> int:
        """The largest high view; the next block must not rest on less."""
        return max(self.high_views, default=NO_TC)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A proposal's content. `statements.block_id` names it."""

    view: int
    """View in which it is proposed, from 1."""
    height: int
    """Number of blocks between it and genesis (height 0), plus 1."""
    parent: bytes
    """Id of the block before it (32 bytes)."""
    proposer: int
    """Index of the replica that made it."""
    qc: Qc
    """Certificate of the parent."""
    tc: Tc | None
    """Timeout certificate of view - 1; given exactly when `qc.view` is not view - 1."""
    payload: bytes
    """Ballots (`ballots.decode_payload`); empty for an empty block."""
    _id: tuple[bytes, bytes] | None = field(default=None, init=False, compare=False, repr=False)
    _header: Header | None = field(default=None, init=False, compare=False, repr=False)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """A block with digests in place of its large parts; it has the block's id."""

    view: int
    """As in `Block`."""
    height: int
    """As in `Block`."""
    parent: bytes
    """As in `Block`."""
    proposer: int
    """As in `Block`."""
    qc: bytes
    """Digest of the quorum certificate (32 bytes)."""
    tc: bytes
    """Digest of the timeout certificate (32 bytes), zeros for none."""
    payload: bytes
    """SHA-256 of the payload."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A block with its leader's signature."""

    block: Block
    """What is proposed."""
    signature: bytes
    """Ed25519 signature of `block.proposer` over the proposal statement."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """A replica's vote for one block, which says by itself on what certificates that block rests."""

    view: int
    """View of the block."""
    block: bytes
    """Id of the block (32 bytes)."""
    qc_view: int
    """View of the certificate that the block carries."""
    tc_high: int
    """Largest high view of the block's timeout certificate, or `NO_TC`."""
    voter: int
    """Replica index."""
    signature: bytes
    """Ed25519 signature over the vote statement."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Timeout:
    """A replica gives up on a view and says how far it knows the chain."""

    view: int
    """The view that is given up."""
    high_qc: Qc
    """Highest quorum certificate that the sender knows; its view is signed."""
    tc: Tc | None
    """Timeout certificate that let the sender into the view, if one did (not signed: it proves itself)."""
    voter: int
    """Replica index."""
    signature: bytes
    """Ed25519 signature over the timeout statement."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """The certificates that a replica stands on, for a peer that lags behind."""

    high_qc: Qc
    """Highest quorum certificate that the sender knows."""
    tc: Tc | None
    """Highest timeout certificate that the sender knows, if it is of a higher view."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Fetch:
    """A question for a block and its ancestors."""

    block: bytes
    """Id of the wanted block (32 bytes)."""
    floor: int
    """Height down to which (exclusive) ancestors are wanted as well."""
    limit: int
    """At most how many blocks, 1 to `encoding.MAX_BLOCKS`."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Blocks:
    """The answer to `Fetch`: the wanted block first, then its parent, and so on."""

    blocks: tuple[Block, ...]
    """Descending heights, without gaps."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """An agent's signed votes on one batch of items."""

    agent: int
    """Replica index of the agent."""
    batch: int
    """Number of the batch, from 0."""
    items_digest: bytes
    """SHA-256 of the batch's items (`ballots.items_digest`)."""
    severities: bytes
    """One vote (0 to 3) per item."""
    scores: bytes
    """Empty, or a little-endian u16 per item: the agent's score times 65,535. Carries no weight in the decision."""
    model: bytes
    """SHA-256 of the model that voted, or 32 zero bytes."""
    signature: bytes
    """Ed25519 signature over the column statement."""
    _digest: bytes | None = field(default=None, init=False, compare=False, repr=False)


Message: TypeAlias = Proposal | Vote | Timeout | Status | Fetch | Blocks | Column
