"""The liars of a run: they share what they know, sign with their own keys only, and act whenever it may hurt."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from custodes.bft import statements
from custodes.bft.messages import Block, Blocks, Fetch, Message, Proposal, Qc, Status, Tc, Timeout
from custodes.bft.simulator.crafting import Crafter
from custodes.bft.simulator.knowledge import Knowledge
from custodes.bft.simulator.payloads import Liars
from custodes.bft.simulator.scenario import Scenario
from custodes.bft.simulator.trace import Said
from custodes.bft.team import Team

_PATIENCE: Final = 6.0
"""Longest time for which a liar holds back what it leads with, units."""
_LONGEST_ANSWER: Final = 8
"""Blocks in an answer to a request."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """A message that a liar sends."""

    sender: int
    """Liar whose connection carries it."""
    receiver: int
    """Honest replica."""
    message: Message
    """What."""
    wait: float
    """How long the liar holds it back, units."""


@final
class Adversary:
    """Reacts to what any liar receives.

    Args:
        scenario: Who lies, and how.
        team: The replicas.
        crafter: Signs for the liars.
        payloads: Makes payloads for blocks and columns.
        rng: Every choice.
    """

    def __init__(self, scenario: Scenario, team: Team, crafter: Crafter, payloads: Liars, rng: random.Random) -> None:
        self._style = scenario.style
        self._liars = scenario.liars
        self._honest = tuple(index for index in range(scenario.n) if index not in scenario.liars)
        self._team = team
        self._craft = crafter
        self._payloads = payloads
        self._rng = rng
        self.knowledge = Knowledge(team, crafter)
        self._beyond = len(scenario.liars) > scenario.f
        self._split: dict[int, int] = {}
        self._entered = 0
        self._voted: set[int] = set()
        self._gave_up: set[int] = set()
        self._silent: dict[int, bool] = {}
        self._out: list[Sending] = []
        self.muted: list[int] = []
        """Replicas to be cut off from now on."""

    def start(self) -> list[Sending]:
        """What the liars do first."""
        self._advance()
        return self._taken()

    def receive(self, me: int, sender: int, message: Said) -> list[Sending]:
        """What the liars do when one of them gets a message from an honest replica."""
        if isinstance(message, Fetch):
            self._answer(me, sender, message)
            return self._taken()
        if not self.knowledge.learn(message):
            return self._taken()
        match message:
            case Proposal(block=block):
                self._vote(block)
            case Timeout(view=view):
                self._give_up(view)
        self._advance()
        return self._taken()

    def tick(self) -> list[Sending]:
        """What the liars do now and then, unprompted."""
        self._advance(now=True)
        view = self.knowledge.view
        if not self._quiet(view):
            if self._may(self._style.lie):
                self._lie(view + self._rng.choice((-1, 0, 0, 0, 1, 1000)))
            if self._may(self._style.forge):
                self._forge(view)
            if self._may(self._style.replay) and self.knowledge.old:
                self._send_some(self._rng.choice(self.knowledge.old))
        return self._taken()

    def submit(self, batch: int) -> list[Sending]:
        """The liars' votes on a batch, different ones for different replicas if they equivocate."""
        for liar in self._liars:
            for column in self._payloads.columns(liar, batch, self._rng, two=self._may(self._style.equivocate)):
                self.knowledge.learn(column)
                self._send_some(column, sender=liar, all_of_them=not self._may(self._style.withhold))
        return self._taken()

    def _advance(self, *, now: bool = False) -> None:
        """Lead every view that can be entered and has not been; too many liars first wait for both halves' votes."""
        while self._entered < self.knowledge.view:
            view = self.knowledge.view
            if not now and self._beyond and len(self.knowledge.qcs.get(view - 1, {})) < self._split.get(view - 1, 0):
                return
            self._entered = view
            leader = self._team.leader(view)
            if leader in self._liars and not self._quiet(view):
                self._lead(leader, view)

    def _lead(self, leader: int, view: int) -> None:
        style, rng = self._style, self._rng
        if self._may(style.bait) and self._bait(leader, view):
            return
        blocks = self._blocks(leader, view)
        wait = rng.uniform(0.0, _PATIENCE) if rng.random() < 0.3 else 0.0
        given: list[list[int]] = [[] for _ in blocks]
        for receiver in self._honest:
            if not blocks or self._may(style.withhold * 0.5):
                continue
            for at in self._chosen(receiver, blocks):
                given[at].append(receiver)
                proposal = self._craft.proposal(leader, blocks[at])
                if self._may(style.forge * 0.3):
                    proposal = replace(proposal, signature=rng.randbytes(64))
                self._send(leader, receiver, proposal, wait)
        for block in blocks:
            self.knowledge.learn_block(block)
        self._split[view] = sum(bool(receivers) for receivers in given)
        apart = len(blocks) > 1 and rng.random() < 0.7
        for block, receivers in zip(blocks, given, strict=True):
            self._vote(block, wait, only=receivers if apart else None)

    def _bait(self, leader: int, view: int) -> bool:
        """Give a block to just enough replicas, the liars' votes to one of them alone, and cut that one off."""
        newest = next(iter(self.knowledge.qcs.get(view - 1, {}).values()), None)
        if newest is None or newest.view == 0:
            return False
        block = self._make(leader, view, newest, None)
        chosen = self._rng.sample(self._honest, self._team.quorum - len(self._liars))
        for receiver in chosen:
            self._send(leader, receiver, self._craft.proposal(leader, block), 0.0)
        self.knowledge.learn_block(block)
        self._voted.add(view)
        for liar in self._liars:
            self._send(liar, chosen[0], self._craft.vote(liar, block), 0.0)
        self.muted.append(chosen[0])
        return True

    def _blocks(self, leader: int, view: int) -> list[Block]:
        """One block; or, equivocating, several; or one on each certificate of the view before if there are two."""
        rivals = list(self.knowledge.qcs.get(view - 1, {}).values())
        if len(rivals) > 1:
            return [self._make(leader, view, qc, None) for qc in rivals]
        count = self._rng.choice((2, 2, 3)) if self._may(self._style.equivocate) else 1
        return [
            block for block in (self._block(leader, view, another=at > 0) for at in range(count)) if block is not None
        ]

    def _chosen(self, receiver: int, blocks: Sequence[Block]) -> list[int]:
        """Which of the blocks a replica gets: one on a parent that it voted for, if there is one; seldom all."""
        if self._rng.random() < 0.15:
            return list(range(len(blocks)))
        liked = [
            at for at, block in enumerate(blocks) if self.knowledge.liked.get((receiver, block.qc.view)) == block.parent
        ]
        return [self._rng.choice(liked if liked and len(blocks) > 1 else range(len(blocks)))]

    def _block(self, leader: int, view: int, *, another: bool) -> Block | None:
        """A block of a view on certificates that a replica may take, or (forging) on none that it may."""
        chosen = self._basis(view)
        if chosen is None:
            return None
        qc, tc = chosen
        if self._may(self._style.forge * 0.5):
            qc, tc = self._forged_basis(qc, tc)
        if another:
            qc = self.knowledge.another(qc, self._rng)
        return self._make(leader, view, qc, tc)

    def _make(self, leader: int, view: int, qc: Qc, tc: Tc | None) -> Block:
        above = qc.block
        if self._may(self._style.forge * 0.2) and self.knowledge.blocks:
            above = self._rng.choice(list(self.knowledge.blocks))
        parent = self.knowledge.blocks.get(above)
        payload = self._payloads.payload(
            self.ancestors(above),
            self.knowledge.columns,
            self._rng,
            wrong=self._may(self._style.wrong),
            censor=self._may(self._style.censor),
        )
        height = 1 if parent is None else parent.height + 1
        return Block(view=view, height=height, parent=above, proposer=leader, qc=qc, tc=tc, payload=payload)

    def _basis(self, view: int) -> tuple[Qc, Tc | None] | None:
        """Certificates to extend: the highest, or an old one with the timeout certificate that suits it best."""
        knowledge = self.knowledge
        newest = next(iter(knowledge.qcs.get(view - 1, {}).values()), None)
        low = knowledge.lowest_tc(view - 1)
        if low is None:
            low = knowledge.tcs.get(view - 1)
        if newest is not None and not (low is not None and self._may(self._style.stale)):
            return newest, None
        if low is None:
            return None
        old = [qc for qc in knowledge.known_qcs() if qc.view < view - 1]
        if not old:
            return None
        if self._may(self._style.stale):
            fitting = [qc for qc in old if qc.view >= low.high] or old
            return (fitting[-1] if self._rng.random() < 0.6 else self._rng.choice(old)), low
        return old[0], low

    def _forged_basis(self, qc: Qc, tc: Tc | None) -> tuple[Qc, Tc | None]:
        if tc is not None and self._rng.random() < 0.5:
            return qc, self._craft.false_tc(self._rng, tc.view)
        block = self.knowledge.blocks.get(qc.block)
        return (qc if block is None else self._craft.false_qc(self._rng, block)), tc

    def ancestors(self, name: bytes) -> list[Block]:
        """The chain of blocks that ends in this one, oldest first, as far as the liars know it."""
        chain = []
        block = self.knowledge.blocks.get(name)
        while block is not None:
            chain.append(block)
            block = self.knowledge.blocks.get(block.parent)
        return chain[::-1]

    def _vote(self, block: Block, wait: float = 0.0, only: Sequence[int] | None = None) -> None:
        """Vote once per view, or for everything; for the eyes of some replicas only, if so wished."""
        view = block.view
        if self._quiet(view) or (view in self._voted and not self._may(self._style.double_vote)):
            return
        self._voted.add(view)
        for liar in self._liars:
            vote = self._craft.vote(liar, block)
            self.knowledge.learn(vote)
            if only is not None:
                for receiver in only:
                    self._send(liar, receiver, vote, wait)
            elif not self._may(self._style.hoard):
                self._send_some(vote, sender=liar, wait=wait, all_of_them=not self._may(self._style.withhold))

    def _give_up(self, view: int) -> None:
        if view in self._gave_up or self._quiet(view):
            return
        self._gave_up.add(view)
        if self._may(self._style.lie):
            self._lie(view)
            return
        best = next(qc for qc in self.knowledge.known_qcs() if qc.view < max(view, 1))
        for liar in self._liars:
            if not self._may(self._style.withhold):
                tc = None if best.view == view - 1 else self.knowledge.tcs.get(view - 1)
                self._send_all(liar, self._craft.timeout(liar, view, best, tc))

    def _lie(self, view: int) -> None:
        """Timeouts that know little, not the same for everybody."""
        if view < 1:
            return
        known = [qc for qc in self.knowledge.known_qcs() if qc.view < view]
        for liar in self._liars:
            qc = known[-1] if self._rng.random() < 0.6 else self._rng.choice(known)
            tc = None if qc.view == view - 1 else self.knowledge.tcs.get(view - 1)
            self._send_some(self._craft.timeout(liar, view, qc, tc), sender=liar)

    def _forge(self, view: int) -> None:
        """One message that every honest replica must refuse."""
        rng, liar = self._rng, self._rng.choice(self._liars)
        block = next((self.knowledge.blocks[name] for name in reversed(self.knowledge.blocks)), None)
        kind = rng.randrange(5)
        message: Message | None = None
        if kind == 0 and self.knowledge.old:
            message = self._craft.in_the_name_of(rng.choice(self._honest), rng.choice(self.knowledge.old))
        elif kind == 1 and block is not None:
            message = Status(high_qc=self._craft.false_qc(rng, block), tc=None)
        elif kind == 2:
            genesis = statements.genesis_qc(self._team)
            message = Status(high_qc=genesis, tc=self._craft.false_tc(rng, view + rng.randrange(3)))
        elif kind == 3 and block is not None:
            message = replace(self._craft.vote(liar, block), signature=rng.randbytes(64))
        elif block is not None:
            out_of_turn = Block(
                view=view,
                height=block.height,
                parent=block.parent,
                proposer=liar,
                qc=block.qc,
                tc=block.tc,
                payload=block.payload,
            )
            message = self._craft.proposal(liar, out_of_turn)
        if message is not None:
            self._send_some(message, sender=liar)

    def _answer(self, me: int, sender: int, fetch: Fetch) -> None:
        """Blocks that a replica asks for: sometimes none, sometimes others."""
        if self._may(self._style.withhold) or self._quiet(self.knowledge.view):
            return
        chain = self.ancestors(fetch.block)[::-1]
        wanted = [block for block in chain if block.height > fetch.floor][: min(fetch.limit, _LONGEST_ANSWER)]
        if self._may(self._style.forge) and self.knowledge.blocks:
            wanted = [self._rng.choice(list(self.knowledge.blocks.values()))]
        if wanted:
            self._send(me, sender, Blocks(blocks=tuple(wanted)), 0.0)

    def _may(self, share: float) -> bool:
        return share > 0.0 and self._rng.random() < share

    def _quiet(self, view: int) -> bool:
        if view not in self._silent:
            self._silent[view] = self._may(self._style.silent)
        return self._silent[view]

    def _send(self, sender: int, receiver: int, message: Message, wait: float) -> None:
        self._out.append(Sending(sender=sender, receiver=receiver, message=message, wait=wait))

    def _send_all(self, sender: int, message: Message, wait: float = 0.0) -> None:
        for receiver in self._honest:
            self._send(sender, receiver, message, wait)

    def _send_some(
        self, message: Message, *, sender: int | None = None, wait: float = 0.0, all_of_them: bool = False
    ) -> None:
        chosen: Sequence[int] = self._honest
        if not all_of_them:
            chosen = self._rng.sample(self._honest, self._rng.randrange(1, len(self._honest) + 1))
        carrier = self._rng.choice(self._liars) if sender is None else sender
        for receiver in chosen:
            self._send(carrier, receiver, message, wait)

    def _taken(self) -> list[Sending]:
        out, self._out = self._out, []
        return out
