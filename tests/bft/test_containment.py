"""Containments end by themselves, are renewed by decisions, and are the same on every replica."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.bft.containment import SECOND, Containment, ContainmentLedger, TimeToLive
from custodes.bft.votes import ALERT, ALLOW, BLOCK, QUARANTINE

LIVES = TimeToLive(quarantine=10, block=100)


def definition(history: list[tuple[int, int, int]], lives: TimeToLive) -> dict[int, tuple[int, int]]:
    """Level and end of what is contained after a history, re-told from its beginning for each entity."""
    held: dict[int, tuple[int, int]] = {}
    now = -(1 << 63)
    for entity, decision, time in history:
        now = max(now, time)
        held = {name: (level, end) for name, (level, end) in held.items() if end > now}
        level, _ = held.get(entity, (ALLOW, 0))
        if decision >= QUARANTINE and decision >= level:
            held[entity] = (decision, now + (lives.block if decision == BLOCK else lives.quarantine))
    return held


HISTORY = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 300)), max_size=60)


@given(HISTORY)
def test_equals_the_definition(history: list[tuple[int, int, int]]) -> None:
    ledger = ContainmentLedger(LIVES)
    for told, (entity, decision, time) in enumerate(history):
        ledger.apply(entity, decision, time)
        expected = definition(history[: told + 1], LIVES)
        assert {name: (held.level, held.until) for name, held in ledger.contained().items()} == expected
        assert len(ledger) == len(expected)
        assert all(ledger.level(name) == expected.get(name, (ALLOW, 0))[0] for name in range(5))


@given(HISTORY)
def test_a_batch_is_its_decisions_in_order(history: list[tuple[int, int, int]]) -> None:
    one, many = ContainmentLedger(LIVES), ContainmentLedger(LIVES)
    for entity, decision, time in history:
        one.apply(entity, decision, time)
    if history:
        entities, decisions, times = zip(*history, strict=True)
        many.apply_batch(entities, decisions, times)
    assert {name: (held.level, held.until) for name, held in one.contained().items()} == {
        name: (held.level, held.until) for name, held in many.contained().items()
    }
    assert one.now == many.now


def test_quarantine_runs_out_unless_renewed() -> None:
    ledger = ContainmentLedger(LIVES)
    assert ledger.apply(1, QUARANTINE, 0) == Containment(level=QUARANTINE, since=0, until=10)
    assert ledger.apply(1, QUARANTINE, 9) == Containment(level=QUARANTINE, since=0, until=19)
    assert ledger.apply(2, ALLOW, 18) is None
    assert ledger.level(1) == QUARANTINE
    ledger.apply(2, ALLOW, 19)
    assert ledger.level(1) == ALLOW


def test_quarantine_never_weakens_a_block_and_allow_lifts_nothing() -> None:
    ledger = ContainmentLedger(LIVES)
    ledger.apply(1, QUARANTINE, 0)
    assert ledger.apply(1, BLOCK, 5) == Containment(level=BLOCK, since=5, until=105)
    for decision in (QUARANTINE, ALERT, ALLOW):
        assert ledger.apply(1, decision, 50) == Containment(level=BLOCK, since=5, until=105)
    assert ledger.lift(1)
    assert not ledger.lift(1)
    assert ledger.level(1) == ALLOW


def test_a_lifted_containment_does_not_end_its_successor() -> None:
    ledger = ContainmentLedger(LIVES)
    ledger.apply(1, QUARANTINE, 0)
    ledger.lift(1)
    ledger.apply(1, QUARANTINE, 5)
    ledger.apply(2, ALLOW, 10)
    assert ledger.level(1) == QUARANTINE


def test_memory_is_bounded_by_what_is_contained() -> None:
    ledger = ContainmentLedger(LIVES)
    for time in range(5_000):
        ledger.apply(time % 3, QUARANTINE, time // 100)
        ledger.apply(10 + time, QUARANTINE, time)
    assert len(ledger) <= 13
    assert len(ledger._ends) <= 2 * len(ledger) + 65


def test_batches_of_unequal_columns_are_refused_whole() -> None:
    ledger = ContainmentLedger(LIVES)
    with pytest.raises(ValueError, match="zip"):
        ledger.apply_batch([1, 2], [BLOCK], [0, 0])
    assert len(ledger) == 0
    ledger.apply_batch([], [], [])
    assert len(ledger) == 0


def test_times_to_live_are_positive_and_long_enough_for_people() -> None:
    with pytest.raises(ValueError, match="longer than 0"):
        ContainmentLedger(TimeToLive(quarantine=0))
    assert TimeToLive().of(QUARANTINE) == 300 * SECOND
    assert TimeToLive().of(BLOCK) == 86_400 * SECOND
