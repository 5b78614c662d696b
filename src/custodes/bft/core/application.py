"""What the agreement is about: the hooks through which a replica asks for payloads, checks them and hands them over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from custodes.bft.core.events import Action, Root
    from custodes.bft.messages import Block, Message

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

    `chain` is always the uncommitted ancestors of the block in question, oldest first (empty when its parent is the last
    committed block): what a block may say depends on them and on what is committed, never on the committed state alone.
    """

    @abstractmethod
    def offer(self, chain: Sequence[Block], now: float) -> Offer:
        """Says what this replica would propose after `chain`."""

    @abstractmethod
    def validate(self, payload: bytes, chain: Sequence[Block], now: float) -> str | None:
        """Checks the payload of a block that would follow `chain`; returns why this replica does not vote for it."""

    @abstractmethod
    def commit(self, block: Block) -> None:
        """Notes that a block is committed; called in order, exactly once for each block after the applied one."""

    def start(self, applied: Root) -> list[Action]:  # noqa: B027, D102 - see below
        """Called once, first: what the application itself said that it applied last."""
        return []

    def submit(self, work: Any, now: float) -> list[Action]:
        """Takes what the local agent submits; returns messages to send."""
        return []

    def receive(self, sender: int, message: Message, now: float) -> list[Action]:
        """Takes a message that is not the core's (columns); returns messages to send, reports, refusals."""
        return []

    def period(self, now: float) -> list[Action]:
        """Called when the COLUMNS timer fires; returns messages to send again and, if wanted, a new COLUMNS timer."""
        return []

    def pending(self) -> bool:
        """Says whether something waits to be decided (only asked when there is no heartbeat)."""
        return False

    def lookup(self, block: bytes) -> Block | None:
        """Returns a committed block that the core no longer holds, for a peer that lags, if it is stored."""
        return None
