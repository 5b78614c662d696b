"""The rules of signing, one refusal at a time, and that nothing is signed before it is durable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from custodes.bft import statements
from custodes.bft.messages import Block, Column, Qc
from custodes.bft.safety import Refused, SafetyRules
from custodes.bft.safety.records import AbstainRecord, ColumnRecord, SnapshotRecord, VoteRecord
from custodes.bft.safety.safety import MAX_COLUMNS, MAX_KEPT
from tests.bft.material import material
from tests.bft.safety.memorylog import MemoryLog

M = material()
GENESIS = statements.genesis_qc(M.team)
CHAIN = M.chain(6)


def rules(log: MemoryLog | None = None, index: int = 0) -> SafetyRules:
    return SafetyRules(
        team=M.team,
        index=index,
        signer=M.signers[index],
        log=log if log is not None else MemoryLog(),
        verifier=M.verifier,
    )


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason


def fork(view: int, qc: Qc, height: int, payload: bytes = b"fork") -> Block:
    tc = None if qc.view == view - 1 else M.tc(view - 1, (qc.view, 0, 0))
    return M.block(view, qc, height=height, tc=tc, payload=payload)


def test_votes_timeouts_proposals_and_columns_carry_valid_signatures() -> None:
    safety, verifier = rules(index=1), M.verifier
    assert verifier.vote_fault(safety.sign_vote(CHAIN[0])) is None
    assert verifier.timeout_fault(safety.sign_timeout(3, M.qc(CHAIN[1]), None)) is None
    assert verifier.proposal_fault(safety.sign_proposal(CHAIN[0])) is None
    column = safety.sign_column(batch=0, items_digest=b"d" * 32, severities=b"\1\2", scores=b"abcd", model=b"m" * 32)
    assert verifier.column_fault(column) is None
    assert column.agent == 1


def test_one_vote_per_view() -> None:
    safety = rules()
    vote = safety.sign_vote(CHAIN[1])
    other = dataclasses.replace(CHAIN[1], payload=b"other")
    assert refused(lambda: safety.sign_vote(other)) == "already voted in this view or a later one"
    assert refused(lambda: safety.sign_vote(CHAIN[0])) == "already voted in this view or a later one"
    assert safety.sign_vote(CHAIN[1]) == vote
    assert safety.sign_vote(CHAIN[2]).view == 3


def test_no_vote_after_giving_the_view_up() -> None:
    safety = rules()
    safety.sign_timeout(2, GENESIS, None)
    for block in CHAIN[:2]:
        assert refused(lambda b=block: safety.sign_vote(b)) == "already gave up on this view or a later one"  # type: ignore[misc]
    assert safety.sign_vote(CHAIN[2]).view == 3


def test_a_vote_that_was_signed_before_is_given_again_after_the_timeout() -> None:
    safety = rules()
    vote = safety.sign_vote(CHAIN[1])
    safety.sign_timeout(2, M.qc(CHAIN[0]), None)
    assert safety.sign_vote(CHAIN[1]) == vote


def test_a_timeout_never_hides_the_highest_certificate() -> None:
    safety = rules()
    safety.sign_vote(CHAIN[2])
    low, high = M.qc(CHAIN[0]), M.qc(CHAIN[1])
    assert refused(lambda: safety.sign_timeout(3, low, None)) == "certificate is lower than one rested on before"
    assert safety.sign_timeout(3, high, None).high_qc == high
    assert refused(lambda: safety.sign_timeout(4, low, None)) == "certificate is lower than one rested on before"
    safety.sign_timeout(5, M.qc(CHAIN[3]), None)
    assert refused(lambda: safety.sign_timeout(6, high, None)) == "certificate is lower than one rested on before"


def test_timeouts_go_forward_and_are_repeated_as_they_were() -> None:
    safety = rules()
    first = safety.sign_timeout(4, GENESIS, M.tc(3, (0, 0, 0)))
    assert safety.sign_timeout(4, M.qc(CHAIN[0]), None) == first
    assert refused(lambda: safety.sign_timeout(3, GENESIS, None)) == "already gave up on this view or a later one"
    safety.sign_vote(CHAIN[5])
    assert refused(lambda: safety.sign_timeout(5, M.qc(CHAIN[4]), None)) == "already voted in a later view"


def test_a_timeout_shows_an_earlier_certificate_that_holds() -> None:
    safety, qc = rules(), M.qc(CHAIN[2])
    assert refused(lambda: safety.sign_timeout(3, qc, None)) == "certificate is not of an earlier view"
    forged = dataclasses.replace(qc, signatures=(bytes(64),) * 3)
    assert refused(lambda: safety.sign_timeout(9, forged, None)) == "certificate holds a bad signature"
    assert refused(lambda: safety.sign_timeout(9, qc, M.tc(8, (1, 1), (0, 1)))) == "too few signers"
    for view in (0, -1, 2**63):
        assert refused(lambda v=view: safety.sign_timeout(v, GENESIS, None)) == "view out of range"  # type: ignore[misc]
    assert safety.state.timeout_view == 0


UNSOUND: list[tuple[Block, str]] = [
    (M.block(5, M.qc(CHAIN[0]), height=2), "no timeout certificate says why"),
    (M.block(5, M.qc(CHAIN[0]), height=2, tc=M.tc(4, (2, 1, 0))), "lower than one that the timeout certificate shows"),
    (M.block(5, M.qc(CHAIN[0]), height=2, tc=M.tc(3, (1, 1, 0))), "not of the view before"),
    (M.block(3, M.qc(CHAIN[1]), height=3, tc=M.tc(2, (1, 1, 0))), "without need"),
    (M.block(5, M.qc(CHAIN[0]), height=2, tc=M.tc(4, (1, 1), (0, 1))), "too few signers"),
    (dataclasses.replace(CHAIN[2], parent=b"x" * 32), "not of the parent"),
    (dataclasses.replace(CHAIN[2], proposer=0), "does not lead"),
    (M.block(3, M.qc(CHAIN[1], (0, 1)), height=3), "too few signers"),
    (dataclasses.replace(CHAIN[2], height=4), "height out of range"),
    (M.block(1, GENESIS, height=2), "height out of range"),
    (dataclasses.replace(CHAIN[2], view=2), "not of an earlier view"),
    (dataclasses.replace(CHAIN[0], view=2**62 + 1), "view out of range"),
    (M.block(1, dataclasses.replace(GENESIS, block=b"g" * 32), height=1), "not the certificate of genesis"),
]


@pytest.mark.parametrize(("block", "reason"), UNSOUND)
def test_no_vote_for_a_block_that_is_not_well_formed(block: Block, reason: str) -> None:
    log = MemoryLog()
    safety = rules(log)
    assert reason in refused(lambda: safety.sign_vote(block))
    assert log.kept == []


def test_a_block_may_rest_on_what_the_timeout_certificate_shows() -> None:
    safety = rules()
    safety.sign_vote(CHAIN[3])
    # Its own vote rested on view 3, but a quorum knew of view 1 only.
    late = M.block(6, M.qc(CHAIN[0]), height=2, tc=M.tc(5, (1, 0, 1)))
    vote = safety.sign_vote(late)
    assert (vote.qc_view, vote.tc_high) == (1, 1)
    assert safety.state.high_view == 3


def test_one_proposal_per_view_and_only_in_turn() -> None:
    safety = rules(index=2)
    block = CHAIN[1]
    first = safety.sign_proposal(block)
    assert safety.sign_proposal(block) == first
    other = dataclasses.replace(block, payload=b"other")
    assert refused(lambda: safety.sign_proposal(other)) == "already proposed in this view or a later one"
    assert refused(lambda: safety.sign_proposal(CHAIN[2])) == "another replica leads this view"
    assert refused(lambda: rules(index=2).sign_proposal(UNSOUND[11][0])) == "another replica leads this view"


def test_one_column_per_batch_in_order() -> None:
    safety = rules()

    def sign(batch: int, severities: bytes) -> object:
        return safety.sign_column(batch=batch, items_digest=bytes(32), severities=severities)

    first = sign(4, b"\1")
    assert sign(4, b"\1") == first
    assert refused(lambda: sign(4, b"\2")) == "already voted on this batch or a later one"
    assert refused(lambda: sign(3, b"\1")) == "already voted on this batch or a later one"
    assert sign(5, b"\2") != first
    assert refused(lambda: sign(2**63, b"\1")) == "batch out of range"


def test_the_last_columns_are_signed_alike_after_a_restart_and_a_snapshot() -> None:
    log = MemoryLog()
    log.snapshot_at = 20
    safety = rules(log)

    def sign(by: SafetyRules, batch: int, level: int = 1) -> Column:
        return by.sign_column(batch=batch, items_digest=bytes(32), severities=bytes([level]))

    signed = [sign(safety, batch) for batch in range(MAX_COLUMNS + 10)]
    for again in (safety, rules(MemoryLog(log.kept))):
        assert [column.batch for column in again.columns] == list(range(10, MAX_COLUMNS + 10))
        assert {column.signature for column in again.columns} == {b""}
        assert [sign(again, batch) for batch in range(10, MAX_COLUMNS + 10)] == signed[10:]
        for batch in (9, 10, MAX_COLUMNS + 9):
            assert refused(lambda by=again, b=batch: sign(by, b, 2))  # type: ignore[misc]
        assert refused(lambda by=again: sign(by, 9))  # type: ignore[misc]


def test_nothing_is_signed_before_it_is_durable() -> None:
    log = MemoryLog()
    safety = rules(log)
    vote = safety.prepare_vote(CHAIN[0])
    timeout = safety.prepare_timeout(1, GENESIS, None)
    assert log.synced == 0
    assert refused(lambda: safety.release(vote)) == "not durable yet"
    safety.sync()
    assert log.syncs == 1
    assert M.verifier.vote_fault(safety.release(vote)) is None  # type: ignore[arg-type]
    assert M.verifier.timeout_fault(safety.release(timeout)) is None  # type: ignore[arg-type]


def test_an_identical_request_writes_nothing_but_waits_for_the_disk() -> None:
    log = MemoryLog()
    safety = rules(log)
    safety.prepare_vote(CHAIN[0])
    again = safety.prepare_vote(CHAIN[0])
    assert len(log.kept) == 1
    assert refused(lambda: safety.release(again)) == "not durable yet"
    first = safety.sign_vote(CHAIN[0])
    assert (len(log.kept), log.syncs) == (1, 1)
    assert safety.sign_vote(CHAIN[0]) == first
    assert log.syncs == 1


def test_the_mark_is_asked_before_a_record_is_written() -> None:
    log = MemoryLog()
    safety = rules(log)
    safety.sign_vote(CHAIN[4])
    safety.sign_column(batch=7, items_digest=bytes(32), severities=b"\1")
    assert log.reserved == (5, 7)


def test_a_restart_remembers_everything() -> None:
    log = MemoryLog()
    safety = rules(log, index=1)
    safety.sign_proposal(CHAIN[0])
    vote = safety.sign_vote(CHAIN[1])
    timeout = safety.sign_timeout(3, M.qc(CHAIN[1]), None)
    column = safety.sign_column(batch=2, items_digest=bytes(32), severities=b"\1")
    again = rules(MemoryLog(log.kept), index=1)
    assert again.state == safety.state
    assert again.blocks == safety.blocks == (CHAIN[1],)
    assert again.sign_vote(CHAIN[1]) == vote
    assert again.sign_timeout(3, GENESIS, None) == timeout
    assert again.sign_column(batch=2, items_digest=bytes(32), severities=b"\1") == column
    assert refused(lambda: again.sign_vote(fork(3, M.qc(CHAIN[1]), 3)))
    assert refused(lambda: again.sign_proposal(dataclasses.replace(CHAIN[0], payload=b"other")))


def test_what_survived_a_kill_is_synced_before_it_counts() -> None:
    log = MemoryLog()
    rules(log).prepare_vote(CHAIN[0])
    assert log.synced == 0
    safety = rules(log)
    assert log.synced == 1
    assert safety.sign_vote(CHAIN[0]).view == 1


def test_voted_blocks_are_kept_until_they_are_committed() -> None:
    log = MemoryLog()
    safety = rules(log)
    for block in CHAIN[:4]:
        safety.sign_vote(block)
    assert safety.blocks == tuple(CHAIN[:4])
    safety.committed(2, statements.block_id(M.team, CHAIN[1]))
    assert safety.blocks == tuple(CHAIN[2:4])
    safety.committed(1, b"old" * 10)
    assert safety.state.committed_height == 2
    assert rules(MemoryLog(log.kept)).blocks == tuple(CHAIN[2:4])


def test_a_snapshot_replaces_the_log_and_loses_nothing() -> None:
    log = MemoryLog()
    log.snapshot_at = 3
    safety = rules(log)
    for block in CHAIN:
        safety.sign_vote(block)
    assert isinstance(log.kept[0], SnapshotRecord)
    assert len(log.kept) <= 3
    again = rules(MemoryLog(log.kept))
    assert (again.state, again.blocks) == (safety.state, safety.blocks)


def test_kept_blocks_are_bounded() -> None:
    vote = VoteRecord(block=CHAIN[0], id=b"")
    records = [dataclasses.replace(vote, id=index.to_bytes(32, "big")) for index in range(MAX_KEPT + 50)]
    assert len(rules(MemoryLog(records)).blocks) == MAX_KEPT


def test_after_a_loss_it_signs_nothing_that_could_conflict() -> None:
    """Any vote up to view 4 may be lost: it gives up on no view before it has seen a certificate of view 3."""
    safety = rules(MemoryLog([VoteRecord(block=CHAIN[0], id=b"i" * 32), AbstainRecord(view=4, batch=2)]))
    for block in CHAIN[:4]:
        assert refused(lambda b=block: safety.sign_vote(b))  # type: ignore[misc]
    assert refused(lambda: safety.sign_timeout(4, M.qc(CHAIN[2]), None))
    for qc in (GENESIS, M.qc(CHAIN[1])):
        assert refused(lambda q=qc: safety.sign_timeout(5, q, None)) == (  # type: ignore[misc]
            "certificate is lower than one rested on before"
        )
    assert refused(lambda: safety.sign_column(batch=2, items_digest=bytes(32), severities=b"\1"))
    assert refused(lambda: rules(MemoryLog([AbstainRecord(view=4, batch=2)]), 0).sign_proposal(CHAIN[3]))
    assert safety.sign_vote(CHAIN[4]).view == 5
    assert safety.sign_timeout(5, M.qc(CHAIN[3]), None).view == 5
    assert safety.sign_column(batch=3, items_digest=bytes(32), severities=b"\1").batch == 3
    assert safety.state.abstain_view == 4


def test_after_a_loss_no_column_of_before_is_signed_again() -> None:
    safety = rules()
    safety.sign_column(batch=1, items_digest=bytes(32), severities=b"\1")
    lost = rules(MemoryLog([ColumnRecord(column=safety.columns[0]), AbstainRecord(view=4, batch=9)]))
    assert lost.columns == ()
    assert refused(lambda: lost.sign_column(batch=1, items_digest=bytes(32), severities=b"\1"))
    assert lost.sign_column(batch=10, items_digest=bytes(32), severities=b"\1").batch == 10
