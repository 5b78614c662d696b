"""What must hold in every run, watched from outside: nothing here trusts what a replica says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, final

from custodes.bft import statements
from custodes.bft.core.events import Deliver
from custodes.bft.messages import Block, Column, Proposal, Timeout, Vote
from custodes.bft.simulator.decisions import Verify
from custodes.bft.simulator.founded import Certificates, Founded
from custodes.bft.simulator.trace import Said
from custodes.bft.team import Team

WINDOW: Final = 8
"""Views around its own in which a replica keeps votes; as in `ReplicaConfig`."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """Something that must never happen, and did."""

    rule: str
    """Name of the invariant."""
    what: str
    """Who did what, one line."""
    at: float
    """Time, units."""


@final
class Monitor:
    """Watches honest replicas.

    Args:
        team: The replicas.
        honest: Indices of those that follow the protocol.
        verify: Checks a signature.
        decided: Called once with each block when it is first committed; returns what is wrong with it, if anything.
    """

    def __init__(
        self, team: Team, honest: Iterable[int], verify: Verify, decided: Callable[[Block], str | None]
    ) -> None:
        self._team = team
        self.honest = frozenset(honest)
        self._verify = verify
        self._certificates = Certificates(team, verify)
        self._founded = Founded(team, self.honest, self._certificates, verify)
        self._decided = decided
        self.violations: list[Violation] = []
        self.chain: list[Block] = []
        self._heights: dict[int, int] = {}
        self._signed: dict[tuple[str, int, int], Any] = {}
        self._gave_up: dict[int, int] = {}
        self._rested: dict[int, int] = {}
        self._seen: dict[tuple[int, int, int], bytes] = {}
        self._due: dict[tuple[int, int], str] = {}
        self._reported: set[tuple[int, int]] = set()
        self.top_view = 0

    def fail(self, rule: str, what: str, at: float) -> None:
        """Note a violation."""
        self.violations.append(Violation(rule=rule, what=what, at=at))

    def sent(self, sender: int, message: Said, now: float) -> None:
        """An honest replica released a message: what it signs must not contradict what it signed before."""
        match message:
            case Vote():
                if message.voter == sender:
                    self._vote_sent(message, now)
            case Timeout():
                if message.voter == sender:
                    self._timeout_sent(message, now)
            case Proposal(block=block):
                if block.proposer == sender:
                    self.top_view = max(self.top_view, block.view)
                    self._founded.proposed(message, by_honest=True)
                    self._once("proposal", sender, block.view, statements.block_id(self._team, block), now)
            case Column():
                if message.agent == sender:
                    self._founded.column(sender, message, now)
                    self._once("column", sender, message.batch, statements.votes_digest(message), now)

    def _once(self, kind: str, signer: int, slot: int, said: Any, now: float) -> bool:
        """Whether this is the first statement for its slot; a different second one is a violation."""
        known = self._signed.setdefault((kind, signer, slot), said)
        if known != said:
            self.fail("one-statement", f"replica {signer} signed two different {kind}s for {slot}", now)
        return known is said

    def _vote_sent(self, vote: Vote, now: float) -> None:
        said = (vote.block, vote.qc_view, vote.tc_high)
        if not self._once("vote", vote.voter, vote.view, said, now):
            return
        gave_up = self._gave_up.get(vote.voter, 0)
        if vote.view <= gave_up:
            self.fail(
                "no-vote-after-timeout", f"replica {vote.voter} votes in {vote.view} after giving up {gave_up}", now
            )
        if vote.tc_high < 0 and vote.qc_view != vote.view - 1:
            self.fail("sound-vote", f"replica {vote.voter} votes in {vote.view} on {vote.qc_view} without reason", now)
        if vote.qc_view < vote.tc_high:
            what = f"replica {vote.voter} votes in {vote.view} on {vote.qc_view} below {vote.tc_high}"
            self.fail("sound-vote", what, now)
        fault = self._founded.fault(vote.voter, vote.block, now)
        if fault is not None:
            self.fail("founded-vote", f"replica {vote.voter} votes in {vote.view} for a block {fault}", now)
        self._rested[vote.voter] = max(self._rested.get(vote.voter, 0), vote.qc_view)

    def _timeout_sent(self, timeout: Timeout, now: float) -> None:
        signer, high = timeout.voter, timeout.high_qc.view
        if not self._once("timeout", signer, timeout.view, high, now):
            return
        self._gave_up[signer] = max(self._gave_up.get(signer, 0), timeout.view)
        if high < self._rested.get(signer, 0):
            what = f"replica {signer} gives up {timeout.view} showing {high}, but voted on {self._rested[signer]}"
            self.fail("nothing-hidden", what, now)

    def received(self, receiver: int, message: Said, now: float, *, view: int, floor: int) -> None:
        """A replica is about to get a message: two statements by one liar for one slot must lead to a proof.

        Args:
            receiver: Honest replica.
            message: What it gets.
            now: Time, units.
            view: The view that it is in.
            floor: The view of its last committed block.
        """
        match message:
            case Vote():
                # Votes for views further away are not kept by a replica, so that nobody can fill its memory.
                if abs(message.view - view) <= WINDOW:
                    said = statements.statement_of_vote(self._team, message)
                    self._note(receiver, message.voter, message.view, said, message.signature)
            case Proposal(block=block):
                self._founded.proposed(message, by_honest=False)
                name = statements.block_id(self._team, block)
                if block.view > floor and self._founded.block_fault(name) is None:
                    said = statements.proposal_statement(self._team, block.view, name)
                    self._note(receiver, block.proposer, -block.view, said, message.signature)
            case Column():
                self._founded.column(receiver, message, now)

    def _note(self, receiver: int, signer: int, slot: int, said: bytes, signature: bytes) -> None:
        if signer in self.honest:
            return
        key = (receiver, signer, slot)
        known = self._seen.get(key)
        if known is None:
            if self._verify(signer, said, signature):
                self._seen[key] = said
        elif known != said and (receiver, signer) not in self._due and self._verify(signer, said, signature):
            self._due[receiver, signer] = "proposal" if slot < 0 else "vote"

    def report(self, reporter: int, culprit: int, now: float, *, valid: bool) -> None:
        """A replica shows a proof: a valid one, and never against an honest replica."""
        self._reported.add((reporter, culprit))
        if not valid:
            self.fail("valid-proof", f"replica {reporter} shows a proof against {culprit} that does not hold", now)
        if culprit in self.honest:
            self.fail("no-honest-accused", f"replica {reporter} accuses honest replica {culprit}", now)

    def finish(self, now: float) -> None:
        """The end of the run: whoever saw a liar sign two things has named it."""
        for (receiver, signer), kind in self._due.items():
            if (receiver, signer) not in self._reported:
                self.fail("evidence", f"replica {receiver} saw two {kind}s of {signer} and names nobody", now)

    def delivered(self, replica: int, deliver: Deliver, now: float) -> None:
        """An honest replica commits a block: the same one as all others at this height, in order, certified."""
        block = deliver.block
        name = statements.block_id(self._team, block)
        expected = self._heights.get(replica, 0) + 1
        if block.height != expected:
            self.fail("in-order", f"replica {replica} commits height {block.height}, not {expected}", now)
            return
        self._heights[replica] = block.height
        fault = self._certificate_fault(deliver, name)
        if fault:
            self.fail("certified", f"replica {replica} commits height {block.height}: {fault}", now)
        if block.height <= len(self.chain):
            if statements.block_id(self._team, self.chain[block.height - 1]) != name:
                self.fail("agreement", f"replica {replica} commits another block at height {block.height}", now)
            return
        self._extend(replica, block, name, now)

    def _extend(self, replica: int, block: Block, name: bytes, now: float) -> None:
        before = self.chain[-1] if self.chain else None
        parent = self._team.genesis if before is None else statements.block_id(self._team, before)
        if block.parent != parent or block.view <= (0 if before is None else before.view):
            self.fail("extension", f"replica {replica} commits height {block.height}, which does not follow", now)
        if block.proposer in self.honest and self._signed.get(("proposal", block.proposer, block.view)) != name:
            self.fail("authentic", f"replica {replica} commits a block that {block.proposer} never proposed", now)
        self.chain.append(block)
        fault = self._decided(block)
        if fault:
            self.fail("decision", f"height {block.height}: {fault}", now)

    def rewind(self, replica: int, height: int) -> None:
        """An application restarts from what it had stored: blocks above this height are delivered to it again."""
        self._heights[replica] = height
        self._founded.forget(replica)
        self._seen = {key: said for key, said in self._seen.items() if key[0] != replica}

    def _certificate_fault(self, deliver: Deliver, name: bytes) -> str | None:
        """Two consecutive views, each block certified by the next one, and quorums of distinct signers that signed."""
        if not deliver.descendants:
            return "no descendant certifies it"
        before, below = name, deliver.block
        for child in deliver.descendants:
            if child.parent != before or child.qc.block != before or child.qc.view != below.view:
                return "a descendant does not certify its parent"
            last_two = (below.view, child.view)
            before, below = statements.block_id(self._team, child), child
        if deliver.qc.block != before or deliver.qc.view != below.view or last_two[1] != last_two[0] + 1:
            return "the last two certificates are not of consecutive views"
        qc_fault = self._certificates.qc_fault
        return qc_fault(deliver.descendants[-1].qc) or qc_fault(deliver.qc)
