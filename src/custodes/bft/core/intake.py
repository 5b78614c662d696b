"""Checks what arrives before any of it is used: cheap checks first, signatures only of what can still matter.

Order of checks: who sent it (a peer votes and gives up views only for itself; `sender` comes from the transport),
whether it is of use at all, its form, whether it was seen, its own signature, its certificates. What no honest peer
sends is refused and counted.

A proposal speaks for its leader by its signature, whoever brings it. So a leader that shows one block to some and
another to others is found out: who voted for the one is shown the other by whoever holds that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from custodes.bft import statements
from custodes.bft.core.pacemaker import lets_in
from custodes.bft.messages import Blocks, Column, Fetch, Message, Proposal, Status, Timeout, Vote

if TYPE_CHECKING:
    from custodes.bft.core.config import ReplicaConfig
    from custodes.bft.core.engine import Engine
    from custodes.bft.core.outbox import Outbox
    from custodes.bft.core.watch import Watch
    from custodes.bft.evidence import Proof
    from custodes.bft.team import Team
    from custodes.bft.verify import Verifier

PROPOSALS = 2
"""Different proposals looked at per view: two are a proof against the leader, more add nothing."""


@final
class Intake:
    """The messages of peers."""

    __slots__ = (
        "_answers",
        "_config",
        "_confronted",
        "_engine",
        "_helped",
        "_out",
        "_proposals",
        "_team",
        "_verifier",
        "_watch",
    )

    def __init__(
        self, config: ReplicaConfig, team: Team, verifier: Verifier, watch: Watch, engine: Engine, out: Outbox
    ) -> None:
        self._config = config
        self._team = team
        self._verifier = verifier
        self._watch = watch
        self._engine = engine
        self._out = out
        self._proposals: dict[int, dict[bytes, bytes]] = {}
        self._confronted = [0] * team.n
        self._answers = [(0.0, 0)] * team.n
        self._helped = [(0, 0.0)] * team.n

    def __len__(self) -> int:
        return sum(len(names) for names in self._proposals.values())

    def receive(self, sender: int, message: Message | Proof) -> None:
        """Takes one message."""
        reason: str | None = None
        if isinstance(message, Vote):
            reason = self._vote(sender, message)
        elif isinstance(message, Proposal):
            reason = self._proposal(message)
        elif isinstance(message, Timeout):
            reason = self._timeout(sender, message)
        elif isinstance(message, Status):
            reason = self._status(message)
        elif isinstance(message, Blocks):
            commits = self._engine.chain.commits
            self._engine.take_blocks(self._engine.chain.blocks(sender, message), commits)
        elif isinstance(message, Fetch):
            self._fetch(sender, message)
        elif isinstance(message, Column):
            self._engine.take_column(sender, message)
        else:
            reason = self._watch.receive(message)
        if reason is not None:
            self._out.refuse(sender, reason)

    def _vote(self, sender: int, vote: Vote) -> str | None:
        if vote.voter != sender:
            return "vote of another replica"
        reason = self._engine.take_vote(vote)
        self._confront(vote.view)
        return reason

    def _proposal(self, proposal: Proposal) -> str | None:
        block = proposal.block
        if block.view <= self._engine.chain.tree.root.view:
            return None
        fault = self._verifier.shape_fault(block)
        if fault is not None:
            return fault
        name = statements.block_id(self._team, block)
        known = self._proposals.get(block.view, ())
        if name in known or len(known) >= PROPOSALS:
            return None
        fault = self._verifier.proposal_fault(proposal)
        if fault is not None:
            return fault
        self._remember(block.view, name, proposal.signature)
        self._watch.see(proposal)
        self._engine.take_certificates(block.qc, block.tc)
        self._engine.take_proposal(name, block)
        self._confront(block.view)
        return None

    def _confront(self, view: int) -> None:
        """Shows who voted for another block of a view the one that its leader proposed here, once per voter and view.

        An honest voter holds the other proposal, so together they are a proof against the leader.
        """
        known = self._proposals.get(view, {})
        if len(known) != 1:
            return
        ((name, signature),) = known.items()
        for voter in self._engine.votes.against(view, name):
            block = self._engine.chain.tree.find(name)
            if view > self._confronted[voter] and block is not None:
                self._confronted[voter] = view
                self._out.send(voter, Proposal(block=block, signature=signature))

    def _remember(self, view: int, name: bytes, signature: bytes) -> None:
        proposals = self._proposals
        proposals.setdefault(view, {})[name] = signature
        # In the order of arrival: a view below the committed one that hides behind a later one goes a little later.
        floor = self._engine.chain.tree.root.view
        while (oldest := next(iter(proposals))) <= floor or len(proposals) > self._config.uncommitted:
            del proposals[oldest]

    def _timeout(self, sender: int, timeout: Timeout) -> str | None:
        engine = self._engine
        if timeout.voter != sender:
            return "timeout of another replica"
        if timeout.view < engine.pacemaker.view:
            self._help(sender)
            return None
        if not lets_in(timeout.view, timeout.high_qc, timeout.tc):
            return "timeout for a view that nothing let its sender into"
        if timeout.view == engine.pacemaker.view:
            known = engine.timeouts.of(sender)
            if known is not None and known.high_qc.view == timeout.high_qc.view:
                return None
        fault = self._verifier.timeout_fault(timeout)
        if fault is not None:
            return fault
        self._watch.see(timeout)
        engine.take_certificates(timeout.high_qc, timeout.tc)
        if timeout.view == engine.pacemaker.view:
            engine.take_timeout(timeout)
        return None

    def _status(self, status: Status) -> str | None:
        qc, tc = status.high_qc, status.tc
        news = qc.view > self._engine.chain.high_qc.view or (tc is not None and tc.view >= self._engine.pacemaker.view)
        if not news:
            return None
        if tc is not None and not lets_in(tc.view + 1, qc, tc):
            return "certificates that do not belong together"
        fault = self._verifier.qc_fault(qc) or (self._verifier.tc_fault(tc) if tc is not None else None)
        if fault is None:
            self._engine.take_certificates(qc, tc)
        return fault

    def _fetch(self, sender: int, fetch: Fetch) -> None:
        """Answers, so often per peer and time and no more."""
        since, count = self._answers[sender]
        if self._engine.now >= since + self._config.timeout:
            since, count = self._engine.now, 0
        self._answers[sender] = (since, count + 1)
        if count < self._config.answers:
            self._engine.chain.answer(sender, fetch)

    def _help(self, sender: int) -> None:
        """Lifts a peer that is in a lower view, now and then."""
        engine = self._engine
        view, at = self._helped[sender]
        if view == engine.pacemaker.view and engine.now < at + self._config.timeout / 2:
            return
        self._helped[sender] = (engine.pacemaker.view, engine.now)
        self._out.send(sender, engine.status())
