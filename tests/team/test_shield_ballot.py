"""The shield in the agreement: every replica comes to the same actions, and a lying minority cannot leave it out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.bft import statements
from custodes.bft.ballots import Ballot, decode_payload, encode_payload, fixed_point, make_items
from custodes.bft.cluster.applied import Applied
from custodes.bft.containment import TimeToLive
from custodes.bft.core.duty import BatchVotes, DutyConfig, InclusionDuty
from custodes.bft.errors import BftError
from custodes.bft.messages import Proposal, Vote
from custodes.bft.safeguard import GuardChain, Safeguard
from custodes.bft.safeguard import Guarded as Judged
from custodes.bft.verify import Verifier
from custodes.bft.votes import severity_decision
from custodes.stl.specfile import parse_specs
from custodes.team.shield import Shield, ShieldConfig, Voted, read_rules
from custodes.team.shield.ballot import BallotShield
from tests.bft.core.pump import Pump

SPECS = """
[[spec]]
name = "few-quarantined"
formula = "always (quarantined <= 2)"
tags = ["hard"]
[[spec]]
name = "block-in-steps"
formula = "always (blocked -> prev (once (alerted or quarantined)))"
tags = ["hard", "entity"]
"""
SECOND = 10**9


def ballot_shield(specs: str = SPECS, quarantine_s: float = 60.0) -> BallotShield:
    config = ShieldConfig(quarantine_s=quarantine_s, order="nearest")
    return BallotShield(Shield(read_rules(parse_specs(specs)), config))


class Guarded(Pump):
    """Replicas with the duty and the shield."""

    def __init__(self, *, guards: dict[int, Safeguard | None] | None = None, **config: Any) -> None:
        self.guards = guards or {}
        super().__init__(4, application=self._duty, **config)

    def _duty(self, index: int) -> InclusionDuty:
        guard = self.guards.get(index, ballot_shield())
        duty = DutyConfig(column_delay=0.05, inclusion_delay=0.2, batches=3)
        return InclusionDuty(
            duty, Verifier(self.team, self.crypto), guard=None if guard is None else GuardChain(guard, 1)
        )

    def vote(self, index: int, batch: int, severities: list[int], scores: list[float] | None = None) -> None:
        count = len(severities)
        items = make_items(
            np.arange(count, dtype=np.uint64) + batch % 5, (np.arange(count, dtype=np.int64) + 10 * batch) * SECOND
        )
        self.submit(
            index,
            BatchVotes(
                batch=batch,
                items=items,
                severities=bytes(severities),
                scores=fixed_point(np.array(scores)) if scores else b"",
            ),
        )

    def ballots(self, index: int) -> list[Ballot]:
        return [ballot for each in self.delivered[index] for ballot in decode_payload(each.block.payload, self.n)]


def by_hand(ballots: list[Ballot]) -> list[bytes]:
    """The scalar way: vote rule and shield item by item, from nothing but what the ballots hold."""
    guard = Shield(read_rules(parse_specs(SPECS)), ShieldConfig(quarantine_s=60.0, order="nearest"))
    state, made = guard.begin(), []
    for ballot in ballots:
        entities = np.frombuffer(ballot.items.entities, "<u8").tolist()
        times = np.frombuffer(ballot.items.times, "<i8").tolist()
        actions = []
        for item, (entity, time) in enumerate(zip(entities, times, strict=True)):
            given = [0 if column is None else column.severities[item] for column in ballot.columns]
            scores = [
                0 if column is None or not column.scores else int(np.frombuffer(column.scores, "<u2")[item])
                for column in ballot.columns
            ]
            voted = Voted(
                entity=entity,
                time=time,
                votes=tuple(given),
                score=sorted(scores)[-2] / 65_535,
                decision=int(severity_decision(np.array(given), 1)),
                reporting=sum(column is not None for column in ballot.columns),
            )
            actions.append(guard.judge(state, voted).action)
        made.append(bytes(actions))
    return made


@given(
    st.lists(
        st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5), min_size=1, max_size=8
    ),
    st.booleans(),
)
@settings(deadline=None, max_examples=10)
def test_all_replicas_commit_what_the_scalar_rule_and_shield_make(votes: list[list[list[int]]], scored: bool) -> None:
    pump = Guarded()
    for batch, items in enumerate(votes):
        for index in range(4):
            scores = [index / 4] * len(items) if scored else None
            pump.vote(index, batch, [item[index] for item in items], scores)
        pump.run(0.02)
    pump.run(2.0)
    pump.check()
    ballots = pump.ballots(0)
    assert len(ballots) == len(votes)
    assert [ballot.taken for ballot in ballots] == by_hand(ballots)
    for index in range(1, 4):
        assert pump.ballots(index) == ballots
    vectorised = [
        severity_decision(np.array([list(column.severities) for column in b.columns if column]).T, 1) for b in ballots
    ]
    assert [list(ballot.decisions) for ballot in ballots] == [each.tolist() for each in vectorised]
    assert not pump.refused


def test_it_overrules_a_unanimous_team() -> None:
    pump = Guarded()
    for batch in range(3):
        for index in range(4):
            pump.vote(index, batch, [3, 2, 2, 2])
        pump.run(0.3)
    pump.run(1.0)
    first, *rest = pump.ballots(2)
    # No Block without a step before, and no third process in quarantine; later on the first may be blocked.
    assert first.decisions == bytes([3, 2, 2, 2])
    assert first.taken == bytes([2, 2, 1, 1])
    assert rest[0].taken == by_hand(pump.ballots(2))[1]


@final
class LazyShield(Safeguard):
    """Says that it is the shield and lets everything through."""

    @property
    def digest(self) -> bytes:
        return ballot_shield().digest

    def begin(self) -> None:
        pass

    def judge(self, state: None, ballot: Ballot, f: int) -> Judged:
        return Judged(actions=ballot.decisions, state=None, notes=())

    def dump(self, state: None) -> None:
        pass

    def load(self, row: None) -> None:
        pass


@pytest.mark.parametrize("liar", [None, LazyShield()], ids=["without", "makes up actions"])
def test_a_leader_that_leaves_the_shield_out_gets_no_vote(liar: Safeguard | None) -> None:
    """One of four: its blocks are refused by all honest replicas, and the others' decide."""
    pump = Guarded(guards={1: liar}, timeout=0.5)
    for batch in range(8):
        for index in range(4):
            pump.vote(index, batch, [3, 2, 2, 2])
        pump.run(0.1)
    pump.run(8.0)
    pump.check()
    right = {ballot.batch: ballot for ballot in pump.ballots(0)}
    made = [
        message.block
        for sender, message in pump.sent
        if sender == 1 and isinstance(message, Proposal) and message.block.proposer == 1 and message.block.payload
    ]
    lies = [
        block
        for block in made
        if any(each.taken != right[each.batch].taken or not each.guard for each in decode_payload(block.payload, 4))
    ]
    assert lies
    names = {statements.block_id(pump.team, block) for block in lies}
    supporters = {sender for sender, message in pump.sent if isinstance(message, Vote) and message.block in names}
    assert supporters <= {1}
    for index in (0, 2, 3):
        ballots = pump.ballots(index)
        assert [ballot.batch for ballot in ballots] == list(range(8))
        assert [ballot.taken for ballot in ballots] == by_hand(ballots)
        assert all(ballot.guard for ballot in ballots)


def test_replicas_with_another_shield_do_not_agree_with_it() -> None:
    """Two of four without the rules: neither side has a quorum, so nothing is decided under doubtful rules."""
    pump = Guarded(guards={2: None, 3: None}, timeout=0.5)
    for index in range(4):
        pump.vote(index, 0, [3, 3])
    pump.run(5.0)
    assert [pump.ballots(index) for index in range(4)] == [[], [], [], []]


def test_what_was_applied_is_written_down_with_the_shield_s_state() -> None:
    pump = Guarded()
    for batch in range(6):
        for index in range(4):
            pump.vote(index, batch, [3, 2, 2, 2])
        pump.run(0.1)
    pump.run(2.0)
    ballots = pump.ballots(0)
    whole, parts = Applied(TimeToLive(), ballot_shield(), 1), Applied(TimeToLive(), ballot_shield(), 1)
    notes = [note for ballot in ballots for note in whole.apply((ballot,))]
    parts.apply(tuple(ballots[:3]))
    again = Applied(TimeToLive(), ballot_shield(), 1)
    again.load(parts.dump(), "state")
    later = again.apply(tuple(ballots[3:]))
    assert again.dump() == whole.dump()
    assert [note for note in notes if note["batch"] >= 3] == list(later)
    assert notes[0] == {
        "batch": 0,
        "item": 0,
        "entity": 0,
        "time": 0,
        "voted": "Block",
        "action": "Quarantine",
        "spec": "block-in-steps",
        "why": notes[0]["why"],
        "safe": True,
    }
    levels = whole.ledger.contained()
    assert sum(held.level == 2 for held in levels.values()) <= 2
    for other in (Applied(TimeToLive()), Applied(TimeToLive(), ballot_shield(quarantine_s=5.0), 1)):
        with pytest.raises(BftError, match="other rules of the shield"):
            other.load(whole.dump(), "state")
        with pytest.raises(BftError, match="other rules of the shield"):
            other.apply(tuple(ballots))


def test_a_payload_has_one_form_with_and_without_actions() -> None:
    pump = Guarded()
    for index in range(4):
        pump.vote(index, 0, [3, 0])
    pump.run(1.0)
    (ballot,) = pump.ballots(0)
    for form in (ballot, replace(ballot, guard=b"", actions=b"")):
        payload = encode_payload((form,))
        assert decode_payload(payload, 4) == (form,)
