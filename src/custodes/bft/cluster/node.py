"""One replica as a process's inside: the sans-IO core, wired to sockets, timers and files on one event loop."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, final

from custodes.bft.ballots import decode_payload
from custodes.bft.cluster.applied import Applied
from custodes.bft.cluster.delivery import Decided, Delivery
from custodes.bft.cluster.disk import Disk
from custodes.bft.cluster.journal import KEEP_BYTES, Journal
from custodes.bft.cluster.link import HEADER
from custodes.bft.cluster.links import Address, Links
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
    Send,
    SetTimer,
    Start,
    Submit,
    Sync,
    Synced,
    Timer,
    TimerFired,
)
from custodes.bft.core.replica import Replica
from custodes.bft.crypto import Ed25519Crypto, Ed25519Signer
from custodes.bft.encoding import decode, encode
from custodes.bft.errors import BftError, DecodeError
from custodes.bft.evidence import MAGIC, Proof, decode_proof, encode_proof
from custodes.bft.messages import Block, Message
from custodes.bft.safeguard import GuardChain, Safeguard
from custodes.bft.safety import SafetyRules
from custodes.bft.safety.filelog import FileLog
from custodes.bft.safety.files import write_aside
from custodes.bft.safety.mark import owner_of
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
    keep_bytes: int = KEEP_BYTES
    """Bytes of applied blocks that are kept for peers that lag and for certificates."""
    lives: TimeToLive = field(default_factory=TimeToLive)
    """How long containments last."""


@final
class Node:
    """A replica on the running event loop.

    Args:
        settings: Where and how.
        signer: Its key; handed to `SafetyRules` and kept nowhere else.
        pins: Transport certificates of the team.
        on_decided: Called for every committed block, in order; a quorum's logs hold it durably by then.
        on_failure: Called once when it cannot go on; it signs and sends nothing from then on.
        capture: Called with every frame that arrives, sender first; for tests that check all traffic.
        guard: What may overrule the vote rule, the same at all replicas; None for nothing.

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
        on_failure: Callable[[Exception], None],
        capture: Callable[[int, bytes], None] | None = None,
        guard: Safeguard | None = None,
    ) -> None:
        team, index, state = settings.team, settings.index, settings.state
        self._guard = guard
        self.metrics = Metrics()
        self._settings, self._capture, self._team = settings, capture, team
        self._on_decided, self._on_failure = on_decided, on_failure
        self._log = FileLog(
            state / "log",
            state / "mark",
            owner=owner_of(team, index),
            create=settings.fresh,
            durable=settings.durable,
        )
        try:
            self._journal = Journal(state / "journal", keep_bytes=settings.keep_bytes)
            self._applied = self._recall()
            self._make(signer)
        except BaseException:
            self._log.drop()
            raise
        self._links = Links(
            index=index,
            addresses=settings.addresses,
            pins=pins,
            receive=self._received,
            joined=self.metrics.count_joined,
            metrics=self.metrics,
        )
        self.metrics.peers.set_function(lambda: self._links.connected)
        self.metrics.conflict.set_function(lambda: self._replica.conflict)
        self._delivery = Delivery(
            team=team,
            read=self._duty.ballots,
            safety=self._safety,
            journal=self._journal,
            applied=self._applied,
            durable=settings.durable,
            tell=self._tell,
            failed=self._fail,
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

    @property
    def ledger(self) -> ContainmentLedger:
        """Who is contained after what was committed."""
        return self._applied.ledger

    async def start(self) -> None:
        """Listen, connect, and take part.

        Raises:
            BftError: It cannot listen, or its files cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        self._disk = Disk(self._loop, self._fail)
        self._delivery.start(self._loop, self._disk)
        await self._links.start()
        self._running = True
        self._step(Start(applied=self._journal.last))

    async def stop(self) -> None:
        """Leave in an orderly way: nothing more is signed, files are durable and closed.

        Raises:
            BftError: The files could not be made durable.
        """
        self._running = False
        for timer in self._timers.values():
            timer.cancel()
        await self._links.stop()
        if hasattr(self, "_disk"):
            self._disk.close()
        try:
            self._delivery.end()
            self._journal.close()
        finally:
            self._log.close()

    def close(self) -> None:
        """Let go of the files of a node that was not started."""
        self._journal.drop()
        self._log.drop()

    def submit(self, votes: tuple[BatchVotes, ...]) -> None:
        """Hand in this agent's votes on some batches, ascending; they wait for the disk together."""
        self._step(Submit(work=votes))

    def _make(self, signer: Ed25519Signer) -> None:
        """The core, on what the files hold."""
        settings, team, index = self._settings, self._team, self._settings.index
        crypto = Ed25519Crypto(team.keys)
        verifier = Verifier(team, crypto)
        own = crypto.own(index, signer)
        self._safety = SafetyRules(team=team, index=index, signer=own, log=self._log, verifier=verifier)
        following = self._applied.next_batch
        chain = None if self._guard is None else GuardChain(self._guard, team.f, self._applied.guarded)
        self._duty = InclusionDuty(settings.duty, verifier, next_batch=following, lookup=self._lookup, guard=chain)
        self._replica = Replica(
            config=settings.replica,
            team=team,
            safety=self._safety,
            crypto=crypto,
            application=self._duty,
            verifier=verifier,
        )

    def _recall(self) -> Applied:
        """Apply again what was applied before."""
        state, entries = self._journal.recall()
        applied = Applied(self._settings.lives, self._guard, self._team.f)
        if state:
            applied.load(state, str(self._settings.state / "journal"))
        for entry in entries:
            applied.apply(decode_payload(entry.block.payload, self._team.n))
        return applied

    def _received(self, sender: int, frame: bytes) -> None:
        if not self._running:
            return
        self.metrics.received += 1
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
        if not self._running:
            return
        self._events.append(event)
        if len(self._events) > 1:
            return
        try:
            while self._events and self._running:
                for action in self._replica.step(self._events[0], self._loop.time()):
                    self._carry_out(action)
                self._delivery.soon()
                self._events.popleft()
        except Exception as error:
            # Whatever it is, the state in memory cannot be trusted any more; that in the files can.
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._running:
            self._running = False
            self._delivery.drop()
            self._events.clear()
            self._on_failure(error)

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
                self._delivery.add(action)
            case Sync():
                self._disk.request(self._sync, self._synced)
            case Report(proof=proof):
                self._keep(proof)
            case Refused(sender=sender):
                self._refuse(sender)

    def _sync(self) -> int:
        self._safety.sync()
        return 0

    def _synced(self, _: int) -> None:
        self._step(Synced())

    def _fire(self, kind: Timer, view: int) -> None:
        self._step(TimerFired(kind=kind, view=view))

    def _tell(self, decided: Decided) -> None:
        metrics = self.metrics
        metrics.blocks.inc()
        metrics.decisions.inc(sum(len(ballot.items) for ballot in decided.ballots))
        metrics.view.set(decided.root.view)
        metrics.height.set(decided.root.height)
        self._on_decided(decided)

    def _lookup(self, block: bytes) -> Block | None:
        try:
            entry = self._journal.find(block)
        except BftError:
            # A peer asks for what the disk has lost since the start: others have it; a restart here says what is wrong.
            self.metrics.unreadable.inc()
            return None
        return None if entry is None else entry.block

    def _keep(self, proof: Proof) -> None:
        """A proof outlives the process; it is named by its content, so that none is kept twice."""
        data = encode_proof(proof)
        folder = self._settings.state / "evidence"
        path = folder / f"replica-{proof.culprit}-{hashlib.sha256(data).hexdigest()[:16]}.proof"
        self.metrics.proofs.labels(culprit=str(proof.culprit)).inc()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                write_aside(path, data)
        except OSError as error:
            raise BftError(
                f"evidence cannot be written: {error.strerror or error}", where=str(path), fix="check the disk"
            ) from error

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
