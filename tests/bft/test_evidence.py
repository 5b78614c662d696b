"""Proofs: every kind is found and holds, none can be made up, and no honest replica is ever accused."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custodes.bft import statements
from custodes.bft.crypto import Ed25519Crypto
from custodes.bft.errors import DecodeError
from custodes.bft.evidence import (
    DOUBLE,
    HIDDEN,
    PROOF_KINDS,
    UNSOUND,
    EvidencePool,
    Proof,
    check_proof,
    decode_proof,
    encode_proof,
)
from custodes.bft.messages import Block, Column, Proposal, Timeout, Vote
from custodes.bft.safety import Refused, SafetyRules
from custodes.bft.safety.records import AbstainRecord
from custodes.bft.team import Team
from tests.bft.material import material
from tests.bft.safety.memorylog import MemoryLog

M = material()
CHAIN = M.chain(8)
GENESIS = statements.genesis_qc(M.team)
CRYPTO = Ed25519Crypto(M.team.keys)
LIAR = 1


def signed(message: Vote | Timeout | Proposal | Column) -> bytes:
    if isinstance(message, Vote):
        return message.signature + statements.statement_of_vote(M.team, message)
    if isinstance(message, Timeout):
        return message.signature + statements.statement_of_timeout(M.team, message)
    if isinstance(message, Proposal):
        return message.signature + statements.statement_of_proposal(M.team, message.block)
    return message.signature + statements.statement_of_column(M.team, message)


def feed(pool: EvidencePool, message: Vote | Timeout | Proposal | Column) -> Proof | None:
    kinds = {Vote: pool.vote, Timeout: pool.timeout, Proposal: pool.proposal, Column: pool.column}
    found: Proof | None = kinds[type(message)](message)  # type: ignore[operator]
    return found


def column(batch: int, severities: bytes) -> Column:
    return M.column(LIAR, batch, M.ballot(3).items, severities)


LATE = M.block(7, M.qc(CHAIN[3]), height=5, tc=M.tc(6, (4, 2, 0)))
PAIRS: list[tuple[str, list[Vote | Timeout | Proposal | Column]]] = [
    ("double-vote", [M.vote(CHAIN[2], LIAR), M.vote(dataclasses.replace(CHAIN[2], payload=b"x"), LIAR)]),
    ("double-vote", [M.vote(LATE, LIAR), M.vote(LATE, LIAR, qc_view=5)]),
    ("double-proposal", [M.proposal(CHAIN[4]), M.proposal(dataclasses.replace(CHAIN[4], payload=b"x"))]),
    ("double-timeout", [M.timeout(6, M.qc(CHAIN[1]), LIAR), M.timeout(6, M.qc(CHAIN[2]), LIAR)]),
    ("double-column", [column(2, b"\0\0\0"), column(2, b"\0\0\3")]),
    ("unsound", [M.vote(LATE, LIAR, tc_high=-1)]),
    ("unsound", [M.vote(LATE, LIAR, tc_high=5)]),
    ("unsound", [M.vote(CHAIN[2], LIAR, qc_view=3)]),
    ("unsound", [M.timeout(2, M.qc(CHAIN[2]), LIAR)]),
    ("hidden-certificate", [M.vote(CHAIN[3], LIAR), M.timeout(4, M.qc(CHAIN[1]), LIAR)]),
    ("hidden-certificate", [M.vote(CHAIN[3], LIAR), M.timeout(7, GENESIS, LIAR)]),
    ("hidden-certificate", [M.timeout(5, M.qc(CHAIN[3]), LIAR), M.timeout(7, M.qc(CHAIN[2]), LIAR)]),
]


@pytest.mark.parametrize(("kind", "messages"), PAIRS)
def test_lies_are_found_in_any_order_and_proven(kind: str, messages: list[Vote | Timeout | Proposal | Column]) -> None:
    for order in permutations(messages):
        pool = EvidencePool(M.team)
        for innocent in (M.vote(CHAIN[2], 0), M.vote(CHAIN[2], 2), M.timeout(6, M.qc(CHAIN[1]), 3)):
            assert feed(pool, innocent) is None
        found = [proof for message in order * 2 if (proof := feed(pool, message)) is not None]
        assert len(found) == 1, found
        (proof,) = found
        assert (proof.kind, proof.culprit) == (kind, LIAR)
        assert check_proof(proof, M.team, CRYPTO) == LIAR
        assert decode_proof(encode_proof(proof)) == proof
        swapped = dataclasses.replace(proof, first=proof.second, second=proof.first)
        assert check_proof(swapped, M.team, CRYPTO) == LIAR


def test_all_kinds_are_covered() -> None:
    assert {kind for kind, _ in PAIRS} == set(PROOF_KINDS)


MAY_STAND: list[tuple[Vote | Timeout | Proposal | Column, Vote | Timeout | Proposal | Column]] = [
    # A timeout certificate of others may let a later vote rest on less.
    (M.vote(CHAIN[5], LIAR), M.vote(M.block(8, M.qc(CHAIN[0]), height=2, tc=M.tc(7, (1, 0, 0))), LIAR)),
    (M.timeout(6, M.qc(CHAIN[4]), LIAR), M.vote(M.block(8, M.qc(CHAIN[0]), height=2, tc=M.tc(7, (1, 0, 0))), LIAR)),
    (M.vote(CHAIN[3], LIAR), M.timeout(4, M.qc(CHAIN[2]), LIAR)),
    (M.vote(CHAIN[3], LIAR), M.timeout(3, GENESIS, LIAR)),
    (M.timeout(5, M.qc(CHAIN[3]), LIAR), M.timeout(6, M.qc(CHAIN[3]), LIAR)),
    (M.vote(CHAIN[3], LIAR), M.vote(CHAIN[3], LIAR)),
    (M.vote(CHAIN[0], LIAR), M.proposal(CHAIN[0])),
    (column(1, b"\0\0\1"), column(2, b"\0\0\3")),
]


@pytest.mark.parametrize(("first", "second"), MAY_STAND)
def test_what_an_honest_replica_may_sign_is_no_proof(
    first: Vote | Timeout | Proposal | Column, second: Vote | Timeout | Proposal | Column
) -> None:
    for one, two in ((first, second), (second, first)):
        pool = EvidencePool(M.team)
        assert feed(pool, one) is None
        assert feed(pool, two) is None
        for kind in PROOF_KINDS:
            made = Proof(kind=kind, culprit=LIAR, first=signed(one), second=signed(two))
            assert check_proof(made, M.team, CRYPTO) is None
            single = Proof(kind=kind, culprit=LIAR, first=signed(one), second=b"")
            assert check_proof(single, M.team, CRYPTO) is None


def proof() -> Proof:
    first, second = (signed(message) for message in PAIRS[0][1])
    return Proof(kind="double-vote", culprit=LIAR, first=first, second=second)


def test_a_proof_cannot_be_made_up() -> None:
    real = proof()
    assert check_proof(real, M.team, CRYPTO) == LIAR
    for culprit in (0, 2, 4, 255):
        assert check_proof(dataclasses.replace(real, culprit=culprit), M.team, CRYPTO) is None
    for kind in PROOF_KINDS[1:]:
        assert check_proof(dataclasses.replace(real, kind=kind), M.team, CRYPTO) is None
    assert check_proof(dataclasses.replace(real, second=real.first), M.team, CRYPTO) is None
    assert check_proof(dataclasses.replace(real, second=b""), M.team, CRYPTO) is None
    for other in (material(chain="other"), material(epoch=4)):
        assert check_proof(real, other.team, CRYPTO) is None
    stranger = Team(chain="test", epoch=3, keys=material(5).team.keys[1:])
    assert check_proof(real, stranger, Ed25519Crypto(stranger.keys)) is None


def test_every_flipped_byte_of_a_proof_breaks_it() -> None:
    data = encode_proof(proof())
    for at in range(len(data)):
        mutant = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with suppress(DecodeError):
            assert check_proof(decode_proof(mutant), M.team, CRYPTO) is None
        with pytest.raises(DecodeError):
            decode_proof(data[:at])
    with pytest.raises(DecodeError):
        decode_proof(data + b"\0")


def test_votes_in_another_agents_name_and_proposals_out_of_turn_are_unsound() -> None:
    foreign = statements.column_statement(M.team, 4, 0, bytes(32))
    early = statements.proposal_statement(M.team, 4, bytes(32))
    for statement in (foreign, early):
        made = Proof(kind=UNSOUND, culprit=LIAR, first=M.sign(LIAR, statement) + statement, second=b"")
        assert check_proof(made, M.team, CRYPTO) == LIAR
    pool = EvidencePool(M.team)
    stolen = M.proposal(dataclasses.replace(CHAIN[1], proposer=LIAR))
    found = pool.proposal(stolen)
    assert found is not None
    assert found.kind == UNSOUND


def test_lies_within_certificates_are_found() -> None:
    """A lie that no message brought: it stands in the certificates of two chains."""
    pool = EvidencePool(M.team)
    assert pool.block(M.block(5, M.qc(CHAIN[3], (0, 1, 2)), height=5)) == []
    bad = M.block(7, M.qc(CHAIN[1]), height=3, tc=M.tc(6, (0, 2, 1), (1, 2, 3)))
    found = pool.block(bad)
    # Replicas 1 and 2 voted on the certificate of view 3, then showed less; replica 3 did not vote.
    assert {(item.culprit, item.kind) for item in found} == {(1, HIDDEN), (2, HIDDEN)}
    assert all(check_proof(item, M.team, CRYPTO) == item.culprit for item in found)
    assert pool.qc(GENESIS) == []


def test_memory_is_bounded_by_the_window() -> None:
    pool = EvidencePool(M.team, window=8)
    for view in range(1, 400):
        pool.advance(view, view)
        statement = statements.timeout_statement(M.team, view, 0)
        for far in (view, view + 10**6):
            assert pool._take(0, "timeout", far, statement, bytes(64), 0, True) is None
            assert pool._take(0, "column", far, statement, bytes(64), -1, True) is None
        assert len(pool._said[0]) <= 2 * (2 * 8 + 3)
    # A liar cannot push away what it said by signing for far views.
    assert any(key[1] == 399 for key in pool._said[0])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["vote", "fork", "timeout", "proposal", "column", "restart", "loss"]),
        st.integers(0, 7),
        st.integers(0, 7),
    ),
    max_size=25,
)


def _try(safety: SafetyRules, step: str, a: int, b: int) -> Vote | Timeout | Proposal | Column | None:
    """Ask for a signature, wherever the rules allow it."""
    qc = GENESIS if b == 0 else QCS[b - 1]
    with suppress(Refused):
        if step == "vote":
            return safety.sign_vote(CHAIN[a])
        if step == "fork":
            return safety.sign_vote(FORKS[a][b])
        if step == "timeout":
            return safety.sign_timeout(a + 1, qc, None)
        if step == "proposal":
            return safety.sign_proposal(CHAIN[a] if b % 2 else FORKS[a][b])
        if step == "column":
            return safety.sign_column(batch=a, items_digest=bytes(32), severities=bytes([b % 4]))
    return None


QCS = [M.qc(block) for block in CHAIN]


def _fork(view: int, below: int) -> Block:
    qc = GENESIS if below == 0 or below >= view else QCS[below - 1]
    tc = None if qc.view == view - 1 else M.tc(view - 1, (qc.view, 0, 0))
    return M.block(view, qc, height=qc.view + 1, tc=tc, payload=b"fork")


FORKS = [[_fork(view, below) for below in range(8)] for view in range(1, 9)]


@given(STEPS, st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_no_honest_replica_is_ever_accused(steps: list[tuple[str, int, int]], random: object) -> None:
    """Whatever is asked of it, in whatever order others hear it, also across restarts and a lost log."""
    log = MemoryLog()
    said: list[Vote | Timeout | Proposal | Column] = []

    def start() -> SafetyRules:
        return SafetyRules(team=M.team, index=LIAR, signer=M.signers[LIAR], log=log, verifier=VERIFIER)

    safety = start()
    for step, a, b in steps:
        if step in ("restart", "loss"):
            if step == "loss":
                highest = max(safety.state.voted_view, safety.state.timeout_view, safety.state.proposed_view)
                log = MemoryLog(
                    [*log.kept[: a % (len(log.kept) + 1)], AbstainRecord(view=highest, batch=safety.state.batch)]
                )
            safety = start()
            continue
        message = _try(safety, step, a, b)
        if message is not None:
            said.append(message)
    random.shuffle(said)  # type: ignore[attr-defined]
    pool = EvidencePool(M.team)
    assert [found for message in said if (found := feed(pool, message)) is not None] == []


VERIFIER = M.verifier


def test_double_kinds_name_every_statement() -> None:
    assert set(DOUBLE) == set(statements.KINDS)
