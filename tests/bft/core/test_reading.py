"""Payloads read back once: the same ballots as without a memory, and never more than a few of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custodes.bft.ballots import Ballot, ballot_fault, decode_payload, encode_payload
from custodes.bft.core.columns import ColumnBook
from custodes.bft.core.reading import KEPT, PayloadReader
from custodes.bft.errors import DecodeError
from tests.bft.material import material

M = material()


def book_of(ballot: Ballot) -> ColumnBook:
    book = ColumnBook(8, M.team.n)
    for column in ballot.columns:
        if column is not None:
            book.add(column, 0.0, 0)
    return book


def test_what_is_read_is_what_decodes_and_is_read_once() -> None:
    payload = encode_payload((M.ballot(30, missing=(2,)), M.ballot(7, batch=1)))
    reader = PayloadReader(M.team.n, ColumnBook(8, M.team.n))
    found = reader.read(payload)
    assert found == decode_payload(payload, M.team.n)
    assert reader.read(payload) is found


def test_columns_that_are_held_stand_in_for_equal_ones_only() -> None:
    ballot = M.ballot(30)
    book = book_of(ballot)
    (found,) = PayloadReader(M.team.n, book).read(encode_payload((ballot,)))
    assert found == ballot
    assert all(column is book.get(0, agent) for agent, column in enumerate(found.columns))

    forged = ballot.columns[1]
    assert forged is not None
    other = replace(ballot, columns=(ballot.columns[0], replace(forged, signature=bytes(64)), *ballot.columns[2:]))
    (found,) = PayloadReader(M.team.n, book).read(encode_payload((other,)))
    assert found == other
    assert ballot_fault(M.verifier, found) == "bad signature of a column"


def test_few_payloads_are_remembered() -> None:
    payloads = [encode_payload((M.ballot(3, batch=batch),)) for batch in range(KEPT + 1)]
    reader = PayloadReader(M.team.n, ColumnBook(8, M.team.n))
    first = reader.read(payloads[0])
    kept = [reader.read(payload) for payload in payloads[1:]]
    assert all(reader.read(payload) is found for payload, found in zip(payloads[1:], kept, strict=True))
    assert reader.read(payloads[0]) is not first


def test_what_does_not_decode_is_refused_each_time() -> None:
    payload = encode_payload((M.ballot(3),))[:-1]
    reader = PayloadReader(M.team.n, ColumnBook(8, M.team.n))
    for _ in range(2):
        with pytest.raises(DecodeError):
            reader.read(payload)
