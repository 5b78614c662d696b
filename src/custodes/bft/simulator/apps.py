"""Applications of simulated replicas: the real ballots, and a payload that only tells twins apart."""

from __future__ import annotations

from collections.abc import Sequence
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


def balloting(applied: Sequence[Deliver], verifier: Verifier) -> Application:
    """The ballots of a replica that has applied these blocks.

    Args:
        applied: Everything that its application has stored.
        verifier: Checks columns.
    """
    decided = sum(deliver.block.payload[0] for deliver in applied if deliver.block.payload)
    return InclusionDuty(DUTY, verifier, next_batch=decided)
