"""An honest replica with its disk: what survives a crash, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from custodes.bft import statements
from custodes.bft.core.application import Application
from custodes.bft.core.config import ReplicaConfig
from custodes.bft.core.events import Action, Deliver, Event, Root, Start, Synced
from custodes.bft.core.replica import Replica
from custodes.bft.crypto import Crypto, Signer
from custodes.bft.safety import SafetyRules
from custodes.bft.simulator.disk import MemoryLog
from custodes.bft.simulator.scenario import BACKOFF, DELTA, TIMEOUT
from custodes.bft.team import Team
from custodes.bft.verify import Verifier


@final
@dataclass(frozen=True, kw_only=True)
class Parts:
    """What replicas are made of. A seeded defect replaces one of these classes by a broken one."""

    replica: Callable[..., Replica] = Replica
    """Makes a replica, as `Replica`."""
    safety: Callable[..., SafetyRules] = SafetyRules
    """Makes the safety rules, as `SafetyRules`."""
    verifier: Callable[[Team, Crypto], Verifier] = Verifier
    """Makes the verifier, as `Verifier`."""
    log: Callable[[], MemoryLog] = MemoryLog
    """Makes an empty disk."""
    application: Callable[[Application], Application] = lambda application: application
    """Wraps the application of a replica."""


HONEST = Parts()
"""Nothing is broken."""


@final
class Node:
    """One honest replica over all its lives.

    Args:
        team: The replicas.
        index: Which one it is.
        crypto: Checks signatures.
        signer: Its key.
        application: Makes the application of a new life, from what was applied and what checks columns.
        parts: What it is made of.
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
        parts: Parts = HONEST,
        config: ReplicaConfig | None = None,
    ) -> None:
        self.index = index
        self.lives = 0
        self.replica: Replica | None = None
        self.log = parts.log()
        self.applied: list[tuple[Root, Deliver]] = []
        self._team = team
        self._crypto = crypto
        self._signer = signer
        self._application = application
        self._parts = parts
        self._safety: SafetyRules | None = None
        self._config = configuration(index) if config is None else config

    def start(self, now: float) -> list[Action]:
        """A new life, from what the disk holds."""
        verifier = self._parts.verifier(self._team, self._crypto)
        safety = self._parts.safety(
            team=self._team, index=self.index, signer=self._signer, log=self.log, verifier=verifier
        )
        self._safety = safety
        self.lives += 1
        application = self._parts.application(self._application([deliver for _, deliver in self.applied], verifier))
        self.replica = self._parts.replica(
            config=self._config, team=self._team, safety=safety, crypto=self._crypto, application=application
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
                self.applied.append((root, action))
        return actions

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
            self.applied.pop()
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
