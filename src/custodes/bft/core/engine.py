"""Views, votes, timeouts and proposals of one replica, from messages that have been checked (see `intake`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft import statements
from custodes.bft.core.aggregator import TimeoutBook, VoteBook
from custodes.bft.core.chain import Chain
from custodes.bft.core.desk import Desk
from custodes.bft.core.events import Root, Timer
from custodes.bft.core.pacemaker import NUDGE, Pacemaker
from custodes.bft.core.proposing import Proposer
from custodes.bft.messages import Block, Column, Proposal, Qc, Status, Tc, Timeout, Vote

if TYPE_CHECKING:
    from custodes.bft.core.application import Application
    from custodes.bft.core.config import ReplicaConfig
    from custodes.bft.core.outbox import Outbox
    from custodes.bft.core.watch import Watch
    from custodes.bft.safety import SafetyRules
    from custodes.bft.team import Team
    from custodes.bft.verify import Verifier


@final
class Engine:
    """The protocol proper."""

    __slots__ = (
        "_application",
        "_armed",
        "_candidate",
        "_config",
        "_desk",
        "_gave_up",
        "_out",
        "_proposer",
        "_safety",
        "_team",
        "_timeout",
        "_verifier",
        "_watch",
        "chain",
        "now",
        "pacemaker",
        "timeouts",
        "votes",
    )

    def __init__(
        self,
        config: ReplicaConfig,
        team: Team,
        safety: SafetyRules,
        application: Application,
        verifier: Verifier,
        watch: Watch,
        out: Outbox,
    ) -> None:
        self._config = config
        self._team = team
        self._safety = safety
        self._application = application
        self._verifier = verifier
        self._watch = watch
        self._out = out
        self._desk = Desk(safety, out, deferred=config.deferred)
        self.votes = VoteBook(team, verifier.crypto, config.vote_window, watch.see)
        self.timeouts = TimeoutBook(team)
        self.pacemaker = Pacemaker(config)
        self.chain = Chain(config, team, application, out, Root(block=team.genesis, height=0, view=0))
        self._proposer = Proposer(config, application, out, self.chain, self.pacemaker)
        self._candidate: bytes | None = None
        self._timeout: Timeout | None = None
        self._gave_up = False
        self._armed = False
        self.now = 0.0

    def start(self, applied: Root | None) -> None:
        """Takes up where the log of `SafetyRules` and the application ended."""
        chain, state = self.chain, self._safety.state
        if applied is not None:
            chain.tree.root = applied
        self._out.extend(self._application.start(chain.tree.root, self._desk, self._watch, self.now))
        view, tc = state.high_qc.view + 1, None
        if state.timeout_qc is not None and state.timeout_view > view:
            view, tc = state.timeout_view, state.timeout_tc
        for block in self._safety.blocks:
            chain.add(statements.block_id(self._team, block), block)
            if block.view > view:
                view, tc = block.view, block.tc
        chain.certify(state.high_qc)
        self._enter(view, tc)
        if state.timeout_view >= view:
            # Said before the crash; said again, so that neither the others nor its own votes wait for the timer.
            self._give_up()

    def finish(self, *, synced: bool) -> None:
        """Ends a step: sends what can be signed, and starts the view's timer if there is now a reason to."""
        while signed := self._desk.take(synced=synced):
            for message in signed:
                self._own(message)
        if not self._armed and self.pacemaker.view and self._busy():
            self._armed = True
            self._out.timer(Timer.VIEW, self.pacemaker.view, self.pacemaker.period * NUDGE)

    # What arrives, checked

    def take_vote(self, vote: Vote, *, own: bool = False) -> str | None:
        """Counts a vote; returns why its sender is at fault."""
        result = self.votes.add(vote, own=own)
        if isinstance(result, Qc):
            # Its signatures are known to be good; this makes the verifier remember the whole.
            self._verifier.qc_fault(result)
            self.take_certificates(result, None)
            return None
        return result

    def take_certificates(self, qc: Qc, tc: Tc | None) -> None:
        """Takes verified certificates: a Qc, and a Tc that demands no higher one, if there is one."""
        commits = self.chain.commits
        higher = self.chain.certify(qc)
        self._progress(commits)
        if tc is not None and tc.view >= self.pacemaker.view:
            self._enter(tc.view + 1, tc)
        elif higher and qc.view >= self.pacemaker.view:
            self._enter(qc.view + 1, None)
        elif higher:
            self.propose()

    def take_timeout(self, timeout: Timeout) -> None:
        """Counts a verified timeout of the current view."""
        tc = self.timeouts.add(timeout)
        if len(self.timeouts) > self._team.f and not self._gave_up:
            # One of f + 1 is honest, so the view is lost: join, so that the certificate forms at all.
            self._give_up()
        if tc is not None:
            self._verifier.tc_fault(tc)
            self.take_certificates(self.chain.high_qc, tc)

    def take_proposal(self, name: bytes, block: Block) -> None:
        """Takes a verified proposal whose certificates have been taken before."""
        if block.view == self.pacemaker.view and self._candidate is None:
            self._candidate = name
        commits = self.chain.commits
        connected = self.chain.add(name, block)
        self._progress(commits)
        self.settled(connected)

    def settled(self, connected: list[bytes]) -> None:
        """Goes on with what waited for blocks that are now connected."""
        if self._candidate is not None and self._candidate in connected:
            self._vote(self._candidate)
        if connected:
            self.propose()

    def take_column(self, sender: int, column: Column) -> None:
        """Hands a column to the application, unchecked."""
        self._out.extend(self._application.receive(sender, column, self.now))
        self.propose()

    def take_blocks(self, connect: list[bytes], commits: int) -> None:
        """Goes on after an answer with blocks; `commits` is how many there had been before it."""
        self._progress(commits)
        self.settled(connect)

    # What this replica does

    def propose(self) -> None:
        """Proposes if it is this replica's turn and time; its own vote is written down together with the proposal."""
        if not self._proposer.open:
            return
        block = self._proposer.attempt(self.now)
        if block is None or self._desk.propose(block) is not None:
            return
        self.take_proposal(statements.block_id(self._team, block), block)

    def late(self) -> None:
        """Handles the view's timer."""
        pacemaker = self.pacemaker
        if not self._busy():
            self._armed = False
            return
        if not pacemaker.nudged:
            pacemaker.nudged = True
            if self._candidate is None:
                self._out.send(self._team.leader(pacemaker.view), self.status())
            self._out.timer(Timer.VIEW, pacemaker.view, pacemaker.period * (1.0 - NUDGE))
            return
        self._give_up()
        self._out.timer(Timer.VIEW, pacemaker.view, self._config.timeout)

    def status(self) -> Status:
        """The certificates that this replica stands on."""
        return Status(high_qc=self.chain.high_qc, tc=self._standing())

    def _standing(self) -> Tc | None:
        """The timeout certificate that is needed, beside the highest Qc, to be let into this view."""
        return None if self.chain.high_qc.view == self.pacemaker.view - 1 else self.pacemaker.tc

    def _enter(self, view: int, tc: Tc | None) -> None:
        self.pacemaker.enter(view, tc, self.now)
        self.timeouts.enter(view)
        self.votes.enter(view)
        self._watch.advance(view=view)
        self._timeout = None
        self._gave_up = False
        self._candidate = None
        self._armed = False
        leads = self._team.leader(view) == self._config.index
        self._proposer.enter(leads=leads)
        if leads:
            self.propose()

    def _vote(self, name: bytes) -> None:
        block = self.chain.tree.get(name)
        if block is None or block.view != self.pacemaker.view or self._gave_up:
            return
        chain = self.chain.tree.chain(block.parent)
        if block.payload and len(chain) >= self._config.uncommitted:
            return
        if self._application.validate(block, chain, self.now) is not None:
            self._out.extend(self._application.refused(block, self.now))
            return
        self._desk.vote(block)

    def _give_up(self) -> None:
        """Broadcasts the timeout of the current view, the same one each time; who may not sign helps others."""
        if self._timeout is not None:
            self._out.broadcast(self._timeout)
        elif self._desk.timeout(self.pacemaker.view, self.chain.high_qc, self._standing()) is None:
            self._gave_up = True
        else:
            self._out.broadcast(self.status())

    def _own(self, message: Vote | Timeout | Proposal | Column) -> None:
        """Sends what has been signed, and takes this replica's own copy."""
        self._out.broadcast(message)
        if isinstance(message, Vote):
            self.take_vote(message, own=True)
        elif isinstance(message, Timeout):
            if message.view == self.pacemaker.view and self._timeout is None:
                self._timeout = message
                self.take_timeout(message)
        elif isinstance(message, Column):
            self._out.extend(self._application.signed(message, self.now))
            self.propose()

    def _progress(self, commits: int) -> None:
        if self.chain.commits != commits:
            self.pacemaker.progress()

    def _busy(self) -> bool:
        return self._config.heartbeat or self.chain.tree.busy() or self._application.pending()
