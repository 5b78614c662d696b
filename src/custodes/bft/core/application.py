"""What the agreement is about: the hooks through which a replica asks for payloads, checks them and hands them over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from custodes.bft.core.desk import Desk
    from custodes.bft.core.events import Action, Root
    from custodes.bft.core.watch import Watch
    from custodes.bft.messages import Block, Column

EMPTY = b""
"""The payload of a block that decides nothing."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What the application would put into the next block of this leader."""

    payload: bytes
    """The payload; empty when there is nothing to decide."""
    wait: float = 0.0
    """Seconds for which it is worth waiting for more; the leader asks again when they are over or something arrives."""


class Application(ABC):
    """Decides what a payload means. All hooks are called inside `Replica.step`, must not block and must not raise.

    `chain` is always the uncommitted ancestors of the block in question, oldest first (empty when its parent is the
    last committed block): what a block may say depends on them and on what is committed, never on the latter alone.
    """

    @abstractmethod
    def offer(self, chain: Sequence[Block], now: float) -> Offer:
        """Says what this replica would propose after `chain`."""

    @abstractmethod
    def validate(self, block: Block, chain: Sequence[Block], now: float) -> str | None:
        """Checks the payload of a block after `chain`; returns why this replica does not vote for it."""

    @abstractmethod
    def commit(self, block: Block) -> None:
        """Notes that a block is committed; called in order, exactly once for each block after the applied one."""

    def refused(self, block: Block, now: float) -> list[Action]:
        """Called after `validate` gave a reason; returns messages that help a next leader do better."""
        return []

    def start(self, applied: Root, desk: Desk, watch: Watch, now: float) -> list[Action]:
        """Called once, first.

        Args:
            applied: What the application itself said that it applied last.
            desk: The way to the signatures of columns.
            watch: To be shown every column whose signature was found good.
            now: Time, seconds.
        """
        return []

    def submit(self, work: Any, now: float) -> list[Action]:
        """Takes what the local agent submits; may ask the desk for the signature of a column."""
        return []

    def signed(self, column: Column, now: float) -> list[Action]:
        """Takes a column that the desk was asked for; the replica broadcasts it."""
        return []

    def receive(self, sender: int, column: Column, now: float) -> list[Action]:
        """Takes a column from a peer, not yet checked in any way; returns messages to send, refusals."""
        return []

    def period(self, now: float) -> list[Action]:
        """Called when the COLUMNS timer fires; returns messages to send again and, if wanted, a new COLUMNS timer."""
        return []

    def pending(self) -> bool:
        """Says whether something waits to be decided (only asked when there is no heartbeat)."""
        return False

    def lookup(self, block: bytes) -> Block | None:
        """Returns a committed block that the core no longer holds, for a peer that lags, if it is stored.

        After a restart the core holds no committed block, so a replica of which nobody stores what it lacks cannot
        catch up by blocks: whoever keeps certificates of all decisions keeps the blocks in them.
        """
        return None
