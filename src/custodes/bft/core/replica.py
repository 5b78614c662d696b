"""A replica of the agreement protocol as a state machine: two-chain commit (Jolteon, DiemBFT v4), votes to everyone.

Rules
-----
- Views are numbered from 1; the leader of view v is replica v % n. A block rests on a quorum certificate (Qc) of its
  parent; when that is not of the view before, the block also carries the timeout certificate (Tc) of the view before.
- Voting: only through `SafetyRules`, at most once per view, never in a view that was given up, only for a block whose
  chain down to the last committed block is here and whose payload the application accepts. Votes go to everyone, so
  everyone forms the Qc, nobody waits for a collector, and the next leader's silence loses no certificate.
- Proposing: the leader of v proposes once it is in v, on its highest Qc, which lets it into v by itself or is at least
  as high as its Tc demands.
- Commit, fetching: see `chain`. Views, timeouts and the argument for liveness: see `pacemaker`. Bounds: see `config`.
- Nothing is used before it is checked, cheap checks first: who sent it, its view, its form, one signature,
  certificates. A certificate formed here from checked votes is not checked again, nor is a signature that was found
  valid before.
- A replica votes and times out only in views from `SafetyRules.abstain_until` on (after its log was lost); before, it
  follows, fetches and helps others up, and counts as one of the f that are not awake.

Safety in one paragraph: two quorums share an honest replica, which votes once per view, so one block at most is
certified per view. If b (view v) is committed by a Qc in v + 1 of its child, a quorum saw Qc(v) when voting; every
later timeout of an honest one of them names a high view >= v, so a later Tc demands a Qc of at least v, and by
induction over the views each later certified block extends b.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft.core.engine import Engine
from custodes.bft.core.events import Action, Event, Received, Root, Start, Submit, Synced, Timer, TimerFired
from custodes.bft.core.intake import Intake
from custodes.bft.core.outbox import Outbox
from custodes.bft.core.watch import Watch
from custodes.bft.verify import Verifier

if TYPE_CHECKING:
    from custodes.bft.core.application import Application
    from custodes.bft.core.config import ReplicaConfig
    from custodes.bft.crypto import Crypto
    from custodes.bft.messages import Qc
    from custodes.bft.safety import SafetyRules
    from custodes.bft.team import Team


@final
class Replica:
    """One replica; feed events to `step`, carry out the actions that it returns, in their order.

    Whoever applies what `Deliver` hands over makes it durable, then tells `SafetyRules.committed`.

    Args:
        config: Delays and limits.
        team: Who agrees.
        safety: Signs, and alone decides what may be signed.
        crypto: Checks signatures.
        application: Makes, checks and takes payloads.
        verifier: Checks certificates; give the one of `safety`, so that none is checked twice. Made when not given.
    """

    def __init__(
        self,
        *,
        config: ReplicaConfig,
        team: Team,
        safety: SafetyRules,
        crypto: Crypto,
        application: Application,
        verifier: Verifier | None = None,
    ) -> None:
        if config.index >= team.n or safety.index != config.index:
            raise ValueError(f"replica {config.index} of {team.n} with the key of replica {safety.index}")
        self._config = config
        self._n = team.n
        self._application = application
        self._out = Outbox(config.index, team.n)
        verifier = Verifier(team, crypto) if verifier is None else verifier
        self._watch = Watch(team, verifier.crypto, self._out)
        self._engine = Engine(config, team, safety, application, verifier, self._watch, self._out)
        self._intake = Intake(config, team, verifier, self._watch, self._engine, self._out)

    @property
    def view(self) -> int:
        """The current view; 0 before Start."""
        return self._engine.pacemaker.view

    @property
    def root(self) -> Root:
        """The last committed block."""
        return self._engine.chain.tree.root

    @property
    def high_qc(self) -> Qc:
        """The highest certificate known."""
        return self._engine.chain.high_qc

    @property
    def conflict(self) -> bool:
        """Says whether certificates for two chains were seen: more than f replicas lied."""
        return self._engine.chain.conflict

    @property
    def refused(self) -> tuple[int, ...]:
        """How many messages of each peer were refused."""
        return tuple(self._out.refused)

    def sizes(self) -> dict[str, int]:
        """How much is held, by buffer; each is bounded by `ReplicaConfig`, whatever peers send."""
        engine = self._engine
        return {
            "uncommitted": len(engine.chain.tree),
            "orphans": engine.chain.orphans,
            "wanted": len(engine.chain.wanted),
            "votes": len(engine.votes),
            "timeouts": len(engine.timeouts),
            "proposals": len(self._intake),
            "proofs": len(self._watch),
        }

    def step(self, event: Event, now: float) -> list[Action]:
        """Takes one event at the driver's time `now` (seconds, never going back) and returns what to do, in order."""
        engine = self._engine
        engine.now = now
        if engine.pacemaker.view:
            if isinstance(event, Received):
                if 0 <= event.sender < self._n and event.sender != self._config.index:
                    self._intake.receive(event.sender, event.message)
            elif isinstance(event, TimerFired):
                self._fired(event.kind, event.view)
            elif isinstance(event, Submit):
                self._out.extend(self._application.submit(event.work, now))
                engine.propose()
        elif isinstance(event, Start):
            engine.start(event.applied)
        engine.finish(synced=isinstance(event, Synced))
        return self._out.take()

    def _fired(self, kind: Timer, view: int) -> None:
        engine = self._engine
        if kind is Timer.FETCH:
            engine.chain.retry()
        elif kind is Timer.COLUMNS:
            self._out.extend(self._application.period(engine.now))
            engine.propose()
        elif view != engine.pacemaker.view:
            return
        elif kind is Timer.PROPOSE:
            engine.propose()
        else:
            engine.late()
