"""Decision certificates: they hold offline, and not after any change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from custodes.bft.ballots import encode_payload, make_ballot
from custodes.bft.certificates import (
    Certificate,
    certificate_fault,
    decided,
    decode_certificate,
    encode_certificate,
    make_certificate,
)
from custodes.bft.encoding import MAX_PAYLOAD
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Block
from tests.bft.material import material

M = material()
BALLOT = M.ballot(3, missing=(2,))
PAYLOAD = encode_payload((BALLOT,))
CHAIN = M.chain(4, PAYLOAD)


def certificate(length: int = 2, payload: bytes = PAYLOAD) -> Certificate:
    blocks = M.chain(length, payload)
    return make_certificate(M.team, blocks, M.qc(blocks[-1]))


@pytest.mark.parametrize("length", [2, 3, 4])
def test_certificates_hold_and_come_back(length: int) -> None:
    made = certificate(length)
    assert certificate_fault(made, M.verifier) is None
    assert decode_certificate(encode_certificate(made)) == made
    assert decided(made, 4) == (BALLOT,)


def test_a_certificate_may_span_views_without_a_commit() -> None:
    first, second = CHAIN[:2]
    late = M.block(6, M.qc(second), height=3, tc=M.tc(5, (2, 2, 1)))
    last = M.block(7, M.qc(late), height=4)
    made = make_certificate(M.team, [first, second, late, last], M.qc(last))
    assert certificate_fault(made, M.verifier) is None
    # Views 2 and 6 are not consecutive: the same blocks do not prove a commit one block earlier.
    early = make_certificate(M.team, [first, second, late], M.qc(late))
    assert certificate_fault(early, M.verifier) == "the two quorum certificates are not of consecutive views"


def test_every_flipped_byte_breaks_a_certificate() -> None:
    data = encode_certificate(certificate())
    for at in range(len(data)):
        for flip in (0x01, 0x80):
            mutant = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            try:
                read = decode_certificate(mutant)
            except DecodeError:
                continue
            assert certificate_fault(read, M.verifier) is not None, at
    for cut in range(len(data)):
        with pytest.raises(DecodeError):
            decode_certificate(data[:cut])
    with pytest.raises(DecodeError):
        decode_certificate(data + b"\0")


def _blocks(*blocks: Block) -> dict[str, Any]:
    made = make_certificate(M.team, blocks, M.qc(blocks[-1]))
    return {"headers": made.headers, "lower": made.lower, "upper": made.upper}


def _forked() -> Block:
    return dataclasses.replace(CHAIN[1], payload=b"fork")


CASES: list[tuple[Callable[[Certificate], dict[str, Any]], str]] = [
    (lambda c: {"chain": "other"}, "chain 'other'"),
    (lambda c: {"epoch": 4}, "epoch 4"),
    (lambda c: {"payload": encode_payload((M.ballot(3, seed=5),))}, "not that of the decided block"),
    (lambda c: {"headers": c.headers[:1]}, "too short"),
    (lambda c: {"headers": c.headers[::-1]}, "not that of the decided block"),
    (lambda c: {"headers": (c.headers[0], *_blocks(_forked(), CHAIN[2])["headers"])}, "no chain"),
    (lambda c: {"headers": (c.headers[0], c.headers[0])}, "no chain"),
    (lambda c: {"lower": c.upper}, "not of its block"),
    (lambda c: {"upper": c.lower}, "not of its block"),
    (lambda c: {"lower": M.qc(CHAIN[0], (1, 2, 3))}, "does not carry the first"),
    (lambda c: {"upper": M.qc(CHAIN[1], (0, 1))}, "too few signers"),
    (lambda c: {"upper": dataclasses.replace(c.upper, signers=(0, 1, 1))}, "not ascending and distinct"),
    (lambda c: {"upper": dataclasses.replace(c.upper, signers=(0, 1, 5))}, "not of this team"),
    (lambda c: {"upper": dataclasses.replace(c.upper, signers=(), signatures=())}, "not of its block"),
    (lambda c: {"upper": M.qc(_forked())}, "not of its block"),
]


@pytest.mark.parametrize(("change", "reason"), CASES)
def test_certificates_that_do_not_hold(change: Callable[[Certificate], dict[str, Any]], reason: str) -> None:
    made = certificate()
    fault = certificate_fault(dataclasses.replace(made, **change(made)), M.verifier)
    assert fault is not None
    assert reason in fault


@pytest.mark.parametrize("other", [material(chain="other"), material(epoch=4)])
def test_another_team_does_not_accept_it(other: Any) -> None:
    made = certificate()
    assert "not of this team" in str(certificate_fault(made, other.verifier))
    renamed = dataclasses.replace(made, chain=other.team.chain, epoch=other.team.epoch)
    assert certificate_fault(renamed, other.verifier) is not None


def test_a_quorum_cannot_certify_decisions_that_do_not_follow() -> None:
    """Even when a quorum of liars signs it: who checks recomputes."""
    wrong = dataclasses.replace(BALLOT, decisions=bytes(level ^ 1 for level in BALLOT.decisions))
    fault = certificate_fault(certificate(payload=encode_payload((wrong,))), M.verifier)
    assert fault == "decisions do not follow from the votes"
    assert certificate_fault(certificate(payload=b"\1junk"), M.verifier) == "payload: message is cut"
    few = make_ballot(M.team, 0, BALLOT.items, (BALLOT.columns[0], None, None, None))
    assert certificate_fault(certificate(payload=encode_payload((few,))), M.verifier) == "too few columns"


def test_limits() -> None:
    with pytest.raises(DecodeError, match="over a limit"):
        encode_certificate(dataclasses.replace(certificate(), payload=bytes(MAX_PAYLOAD + 1)))
    with pytest.raises(DecodeError, match="not a decision certificate"):
        decode_certificate(b"")
