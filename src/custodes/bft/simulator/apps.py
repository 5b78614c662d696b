"""Applications of simulated replicas: the real ballots, and a payload that only tells twins apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

from custodes.bft.core.application import Application, Offer
from custodes.bft.core.duty import DutyConfig, InclusionDuty
from custodes.bft.core.events import Deliver
from custodes.bft.messages import Block
from custodes.bft.simulator.scenario import DELTA
from custodes.bft.verify import Verifier

DUTY: Final = DutyConfig(column_delay=DELTA, inclusion_delay=6.0 * DELTA)
"""Delays of the inclusion duty, in units."""


@final
class Tagged(Application):
    """Puts a few fixed bytes into every block and accepts any: twins that lead one view differ in these.

    Args:
        tag: The bytes.
    """

    def __init__(self, tag: bytes) -> None:
        self._tag = tag

    def offer(self, chain: Sequence[Block], now: float) -> Offer:
        """Always the same bytes, at once."""
        return Offer(payload=self._tag)

    def validate(self, block: Block, chain: Sequence[Block], now: float) -> str | None:
        """Any bytes will do."""
        return None

    def commit(self, block: Block) -> None:
        """Nothing to do."""


@final
class Keeping(Application):
    """An application whose applied blocks are stored, so that peers that lag behind can be given them.

    Args:
        inner: The application proper.
        blocks: Stored blocks by id; grows while the replica lives.
    """

    def __init__(self, inner: Application, blocks: Mapping[bytes, Block]) -> None:
        self._inner = inner
        self._blocks = blocks
        # Hooks that add nothing are the inner one's own: they are called for every message.
        for hook in (
            "offer",
            "validate",
            "commit",
            "refused",
            "start",
            "submit",
            "signed",
            "receive",
            "period",
            "pending",
        ):
            setattr(self, hook, getattr(inner, hook))

    def offer(self, chain: Sequence[Block], now: float) -> Offer:
        """The inner one's."""
        return self._inner.offer(chain, now)

    def validate(self, block: Block, chain: Sequence[Block], now: float) -> str | None:
        """The inner one's."""
        return self._inner.validate(block, chain, now)

    def commit(self, block: Block) -> None:
        """The inner one's."""
        self._inner.commit(block)

    def lookup(self, block: bytes) -> Block | None:
        """A stored block."""
        return self._blocks.get(block)


def balloting(applied: Sequence[Deliver], verifier: Verifier) -> Application:
    """The ballots of a replica that has applied these blocks.

    Args:
        applied: Everything that its application has stored.
        verifier: Checks columns.
    """
    decided = sum(deliver.block.payload[0] for deliver in applied if deliver.block.payload)
    return InclusionDuty(DUTY, verifier, next_batch=decided)
