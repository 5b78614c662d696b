"""One replica as a process's inside: the sans-IO core, wired to sockets, timers and files on one event loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from custodes.bft.ballots import Ballot, decode_payload, entities_of, times_of
from custodes.bft.certificates import make_certificate
from custodes.bft.cluster.journal import Entry, Journal
from custodes.bft.cluster.links import HEADER, Address, Links
from custodes.bft.cluster.metrics import Metrics
from custodes.bft.cluster.tls import Pins
from custodes.bft.containment import ContainmentLedger, TimeToLive
from custodes.bft.core.config import ReplicaConfig
from custodes.bft.core.duty import BatchVotes, DutyConfig, InclusionDuty
from custodes.bft.core.events import (
    Action,
    Broadcast,
    Deliver,
    Event,
    Received,
    Refused,
    Report,
    Root,
    Send,
    SetTimer,
    Start,
    Submit,
    Timer,
    TimerFired,
)
from custodes.bft.core.replica import Replica
from custodes.bft.crypto import Ed25519Crypto, Ed25519Signer
from custodes.bft.encoding import decode, encode
from custodes.bft.errors import BftError, DecodeError
from custodes.bft.evidence import MAGIC, Proof, decode_proof, encode_proof
from custodes.bft.messages import Block, Message
from custodes.bft.safety import SafetyRules
from custodes.bft.safety.filelog import FileLog
from custodes.bft.statements import block_id
from custodes.bft.team import Team
from custodes.bft.verify import Verifier

REFUSED_LIMIT: Final = 1_000
"""Messages of one peer that no honest replica sends, before its connection is cut."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class NodeSettings:
    """Where a replica lives and how it behaves."""

    team: Team
    """Who agrees."""
    index: int
    """Which replica it is."""
    addresses: tuple[Address, ...]
    """Where all replicas listen, by index."""
    state: Path
    """Folder of its log, high-water mark, journal and evidence."""
    durable: bool = True
    """Wait for the disk before signatures and acknowledgements leave. False only to measure what that costs."""
    fresh: bool = False
    """The key never signed: start a new log. A replica that lost its log must not."""
    replica: ReplicaConfig = field(default_factory=lambda: ReplicaConfig(index=0))
    """Delays and limits of the core; the index is set from here."""
    duty: DutyConfig = field(default_factory=DutyConfig)
    """Delays and limits of ballots."""
    lives: TimeToLive = field(default_factory=TimeToLive)
    """How long containments last."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A committed block, as told to whoever listens; as durable as the replica was asked to be."""

    root: Root
    """Height, view and id."""
    ballots: tuple[Ballot, ...]
    """What it decides; empty for an empty block."""


@final
class Node:
    """A replica on the running event loop.

    Args:
        settings: Where and how.
        signer: Its key; handed to `SafetyRules` and kept nowhere else.
        pins: Transport certificates of the team.
        on_decided: Called for every committed block, in order.
        capture: Called with every frame that arrives, sender first; for tests that check all traffic.

    Raises:
        BftError: Its files cannot be used.
    """

    def __init__(
        self,
        settings: NodeSettings,
        signer: Ed25519Signer,
        pins: Pins,
        *,
        on_decided: Callable[[Decided], None],
        capture: Callable[[int, bytes], None] | None = None,
    ) -> None:
        team, index, state = settings.team, settings.index, settings.state
        self.metrics = Metrics()
        self._settings, self._on_decided, self._capture = settings, on_decided, capture
        self._log = FileLog(state / "log", state / "mark", create=settings.fresh, durable=settings.durable)
        try:
            self._journal = Journal(state / "journal", durable=settings.durable)
        except BftError:
            self._log.drop()
            raise
        self.ledger = ContainmentLedger(settings.lives)
        next_batch = self._recall()
        crypto = Ed25519Crypto(team.keys)
        verifier = Verifier(team, crypto)
        self._safety = SafetyRules(team=team, index=index, signer=signer, log=self._log, verifier=verifier)
        self._duty = InclusionDuty(settings.duty, verifier, next_batch=next_batch, lookup=self._lookup)
        self._replica = Replica(
            config=settings.replica,
            team=team,
            safety=self._safety,
            crypto=crypto,
            application=self._duty,
            verifier=verifier,
        )
        self._links = Links(
            index=index, addresses=settings.addresses, pins=pins, receive=self._received, metrics=self.metrics
        )
        self._timers: dict[Timer, asyncio.TimerHandle] = {}
        self._events: deque[Event] = deque()
        self._refused = [0] * team.n
        self._running = False

    @property
    def next_batch(self) -> int:
        """The first batch that is not decided by a committed block."""
        return self._duty.next_batch

    @property
    def connected(self) -> int:
        """Peers that there is a connection to."""
        return self._links.connected

    async def start(self) -> None:
        """Listen, connect, and take part."""
        self._loop = asyncio.get_running_loop()
        self._running = True
        await self._links.start()
        self._step(Start(applied=self._journal.last))

    async def stop(self) -> None:
        """Leave in an orderly way: nothing more is signed, files are durable and closed."""
        self._running = False
        for timer in self._timers.values():
            timer.cancel()
        await self._links.stop()
        self._journal.close()
        self._log.close()

    def submit(self, votes: BatchVotes) -> None:
        """Hand in this agent's votes on a batch."""
        self._step(Submit(work=votes))

    def _received(self, sender: int, frame: bytes) -> None:
        if not self._running:
            return
        self.metrics.received.inc()
        if self._capture is not None:
            self._capture(sender, frame)
        try:
            message = decode_proof(frame) if frame.startswith(MAGIC) else decode(frame)
        except DecodeError:
            self._links.shun(sender, "undecodable")
            return
        self._step(Received(sender=sender, message=message))

    def _step(self, event: Event) -> None:
        """Feed one event; one that carrying out an action brings about waits until all actions are carried out."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        while self._events:
            for action in self._replica.step(self._events[0], self._loop.time()):
                self._carry_out(action)
            self._events.popleft()

    def _carry_out(self, action: Action) -> None:
        match action:
            case Broadcast(message=message):
                self._links.broadcast(_frame(message))
            case Send(to=to, message=message):
                self._links.send(to, _frame(message))
            case SetTimer(kind=kind, view=view, delay=delay):
                running = self._timers.get(kind)
                if running is not None:
                    running.cancel()
                self._timers[kind] = self._loop.call_later(delay, self._fire, kind, view)
            case Deliver():
                self._deliver(action)
            case Report(proof=proof):
                self._keep(proof)
            case Refused(sender=sender):
                self._refuse(sender)

    def _fire(self, kind: Timer, view: int) -> None:
        if self._running:
            self._step(TimerFired(kind=kind, view=view))

    def _deliver(self, action: Deliver) -> None:
        """Apply a block: first into the journal, then tell the log that it needs not keep it, then everybody."""
        block, team = action.block, self._settings.team
        root = Root(block=block_id(team, block), height=block.height, view=block.view)
        certificate = make_certificate(team, (block, *action.descendants), action.qc)
        self._journal.append(Entry(root=root, block=block, certificate=certificate))
        self._safety.committed(root.height, root.block)
        ballots = decode_payload(block.payload, team.n)
        self._apply(ballots)
        metrics = self.metrics
        metrics.blocks.inc()
        metrics.decisions.inc(sum(len(ballot.items) for ballot in ballots))
        metrics.view.set(root.view)
        metrics.height.set(root.height)
        metrics.peers.set(self._links.connected)
        self._on_decided(Decided(root=root, ballots=ballots))

    def _apply(self, ballots: tuple[Ballot, ...]) -> None:
        for ballot in ballots:
            entities, times = entities_of(ballot.items).tolist(), times_of(ballot.items).tolist()
            self.ledger.apply_batch(entities, list(ballot.decisions), times)

    def _recall(self) -> int:
        """Apply again what was applied before; returns the first batch that is not decided."""
        following = 0
        for entry in self._journal.entries():
            ballots = decode_payload(entry.block.payload, self._settings.team.n)
            self._apply(ballots)
            following = max((ballot.batch + 1 for ballot in ballots), default=following)
        return following

    def _lookup(self, block: bytes) -> Block | None:
        entry = self._journal.find(block)
        return None if entry is None else entry.block

    def _keep(self, proof: Proof) -> None:
        """A proof outlives the process; it is named by its content, so that none is kept twice."""
        data = encode_proof(proof)
        folder = self._settings.state / "evidence"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"replica-{proof.culprit}-{hashlib.sha256(data).hexdigest()[:16]}.proof"
        aside = path.with_suffix(".new")
        aside.write_bytes(data)
        aside.replace(path)
        self.metrics.proofs.labels(culprit=str(proof.culprit)).inc()

    def _refuse(self, sender: int) -> None:
        """Count what no honest replica sends; a peer that goes on sending it is cut off for a while."""
        self.metrics.refused.labels(peer=str(sender)).inc()
        self._refused[sender] += 1
        if self._refused[sender] >= REFUSED_LIMIT:
            self._refused[sender] = 0
            self._links.shun(sender, "refused")


def _frame(message: Message | Proof) -> bytes:
    body = encode_proof(message) if isinstance(message, Proof) else encode(message)
    return HEADER.pack(len(body)) + body
