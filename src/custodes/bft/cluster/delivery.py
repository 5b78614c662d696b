"""From a committed block to an applied one: into the journal, into the application's state, told, durable.

This is the application's part, and nobody waits for it: it is done after the messages of the step that committed the
block have left, so that a leader's next proposal does not wait for what came of the last ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, final

from custodes.bft.ballots import Ballot
from custodes.bft.certificates import make_certificate
from custodes.bft.cluster.applied import Applied
from custodes.bft.cluster.disk import Disk
from custodes.bft.cluster.journal import Journal
from custodes.bft.cluster.records import Entry
from custodes.bft.core.events import Deliver, Root
from custodes.bft.messages import Block
from custodes.bft.safety import SafetyRules
from custodes.bft.statements import block_id
from custodes.bft.team import Team

JOURNAL_SECONDS: Final = 0.05
"""How long applied blocks may wait for the journal's disk: one wait serves all of them."""
JOURNAL_BLOCKS: Final = 128
"""How many blocks may wait for it; the log keeps twice as many."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A committed block, as told to whoever listens; as durable as the replica was asked to be."""

    root: Root
    """Height, view and id."""
    ballots: tuple[Ballot, ...]
    """What it decides; empty for an empty block."""
    notes: tuple[dict[str, Any], ...] = ()
    """A JSON object for every decision that the safeguard overruled: `batch`, `item` and what the safeguard says."""


@final
class Delivery:
    """Applies committed blocks in their order.

    Args:
        team: Whose blocks.
        read: What a block decides.
        safety: Told what its log need not keep any more.
        journal: Where blocks are kept.
        applied: What they come to.
        durable: Whether the log keeps blocks until the journal's disk has them.
        tell: Called with every block that is applied.
        failed: Called when the files cannot be used.
    """

    def __init__(
        self,
        *,
        team: Team,
        read: Callable[[Block], tuple[Ballot, ...]],
        safety: SafetyRules,
        journal: Journal,
        applied: Applied,
        durable: bool,
        tell: Callable[[Decided], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._team, self._read, self._safety = team, read, safety
        self._journal, self._applied = journal, applied
        self._durable, self._tell, self._failed = durable, tell, failed
        self._waiting: list[Deliver] = []
        self._unsynced: deque[Root] = deque()
        self._ended = False

    def start(self, loop: asyncio.AbstractEventLoop, disk: Disk) -> None:
        """Work on this loop from now on."""
        self._loop, self._disk = loop, disk

    def add(self, action: Deliver) -> None:
        """Take a committed block."""
        self._waiting.append(action)

    def soon(self) -> None:
        """Apply what was taken, after everything that was to be sent before this call."""
        if self._waiting:
            self._loop.call_soon(self._run)

    def drop(self) -> None:
        """Apply nothing more."""
        self._waiting.clear()
        self._ended = True

    def end(self) -> None:
        """Apply what is still waiting, and nothing after it.

        Raises:
            BftError: The journal cannot be used.
        """
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            self._apply(action)
        self.drop()

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            for action in waiting:
                if self._ended:
                    return
                self._apply(action)
        except Exception as error:
            self._failed(error)

    def _apply(self, action: Deliver) -> None:
        """Apply a block and tell it; the log need not keep it any more when it is durable in the journal.

        It is durable already when it is told: a quorum voted for its child, and each of them has written both to its
        log and waited for the disk before. After a loss of power everywhere it is committed again from there.
        """
        block = action.block
        root = Root(block=block_id(self._team, block), height=block.height, view=block.view)
        certificate = make_certificate(self._team, (block, *action.descendants), action.qc)
        self._journal.append(Entry(root=root, block=block, certificate=certificate), self._applied.dump)
        ballots = self._read(block)
        notes = self._applied.apply(ballots)
        self._tell(Decided(root=root, ballots=ballots, notes=notes))
        if not self._durable:
            self._safety.committed(root.height, root.block)
            return
        self._unsynced.append(root)
        if len(self._unsynced) == 1:
            self._loop.call_later(JOURNAL_SECONDS, self._sync)
        elif len(self._unsynced) >= JOURNAL_BLOCKS:
            self._synced(self._journal.sync())

    def _sync(self) -> None:
        if not self._ended:
            self._disk.request(self._journal.sync, self._synced)

    def _synced(self, height: int) -> None:
        """The journal's disk holds all blocks up to a height."""
        last = None
        while self._unsynced and self._unsynced[0].height <= height:
            last = self._unsynced.popleft()
        if last is None or self._ended:
            return
        try:
            self._safety.committed(last.height, last.block)
        except Exception as error:
            self._failed(error)
        if self._unsynced:
            self._loop.call_later(JOURNAL_SECONDS, self._sync)
