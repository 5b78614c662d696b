"""One form per message: what is accepted is exactly what is sent."""

from __future__ import annotations

import dataclasses
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.bft import encoding
from custodes.bft.encoding import MAX_BLOCKS, MAX_BYTES, MAX_ITEMS, MAX_PAYLOAD, decode, encode
from custodes.bft.errors import DecodeError
from custodes.bft.messages import Block, Blocks, Column, Fetch, Message, Proposal, Qc, Status, Tc, Timeout, Vote
from custodes.bft.statements import genesis_qc
from tests.bft.material import material

COUNT = st.integers(0, 2**64 - 1)
SIGNED = st.integers(-(2**63), 2**63 - 1)
HASH = st.binary(min_size=32, max_size=32)
SIGNATURE = st.binary(min_size=64, max_size=64)
AGENT = st.integers(0, 255)
PAYLOAD = st.binary(max_size=60)


@st.composite
def qcs(draw: st.DrawFn) -> Qc:
    signers = tuple(sorted(draw(st.sets(st.integers(0, 63), max_size=5))))
    signatures = tuple(draw(SIGNATURE) for _ in signers)
    return Qc(
        view=draw(COUNT),
        block=draw(HASH),
        qc_view=draw(SIGNED),
        tc_high=draw(SIGNED),
        signers=signers,
        signatures=signatures,
    )


@st.composite
def tcs(draw: st.DrawFn) -> Tc:
    signers = tuple(sorted(draw(st.sets(st.integers(0, 63), max_size=5))))
    return Tc(
        view=draw(COUNT),
        signers=signers,
        high_views=tuple(draw(SIGNED) for _ in signers),
        signatures=tuple(draw(SIGNATURE) for _ in signers),
    )


@st.composite
def columns(draw: st.DrawFn) -> Column:
    count = draw(st.integers(1, 9))
    return Column(
        agent=draw(AGENT),
        batch=draw(COUNT),
        items_digest=draw(HASH),
        severities=bytes(draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))),
        scores=draw(st.sampled_from([b"", bytes(range(2 * count))])),
        model=draw(HASH),
        signature=draw(SIGNATURE),
    )


BLOCKS = st.builds(
    Block,
    view=COUNT,
    height=COUNT,
    parent=HASH,
    proposer=AGENT,
    qc=qcs(),
    tc=st.none() | tcs(),
    payload=PAYLOAD,
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(Proposal, block=BLOCKS, signature=SIGNATURE),
    st.builds(Vote, view=COUNT, block=HASH, qc_view=SIGNED, tc_high=SIGNED, voter=AGENT, signature=SIGNATURE),
    st.builds(Timeout, view=COUNT, high_qc=qcs(), tc=st.none() | tcs(), voter=AGENT, signature=SIGNATURE),
    st.builds(Status, high_qc=qcs(), tc=st.none() | tcs()),
    st.builds(Fetch, block=HASH, floor=COUNT, limit=st.integers(1, MAX_BLOCKS)),
    st.builds(Blocks, blocks=st.lists(BLOCKS, max_size=3).map(tuple)),
    columns(),
)


def samples() -> list[Message]:
    """One honest message of each kind, with and without its optional parts."""
    m = material()
    first, second = m.chain(2)
    tc = m.tc(4, (1, 2, 0))
    late = m.block(5, m.qc(second), height=3, tc=tc, payload=b"payload")
    column = m.ballot(6).columns[1]
    assert column is not None
    return [
        m.proposal(second),
        m.proposal(late),
        m.vote(first, 3),
        m.timeout(9, m.qc(second), 2),
        m.timeout(9, genesis_qc(m.team), 2, tc),
        Status(high_qc=m.qc(first), tc=None),
        Status(high_qc=m.qc(first), tc=tc),
        Fetch(block=b"b" * 32, floor=7, limit=3),
        Blocks(blocks=(late, second)),
        column,
        dataclasses.replace(column, scores=b""),
    ]


def accepted(data: bytes) -> Message | None:
    try:
        return decode(data)
    except DecodeError:
        return None


@given(MESSAGES)
def test_decoding_gives_back_what_was_encoded(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("message", samples(), ids=lambda message: type(message).__name__)
def test_whatever_is_accepted_has_one_form(message: Message) -> None:
    """Every byte set to several values, every cut, and bytes appended: refused, or the one encoding of its value."""
    data = encode(message)
    assert decode(data) == message
    different = 0
    for at in range(len(data)):
        for flip in (1, 2, 0x80, 0xFF):
            mutant = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            value = accepted(mutant)
            if value is not None:
                assert encode(value) == mutant
                assert value != message
                different += 1
        assert accepted(data[:at]) is None
    for tail in (b"\0", b"\1", data):
        assert accepted(data + tail) is None
    # Signatures and digests may hold anything, so most mutants are other messages.
    assert different > len(data)


@given(
    st.binary(max_size=300)
    | st.tuples(st.integers(0, 9), st.binary(max_size=300)).map(lambda p: bytes([1, p[0]]) + p[1])
)
@settings(max_examples=300)
def test_any_bytes_are_refused_or_have_one_form(data: bytes) -> None:
    value = accepted(data)
    assert value is None or encode(value) == data


def test_random_splices_are_refused_or_have_one_form() -> None:
    random, pool = Random(5), [encode(message) for message in samples()]
    kept = 0
    for _ in range(3000):
        one, two = random.choice(pool), random.choice(pool)
        data = one[: random.randrange(len(one))] + two[random.randrange(len(two)) :]
        value = accepted(data)
        if value is not None:
            kept += 1
            assert encode(value) == data
    assert kept > 0


def test_a_signature_over_the_received_bytes_is_checked() -> None:
    """What is checked is made from the decoded value; only the received bytes decode to it."""
    m = material()
    vote = m.vote(m.chain(1)[0], 1)
    data = encode(vote)
    received = decode(data)
    assert isinstance(received, Vote)
    assert encode(received) == data
    assert m.verifier.vote_fault(received) is None
    for at in range(2, len(data)):
        mutant = accepted(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert mutant is None or (isinstance(mutant, Vote) and m.verifier.vote_fault(mutant) is not None)


LARGE = struct.pack("<I", 2**32 - 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "another version"),
        (b"\x02\x01", "another version"),
        (b"\x01\x07", "unknown kind"),
        (b"\x01\xff", "unknown kind"),
        (b"\x01\x01" + bytes(10), "cut"),
        (b"\x01\x03\x02" + bytes(64), "neither 0 nor 1"),
        (b"\x01\x04" + bytes(32) + bytes(8) + struct.pack("<I", 0), "too many"),
        (b"\x01\x04" + bytes(32) + bytes(8) + struct.pack("<I", MAX_BLOCKS + 1), "too many"),
        (b"\x01\x05" + bytes([MAX_BLOCKS + 1]), "too many blocks"),
        (b"\x01\x03\x00" + bytes(24) + b"\xff" * 8 + bytes(32), "cut"),
        (b"\x01\x06" + bytes(73) + LARGE + bytes(65), "number of votes"),
        (b"\x01\x06" + bytes(73) + struct.pack("<I", MAX_ITEMS) + bytes(65), "cut"),
        (b"\x01\x06" + bytes(73) + struct.pack("<I", 1) + bytes(65) + b"\x04", "not 0 to 3"),
        (b"\x01\x00" + bytes(64) + bytes(49) + b"\0" + bytes(64) + LARGE, "over the limit"),
    ],
)
def test_lengths_are_checked_before_anything_is_made(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        decode(data)


def test_a_message_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(DecodeError, match="over the limit"):
        decode(b"\x01\x05" + bytes(MAX_BYTES))


CASES: list[tuple[int, dict[str, Any], str]] = [
    (2, {"block": b"short"}, "digest has 5 bytes"),
    (2, {"signature": b""}, "signature has 0 bytes"),
    (2, {"view": -1}, "does not fit"),
    (2, {"voter": 256}, "does not fit"),
    (5, {"high_qc": ("signers", (2, 1, 0))}, "ascending"),
    (5, {"high_qc": ("signers", (0, 1, 1))}, "ascending"),
    (5, {"high_qc": ("signers", (0, 1, 64))}, "ascending"),
    (5, {"high_qc": ("signatures", ())}, "one signature per signer"),
    (6, {"tc": ("high_views", (1,))}, "one high view per signer"),
    (7, {"limit": 0}, "not between 1 and"),
    (9, {"severities": b""}, "not between 1 and"),
    (9, {"severities": bytes([4]) * 6}, "not 0 to 3"),
    (9, {"scores": b"odd"}, "one score per vote"),
]


@pytest.mark.parametrize(("which", "changes", "reason"), CASES)
def test_what_has_no_form_is_not_encoded(which: int, changes: dict[str, Any], reason: str) -> None:
    message = samples()[which]
    real: dict[str, Any] = {}
    for key, value in changes.items():
        inner = isinstance(value, tuple)
        real[key] = dataclasses.replace(getattr(message, key), **{value[0]: value[1]}) if inner else value
    with pytest.raises(DecodeError, match=reason):
        encode(dataclasses.replace(message, **real))


def test_blocks_over_a_limit_are_not_encoded() -> None:
    m = material()
    block = m.chain(1)[0]
    with pytest.raises(DecodeError, match="payload of"):
        encode(m.proposal(dataclasses.replace(block, payload=bytes(MAX_PAYLOAD + 1))))
    with pytest.raises(DecodeError, match="answer of 65 blocks"):
        encode(Blocks(blocks=(block,) * 65))
    with pytest.raises(DecodeError, match="over the limit of"):
        encode(Blocks(blocks=(dataclasses.replace(block, payload=bytes(MAX_PAYLOAD)),) * 3))


def test_the_documented_sizes_hold() -> None:
    m = material()
    blocks = m.chain(2)
    qc = m.qc(blocks[0])
    assert len(encode(Status(high_qc=qc, tc=None))) == 3 + 64 + 3 * 64
    assert len(encode(Status(high_qc=qc, tc=m.tc(3, (1, 1, 1))))) == 3 + 64 + 3 * 64 + 16 + 3 * 72
    assert len(encode(m.vote(blocks[0], 0))) == 123
    column = m.ballot(10).columns[0]
    assert column is not None
    assert len(encode(column)) == 2 + 142 + 10
    assert encode(column)[0] == encoding.VERSION
