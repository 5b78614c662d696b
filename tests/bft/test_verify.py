"""Every reason for which a message is dropped."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from custodes.bft.crypto import Ed25519Crypto
from custodes.bft.messages import NO_TC, Qc, Tc
from custodes.bft.statements import genesis_qc
from custodes.bft.verify import MAX_VIEW, Verifier, basis_fault
from tests.bft.material import material

M = material()
CHAIN = M.chain(4)
QC = M.qc(CHAIN[2])
TC = M.tc(7, (3, 2, 0))
GENESIS = genesis_qc(M.team)


def test_what_is_honest_holds() -> None:
    verifier = M.verifier
    for _ in range(2):
        assert verifier.qc_fault(QC) is None
        assert verifier.tc_fault(TC) is None
        assert verifier.qc_fault(GENESIS) is None
    for block in (*CHAIN, M.block(8, QC, height=4, tc=TC)):
        assert verifier.block_fault(block) is None
        assert verifier.proposal_fault(M.proposal(block)) is None
        assert verifier.vote_fault(M.vote(block, 2)) is None
    assert verifier.timeout_fault(M.timeout(8, QC, 1, TC)) is None
    assert verifier.timeout_fault(M.timeout(1, GENESIS, 1)) is None


QC_CASES: list[tuple[dict[str, Any], str]] = [
    ({"signers": (0, 1), "signatures": QC.signatures[:2]}, "too few signers"),
    ({"signers": (0, 0, 1)}, "not ascending and distinct"),
    ({"signers": (0, 2, 1)}, "not ascending and distinct"),
    ({"signers": (-1, 0, 1)}, "not ascending and distinct"),
    ({"signers": (0, 1, 4)}, "not of this team"),
    ({"signers": (0, 1, 3)}, "bad signature"),
    ({"signatures": QC.signatures[:2]}, "one signature per signer"),
    ({"signatures": (*QC.signatures[:2], bytes(64))}, "bad signature"),
    ({"signatures": (QC.signatures[0],) * 3}, "bad signature"),
    ({"signatures": (QC.signatures[0] + b"x", *QC.signatures[1:])}, "wrong length"),
    ({"view": 4, "qc_view": 3}, "bad signature"),
    ({"block": b"b" * 32}, "bad signature"),
    ({"qc_view": 1, "tc_high": 0}, "bad signature"),
    ({"qc_view": 1}, "no timeout certificate says why"),
    ({"qc_view": 3}, "not of an earlier view"),
    ({"tc_high": 2}, "without need"),
    ({"signers": (), "signatures": ()}, "not the certificate of genesis"),
    ({"view": 0}, "not the certificate of genesis"),
    ({"view": MAX_VIEW + 1, "qc_view": MAX_VIEW}, "out of range"),
]


@pytest.mark.parametrize(("changes", "reason"), QC_CASES)
def test_quorum_certificates_that_do_not_hold(changes: dict[str, Any], reason: str) -> None:
    verifier = M.verifier
    # What was found valid must not open the door for anything else.
    assert verifier.qc_fault(QC) is None
    fault = verifier.qc_fault(dataclasses.replace(QC, **changes))
    assert fault is not None
    assert reason in fault


TC_CASES: list[tuple[dict[str, Any], str]] = [
    ({"signers": (0, 1), "signatures": TC.signatures[:2], "high_views": (3, 2)}, "too few signers"),
    ({"signers": (0, 0, 1)}, "not ascending and distinct"),
    ({"signers": (0, 1, 4)}, "not of this team"),
    ({"signatures": TC.signatures[::-1]}, "bad signature"),
    ({"high_views": (3, 2, 1)}, "bad signature"),
    ({"high_views": (3, 2)}, "one high view per signer"),
    ({"high_views": (3, 2, 7)}, "not below"),
    ({"high_views": (3, 2, -1)}, "not below"),
    ({"view": 8}, "bad signature"),
    ({"view": 0}, "out of range"),
    ({"signers": (), "signatures": (), "high_views": ()}, "too few signers"),
]


@pytest.mark.parametrize(("changes", "reason"), TC_CASES)
def test_timeout_certificates_that_do_not_hold(changes: dict[str, Any], reason: str) -> None:
    verifier = M.verifier
    assert verifier.tc_fault(TC) is None
    fault = verifier.tc_fault(dataclasses.replace(TC, **changes))
    assert fault is not None
    assert reason in fault


@pytest.mark.parametrize("other", [material(chain="other"), material(epoch=4), material(5)])
def test_other_chains_epochs_and_teams_are_refused(other: Any) -> None:
    """Replayed to another chain or epoch, or signed by replicas that are strangers here."""
    verifier = other.verifier
    assert verifier.qc_fault(GENESIS) == "not the certificate of genesis"
    block, column = CHAIN[1], M.ballot().columns[0]
    assert column is not None
    if other.team.n == 5:
        theirs = other.qc(other.chain(1)[0], (0, 1, 2, 4))
        assert M.verifier.qc_fault(theirs) == "signer is not of this team"
        return
    assert verifier.qc_fault(QC) == "certificate holds a bad signature"
    assert verifier.tc_fault(TC) == "timeout certificate holds a bad signature"
    assert verifier.vote_fault(M.vote(block, 0)) == "bad signature of a vote"
    assert verifier.timeout_fault(M.timeout(8, QC, 1)) == "bad signature of a timeout"
    assert verifier.proposal_fault(M.proposal(block)) == "bad signature of a proposal"
    assert verifier.column_fault(column) == "bad signature of a column"


def test_a_statement_of_one_kind_is_none_of_another() -> None:
    vote = M.vote(CHAIN[0], 1)
    proposal = dataclasses.replace(M.proposal(CHAIN[0]), signature=vote.signature)
    assert M.verifier.proposal_fault(proposal) == "bad signature of a proposal"
    swapped = Tc(view=1, signers=(0, 1, 2), high_views=(0, 0, 0), signatures=M.qc(CHAIN[0]).signatures)
    assert M.verifier.tc_fault(swapped) == "timeout certificate holds a bad signature"


def test_votes_and_timeouts_are_their_senders() -> None:
    vote, timeout = M.vote(CHAIN[1], 1), M.timeout(5, QC, 1)
    verifier = M.verifier
    for voter in (0, 4, -1, 255):
        assert verifier.vote_fault(dataclasses.replace(vote, voter=voter)) == "bad signature of a vote"
        assert verifier.timeout_fault(dataclasses.replace(timeout, voter=voter)) == "bad signature of a timeout"
    assert verifier.vote_fault(M.vote(CHAIN[1], 1, qc_view=0)) is not None
    assert verifier.timeout_fault(M.timeout(3, QC, 1)) == "high view is not below the view that is given up"
    weak = M.qc(CHAIN[2], (0, 1))
    assert verifier.timeout_fault(M.timeout(5, weak, 1)) == "too few signers"
    assert verifier.timeout_fault(M.timeout(8, QC, 1, M.tc(7, (1, 1), (0, 1)))) == "too few signers"


def test_a_proposal_is_its_leaders_and_signed() -> None:
    block = CHAIN[1]
    stolen = dataclasses.replace(block, proposer=1)
    assert M.verifier.proposal_fault(M.proposal(stolen)) == "proposer does not lead this view"
    unsigned = dataclasses.replace(M.proposal(block), signature=bytes(64))
    assert M.verifier.proposal_fault(unsigned) == "bad signature of a proposal"
    changed = dataclasses.replace(M.proposal(block), block=dataclasses.replace(block, payload=b"x"))
    assert M.verifier.proposal_fault(changed) == "bad signature of a proposal"
    weak = M.block(3, M.qc(CHAIN[1], (0, 1)), height=3)
    assert M.verifier.proposal_fault(M.proposal(weak)) == "too few signers"


def test_a_quorum_of_five_or_six_is_more_than_2f_plus_1() -> None:
    for n, needed in ((4, 3), (5, 4), (6, 4), (7, 5), (10, 7)):
        m = material(n)
        block = m.chain(1)[0] if n < 5 else m.block(1, genesis_qc(m.team), height=1)
        assert m.team.quorum == needed
        assert m.verifier.qc_fault(m.qc(block, range(needed))) is None
        assert m.verifier.qc_fault(m.qc(block, range(needed - 1))) == "too few signers"


def test_bases_against_their_definition() -> None:
    for view in range(1, 7):
        for qc_view in range(-1, 8):
            for high in range(-1, 8):
                direct = qc_view == view - 1 and high == NO_TC
                by_timeout = 0 <= qc_view < view - 1 and high >= 0 and qc_view >= high
                assert (basis_fault(view, qc_view, high) is None) == (direct or by_timeout), (view, qc_view, high)
    assert basis_fault(0, -1, NO_TC) is not None
    assert basis_fault(MAX_VIEW, MAX_VIEW - 1, NO_TC) is None
    assert basis_fault(MAX_VIEW + 1, MAX_VIEW, NO_TC) is not None


def test_known_certificates_are_not_checked_again() -> None:
    calls = []

    class Counting:
        def verify(self, index: int, statement: bytes, signature: bytes) -> bool:
            calls.append(index)
            return real.verify(index, statement, signature)

    real = Ed25519Crypto(M.team.keys)
    verifier = Verifier(M.team, Counting())
    for _ in range(3):
        assert verifier.qc_fault(dataclasses.replace(QC)) is None
    assert calls == [0, 1, 2]
    bad: Qc = dataclasses.replace(QC, signatures=(bytes(64), *QC.signatures[1:]))
    for _ in range(2):
        assert verifier.qc_fault(bad) == "certificate holds a bad signature"
    assert len(calls) == 5
