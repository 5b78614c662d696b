"""A few replicas in one process with a message pump: constant delay, a filter for what gets lost, in exact order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from custodes.bft import statements
from custodes.bft.core.application import Application, Offer
from custodes.bft.core.config import ReplicaConfig
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
    Sync,
    Synced,
    TimerFired,
)
from custodes.bft.core.replica import Replica
from custodes.bft.crypto import Crypto, KeyedHashCrypto, KeyedHashSigner
from custodes.bft.evidence import Proof
from custodes.bft.messages import NO_TC, Block, Message, Proposal, Qc, Tc, Timeout, Vote
from custodes.bft.safety import SafetyRules
from custodes.bft.safety.records import Record, SnapshotRecord
from custodes.bft.team import Team
from custodes.bft.verify import Verifier


class ListLog:
    """A write-ahead log that never loses anything."""

    def __init__(self) -> None:
        self.held: list[Record] = []

    def records(self) -> Sequence[Record]:
        return tuple(self.held)

    def reserve(self, view: int, batch: int) -> None:
        pass

    def append(self, record: Record) -> int:
        self.held.append(record)
        return len(self.held)

    def sync(self) -> int:
        return len(self.held)

    def wants_snapshot(self) -> bool:
        return False

    def compact(self, snapshot: SnapshotRecord) -> int:
        raise AssertionError("not wanted")


class Numbers(Application):
    """Payloads that say where they stand in their chain, so that order and exactly-once can be seen."""

    def __init__(self, blocks: int | None = None) -> None:
        self.height = 0
        self.blocks = blocks
        self.bad = False
        self.store: dict[bytes, Block] = {}

    def offer(self, chain: Sequence[Block], now: float) -> Offer:
        number = self.height + len(chain) + 1
        return Offer(payload=b"" if self.blocks is not None and number > self.blocks else b"%d" % number)

    def validate(self, block: Block, chain: Sequence[Block], now: float) -> str | None:
        number = self.height + len(chain) + 1
        return None if block.payload in (b"", b"%d" % number) and not self.bad else "wrong number"

    def commit(self, block: Block) -> None:
        self.height = block.height

    def start(self, applied: Root, desk: Any, watch: Any, now: float) -> list[Action]:
        self.height = applied.height
        return []

    def lookup(self, block: bytes) -> Block | None:
        return self.store.get(block)


class Pump:
    """n replicas. `lose(sender, receiver, message)` says what does not arrive; silent replicas take no part."""

    def __init__(
        self,
        n: int = 4,
        *,
        silent: Sequence[int] = (),
        application: Callable[[int], Application] | None = None,
        crypto: Any = None,
        check: Callable[[int], Crypto] | None = None,
        **config: Any,
    ) -> None:
        self.crypto = KeyedHashCrypto(tuple(bytes([i + 1]) * 16 for i in range(n))) if crypto is None else crypto
        self.team = Team(chain="test", epoch=1, keys=tuple(self.crypto.keys))
        self.verifier = Verifier(self.team, self.crypto)
        self.check_with = check or (lambda index: self.crypto)
        self.n = n
        self.config = {"timeout": 1.0, "fetch_delay": 0.05, **config}
        self.application = application or (lambda index: Numbers())
        self.logs = [ListLog() for _ in range(n)]
        self.delay = 0.01
        self.now = 0.0
        self.lose: Callable[[int, int, Message | Proof], bool] = lambda sender, receiver, message: False
        self.silent = set(silent)
        self.delivered: list[list[Deliver]] = [[] for _ in range(n)]
        self.reports: list[Report] = []
        self.refused: list[tuple[int, Refused]] = []
        self.sent: list[tuple[int, Message | Proof]] = []
        self.trace: list[tuple[float, int, Action]] = []
        self._queue: list[tuple[float, int, int, Event]] = []
        self._order = 0
        self._timers: dict[tuple[int, str], int] = {}
        self._life = [0] * n
        self.apps: list[Application] = [self.application(index) for index in range(n)]
        self.stores: list[dict[bytes, Block]] = [{} for _ in range(n)]
        self.safeties: dict[int, SafetyRules] = {}
        self.replicas = [self._make(index) for index in range(n)]
        for index in range(n):
            if index not in self.silent:
                self.feed(index, Start())

    def _make(self, index: int) -> Replica:
        verifier = Verifier(self.team, self.check_with(index))
        app = self.apps[index]
        if isinstance(app, Numbers):
            app.store = self.stores[index]
        safety = SafetyRules(
            team=self.team, index=index, signer=self.crypto.signer(index), log=self.logs[index], verifier=verifier
        )
        self.safeties[index] = safety
        return Replica(
            config=ReplicaConfig(index=index, **self.config),
            team=self.team,
            safety=safety,
            crypto=verifier.crypto,
            application=self.apps[index],
            verifier=verifier,
        )

    def restart(self, index: int, *, applied: Root | None = None, application: Application | None = None) -> None:
        """A new life with the log of the old one."""
        self._life[index] += 1
        self.apps[index] = self.application(index) if application is None else application
        self.replicas[index] = self._make(index)
        self.feed(index, Start(applied=applied))

    def feed(self, index: int, event: Event) -> list[Action]:
        """One event now."""
        actions = self.replicas[index].step(event, self.now)
        for action in actions:
            self.trace.append((self.now, index, action))
            self._carry(index, action)
        return actions

    def say(self, sender: int, receiver: int, message: Any) -> list[Action]:
        """A message from the wire, now."""
        return self.feed(receiver, Received(sender=sender, message=message))

    def submit(self, index: int, work: Any) -> None:
        self.feed(index, Submit(work=work))

    def run(self, seconds: float) -> None:
        """Lets time pass."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, order, index, event = heapq.heappop(self._queue)
            if index in self.silent:
                continue
            if isinstance(event, TimerFired):
                if self._timers.get((index, event.kind)) != order:
                    continue
                del self._timers[index, event.kind]
            self.feed(index, event)
        self.now = end

    def heights(self) -> list[int]:
        return [len(delivered) for delivered in self.delivered]

    def check(self) -> None:
        """Same chain everywhere, in order, exactly once, with certificates that hold."""
        longest = max(self.delivered, key=len)
        for delivered in self.delivered:
            blocks = [each.block for each in delivered]
            assert blocks == [each.block for each in longest[: len(blocks)]]
            assert [block.height for block in blocks] == list(range(1, len(blocks) + 1))
        for each in longest:
            self.check_certificate(each)

    def check_certificate(self, each: Deliver) -> None:
        path = [each.block, *each.descendants]
        for parent, child in pairwise(path):
            assert child.parent == statements.block_id(self.team, parent) == child.qc.block
        assert path[-1].view == path[-2].view + 1
        assert each.qc.block == statements.block_id(self.team, path[-1])
        assert self.verifier.qc_fault(each.qc) is None
        assert self.verifier.qc_fault(path[-1].qc) is None

    def _carry(self, index: int, action: Action) -> None:
        if isinstance(action, Send):
            self.sent.append((index, action.message))
            self._post(index, action.to, action.message)
        elif isinstance(action, Broadcast):
            self.sent.append((index, action.message))
            for to in range(self.n):
                if to != index:
                    self._post(index, to, action.message)
        elif isinstance(action, SetTimer):
            fired = TimerFired(kind=action.kind, view=action.view)
            self._timers[index, action.kind] = self._push(self.now + action.delay, index, fired)
        elif isinstance(action, Deliver):
            self.delivered[index].append(action)
            self.stores[index][statements.block_id(self.team, action.block)] = action.block
        elif isinstance(action, Report):
            self.reports.append(action)
        elif isinstance(action, Refused):
            self.refused.append((index, action))
        else:
            assert isinstance(action, Sync)
            self.safeties[index].sync()
            self._push(self.now + 0.004, index, Synced())

    def _post(self, sender: int, to: int, message: Message | Proof) -> None:
        if sender not in self.silent and to not in self.silent and not self.lose(sender, to, message):
            self._push(self.now + self.delay, to, Received(sender=sender, message=message))

    def _push(self, at: float, index: int, event: Event) -> int:
        self._order += 1
        heapq.heappush(self._queue, (at, self._order, index, event))
        return self._order


class Liar:
    """Signs anything with one replica's key."""

    def __init__(self, pump: Pump, index: int) -> None:
        self.team = pump.team
        self.index = index
        self.signer: KeyedHashSigner = pump.crypto.signer(index)

    def block(self, view: int, qc: Qc, height: int, payload: bytes = b"", tc: Tc | None = None) -> Block:
        return Block(view=view, height=height, parent=qc.block, proposer=self.index, qc=qc, tc=tc, payload=payload)

    def proposal(self, block: Block) -> Proposal:
        return Proposal(block=block, signature=self.signer.sign(statements.statement_of_proposal(self.team, block)))

    def vote(self, view: int, name: bytes, qc_view: int, tc_high: int = NO_TC) -> Vote:
        statement = statements.vote_statement(self.team, view, name, qc_view, tc_high)
        signature = self.signer.sign(statement)
        return Vote(view=view, block=name, qc_view=qc_view, tc_high=tc_high, voter=self.index, signature=signature)

    def timeout(self, view: int, qc: Qc, tc: Tc | None = None) -> Timeout:
        statement = statements.timeout_statement(self.team, view, qc.view)
        return Timeout(view=view, high_qc=qc, tc=tc, voter=self.index, signature=self.signer.sign(statement))


def make_qc(pump: Pump, block: Block, signers: Sequence[int]) -> Qc:
    """A certificate signed by these replicas, however few."""
    name = statements.block_id(pump.team, block)
    high = NO_TC if block.tc is None else block.tc.high
    votes = [Liar(pump, i).vote(block.view, name, block.qc.view, high) for i in signers]
    return Qc(
        view=block.view,
        block=name,
        qc_view=block.qc.view,
        tc_high=high,
        signers=tuple(signers),
        signatures=tuple(vote.signature for vote in votes),
    )


def make_tc(pump: Pump, view: int, highs: dict[int, Qc]) -> Tc:
    """A timeout certificate signed by these replicas, however few."""
    timeouts = [Liar(pump, i).timeout(view, qc) for i, qc in highs.items()]
    return Tc(
        view=view,
        signers=tuple(highs),
        high_views=tuple(qc.view for qc in highs.values()),
        signatures=tuple(timeout.signature for timeout in timeouts),
    )
