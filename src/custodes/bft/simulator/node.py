"""An honest replica with its disk: what survives a crash, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from custodes.bft import statements
from custodes.bft.core.application import Application
from custodes.bft.core.config import ReplicaConfig
from custodes.bft.core.events import Action, Deliver, Event, Root, Start, Synced
from custodes.bft.core.replica import Replica
from custodes.bft.crypto import Crypto, Signer
from custodes.bft.messages import Block
from custodes.bft.safety import SafetyRules
from custodes.bft.simulator.apps import Keeping
from custodes.bft.simulator.disk import MemoryLog
from custodes.bft.simulator.scenario import BACKOFF, DELTA, TIMEOUT
from custodes.bft.team import Team
from custodes.bft.verify import Verifier


@final
class Node:
    """One honest replica over all its lives.

    Args:
        team: The replicas.
        index: Which one it is.
        crypto: Checks signatures.
        signer: Its key.
        application: Makes the application of a new life, from what was applied and what checks columns.
        config: Its delays and limits; the simulator's when not given.
    """

    def __init__(
        self,
        *,
        team: Team,
        index: int,
        crypto: Crypto,
        signer: Signer,
        application: Callable[[Sequence[Deliver], Verifier], Application],
        config: ReplicaConfig | None = None,
    ) -> None:
        self.index = index
        self.lives = 0
        self.replica: Replica | None = None
        self.log = MemoryLog()
        self._blocks: dict[bytes, Block] = {}
        self.applied: list[tuple[Root, Deliver]] = []
        self._team = team
        self._crypto = crypto
        self._signer = signer
        self._application = application
        self._safety: SafetyRules | None = None
        self._config = configuration(index) if config is None else config

    def start(self, now: float) -> list[Action]:
        """A new life, from what the disk holds."""
        verifier = Verifier(self._team, self._crypto)
        safety = SafetyRules(team=self._team, index=self.index, signer=self._signer, log=self.log, verifier=verifier)
        self._safety = safety
        self.lives += 1
        stored = [deliver for _, deliver in self.applied]
        application = Keeping(self._application(stored, verifier), self._blocks)
        self.replica = Replica(
            config=self._config,
            team=self._team,
            safety=safety,
            crypto=self._crypto,
            application=application,
            verifier=verifier,
        )
        return self.step(Start(applied=self.applied[-1][0] if self.applied else None), now)

    def step(self, event: Event, now: float) -> list[Action]:
        """One step of the current life; nothing while it is down."""
        if self.replica is None:
            return []
        actions = self.replica.step(event, now)
        for action in actions:
            if isinstance(action, Deliver):
                block = action.block
                root = Root(block=statements.block_id(self._team, block), height=block.height, view=block.view)
                self._store(root, action)
        return actions

    def _store(self, root: Root, deliver: Deliver) -> None:
        """Apply a block. It is durable when the next one comes, and not earlier: a crash may take the last one back."""
        self.applied.append((root, deliver))
        self._blocks[root.block] = deliver.block
        if self._safety is not None and len(self.applied) > 1:
            durable = self.applied[-2][0]
            self._safety.committed(durable.height, durable.block)

    def synced(self, now: float) -> list[Action]:
        """The disk has done what the replica asked of it."""
        if self.replica is None or self._safety is None:
            return []
        self._safety.sync()
        return self.step(Synced(), now)

    def crash(self, tear: float) -> int:
        """Lose the memory, what the log had not made durable, and maybe what was applied last.

        Args:
            tear: Share of the log's waiting records that survive; also decides whether the application had stored
                the last block.

        Returns:
            The height that the application will start from.
        """
        self.log.crash(tear)
        self.replica = None
        if tear < 0.5 and self.applied:
            root, _ = self.applied.pop()
            del self._blocks[root.block]
        return len(self.applied)


def configuration(index: int, *, deferred: bool = False) -> ReplicaConfig:
    """Delays of a simulated replica, in units; deferred: records become durable outside its steps."""
    return ReplicaConfig(
        index=index,
        deferred=deferred,
        timeout=TIMEOUT,
        backoff_cap=BACKOFF,
        heartbeat_delay=0.5 * DELTA,
        fetch_delay=2.5 * DELTA,
    )
