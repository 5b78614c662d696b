"""Ballots: one form, and decisions that every replica computes alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.bft import ballots
from custodes.bft.ballots import Ballot, ballot_fault, decode_payload, encode_payload
from custodes.bft.encoding import MAX_ITEMS, MAX_PAYLOAD
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Column
from tests.bft.material import material


def definition(votes: list[int], f: int) -> int:
    """The vote rule, one vote at a time."""
    at_least = [sum(vote >= level for vote in votes) for level in range(4)]
    if at_least[3] >= 2 * f + 1:
        return 3
    if at_least[2] >= f + 1:
        return 2
    return 1 if at_least[1] >= f + 1 else 0


@given(st.sampled_from([4, 5, 7, 10]), st.integers(1, 12), st.integers(0, 2**32), st.data())
@settings(max_examples=40, deadline=None)
def test_payloads_come_back_and_decisions_follow(n: int, count: int, seed: int, data: st.DataObject) -> None:
    m = material(n)
    missing = data.draw(st.sets(st.integers(0, n - 1), max_size=m.team.f))
    made = tuple(m.ballot(count, batch=batch, seed=seed + batch, missing=tuple(missing)) for batch in range(2))
    payload = encode_payload(made)
    assert decode_payload(payload, n) == made
    for ballot in made:
        assert ballot_fault(m.verifier, ballot) is None
        for item in range(count):
            votes = [0 if column is None else column.severities[item] for column in ballot.columns]
            assert ballot.decisions[item] == definition(votes, m.team.f)


def test_no_ballots_are_the_empty_payload() -> None:
    assert encode_payload(()) == b""
    assert decode_payload(b"", 4) == ()
    with pytest.raises(DecodeError, match="number of batches"):
        decode_payload(b"\0", 4)


def accepted(payload: bytes, n: int) -> tuple[Ballot, ...] | None:
    try:
        return decode_payload(payload, n)
    except DecodeError:
        return None


@pytest.mark.parametrize("missing", [(), (2,)])
def test_whatever_is_accepted_has_one_form(missing: tuple[int, ...]) -> None:
    m = material()
    payload = encode_payload((m.ballot(3, missing=missing), m.ballot(2, batch=1)))
    for at in range(len(payload)):
        for flip in (1, 2, 4, 0x80, 0xFF):
            mutant = payload[:at] + bytes([payload[at] ^ flip]) + payload[at + 1 :]
            value = accepted(mutant, 4)
            if value is not None:
                assert encode_payload(value) == mutant
                # Every mutant that can be read is refused for what it says.
                assert any(ballot_fault(m.verifier, ballot) for ballot in value)
        assert accepted(payload[:at], 4) is None or at == 0
    assert accepted(payload + b"\0", 4) is None


def test_random_bytes_are_refused_or_have_one_form() -> None:
    random = Random(3)
    for _ in range(2000):
        payload = random.randbytes(random.randrange(1, 120))
        value = accepted(payload, 4)
        assert value is None or encode_payload(value) == payload


def test_arrays_are_views_of_the_received_bytes() -> None:
    entities, times = np.array([1, 2**64 - 1], dtype=np.uint64), np.array([-5, 7])
    items = ballots.make_items(entities, times)
    seen = ballots.entities_of(items)
    assert seen.tolist() == entities.tolist()
    assert ballots.times_of(items).tolist() == times.tolist()
    assert not seen.flags.owndata
    assert not seen.flags.writeable


def test_scores_are_fixed_point() -> None:
    column = material().ballot(1).columns[1]
    assert column is not None
    made = dataclasses.replace(column, scores=ballots.fixed_point(np.array([0.0, 0.5, 1.0, 7.0, -1.0])))
    assert ballots.scores_of(made).tolist() == [0, 32768, 65535, 65535, 0]


def test_scores_carry_no_weight() -> None:
    """The surest liar counts as one agent, whatever scores it and the others claim."""
    m, rng = material(), np.random.default_rng(3)
    ballot = m.ballot(64)
    for _ in range(20):
        columns = tuple(
            column and dataclasses.replace(column, scores=ballots.fixed_point(rng.random(64)))
            for column in ballot.columns
        )
        assert columns != ballot.columns
        assert ballots.recompute(columns, 64, m.team) == ballot.decisions


def _swapped(ballot: Ballot) -> tuple[Column | None, ...]:
    return (ballot.columns[1], ballot.columns[0], *ballot.columns[2:])


def _with(ballot: Ballot, agent: int, **changes: Any) -> tuple[Column | None, ...]:
    columns = list(ballot.columns)
    column = columns[agent]
    assert column is not None
    columns[agent] = dataclasses.replace(column, **changes)
    return tuple(columns)


def _resigned(ballot: Ballot, agent: int, *, batch: int = 0, **changes: Any) -> tuple[Column | None, ...]:
    """Signed by the agent itself, but for something else."""
    columns = list(ballot.columns)
    columns[agent] = material().column(agent, batch, ballot.items, bytes(5), **changes)
    return tuple(columns)


FAULTS: list[tuple[Callable[[Ballot], dict[str, Any]], str]] = [
    (lambda b: {"decisions": bytes([b.decisions[0] ^ 1]) + b.decisions[1:]}, "decisions do not follow"),
    (lambda b: {"decisions": b.decisions[1:]}, "decisions do not follow"),
    (lambda b: {"columns": (None, None, *b.columns[2:])}, "too few columns"),
    (lambda b: {"columns": (None, *b.columns[1:])}, "decisions do not follow"),
    (lambda b: {"columns": b.columns[:3]}, "one column per agent"),
    (lambda b: {"columns": _swapped(b)}, "another agent, batch or items"),
    (lambda b: {"batch": 1}, "another agent, batch or items"),
    (lambda b: {"items": material().ballot(5, seed=9).items}, "another agent, batch or items"),
    (lambda b: {"columns": _resigned(b, 0, batch=1)}, "another agent, batch or items"),
    (lambda b: {"columns": _resigned(b, 0, items_digest=bytes(32))}, "another agent, batch or items"),
    (lambda b: {"columns": _with(b, 0, severities=b"\0")}, "one vote per item"),
    (lambda b: {"columns": _with(b, 2, signature=bytes(64))}, "bad signature"),
    (lambda b: {"columns": _with(b, 2, model=b"m" * 32)}, "bad signature"),
    (lambda b: {"columns": _with(b, 1, scores=b"")}, "bad signature"),
]


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_ballots_that_do_not_hold(change: Callable[[Ballot], dict[str, Any]], reason: str) -> None:
    ballot = material().ballot(5, seed=2)
    assert ballot_fault(material().verifier, ballot) is None
    fault = ballot_fault(material().verifier, dataclasses.replace(ballot, **change(ballot)))
    assert fault is not None
    assert reason in fault


def test_columns_of_another_chain_or_epoch_are_refused() -> None:
    ballot = material().ballot()
    for other in (material(chain="other"), material(epoch=4)):
        assert ballot_fault(other.verifier, ballot) == "bad signature of a column"


def test_ballots_over_a_limit_are_not_encoded() -> None:
    ballot = material().ballot(1)
    many = dataclasses.replace(ballot, items=ballots.Items(entities=bytes(8), times=bytes(8 * (MAX_ITEMS + 1))))
    with pytest.raises(DecodeError, match="is not between 1 and"):
        encode_payload((many,))
    with pytest.raises(DecodeError, match="65 batches"):
        encode_payload((ballot,) * 65)
    with pytest.raises(DecodeError, match="bytes, not"):
        encode_payload((dataclasses.replace(ballot, decisions=b"\0\0"),))
    large = material().ballot(50_000)
    with pytest.raises(DecodeError, match="over the limit"):
        encode_payload((large,) * 10)
    with pytest.raises(DecodeError, match="over the limit"):
        decode_payload(bytes(MAX_PAYLOAD + 1), 4)


def test_votes_of_strangers_are_refused() -> None:
    payload = encode_payload((material(7).ballot(2),))
    with pytest.raises(DecodeError, match="not of this team"):
        decode_payload(payload, 4)
