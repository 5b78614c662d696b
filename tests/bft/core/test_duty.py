"""Ballots over all agents: complete, in order, exactly once, and no column left out for long."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from custodes.bft import statements
from custodes.bft.ballots import (
    Ballot,
    Items,
    decode_payload,
    encode_payload,
    items_digest,
    largest_ballot,
    make_ballot,
    make_items,
)
from custodes.bft.core.duty import BatchVotes, DutyConfig, InclusionDuty
from custodes.bft.core.events import Received, Refused, Root
from custodes.bft.errors import DecodeError
from custodes.bft.evidence import Proof
from custodes.bft.messages import Block, Column, Message, Proposal, Timeout, Vote
from custodes.bft.verify import Verifier
from tests.bft.core.pump import Liar, Pump


class Ballots(Pump):
    """Replicas with the duty; each agent votes its own index on every item unless told otherwise."""

    def __init__(self, n: int = 4, *, duty: DutyConfig | None = None, **config: Any) -> None:
        self.duty_config = duty or DutyConfig(column_delay=0.05, inclusion_delay=0.2)
        super().__init__(n, application=self._duty, **config)

    def _duty(self, index: int) -> InclusionDuty:
        return InclusionDuty(self.duty_config, Verifier(self.team, self.crypto))

    def duty(self, index: int) -> InclusionDuty:
        duty = self.apps[index]
        assert isinstance(duty, InclusionDuty)
        return duty

    def items(self, batch: int, count: int = 3) -> Items:
        return make_items(np.arange(count, dtype=np.uint64) + 10 * batch, np.arange(count, dtype=np.int64) + batch)

    def vote(self, index: int, batch: int, severity: int) -> None:
        items = self.items(batch)
        self.submit(index, BatchVotes(batch=batch, items=items, severities=bytes([severity]) * len(items)))

    def column(self, agent: int, batch: int, severity: int, items: Items | None = None) -> Column:
        items = items or self.items(batch)
        column = Column(
            agent=agent,
            batch=batch,
            items_digest=items_digest(batch, items),
            severities=bytes([severity]) * len(items),
            scores=b"",
            model=bytes(32),
            signature=b"",
        )
        statement = statements.statement_of_column(self.team, column)
        return replace(column, signature=self.crypto.signer(agent).sign(statement))

    def ballots(self, index: int = 0) -> list[Ballot]:
        return [
            ballot for each in self.delivered[index] for ballot in decode_payload(each.block.payload, self.n) if ballot
        ]


def test_batches_are_decided_in_order_exactly_once_over_all_agents() -> None:
    pump = Ballots()
    for batch in range(20):
        for index in range(4):
            pump.vote(index, batch, 3 if index else 0)
        pump.run(0.03)
    pump.run(2.0)
    pump.check()
    for index in range(4):
        ballots = pump.ballots(index)
        assert [ballot.batch for ballot in ballots] == list(range(20))
        assert all(None not in ballot.columns for ballot in ballots)
        assert all(ballot.decisions == bytes([3, 3, 3]) for ballot in ballots)
        assert len(pump.duty(index)) == 0
        assert pump.duty(index).next_batch == 20
    assert not pump.refused
    assert not pump.reports


@pytest.mark.parametrize("together", [False, True])
def test_batches_are_decided_exactly_once_across_restarts(together: bool) -> None:
    """Applications go on behind what they had applied; who had applied nothing gets every block from the others."""
    pump = Ballots(timeout=0.5)
    for batch in range(12):
        for index in range(4):
            pump.vote(index, batch, 2)
        pump.run(0.02)
        for index in range(4) if together else [batch % 4]:
            forgets = index == 3
            kept = [] if forgets else pump.delivered[index]
            pump.delivered[index] = list(kept)
            done = [ballot.batch for ballot in pump.ballots(index)]
            root = (
                Root(block=statements.block_id(pump.team, kept[-1].block), height=len(kept), view=kept[-1].block.view)
                if kept
                else None
            )
            duty = InclusionDuty(
                pump.duty_config,
                Verifier(pump.team, pump.crypto),
                next_batch=max(done, default=-1) + 1,
                lookup=pump.stores[index].get,
            )
            pump.restart(index, applied=root, application=duty)
            for again in range(duty.next_batch, batch + 1):
                pump.vote(index, again, 2)
    pump.run(8.0)
    pump.check()
    assert not pump.reports
    for index in range(4):
        assert [ballot.batch for ballot in pump.ballots(index)] == list(range(12))


def test_open_batches_are_decided_although_all_restart_at_once() -> None:
    """Every column is lost with the memories of those who held it; the agents' logs still have them."""
    pump = Ballots()
    pump.lose = lambda sender, to, message: True
    for index in range(4):
        for batch in range(5):
            pump.vote(index, batch, 3)
    pump.run(0.1)
    for index in range(4):
        pump.restart(index)
        # What an agent sees now it may judge otherwise; what it said stands, and only the items are needed again.
        for batch in range(5):
            pump.vote(index, batch, 0)
            assert pump.duty(index).turned_down is not None
    pump.lose = lambda sender, to, message: False
    pump.run(4.0)
    pump.check()
    assert [(ballot.batch, ballot.decisions) for ballot in pump.ballots()] == [(batch, b"\3\3\3") for batch in range(5)]
    assert not pump.reports


def test_many_batches_at_once_go_into_few_blocks() -> None:
    pump = Ballots(duty=DutyConfig(window=16, batches=4))
    for index in range(4):
        for batch in range(20):
            pump.vote(index, batch, 1)
            assert (pump.duty(index).turned_down is None) == (batch < 16)
    pump.run(1.0)
    assert [ballot.batch for ballot in pump.ballots()] == list(range(16))
    assert sum(bool(each.block.payload) for each in pump.delivered[0]) <= 8


def test_missing_agent_counts_as_allow_after_a_wait() -> None:
    pump = Ballots(silent=[3])
    for index in range(3):
        pump.vote(index, 0, 3)
    pump.run(4.0)
    (ballot,) = pump.ballots()
    assert ballot.columns[3] is None
    # Three votes for Block are 2f + 1.
    assert ballot.decisions == bytes([3, 3, 3])


def test_too_few_columns_decide_nothing_but_empty_blocks_go_on() -> None:
    pump = Ballots()
    for index in range(2):
        pump.vote(index, 0, 3)
    pump.run(2.0)
    assert pump.ballots() == []
    assert min(pump.heights()) > 10
    pump.vote(2, 0, 3)
    pump.run(1.0)
    assert len(pump.ballots()) == 1


def leader_block(pump: Ballots, columns: list[Column | None], batch: int = 0, items: Items | None = None) -> Proposal:
    ballot = make_ballot(pump.team, batch, items or pump.items(batch), tuple(columns))
    return propose(pump, encode_payload((ballot,)))


def propose(pump: Ballots, payload: bytes) -> Proposal:
    view = pump.replicas[0].view
    liar = Liar(pump, view % pump.n)
    qc = pump.replicas[0].high_qc
    return liar.proposal(liar.block(view, qc, pump.replicas[0].root.height + 1, payload))


def heard(pump: Ballots, proposal: Proposal, replica: int = 0) -> tuple[int, list[Column]]:
    """How many votes a replica gives to a proposal, and the columns that it broadcasts."""
    before = len(pump.sent)
    pump.say(proposal.block.proposer, replica, proposal)
    sent = [message for sender, message in pump.sent[before:] if sender == replica]
    return sum(isinstance(m, Vote) for m in sent), [m for m in sent if isinstance(m, Column)]


def test_leader_that_leaves_out_a_held_column_gets_no_vote_and_the_column_goes_round() -> None:
    pump = Ballots()
    pump.lose = lambda sender, to, message: True
    columns = [pump.column(agent, 0, 3) for agent in range(4)]
    for agent in (1, 2, 3):
        pump.say(agent, 0, columns[agent])
    pump.now += 0.3
    censored = leader_block(pump, [columns[0], columns[1], columns[2], None])
    assert heard(pump, censored) == (0, [columns[3]])


def test_a_column_that_came_just_now_may_be_missing() -> None:
    pump = Ballots()
    pump.lose = lambda sender, to, message: True
    columns = [pump.column(agent, 0, 3) for agent in range(4)]
    pump.say(3, 0, columns[3])
    pump.now += 0.1
    assert heard(pump, leader_block(pump, [columns[0], columns[1], columns[2], None]))[0] == 1


def test_an_unfit_column_need_not_be_included() -> None:
    pump = Ballots()
    pump.lose = lambda sender, to, message: True
    columns = [pump.column(agent, 0, 3) for agent in range(4)]
    pump.say(3, 0, pump.column(3, 0, 3, pump.items(7)))
    pump.now += 0.3
    assert heard(pump, leader_block(pump, [columns[0], columns[1], columns[2], None]))[0] == 1


@pytest.mark.parametrize("case", ["order", "few", "decision", "signature", "bytes", "items"])
def test_wrong_ballots_get_no_vote(case: str) -> None:
    pump = Ballots()
    pump.lose = lambda sender, to, message: True
    columns: list[Column | None] = [pump.column(agent, 0, 3) for agent in range(4)]
    good = make_ballot(pump.team, 0, pump.items(0), tuple(columns))
    assert columns[1] is not None
    bad = {
        "order": make_ballot(pump.team, 1, pump.items(1), tuple(pump.column(agent, 1, 3) for agent in range(4))),
        "few": make_ballot(pump.team, 0, pump.items(0), (columns[0], columns[1], None, None)),
        "decision": replace(good, decisions=bytes(3)),
        "signature": replace(good, columns=(columns[0], replace(columns[1], severities=bytes(3)), *columns[2:])),
        "items": replace(good, items=pump.items(5)),
        "bytes": good,
    }[case]
    payload = encode_payload((bad,)) + (b"\0" if case == "bytes" else b"")
    assert heard(pump, propose(pump, payload))[0] == 0
    assert heard(pump, propose(pump, encode_payload((good,))), replica=2)[0] == 1


def test_batch_of_an_uncommitted_ancestor_is_not_decided_again() -> None:
    pump = Ballots()
    pump.lose = lambda sender, to, message: True
    columns: list[Column | None] = [pump.column(agent, 0, 3) for agent in range(4)]
    first = leader_block(pump, columns)
    assert heard(pump, first)[0] == 1
    name = statements.block_id(pump.team, first.block)
    for voter in (1, 2):
        pump.say(voter, 0, Liar(pump, voter).vote(1, name, 0))
    assert pump.replicas[0].view == 2
    liar = Liar(pump, 2)
    again = Block(
        view=2,
        height=2,
        parent=name,
        proposer=2,
        qc=pump.replicas[0].high_qc,
        tc=None,
        payload=first.block.payload,
    )
    assert heard(pump, liar.proposal(again))[0] == 0


def test_a_column_sent_to_one_replica_only_reaches_all_and_costs_no_liveness() -> None:
    # Agent 3 lies: its columns reach replica 2 alone, the leaders never get them from it.
    def lose(sender: int, to: int, message: Message | Proof) -> bool:
        return isinstance(message, Column) and sender == 3 and to != 2

    pump = Ballots()
    pump.lose = lose
    for batch in range(10):
        for index in range(4):
            pump.vote(index, batch, 3)
        pump.run(0.5)
    pump.run(3.0)
    pump.check()
    assert [ballot.batch for ballot in pump.ballots()] == list(range(10))


def test_a_column_whose_forwarding_was_lost_is_forwarded_again() -> None:
    """Else every batch of which a liar gave its votes to one replica alone could cost an honest leader its view."""
    pump = Ballots()
    pump.lose = lambda sender, to, message: isinstance(message, Column)
    for batch in range(3):
        pump.say(3, 2, pump.column(3, batch, 3))
    pump.run(1.0)
    pump.lose = lambda sender, to, message: False
    pump.run(1.0)
    for index in (0, 1):
        assert len(pump.duty(index)) == 3
    forwards = sum(sender == 2 and isinstance(message, Column) for sender, message in pump.sent)
    assert forwards <= 3 * (2 + 2.0 / (4 * pump.duty_config.inclusion_delay))
    for batch in range(3):
        for index in range(3):
            pump.vote(index, batch, 3)
    pump.run(1.0)
    assert [None in ballot.columns for ballot in pump.ballots()] == [False] * 3
    assert not any(isinstance(message, Timeout) for _, message in pump.sent)


def test_columns_lost_at_first_are_sent_again() -> None:
    pump = Ballots()
    pump.lose = lambda sender, to, message: isinstance(message, Column)
    for index in range(4):
        pump.vote(index, 0, 2)
    pump.run(1.0)
    assert pump.ballots() == []
    pump.lose = lambda sender, to, message: False
    pump.run(1.5)
    assert [ballot.decisions for ballot in pump.ballots()] == [bytes([2, 2, 2])]


def test_an_agent_that_signs_two_columns_is_proved_and_either_will_do() -> None:
    pump = Ballots()
    for index in range(3):
        pump.vote(index, 0, 1)
    pump.say(3, 0, pump.column(3, 0, 0))
    pump.say(3, 0, pump.column(3, 0, 3))
    assert pump.reports[0].proof.culprit == 3
    pump.run(1.0)
    assert len(pump.ballots()) == 1


def test_flooding_with_columns_stays_bounded_and_bad_ones_are_refused() -> None:
    pump = Ballots()
    replica = pump.replicas[0]
    for batch in range(500):
        replica.step(Received(sender=3, message=pump.column(3, batch, 1)), pump.now)
        bad = replace(pump.column(2, batch, 1), severities=bytes(3))
        actions = replica.step(Received(sender=3, message=bad), pump.now)
        assert any(isinstance(a, Refused) for a in actions) == (batch < 64)
    assert len(pump.duty(0)) == 64
    outsider = replace(pump.column(3, 0, 1), agent=9)
    assert any(isinstance(a, Refused) for a in replica.step(Received(sender=3, message=outsider), pump.now))


ITEMS = make_items(np.arange(3, dtype=np.uint64), np.arange(3, dtype=np.int64))
MANY = make_items(np.zeros(65_537, dtype=np.uint64), np.zeros(65_537, dtype=np.int64))


@pytest.mark.parametrize(
    "work",
    [
        "nothing",
        BatchVotes(batch=0, items=ITEMS, severities=b"\0"),
        BatchVotes(batch=0, items=ITEMS, severities=b"\0\0\4"),
        BatchVotes(batch=0, items=ITEMS, severities=bytes(3), scores=bytes(3)),
        BatchVotes(batch=0, items=ITEMS, severities=bytes(3), model=b"model"),
        BatchVotes(batch=0, items=replace(ITEMS, entities=bytes(8)), severities=bytes(3)),
        BatchVotes(batch=0, items=make_items(np.zeros(0, np.uint64), np.zeros(0, np.int64)), severities=b""),
        BatchVotes(batch=0, items=MANY, severities=bytes(65_537)),
        BatchVotes(batch=64, items=ITEMS, severities=bytes(3)),
        BatchVotes(batch=-1, items=ITEMS, severities=bytes(3)),
    ],
)
def test_submissions_that_no_ballot_can_hold_are_turned_down(work: Any) -> None:
    pump = Ballots()
    pump.submit(0, work)
    assert pump.duty(0).turned_down is not None
    assert len(pump.duty(0)) == 0
    pump.vote(0, 0, 1)
    assert pump.duty(0).turned_down is None


def test_a_batch_that_no_block_of_the_team_can_hold_is_turned_down() -> None:
    """Were it signed, no block could decide it, nor any batch after it."""
    pump = Ballots(40)
    for count, fits in ((65_536, False), (60_000, True)):
        items = make_items(np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=np.int64))
        pump.submit(0, BatchVotes(batch=0, items=items, severities=bytes(count)))
        assert (pump.duty(0).turned_down is None) == fits
        column = replace(pump.column(0, 0, 1, items), scores=bytes(2 * count))
        ballot = make_ballot(pump.team, 0, items, tuple(replace(column, agent=agent) for agent in range(40)))
        ballot = replace(ballot, guard=bytes(32), actions=ballot.decisions)
        if fits:
            assert len(encode_payload((ballot,))) == largest_ballot(count, 40)
        else:
            with pytest.raises(DecodeError, match="limit"):
                encode_payload((ballot,))


def test_votes_on_several_batches_wait_for_the_disk_once() -> None:
    pump = Ballots()
    syncs = 0

    def sync() -> int:
        nonlocal syncs
        syncs += 1
        return len(pump.logs[0].held)

    pump.logs[0].sync = sync  # type: ignore[method-assign]
    votes = [BatchVotes(batch=batch, items=pump.items(batch), severities=bytes(3)) for batch in range(3)]
    pump.submit(0, tuple(votes))
    assert pump.duty(0).turned_down is None
    assert syncs == 1
    assert [message.batch for _, message in pump.sent if isinstance(message, Column)] == [0, 1, 2]
    pump.submit(0, (replace(votes[0], batch=3), replace(votes[0], severities=b"\4\0\0"), replace(votes[1], batch=4)))
    assert pump.duty(0).turned_down == "a vote that is no severity, or a model digest that is none"
    assert [message.batch for _, message in pump.sent if isinstance(message, Column)] == [0, 1, 2, 3, 4]


def test_another_vote_on_a_batch_is_turned_down() -> None:
    pump = Ballots()
    pump.vote(0, 0, 1)
    assert pump.duty(0).turned_down is None
    pump.vote(0, 0, 2)
    assert pump.duty(0).turned_down is not None


@pytest.mark.parametrize("bad", [{"inclusion_delay": 0.0}, {"column_delay": -1.0}, {"window": 0}, {"window": 65}])
def test_settings_are_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        DutyConfig(**bad)
