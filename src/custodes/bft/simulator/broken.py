"""The seeded defects: what each one replaces."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from custodes.bft import ballots, evidence, statements, team, verify, votes
from custodes.bft.core import aggregator, blocktree, chain, duty, engine, pacemaker, watch
from custodes.bft.core.events import Deliver
from custodes.bft.errors import DecodeError
from custodes.bft.messages import NO_TC, Block, Proposal, Qc, Tc, Vote
from custodes.bft.safety import rules
from custodes.bft.simulator import disk, keys, scenario
from custodes.bft.simulator.faults import Patches


def no_lock(patches: Patches) -> None:
    """A timeout certificate's high view is not looked at."""

    def basis(view: int, qc_view: int, tc_high: int) -> str | None:
        return _basis(view, max(qc_view, tc_high) if tc_high < view - 1 else qc_view, tc_high)

    def lets_in(view: int, qc: Qc, tc: Tc | None) -> bool:
        return (qc.view == view - 1 and tc is None) or (qc.view < view - 1 and tc is not None and tc.view == view - 1)

    _basis = verify.basis_fault
    patches.everywhere(verify.basis_fault, basis)
    patches.everywhere(pacemaker.lets_in, lets_in)


def low_high(patches: Patches) -> None:
    """The lowest high view instead of the highest."""
    patches.attribute(Tc, "high", property(lambda self: min(self.high_views, default=NO_TC)))


def quorum_2f(patches: Patches) -> None:
    """A quorum of 2f."""
    patches.everywhere(votes.quorum, lambda n: 2 * votes.tolerated(n))
    _new_teams(patches)


def commit_gap(patches: Patches) -> None:
    """Any child commits its parent."""

    def commit_by(self: Any, qc: Qc) -> None:
        child = self.tree.get(qc.block)
        if child is None or child.parent == self.tree.root.block:
            return
        path = self.tree.chain(child.parent)
        self.tree.commit(child.parent, path)
        self._fetcher.prune(self.tree.root.height)
        self.commits += len(path)
        for block, (descendants, certificate) in zip(path, blocktree.proofs([*path, child], qc), strict=True):
            self._application.commit(block)
            self._out.add(Deliver(block=block, descendants=descendants, qc=certificate))

    patches.attribute(chain.Chain, "_commit_by", commit_by)


def vote_twice(patches: Patches) -> None:
    """One vote for every block of a view."""

    def refusal(state: Any, block: Block) -> str | None:
        return sound(replace(state, voted_view=min(state.voted_view, block.view - 1)), block)

    def take(self: Any, name: bytes, block: Block) -> None:
        self._candidate = None
        sound_take(self, name, block)

    sound, sound_take = rules.vote_refusal, engine.Engine.take_proposal
    patches.attribute(rules, "vote_refusal", refusal)
    patches.attribute(engine.Engine, "take_proposal", take)


def no_log(patches: Patches) -> None:
    """The disk keeps nothing."""

    def crash(self: Any, kept: float) -> None:
        self._records, self._first, self._synced = [], 0, 0

    patches.attribute(disk.MemoryLog, "crash", crash)


def early_release(patches: Patches) -> None:
    """The log says that records are durable and writes them at the next occasion."""

    def sync(self: Any) -> int:
        self._synced = max(self._synced, self._first + len(self._records) - 1)
        return int(self._first + len(self._records))

    patches.attribute(disk.MemoryLog, "sync", sync)


def vote_after_timeout(patches: Patches) -> None:
    """Giving up a view does not keep from voting in it."""

    def refusal(state: Any, block: Block) -> str | None:
        return sound(replace(state, timeout_view=min(state.timeout_view, block.view - 1)), block)

    def vote(self: Any, name: bytes) -> None:
        gave_up, self._gave_up = self._gave_up, False
        sound_vote(self, name)
        self._gave_up = gave_up

    sound, sound_vote = rules.vote_refusal, engine.Engine._vote
    patches.attribute(rules, "vote_refusal", refusal)
    patches.attribute(engine.Engine, "_vote", vote)


def timeout_hides(patches: Patches) -> None:
    """Timeouts show the certificate of genesis wherever a timeout certificate lets them."""

    def give_up(self: Any) -> None:
        high = self.chain.high_qc
        tc = self.pacemaker.tc
        if tc is not None and tc.high == 0:
            self.chain.high_qc = statements.genesis_qc(self._team)
        sound(self)
        self.chain.high_qc = high

    sound = engine.Engine._give_up
    patches.attribute(rules, "timeout_refusal", lambda state, view, high_qc: None)
    patches.attribute(engine.Engine, "_give_up", give_up)


def repeated_signer(patches: Patches) -> None:
    """Signers of a certificate are counted, not looked at."""

    def signers_fault(self: Any, signers: tuple[int, ...], signatures: tuple[bytes, ...]) -> str | None:
        if len(signers) != len(signatures) or not all(0 <= signer < self.team.n for signer in signers):
            return "malformed"
        return "too few signers" if len(signers) < self.team.quorum else None

    patches.attribute(verify.Verifier, "_signers_fault", signers_fault)


class _Messages(dict[int, bytes]):
    """Votes for one statement, with those that came again."""

    again: tuple[tuple[int, bytes], ...] = ()


def count_messages(patches: Patches) -> None:
    """A vote that comes twice counts twice."""

    def add(self: Any, vote: Vote, *, own: bool = False) -> Any:
        key = (vote.block, vote.qc_view, vote.tc_high)
        record = self._views.get(vote.view)
        if record is not None and vote.voter in record.groups.get(key, ()):
            known = record.groups[key]
            twice = record.groups[key] = known if isinstance(known, _Messages) else _Messages(known)
            twice.again += ((vote.voter, vote.signature),)
        result = sound(self, vote, own=own)
        record = self._views.get(vote.view)
        group = None if record is None or result is not None else record.groups.get(key)
        if not isinstance(group, _Messages) or record.certified is not None:
            return result
        pairs = sorted((*group.items(), *group.again))
        if len(pairs) < self._team.quorum:
            return None
        record.certified = key
        return Qc(
            view=vote.view,
            block=vote.block,
            qc_view=vote.qc_view,
            tc_high=vote.tc_high,
            signers=tuple(signer for signer, _ in pairs),
            signatures=tuple(signature for _, signature in pairs),
        )

    sound = aggregator.VoteBook.add
    patches.attribute(aggregator.VoteBook, "add", add)


def unsigned_proposal(patches: Patches) -> None:
    """The leader's signature is not checked."""

    def fault(self: Any, proposal: Proposal) -> str | None:
        return self.block_fault(proposal.block)  # type: ignore[no-any-return]

    patches.attribute(verify.Verifier, "proposal_fault", fault)


def unsigned_vote(patches: Patches) -> None:
    """Votes are counted as they come."""

    def count(self: Any, record: Any, vote: Vote, key: Any, seen: Any, own: bool) -> Any:
        return sound(self, record, vote, key, seen, True)

    sound = aggregator.VoteBook._count
    patches.attribute(aggregator.VoteBook, "_count", count)


def unsigned_column(patches: Patches) -> None:
    """Anybody votes for any agent."""
    patches.attribute(verify.Verifier, "column_fault", lambda self, column: None)


def unchecked_qc(patches: Patches) -> None:
    """Every quorum certificate is good."""
    patches.attribute(verify.Verifier, "qc_fault", lambda self, qc: None)


def unchecked_tc(patches: Patches) -> None:
    """Every timeout certificate is good."""
    patches.attribute(verify.Verifier, "tc_fault", lambda self, tc: None)


def any_qc_view(patches: Patches) -> None:
    """A certificate of any earlier view will do."""

    def basis(view: int, qc_view: int, tc_high: int) -> str | None:
        return sound(view, view - 1 if tc_high == NO_TC else qc_view, tc_high)

    sound = verify.basis_fault
    patches.everywhere(verify.basis_fault, basis)


def any_leader(patches: Patches) -> None:
    """The proposer need not lead the view."""

    def shape(self: Any, block: Block) -> str | None:
        return sound(self, replace(block, proposer=self.team.leader(block.view)))

    sound = verify.Verifier.shape_fault
    patches.attribute(verify.Verifier, "shape_fault", shape)


def any_parent(patches: Patches) -> None:
    """The certificate may be of any block."""

    def shape(self: Any, block: Block) -> str | None:
        return sound(self, replace(block, parent=block.qc.block))

    sound = verify.Verifier.shape_fault
    patches.attribute(verify.Verifier, "shape_fault", shape)


def trust_decisions(patches: Patches) -> None:
    """The leader's decisions are taken as they are."""

    def fault(verifier: Any, ballot: ballots.Ballot) -> str | None:
        decisions = ballots.recompute(ballot.columns, len(ballot.items), verifier.team)
        return sound(verifier, replace(ballot, decisions=decisions))

    sound = ballots.ballot_fault
    patches.everywhere(ballots.ballot_fault, fault)


def batch_again(patches: Patches) -> None:
    """The number of a batch is not looked at."""

    def validate(self: Any, block: Block, chain_: Any, now: float) -> str | None:
        after = self._after
        if block.payload:
            found = ballots.decode_payload(block.payload, self._team.n)
            self._after = lambda chain: found[0].batch
        try:
            return sound(self, block, chain_, now)
        finally:
            self._after = after

    def guarded(self: Any, block: Block, chain_: Any, now: float) -> str | None:
        try:
            return validate(self, block, chain_, now)
        except DecodeError as error:
            return error.what

    sound = duty.InclusionDuty.validate
    patches.attribute(duty.InclusionDuty, "validate", guarded)


def no_inclusion(patches: Patches) -> None:
    """Nobody looks for what was left out."""
    patches.attribute(duty.InclusionDuty, "_left_out", lambda self, ballot, now, delay: [])


def few_columns(patches: Patches) -> None:
    """One column is enough."""
    patches.everywhere(ballots.needed, lambda team_: 1)


def silent_watch(patches: Patches) -> None:
    """What is found is not told."""
    patches.attribute(watch.Watch, "_report", lambda self, proof: None)


def newest_first(patches: Patches) -> None:
    """Ancestors are handed over in the wrong order."""

    def commit_by(self: Any, qc: Qc) -> None:
        before = len(self._out._actions)
        sound(self, qc)
        self._out._actions[before:] = self._out._actions[before:][::-1]

    sound = chain.Chain._commit_by
    patches.attribute(chain.Chain, "_commit_by", commit_by)


def any_chain(patches: Patches) -> None:
    """Chain and epoch are left out of everything that is signed."""

    def derive(self: Any) -> None:
        sound(self)
        object.__setattr__(self, "context", b"")
        object.__setattr__(self, "genesis", bytes(32))

    sound = team.Team.__post_init__
    patches.attribute(team.Team, "__post_init__", derive)
    _new_teams(patches)


def f_third(patches: Patches) -> None:
    """One liar too many is believed to be stood."""
    patches.everywhere(votes.tolerated, lambda n: n // 3)
    patches.attribute(scenario, "tolerated", lambda n: n // 3)
    _new_teams(patches)


def no_last_tc(patches: Patches) -> None:
    """What let the sender into its view is not sent along."""
    patches.attribute(engine.Engine, "_standing", lambda self: None)


def timeout_once(patches: Patches) -> None:
    """A timeout that is lost is lost for good."""

    def give_up(self: Any) -> None:
        if self._timeout is None:
            sound(self)

    sound = engine.Engine._give_up
    patches.attribute(engine.Engine, "_give_up", give_up)


def no_fetch(patches: Patches) -> None:
    """A replica waits for missing blocks to come by themselves."""
    patches.attribute(chain.Chain, "_ask", lambda self, to, name: None)


def no_view_change(patches: Patches) -> None:
    """Nobody gives up a view."""
    patches.attribute(engine.Engine, "_give_up", lambda self: None)


def forgotten_evidence(patches: Patches) -> None:
    """The pool remembers nothing."""
    patches.attribute(evidence.EvidencePool, "_near", lambda self, kind, slot: False)


def _new_teams(patches: Patches) -> None:
    """Teams are made anew, now and when the defect is gone."""
    keys.make_keys.cache_clear()
    patches.call(keys.make_keys.cache_clear)
