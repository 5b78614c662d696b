"""What a replica refuses, and that it stays bounded and right whatever one peer sends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from custodes.bft import statements
from custodes.bft.core.events import Action, Broadcast, Received, Refused, Send, Start
from custodes.bft.evidence import Proof, check_proof
from custodes.bft.messages import Block, Blocks, Fetch, Message, Proposal, Qc, Status, Timeout, Vote
from custodes.bft.team import Team
from tests.bft.core.pump import Liar, Numbers, Pump, make_qc, make_tc


def votes_in(actions: list[Action]) -> list[Vote]:
    return [a.message for a in actions if isinstance(a, Broadcast) and isinstance(a.message, Vote)]


def refusals_in(actions: list[Action]) -> list[str]:
    return [a.reason for a in actions if isinstance(a, Refused)]


class Quiet(Pump):
    """Nobody hears anybody: the test speaks."""

    def __init__(self, n: int = 4, **config: Any) -> None:
        super().__init__(n, **config)
        self.lose = lambda sender, to, message: True
        self.genesis = statements.genesis_qc(self.team)

    def chain(self, views: int) -> tuple[list[Block], list[Qc]]:
        """Certified blocks of views 1, 2, ... and their certificates."""
        blocks, qcs, qc = [], [], self.genesis
        for view in range(1, views + 1):
            block = Liar(self, view % self.n).block(view, qc, view, b"%d" % view)
            qc = make_qc(self, block, range(self.team.quorum))
            blocks.append(block)
            qcs.append(qc)
        return blocks, qcs


def test_a_good_proposal_gets_one_vote() -> None:
    pump = Quiet()
    liar = Liar(pump, 1)
    proposal = liar.proposal(liar.block(1, pump.genesis, 1, b"1"))
    assert len(votes_in(pump.say(1, 0, proposal))) == 1
    assert votes_in(pump.say(1, 0, proposal)) == []


def test_vote_after_own_timeout_is_refused() -> None:
    pump = Quiet()
    pump.run(1.2)
    assert any(sender == 0 and isinstance(message, Timeout) for sender, message in pump.sent)
    liar = Liar(pump, 1)
    assert votes_in(pump.say(1, 0, liar.proposal(liar.block(1, pump.genesis, 1, b"1")))) == []


def test_timeouts_of_f_plus_one_are_joined_and_a_quorum_ends_the_view() -> None:
    pump = Quiet()
    assert pump.say(1, 0, Liar(pump, 1).timeout(1, pump.genesis)) == []
    joined = pump.say(2, 0, Liar(pump, 2).timeout(1, pump.genesis))
    assert [a.message.view for a in joined if isinstance(a, Broadcast) and isinstance(a.message, Timeout)] == [1]
    # Two of others and its own are a quorum.
    assert pump.replicas[0].view == 2


def test_stale_certificate_past_a_timeout_certificate_is_refused() -> None:
    pump = Quiet()
    _, qcs = pump.chain(3)
    # View 4 failed, and one of the quorum knew the certificate of view 3; the leader of 5 rests on that of view 1.
    tc = make_tc(pump, 4, {0: qcs[0], 1: qcs[0], 2: qcs[2]})
    liar = Liar(pump, 1)
    actions = pump.say(1, 0, liar.proposal(liar.block(5, qcs[0], 2, b"2", tc)))
    assert refusals_in(actions)
    assert votes_in(actions) == []
    assert pump.replicas[0].view == 1
    # Without any timeout certificate neither.
    assert refusals_in(pump.say(1, 0, liar.proposal(liar.block(5, qcs[0], 2, b"2"))))


@pytest.mark.parametrize("kind", ["proposal", "timeout", "status"])
def test_view_jump_without_a_certificate_is_refused(kind: str) -> None:
    pump = Quiet()
    view = 1001
    liar = Liar(pump, view % 4)
    forged = make_tc(pump, view - 1, {0: pump.genesis, 1: pump.genesis})
    message: Message
    if kind == "proposal":
        message = liar.proposal(liar.block(view, pump.genesis, 1, b"1", forged))
    elif kind == "timeout":
        message = liar.timeout(view, pump.genesis, forged)
    else:
        message = Status(high_qc=pump.genesis, tc=forged)
    assert refusals_in(pump.say(liar.index, 0, message))
    assert refusals_in(pump.say(liar.index, 0, liar.timeout(view, pump.genesis, None)))
    assert pump.replicas[0].view == 1


@pytest.mark.parametrize("kind", ["proposal", "timeout", "status"])
def test_view_jump_with_a_certificate_is_followed(kind: str) -> None:
    pump = Quiet()
    view = 1001
    liar = Liar(pump, view % 4)
    tc = make_tc(pump, view - 1, {0: pump.genesis, 1: pump.genesis, 2: pump.genesis})
    message: Message
    if kind == "proposal":
        message = liar.proposal(liar.block(view, pump.genesis, 1, b"1", tc))
    elif kind == "timeout":
        message = liar.timeout(view, pump.genesis, tc)
    else:
        message = Status(high_qc=pump.genesis, tc=tc)
    actions = pump.say(liar.index, 0, message)
    assert pump.replicas[0].view == view
    assert len(votes_in(actions)) == (kind == "proposal")


@pytest.mark.parametrize("signers", [(0, 1), (0, 1, 1), (1, 0, 2), (0, 1, 7), (0, 1, 2, 2)])
def test_certificates_with_wrong_signers_are_refused(signers: tuple[int, ...]) -> None:
    pump = Quiet()
    first = Liar(pump, 1).block(1, pump.genesis, 1, b"1")
    good = make_qc(pump, first, (0, 1, 2))
    known = [i if 0 <= i < 4 else 3 for i in signers]
    bad = replace(good, signers=signers, signatures=make_qc(pump, first, known).signatures)
    second = Liar(pump, 2)
    assert refusals_in(pump.say(2, 0, second.proposal(second.block(2, bad, 2, b"2"))))
    assert refusals_in(pump.say(2, 0, Status(high_qc=bad, tc=None)))
    tc = make_tc(pump, 1, dict.fromkeys((0, 1, 2), pump.genesis))
    bad_tc = replace(tc, signers=signers, high_views=(0,) * len(signers), signatures=tc.signatures[: len(signers)])
    assert refusals_in(pump.say(2, 0, Status(high_qc=pump.genesis, tc=bad_tc)))
    assert refusals_in(pump.say(2, 0, second.timeout(2, pump.genesis, bad_tc)))
    assert pump.replicas[0].view == 1


@pytest.mark.parametrize("change", [{"chain": "other"}, {"epoch": 2}])
def test_replay_of_another_chain_or_epoch_is_refused(change: dict[str, Any]) -> None:
    pump, other = Quiet(), Quiet()
    other.team = Team(**{"chain": "test", "epoch": 1, "keys": other.team.keys, **change})
    liar = Liar(other, 1)
    # The same fields, signed for the other chain.
    block = liar.block(1, pump.genesis, 1, b"1")
    name = statements.block_id(pump.team, block)
    foreign: list[Any] = [
        liar.proposal(replace(block)),
        liar.vote(1, name, 0),
        liar.timeout(1, pump.genesis),
        Status(high_qc=make_qc(other, block, (0, 1, 2)), tc=None),
        Status(high_qc=pump.genesis, tc=make_tc(other, 1, dict.fromkeys((0, 1, 2), pump.genesis))),
    ]
    for message in foreign:
        assert refusals_in(pump.say(1, 0, message)), message
    assert pump.replicas[0].view == 1
    assert pump.replicas[0].refused == (0, 5, 0, 0)


def test_nobody_speaks_for_others_or_out_of_turn() -> None:
    pump = Quiet()
    first, second = Liar(pump, 1), Liar(pump, 2)
    block = first.block(1, pump.genesis, 1, b"1")
    name = statements.block_id(pump.team, block)
    cases: list[Message] = [
        replace(first.proposal(block), signature=second.proposal(block).signature),
        first.vote(1, name, 0),
        first.timeout(1, pump.genesis),
        second.proposal(second.block(1, pump.genesis, 1, b"1")),
        Proposal(block=replace(block, proposer=2), signature=bytes(64)),
    ]
    for message in cases:
        actions = pump.say(2, 0, message)
        assert refusals_in(actions), message
        assert votes_in(actions) == []


def test_signatures_are_checked() -> None:
    pump = Quiet()
    liar = Liar(pump, 1)
    block = liar.block(1, pump.genesis, 1, b"1")
    vote = liar.vote(1, statements.block_id(pump.team, block), 0)
    for message in (
        replace(liar.proposal(block), signature=bytes(64)),
        replace(vote, signature=bytes(64)),
        replace(vote, block=bytes(32)),
        replace(liar.timeout(1, pump.genesis), signature=bytes(64)),
    ):
        assert refusals_in(pump.say(1, 0, message)), message


def test_payload_that_the_application_refuses_gets_no_vote() -> None:
    pump = Quiet()
    liar = Liar(pump, 1)
    assert votes_in(pump.say(1, 0, liar.proposal(liar.block(1, pump.genesis, 1, b"2")))) == []


def test_payload_is_judged_on_the_chain_of_its_block() -> None:
    pump = Quiet()
    blocks, qcs = pump.chain(2)
    pump.say(1, 0, Liar(pump, 1).proposal(blocks[0]))
    # "1" is decided in an uncommitted ancestor: again is refused, the next number is voted for.
    liar = Liar(pump, 2)
    assert votes_in(pump.say(2, 0, liar.proposal(liar.block(2, qcs[0], 2, b"1")))) == []
    assert len(votes_in(pump.say(2, 3, Liar(pump, 2).proposal(blocks[1])))) == 0
    pump.say(1, 3, Liar(pump, 1).proposal(blocks[0]))
    assert pump.replicas[3].view == 2


def test_wrong_height_gets_no_vote() -> None:
    pump = Quiet()
    blocks, qcs = pump.chain(2)
    pump.say(1, 0, Liar(pump, 1).proposal(blocks[0]))
    liar = Liar(pump, 3)
    tc = make_tc(pump, 2, dict.fromkeys((0, 1, 2), qcs[0]))
    assert votes_in(pump.say(3, 0, liar.proposal(liar.block(3, qcs[0], 3, b"2", tc)))) == []


def test_blocks_that_were_not_asked_for_are_dropped_and_false_ones_refused() -> None:
    pump = Quiet()
    blocks, qcs = pump.chain(4)
    pump.say(1, 0, Blocks(blocks=tuple(reversed(blocks))))
    assert pump.replicas[0].sizes()["orphans"] == 0
    pump.say(1, 0, Status(high_qc=qcs[3], tc=None))
    assert pump.replicas[0].sizes()["wanted"] == 1
    other = Liar(pump, 1).block(1, pump.genesis, 1, b"other")
    assert refusals_in(pump.say(1, 0, Blocks(blocks=(blocks[3], blocks[2], other))))
    # The two that fit are kept, and the rest completes them.
    assert pump.replicas[0].sizes()["orphans"] == 2
    pump.say(2, 0, Blocks(blocks=(blocks[1], blocks[0])))
    assert [each.block for each in pump.delivered[0]] == blocks[:3]
    pump.check_certificate(pump.delivered[0][0])


def test_commit_needs_consecutive_views() -> None:
    pump = Quiet()
    liar1, liar3 = Liar(pump, 1), Liar(pump, 3)
    first = liar1.block(1, pump.genesis, 1, b"1")
    qc1 = make_qc(pump, first, (0, 1, 2))
    third = liar3.block(3, qc1, 2, b"2", make_tc(pump, 2, dict.fromkeys((0, 1, 2), qc1)))
    qc3 = make_qc(pump, third, (0, 1, 2))
    pump.say(1, 0, liar1.proposal(first))
    pump.say(3, 0, liar3.proposal(third))
    pump.say(3, 0, Status(high_qc=qc3, tc=None))
    assert pump.delivered[0] == []
    fourth = Liar(pump, 0).block(4, qc3, 3, b"3")
    qc4 = make_qc(pump, fourth, (0, 1, 2))
    fifth = liar1.block(5, qc4, 4, b"4")
    pump.say(0, 2, Liar(pump, 0).proposal(fourth))
    pump.say(1, 2, Blocks(blocks=(third, first)))
    pump.say(1, 2, liar1.proposal(fifth))
    assert [each.block for each in pump.delivered[2]] == [first, third]
    # The first is proved by the first pair of consecutive views above it.
    assert pump.delivered[2][0].descendants == (third, fourth)
    assert pump.delivered[2][1].descendants == (fourth,)
    for each in pump.delivered[2]:
        pump.check_certificate(each)


def test_equivocating_leader_and_voter_are_proved_and_the_proof_goes_round_once() -> None:
    pump = Quiet()
    liar = Liar(pump, 1)
    one, two = liar.block(1, pump.genesis, 1, b"1"), liar.block(1, pump.genesis, 1)
    pump.say(1, 0, liar.proposal(one))
    actions = pump.say(1, 0, liar.proposal(two))
    proofs = [a.message for a in actions if isinstance(a, Broadcast) and isinstance(a.message, Proof)]
    assert [check_proof(proof, pump.team, pump.crypto) for proof in proofs] == [1]
    assert pump.reports[-1].proof == proofs[0]
    spread = pump.say(0, 2, proofs[0])
    assert [type(a).__name__ for a in spread] == ["Report", "Broadcast"]
    assert pump.say(3, 2, proofs[0]) == []
    assert refusals_in(pump.say(0, 2, replace(proofs[0], culprit=3)))
    # A vote that comes after its certificate is looked at when the voter contradicts itself.
    names = [statements.block_id(pump.team, block) for block in (one, two)]
    for index in (1, 2):
        pump.say(index, 0, Liar(pump, index).vote(1, names[0], 0))
    third = Liar(pump, 3)
    assert pump.say(3, 0, third.vote(1, names[0], 0)) == []
    actions = pump.say(3, 0, third.vote(1, names[1], 0))
    assert [a.message.culprit for a in actions if isinstance(a, Broadcast) and isinstance(a.message, Proof)] == [3]


def test_a_proposal_speaks_for_its_leader_whoever_brings_it() -> None:
    pump = Quiet()
    leader = Liar(pump, 1)
    proposal = leader.proposal(leader.block(1, pump.genesis, 1, b"1"))
    assert len(votes_in(pump.say(2, 0, proposal))) == 1
    assert pump.say(1, 0, proposal) == []
    assert pump.replicas[0].refused == (0, 0, 0, 0)


@pytest.mark.parametrize("late", [False, True])
def test_a_leader_that_shows_each_replica_one_block_is_proved(late: bool) -> None:
    """Nobody receives two proposals from it: those who voted for different ones put theirs together."""
    pump = Pump(n=4, silent=[1])
    liar, genesis = Liar(pump, 1), statements.genesis_qc(pump.team)
    one, two = liar.block(1, genesis, 1, b"1"), liar.block(1, genesis, 1)
    for index, block in ((0, one), (2, one), (3, two)):
        if index != 3 or not late:
            pump.say(1, index, liar.proposal(block))
    pump.run(0.05)
    if late:
        pump.say(1, 3, liar.proposal(two))
    pump.run(0.05)
    assert {report.proof.kind for report in pump.reports} == {"double-proposal"}
    assert len(pump.reports) == 3
    assert all(check_proof(report.proof, pump.team, pump.crypto) == 1 for report in pump.reports)
    shown = [message for sender, message in pump.sent if isinstance(message, Proposal) and sender != 1]
    assert len([proposal for proposal in shown if proposal.block.proposer == 1]) <= 4
    pump.run(6.0)
    pump.check()
    assert not pump.refused
    assert min(pump.heights()[index] for index in (0, 2, 3)) > 5


def test_who_votes_for_made_up_blocks_is_shown_a_proposal_once_per_view() -> None:
    pump = Quiet()
    leader, liar = Liar(pump, 1), Liar(pump, 3)
    pump.say(1, 0, leader.proposal(leader.block(1, pump.genesis, 1, b"1")))
    shown = [a for k in range(5) for a in pump.say(3, 0, liar.vote(1, bytes([k]) * 32, 0)) if isinstance(a, Send)]
    assert [type(action.message) for action in shown] == [Proposal]


def test_flooding_by_one_peer_stays_bounded_and_the_others_go_on() -> None:
    pump = Pump(timeout=1.0, uncommitted=64, orphans=64, fetch_batch=16)
    pump.run(0.5)
    liar = Liar(pump, 1)
    replica = pump.replicas[0]
    qc = replica.high_qc
    for k in range(3000):
        name = k.to_bytes(32, "big")
        view = 1 + k % 500
        messages: list[Message] = [
            liar.vote(view, name, view - 1),
            liar.vote(2**40 + k, name, 2**40 + k - 1),
            liar.timeout(view + 100, qc),
            liar.proposal(liar.block(4 * k + 1, replace(qc, view=4 * k, block=name), 9, name)),
            Fetch(block=replica.root.block, floor=0, limit=64),
            Blocks(blocks=(liar.block(1, qc, k, name),)),
            Status(high_qc=replace(qc, view=qc.view + k + 1), tc=None),
        ]
        for message in messages:
            actions = replica.step(Received(sender=1, message=message), pump.now)
            assert all(isinstance(a, Refused | Send | Broadcast) or "Report" in type(a).__name__ for a in actions)
        sizes = replica.sizes()
    assert sizes["votes"] <= 17 * 4 * 2
    assert sizes["timeouts"] <= 4
    assert sizes["orphans"] <= 64
    assert sizes["uncommitted"] <= 64
    assert sizes["proposals"] <= 2 * 64
    assert sizes["wanted"] <= 16
    assert sizes["proofs"] <= 6
    assert replica.refused[1] > 3000
    before = pump.heights()
    pump.run(4.0)
    pump.check()
    assert min(pump.heights()) > min(before) + 10


def test_a_leader_that_proposes_many_blocks_fills_nothing() -> None:
    pump = Quiet(uncommitted=8)
    liar = Liar(pump, 1)
    for k in range(100):
        pump.say(1, 0, liar.proposal(liar.block(1, pump.genesis, 1, b"%d" % k)))
    assert pump.replicas[0].sizes()["uncommitted"] == 2
    for view in range(2, 200):
        leader = Liar(pump, view % 4)
        if leader.index == 0:
            continue
        tc = make_tc(pump, view - 1, dict.fromkeys((1, 2, 3), pump.genesis))
        pump.say(leader.index, 0, leader.proposal(leader.block(view, pump.genesis, 1, b"1", tc)))
    assert pump.replicas[0].sizes()["uncommitted"] <= 8
    assert pump.replicas[0].sizes()["proposals"] <= 16


def test_nothing_happens_before_start_and_start_counts_once() -> None:
    pump = Pump(silent=[0])
    replica = pump.replicas[0]
    liar = Liar(pump, 1)
    assert replica.step(Received(sender=1, message=liar.timeout(1, statements.genesis_qc(pump.team))), 0.0) == []
    assert replica.step(Start(), 0.0)
    assert replica.step(Start(), 0.0) == []
    assert replica.step(Received(sender=0, message=liar.timeout(1, statements.genesis_qc(pump.team))), 0.0) == []


def test_a_payload_too_long_uncommitted_gets_no_vote() -> None:
    pump = Quiet(uncommitted=2, application=lambda index: Numbers())
    blocks, qcs = pump.chain(3)
    liar = Liar(pump, 1)
    pump.say(1, 2, liar.proposal(blocks[0]))
    # A chain in views 1, 3 without consecutive views cannot commit; at two blocks only empty ones are voted for.
    third = Liar(pump, 3).block(3, qcs[0], 2, b"2", make_tc(pump, 2, dict.fromkeys((0, 1, 2), qcs[0])))
    assert len(votes_in(pump.say(3, 2, Liar(pump, 3).proposal(third)))) == 1
    qc3 = make_qc(pump, third, (0, 1, 2))
    fifth_tc = make_tc(pump, 4, dict.fromkeys((0, 1, 2), qc3))
    full = liar.block(5, qc3, 3, b"3", fifth_tc)
    assert votes_in(pump.say(1, 2, liar.proposal(full))) == []
    empty = liar.block(5, qc3, 3, b"", fifth_tc)
    pump.say(3, 1, Status(high_qc=qc3, tc=None))
    pump.say(3, 1, Blocks(blocks=(third, blocks[0])))
    assert pump.replicas[1].sizes()["uncommitted"] == 2
    pump.say(3, 1, Status(high_qc=qc3, tc=fifth_tc))
    own = [message for sender, message in pump.sent if sender == 1 and isinstance(message, Proposal)]
    assert [proposal.block.payload for proposal in own if proposal.block.view == 5] == [empty.payload]
