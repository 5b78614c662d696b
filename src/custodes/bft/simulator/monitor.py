"""What must hold in every run, watched from outside: nothing here trusts what a replica says of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, final

from custodes.bft import statements
from custodes.bft.core.events import Deliver
from custodes.bft.messages import Block, Column, Message, Proposal, Qc, Timeout, Vote
from custodes.bft.team import Team


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


Verify = Callable[[int, bytes, bytes], bool]
"""Replica, statement, signature: whether it is that one's. The simulator's own, never the one that replicas use."""


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
        self._decided = decided
        self.violations: list[Violation] = []
        self.chain: list[Block] = []
        self._heights: dict[int, int] = {}
        self._signed: dict[tuple[str, int, int], Any] = {}
        self._gave_up: dict[int, int] = {}
        self._rested: dict[int, int] = {}
        self._sound: set[bytes] = set()
        self._seen: dict[tuple[int, str, int, int], Any] = {}
        self.due: dict[tuple[int, int], str] = {}
        self.reported: set[tuple[int, int]] = set()
        self.top_view = 0

    def fail(self, rule: str, what: str, at: float) -> None:
        """Note a violation."""
        self.violations.append(Violation(rule=rule, what=what, at=at))

    def sent(self, sender: int, message: Message, now: float) -> None:
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
                    self._once("proposal", sender, block.view, statements.block_id(self._team, block), now)
            case Column():
                if message.agent == sender:
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
            self.fail("no-vote-after-timeout", f"replica {vote.voter} votes in {vote.view} after giving up {gave_up}", now)
        if vote.tc_high < 0 and vote.qc_view != vote.view - 1:
            self.fail("sound-vote", f"replica {vote.voter} votes in {vote.view} on {vote.qc_view} without reason", now)
        if vote.qc_view < vote.tc_high:
            what = f"replica {vote.voter} votes in {vote.view} on {vote.qc_view} below {vote.tc_high}"
            self.fail("sound-vote", what, now)
        self._rested[vote.voter] = max(self._rested.get(vote.voter, 0), vote.qc_view)

    def _timeout_sent(self, timeout: Timeout, now: float) -> None:
        signer, high = timeout.voter, timeout.high_qc.view
        if not self._once("timeout", signer, timeout.view, high, now):
            return
        self._gave_up[signer] = max(self._gave_up.get(signer, 0), timeout.view)
        if high < self._rested.get(signer, 0):
            what = f"replica {signer} gives up {timeout.view} showing {high}, but voted on {self._rested[signer]}"
            self.fail("nothing-hidden", what, now)

    def received(self, receiver: int, message: Message) -> None:
        """An honest replica got a message: two statements by one liar for one slot must lead to a proof."""
        match message:
            case Vote():
                said: Any = (message.block, message.qc_view, message.tc_high)
                self._note(receiver, "vote", message.voter, message.view, said)
            case Proposal(block=block):
                self._note(receiver, "proposal", block.proposer, block.view, statements.block_id(self._team, block))
            case Column():
                digest = statements.votes_digest(message)
                self._note(receiver, "column", message.agent, message.batch, digest)

    def _note(self, receiver: int, kind: str, signer: int, slot: int, said: Any) -> None:
        known = self._seen.setdefault((receiver, kind, signer, slot), said)
        if known != said:
            self.due.setdefault((receiver, signer), f"{kind} {slot}")

    def report(self, reporter: int, culprit: int, now: float) -> None:
        """An honest replica names a culprit: never an honest one."""
        self.reported.add((reporter, culprit))
        if culprit in self.honest:
            self.fail("no-honest-accused", f"replica {reporter} accuses honest replica {culprit}", now)

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
        self._extend(replica, block, now)

    def _extend(self, replica: int, block: Block, now: float) -> None:
        before = self.chain[-1] if self.chain else None
        parent = self._team.genesis if before is None else statements.block_id(self._team, before)
        if block.parent != parent or block.view <= (0 if before is None else before.view):
            self.fail("extension", f"replica {replica} commits height {block.height}, which does not follow", now)
        self.chain.append(block)
        fault = self._decided(block)
        if fault:
            self.fail("decision", f"height {block.height}: {fault}", now)

    def rewind(self, replica: int, height: int) -> None:
        """An application restarts from what it had stored: blocks above this height are delivered to it again."""
        self._heights[replica] = height

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
        return self._qc_fault(deliver.descendants[-1].qc) or self._qc_fault(deliver.qc)

    def _qc_fault(self, qc: Qc) -> str | None:
        digest = statements.qc_digest(qc)
        if digest in self._sound:
            return None
        statement = statements.statement_of_qc(self._team, qc)
        pairs = zip(qc.signers, qc.signatures, strict=False)
        signed = {signer for signer, signature in pairs if self._verify(signer, statement, signature)}
        n = self._team.n
        if len(signed) * 2 < n + (n - 1) // 3 + 1:
            return f"certificate of view {qc.view} has {len(signed)} distinct signers"
        self._sound.add(digest)
        return None
