"""One run: replicas, liars, the network and the time that passes between them, all from one seed."""

from __future__ import annotations

import random
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Final, final

from custodes.bft import statements
from custodes.bft.core.duty import BatchVotes
from custodes.bft.core.events import (
    Action,
    Broadcast,
    Deliver,
    Received,
    Report,
    Send,
    SetTimer,
    Submit,
    Sync,
    Timer,
    TimerFired,
)
from custodes.bft.evidence import check_proof
from custodes.bft.messages import Block, Column, Proposal
from custodes.bft.simulator.adversary import Adversary, Sending
from custodes.bft.simulator.apps import balloting
from custodes.bft.simulator.crafting import Crafter
from custodes.bft.simulator.keys import make_keys
from custodes.bft.simulator.monitor import Monitor, Violation
from custodes.bft.simulator.network import Network
from custodes.bft.simulator.node import Node, configuration
from custodes.bft.simulator.payloads import Judge, Liars, honest_votes, items_of
from custodes.bft.simulator.scenario import Crash, Scenario, liveness_bound
from custodes.bft.simulator.trace import Said, Trace
from custodes.bft.simulator.turns import with_leaders

_ARRIVE: Final = 0
_TIMER: Final = 1
_CRASH: Final = 2
_BACK: Final = 3
_SUBMIT: Final = 4
_TICK: Final = 5
_SYNCED: Final = 6
_MUTE: Final = 7
_LAST_WORDS: Final = 0.6
"""Time in which a replica that is about to be cut off can still be heard."""
_CUT_OFF: Final = 30.0
_BATCH_EVERY: Final = 5.0
_TICK_EVERY: Final = 3.0
MOST_HELD: Final = 1000
"""Entries in all buffers of one replica: no run is long enough for more."""
_MOST_STEPS: Final = 400_000
"""Steps after which a run is called a flood."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    scenario: Scenario
    """What was run."""
    violations: tuple[Violation, ...]
    """What must never happen, and did."""
    late: tuple[int, ...]
    """Honest replicas that did not commit a new block within the bound after the heal; always empty in short runs."""
    healed_in: float
    """Time from the heal to the last honest replica's first new block, units; 0 in short runs."""
    commits: int
    """Height that some honest replica reached."""
    steps: int
    """Events that were played."""
    views: int
    """Highest view that an honest replica reached."""

    @property
    def failed(self) -> bool:
        """Whether a property does not hold."""
        return bool(self.violations or self.late)


@final
class World:
    """Plays one scenario.

    Args:
        scenario: What to play.
        trace: Whether to hash what happens.
        keep: Whether to keep it as lines, too.
        listen: Whether to keep what honest replicas receive; always with more than f liars.
        chain: Chain id.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        trace: bool = False,
        keep: bool = False,
        listen: bool = False,
        chain: str = "simulation",
    ) -> None:
        self.scenario = scenario
        self._rng = random.Random(f"world/{scenario.n}/{scenario.length}/{scenario.seed}")
        keys = make_keys(scenario.n, real=scenario.real, chain=chain)
        table = dict(enumerate(scenario.leaders, 1))
        self.team = team = with_leaders(keys.team, table) if table else keys.team
        self.judge_crypto = keys.judge
        self.trace = Trace(team, keep=keep) if trace or keep else None
        self._network = Network(scenario, self._rng)
        honest = [index for index in range(scenario.n) if index not in scenario.liars]
        self.judge = Judge(team, frozenset(honest), keys.judge.verify)
        # With too many liars wrong decisions are to be expected; what is looked for then is the parting of the honest.
        beyond = len(scenario.liars) > scenario.f
        self.monitor = Monitor(team, honest, keys.judge.verify, _anything if beyond else self.judge.fault)
        self.nodes: dict[int, Node] = {
            index: Node(
                team=team,
                index=index,
                crypto=keys.crypto(),
                signer=keys.signers[index],
                application=balloting,
                config=configuration(index, deferred=scenario.deferred),
            )
            for index in honest
        }
        self.adversary: Adversary | None = None
        if scenario.liars:
            crafter = Crafter(team, {index: keys.signers[index] for index in scenario.liars})
            rng = random.Random(f"liars/{scenario.n}/{scenario.length}/{scenario.seed}")
            liars = Liars(team, scenario.batches, crafter)
            self.adversary = Adversary(scenario, team, crafter, liars, rng)
        self.heard: list[Said] | None = [] if listen or len(scenario.liars) > scenario.f else None
        self.proofs: list[Any] = []
        self._queue: list[tuple[float, int, int, int, Any]] = []
        self._count = 0
        self._timers: dict[tuple[int, Timer], int] = {}
        self._waiting: set[int] = set()
        self._healed_view = 0
        self._healed_in = 0.0
        self.steps = 0

    def inject(self, at: float, sender: int, receiver: int, message: Said) -> None:
        """Have a message arrive that nobody in this run has made."""
        self._push(at, _ARRIVE, receiver, (sender, message))

    def run(self) -> Outcome:
        """Play it to its end."""
        scenario = self.scenario
        self._prepare()
        end = scenario.heal
        now = self._play(end)
        late: tuple[int, ...] = ()
        if scenario.length == "long" and not self.monitor.violations:
            self._heal()
            now = self._play(end + liveness_bound(scenario.n, scenario.f), until_live=True)
            late = tuple(sorted(self._waiting))
        self._finish(now)
        views = [node.replica.view for node in self.nodes.values() if node.replica is not None]
        return Outcome(
            scenario=scenario,
            violations=tuple(self.monitor.violations),
            late=late,
            healed_in=self._healed_in,
            commits=len(self.monitor.chain),
            steps=self.steps,
            views=max(views, default=0),
        )

    def _prepare(self) -> None:
        for index, node in self.nodes.items():
            self._carry_out(index, node.start(0.0), 0.0)
        if self.adversary is not None:
            self._send_all(self.adversary.start(), 0.0)
            for beat in range(int(self.scenario.heal / _TICK_EVERY) + 2):
                self._push(beat * _TICK_EVERY + self._rng.random(), _TICK, 0, None)
        for batch in range(self.scenario.batches):
            for index in self.nodes:
                self._push(batch * _BATCH_EVERY + self._rng.uniform(0.0, 2.0), _SUBMIT, index, batch)
            self._push(batch * _BATCH_EVERY, _SUBMIT, -1, batch)
        for crash in self.scenario.crashes:
            self._push(crash.at, _CRASH, crash.replica, crash)
            self._push(crash.back, _BACK, crash.replica, crash)

    def _heal(self) -> None:
        """From now on the network is well: every honest replica owes a block that is proposed from now on."""
        tops = [node.replica.view for node in self.nodes.values() if node.replica is not None]
        known = 0 if self.adversary is None else self.adversary.knowledge.view
        self._healed_view = max([known, self.monitor.top_view, *tops])
        self._waiting = set(self.nodes)

    def _play(self, until: float, *, until_live: bool = False) -> float:
        queue = self._queue
        now = 0.0
        while queue and queue[0][0] <= until:
            if until_live and not self._waiting:
                break
            now, _, code, index, what = heappop(queue)
            self.steps += 1
            if self.steps > _MOST_STEPS:
                self.monitor.fail("bounded", f"more than {_MOST_STEPS:,} steps: a flood", now)
                break
            self._happen(now, code, index, what)
            if self.monitor.violations:
                break
        return now

    def _happen(self, now: float, code: int, index: int, what: Any) -> None:
        if code == _ARRIVE:
            self._arrive(now, index, what[0], what[1])
        elif code == _TIMER:
            kind, view, number = what
            if self._timers.get((index, kind)) == number:
                self._note(now, f"{index} timer {kind.value} of view {view}")
                self._carry_out(index, self.nodes[index].step(TimerFired(kind=kind, view=view), now), now)
        elif code == _SYNCED:
            if what == self.nodes[index].lives:
                self._carry_out(index, self.nodes[index].synced(now), now)
        elif code == _MUTE:
            self._note(now, f"{index} is cut off until {what:.3f}")
            self._network.mute(index, what)
        elif code == _TICK:
            assert self.adversary is not None
            self._send_all(self.adversary.tick(), now)
        elif code == _SUBMIT:
            self._submit(now, index, what)
        else:
            self._crash_or_return(now, code, index, what)

    def _arrive(self, now: float, receiver: int, sender: int, message: Said) -> None:
        if self.trace is not None:
            self.trace.message(now, sender, receiver, message)
        node = self.nodes.get(receiver)
        if node is None:
            assert self.adversary is not None
            self._send_all(self.adversary.receive(receiver, sender, message), now)
            while self.adversary.muted:
                self._cut_off(self.adversary.muted.pop(), now)
            return
        if node.replica is None:
            return
        if self.heard is not None:
            self.heard.append(message)
        if sender not in self.nodes or isinstance(message, Proposal | Column):
            replica = node.replica
            self.monitor.received(receiver, message, now, view=replica.view, floor=replica.root.view)
        self._carry_out(receiver, node.step(Received(sender=sender, message=message), now), now)

    def _cut_off(self, index: int, now: float) -> None:
        # Its vote for the bait has to get out; what it says once it has the certificate has not.
        self._push(now + _LAST_WORDS, _MUTE, index, now + _CUT_OFF)

    def _submit(self, now: float, index: int, batch: int) -> None:
        self._note(now, f"{'liars' if index < 0 else index} vote on batch {batch}")
        if index >= 0:
            work = BatchVotes(batch=batch, items=items_of(batch), severities=honest_votes(index, batch))
            self._carry_out(index, self.nodes[index].step(Submit(work=work), now), now)
        elif self.adversary is not None:
            self._send_all(self.adversary.submit(batch), now)

    def _crash_or_return(self, now: float, code: int, index: int, crash: Crash) -> None:
        node = self.nodes[index]
        if code == _CRASH and node.replica is not None:
            self._note(now, f"{index} crashes")
            self.monitor.rewind(index, node.crash(crash.tear))
            for kind in Timer:
                self._timers.pop((index, kind), None)
        elif code == _BACK and node.replica is None:
            self._note(now, f"{index} restarts")
            self._carry_out(index, node.start(now), now)
            for batch in range(self.scenario.batches):
                if batch * _BATCH_EVERY < now:
                    self._submit(now, index, batch)

    def _carry_out(self, index: int, actions: list[Action], now: float) -> None:
        monitor = self.monitor
        for action in actions:
            if isinstance(action, Broadcast):
                monitor.sent(index, action.message, now)
                for receiver in range(self.scenario.n):
                    if receiver != index:
                        self._send(index, receiver, action.message, now)
            elif isinstance(action, Send):
                monitor.sent(index, action.message, now)
                self._send(index, action.to, action.message, now)
            elif isinstance(action, SetTimer):
                self._count += 1
                self._timers[index, action.kind] = self._count
                self._push(now + action.delay, _TIMER, index, (action.kind, action.view, self._count))
            elif isinstance(action, Deliver):
                self._delivered(index, action, now)
            elif isinstance(action, Sync):
                self._push(now + self._rng.uniform(0.0, 0.3), _SYNCED, index, self.nodes[index].lives)
            elif isinstance(action, Report):
                self.proofs.append(action.proof)
                self._note(now, f"{index} proves {action.proof.kind} by {action.proof.culprit}")
                valid = check_proof(action.proof, self.team, self.judge_crypto) == action.proof.culprit
                monitor.report(index, action.proof.culprit, now, valid=valid)

    def _delivered(self, index: int, deliver: Deliver, now: float) -> None:
        block = deliver.block
        if self.trace is not None:
            name = statements.block_id(self.team, block)[:4].hex()
            self.trace.add(now, f"{index} commits h{block.height} v{block.view} {name}")
        self.monitor.delivered(index, deliver, now)
        if block.view > self._healed_view and index in self._waiting:
            self._waiting.discard(index)
            self._healed_in = now - self.scenario.heal

    def _send(self, sender: int, receiver: int, message: Said, now: float) -> None:
        for arrival in self._network.arrivals(sender, receiver, now):
            self._push(arrival, _ARRIVE, receiver, (sender, message))

    def _send_all(self, sendings: list[Sending], now: float) -> None:
        for sending in sendings:
            self._send(sending.sender, sending.receiver, sending.message, now + sending.wait)

    def _push(self, at: float, code: int, index: int, what: Any) -> None:
        self._count += 1
        heappush(self._queue, (at, self._count, code, index, what))

    def _note(self, now: float, what: str) -> None:
        if self.trace is not None:
            self.trace.add(now, what)

    def _finish(self, now: float) -> None:
        """What can be said only at the end."""
        if self.monitor.violations:
            return
        self.monitor.finish(now)
        for index, node in self.nodes.items():
            held = 0 if node.replica is None else sum(node.replica.sizes().values())
            if held > MOST_HELD:
                self.monitor.fail("bounded", f"replica {index} holds {held} entries", now)
        self._note(now, "end")


def _anything(block: Block) -> str | None:
    """No decision is wrong."""
    return None
