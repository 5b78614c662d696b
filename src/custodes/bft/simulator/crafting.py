"""Well-formed messages signed with the liars' own keys, and badly formed ones."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import final

from custodes.bft import statements
from custodes.bft.crypto import Signer
from custodes.bft.messages import Block, Column, Message, Proposal, Qc, Tc, Timeout, Vote
from custodes.bft.team import Team


@final
class Crafter:
    """Makes messages. Holds the liars' signers and nobody else's.

    Args:
        team: Whom the messages are meant for.
        signers: Signer by index of the liar.
    """

    def __init__(self, team: Team, signers: Mapping[int, Signer]) -> None:
        self._team = team
        self._signers = dict(sorted(signers.items()))
        self.count = len(self._signers)

    def vote(self, voter: int, block: Block) -> Vote:
        """A liar's vote for a block."""
        name = statements.block_id(self._team, block)
        high = statements.tc_high(block.tc)
        statement = statements.vote_statement(self._team, block.view, name, block.qc.view, high)
        signature = self._signers[voter].sign(statement)
        return Vote(view=block.view, block=name, qc_view=block.qc.view, tc_high=high, voter=voter, signature=signature)

    def timeout(self, voter: int, view: int, high_qc: Qc, tc: Tc | None) -> Timeout:
        """A liar's timeout, with whatever certificates suit it."""
        signature = self._signers[voter].sign(statements.timeout_statement(self._team, view, high_qc.view))
        return Timeout(view=view, high_qc=high_qc, tc=tc, voter=voter, signature=signature)

    def proposal(self, proposer: int, block: Block) -> Proposal:
        """A block signed by a liar, whoever leads its view."""
        statement = statements.proposal_statement(self._team, block.view, statements.block_id(self._team, block))
        return Proposal(block=block, signature=self._signers[proposer].sign(statement))

    def column(self, column: Column) -> Column:
        """A column of a liar, signed."""
        digest = statements.votes_digest(column)
        statement = statements.column_statement(self._team, column.batch, column.agent, digest)
        return replace(column, signature=self._signers[column.agent].sign(statement))

    def with_own(self, others: Mapping[int, object]) -> int:
        """How many distinct signers there are if every liar signs too."""
        return len(others) + sum(index not in others for index in self._signers)

    def qc(self, key: tuple[int, bytes, int, int], votes: Mapping[int, bytes], rng: random.Random | None = None) -> Qc:
        """A certificate of others' votes and own ones; which quorum of them, the generator chooses."""
        view, block, qc_view, high = key
        statement = statements.vote_statement(self._team, view, block, qc_view, high)
        signatures = dict(votes)
        for index, signer in self._signers.items():
            if rng is not None or len(signatures) < self._team.quorum:
                signatures.setdefault(index, signer.sign(statement))
        signers = sorted(signatures)
        chosen = signers[: self._team.quorum] if rng is None else sorted(rng.sample(signers, self._team.quorum))
        return Qc(
            view=view,
            block=block,
            qc_view=qc_view,
            tc_high=high,
            signers=tuple(chosen),
            signatures=tuple(signatures[index] for index in chosen),
        )

    def tc(self, view: int, timeouts: Sequence[Timeout]) -> Tc | None:
        """A timeout certificate: own timeouts that know nothing, and the first of the others'; None when too few."""
        parts: dict[int, tuple[int, bytes]] = {}
        for index, signer in self._signers.items():
            if len(parts) < self._team.quorum:
                parts[index] = (0, signer.sign(statements.timeout_statement(self._team, view, 0)))
        return self._fill(view, parts, timeouts)

    def _fill(self, view: int, parts: dict[int, tuple[int, bytes]], timeouts: Iterable[Timeout]) -> Tc | None:
        for timeout in timeouts:
            if len(parts) < self._team.quorum:
                parts.setdefault(timeout.voter, (timeout.high_qc.view, timeout.signature))
        if len(parts) < self._team.quorum:
            return None
        signers = tuple(sorted(parts))
        return Tc(
            view=view,
            signers=signers,
            high_views=tuple(parts[index][0] for index in signers),
            signatures=tuple(parts[index][1] for index in signers),
        )

    def false_qc(self, rng: random.Random, block: Block) -> Qc:
        """A certificate for any block, known to the liars alone: repeated, foreign, too few or unsigned signers."""
        team = self._team
        vote = self.vote(next(iter(self._signers)), block)
        own = {index: self.vote(index, block).signature for index in self._signers}
        kind = rng.randrange(4)
        if kind == 0:
            signers, signatures = (vote.voter,) * team.quorum, (vote.signature,) * team.quorum
        elif kind == 1:
            signers, signatures = tuple(own), tuple(own.values())
        elif kind == 2:
            signers = tuple(range(team.n, team.n + team.quorum))
            signatures = (vote.signature,) * team.quorum
        else:
            signers = tuple(range(team.quorum))
            signatures = tuple(own.get(index, vote.signature) for index in signers)
        return Qc(
            view=vote.view,
            block=vote.block,
            qc_view=vote.qc_view,
            tc_high=vote.tc_high,
            signers=signers,
            signatures=signatures,
        )

    def false_tc(self, rng: random.Random, view: int) -> Tc:
        """A timeout certificate that no quorum signed."""
        team = self._team
        index, signer = next(iter(self._signers.items()))
        signature = signer.sign(statements.timeout_statement(team, view, 0))
        repeated = rng.random() < 0.5
        signers = (index,) * team.quorum if repeated else tuple(range(team.quorum))
        return Tc(view=view, signers=signers, high_views=(0,) * team.quorum, signatures=(signature,) * team.quorum)

    def in_the_name_of(self, voter: int, message: Message) -> Message | None:
        """The same message with another's name on it and a signature that is not that one's; None where none fits."""
        match message:
            case Vote() | Timeout():
                return replace(message, voter=voter)
            case Proposal(block=block):
                return Proposal(block=replace(block, proposer=voter), signature=message.signature)
            case Column():
                return replace(message, agent=voter)
        return None
