"""The attack table against plays one at a time, and what the used rule promises in it."""

from __future__ import annotations

from itertools import combinations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from custodes.bft.attacks import ATTACKS
from custodes.bft.votes import BLOCK, severity_decision
from custodes.evaluate.byzantine.ballots import Ballots, with_liars
from custodes.evaluate.byzantine.gauge import ResponseGauge, TriageGauge
from custodes.evaluate.byzantine.refused import RULES, USED
from custodes.evaluate.byzantine.schema import AttackRow
from custodes.evaluate.byzantine.table import attack_table
from custodes.evaluate.response.record import response_record
from tests.env.response.games import city
from tests.evaluate.response.small import COSTS, recording

CITY = city()
PART = CITY.recording
ALL = tuple(sorted(ATTACKS))


def learned(liars: tuple[int, ...]) -> NDArray[np.int8]:
    said = np.zeros((len(PART.rows), 4), dtype=np.int8)
    said[:, list(liars)] = BLOCK
    return said


def ballots(seed: int = 0, *, together: bool = False) -> Ballots:
    draw = np.random.default_rng(seed)
    shape = (len(PART.rows), 3, 1 if together else 4)
    votes = draw.choice(4, shape, p=(0.85, 0.05, 0.05, 0.05)).astype(np.int8)
    return Ballots(
        votes=np.repeat(votes, 4, axis=2) if together else votes,
        confidence=draw.random((len(PART.rows), 3, 4), dtype=np.float32),
        protected=PART.malicious[PART.forest.entity[PART.rows]],
        f=1,
    )


@pytest.fixture(scope="module")
def table() -> tuple[AttackRow, ...]:
    gauge = ResponseGauge(PART, CITY.costs)
    return attack_table(ballots(), gauge, attacks=ALL, counts=range(3), learned=learned, seed=3)


def test_every_row_is_there_once(table: tuple[AttackRow, ...]) -> None:
    keys = [(row.rule, row.attack, row.byzantine) for row in table]
    expected: list[tuple[str, str | None, int]] = [(rule, None, 0) for rule in RULES]
    expected += [(rule, attack, count) for count in (1, 2) for attack in ALL for rule in RULES]
    assert keys == expected
    assert {(row.byzantine, row.choices, row.choices_possible) for row in table} == {(0, 1, 1), (1, 4, 4), (2, 6, 6)}


def test_rows_are_what_plays_one_at_a_time_come_to(table: tuple[AttackRow, ...]) -> None:
    honest = ballots()
    clean = severity_decision(honest.votes, 1)
    for row in table:
        if row.rule != USED or row.attack is None:
            continue
        records, unchanged = [], []
        for liars in combinations(range(4), row.byzantine):
            lied = with_liars(honest, row.attack, liars, seed=3, learned=learned(liars))
            decided = severity_decision(lied.votes, 1)
            records.append(response_record(PART, decided.astype(np.int8), CITY.costs))
            unchanged.append(float((decided[:, 0] == clean[:, 0]).mean()))
        scores = [record.score for record in records if record.score is not None]
        false = [record.false_containments for record in records]
        assert row.worst.score == pytest.approx(min(scores))
        assert row.mean.score == pytest.approx(np.mean(scores))
        assert row.worst.cost == pytest.approx(max(record.cost for record in records))
        assert row.worst.false_containments == max(false)
        assert row.mean.false_containments == pytest.approx(np.mean(false))
        assert row.worst.false_containments_per_1000 == max(r.false_containments_per_1000 for r in records)
        assert row.worst.malicious_prevented == min(record.malicious_prevented for record in records)
        assert row.worst.unchanged == min(unchanged)
        assert row.worst_liars == list(combinations(range(4), row.byzantine))[scores.index(min(scores))]
        longest = [np.inf if r.time_to_contain_s.p95 == "inf" else r.time_to_contain_s.p95 for r in records]
        assert row.worst.time_to_contain_s.p95 == ("inf" if max(longest) == np.inf else max(longest))  # type: ignore[type-var]


def test_a_shield_is_played_against_each_rows_worst_liars() -> None:
    """Here it takes back every Block; the rest of the table is what it is without."""

    def enforced(votes: NDArray[np.int8], decisions: NDArray[np.int8]) -> NDArray[np.int8]:
        np.testing.assert_array_equal(severity_decision(votes, 1), decisions)
        return np.where(decisions == BLOCK, 0, decisions).astype(np.int8)

    gauge, attacks, honest = ResponseGauge(PART, CITY.costs), ("flip", "traitor"), ballots()
    plain = attack_table(honest, gauge, attacks=attacks, counts=(1,), learned=learned, seed=3)
    shielded = attack_table(honest, gauge, attacks=attacks, counts=(1,), learned=learned, enforced=enforced, seed=3)
    assert tuple(msgspec.structs.replace(row, shielded=msgspec.UNSET) for row in shielded) == plain
    for row in shielded:
        assert bool(row.shielded) == (row.rule == USED)
        if not row.shielded:
            continue
        said = learned(row.worst_liars)
        lied = honest if row.attack is None else with_liars(honest, row.attack, row.worst_liars, seed=3, learned=said)
        done = enforced(lied.votes, severity_decision(lied.votes, 1).astype(np.int8))
        record = response_record(PART, done, CITY.costs)
        assert row.shielded.score == record.score
        assert row.shielded.false_containments_per_1000 == record.false_containments_per_1000
        assert row.shielded.suppression_rate is None or 0 <= row.shielded.suppression_rate <= 1


def test_rules_are_judged_under_the_used_rule_over_who_lies() -> None:
    judged: list[bytes] = []

    def judge(decisions: NDArray[np.int8]) -> dict[str, float | None]:
        judged.append(decisions.tobytes())
        return {"calm": float((decisions < BLOCK).mean()), "unseen": None}

    honest = ballots()
    rows = attack_table(honest, ResponseGauge(PART, CITY.costs, judge), attacks=("flip",), counts=(1,), seed=3)
    assert all((row.mean.stl is None) == (row.rule != USED) for row in rows)
    assert len(judged) == len(set(judged))
    (row,) = (row for row in rows if row.rule == USED and row.byzantine == 1)
    shares = [
        float((severity_decision(with_liars(honest, "flip", (liar,), seed=3).votes, 1) < BLOCK).mean())
        for liar in range(4)
    ]
    assert row.worst.stl == {"calm": min(shares), "unseen": None}
    assert row.mean.stl is not None
    assert row.mean.stl["calm"] == pytest.approx(np.mean(shares))


def test_without_liars_nothing_is_suppressed_or_changed(table: tuple[AttackRow, ...]) -> None:
    for row in table:
        if row.byzantine == 0:
            assert row.worst.suppression_rate in (0.0, None)
            assert row.worst.unchanged == 1.0
            assert row.worst == row.mean


def test_f_liars_change_no_containment_of_a_team_that_agrees() -> None:
    gauge = ResponseGauge(PART, CITY.costs)
    rows = attack_table(ballots(together=True), gauge, attacks=ALL, counts=(1, 2), learned=learned)
    clean = rows[0]
    for row in rows:
        if row.rule == USED and row.byzantine == 1:
            assert row.worst.suppression_rate == 0.0
            assert row.worst.false_containments == clean.worst.false_containments
    beyond = [row for row in rows if row.rule == USED and row.byzantine == 2]
    assert max(row.worst.false_containments for row in beyond) > clean.worst.false_containments


def test_a_refused_rule_lets_one_liar_save_what_all_others_contain() -> None:
    """Three honest agents contain, but not in the same way: exact quorum is suppressed, the used rule is not."""
    part = recording()
    votes = np.zeros((8, 3, 4), dtype=np.int8)
    votes[[1, 3, 6]] = (3, 3, 2, 2)
    some = Ballots(
        votes=votes,
        confidence=np.full(votes.shape, 0.9, np.float32),
        protected=part.malicious[part.forest.entity[part.rows]],
        f=1,
    )
    rows = attack_table(some, ResponseGauge(part, COSTS), attacks=("always-allow",), counts=(1,))
    lied = {row.rule: row for row in rows if row.byzantine == 1}
    assert lied[USED].worst.suppression_rate == 0.0
    assert rows[2].rule == "exact-quorum"
    assert (lied["exact-quorum"].worst.score or 0.0) < (lied[USED].worst.score or 0.0)


def test_equal_decisions_are_measured_once() -> None:
    gauge = ResponseGauge(PART, CITY.costs)
    attack_table(ballots(), gauge, attacks=("always-allow", "withhold"), counts=(1,), rules=(USED,))
    assert gauge.measured <= 5


def test_triage_counts_events() -> None:
    labels = np.array([0, 0, 0, 1, 1, -1])
    votes = np.array([0, 3, 0, 3, 0, 3], dtype=np.int8)[:, None, None].repeat(4, axis=2)
    some = Ballots(votes=votes, confidence=np.ones(votes.shape, np.float32), protected=labels == 1, f=1)
    rows = attack_table(some, TriageGauge(labels), attacks=("flip",), counts=(1, 2), rules=(USED,))
    clean, one, two = (row.worst for row in rows)
    assert clean.false_containments == 1
    assert clean.false_containments_per_1000 == pytest.approx(1000 / 3)
    assert clean.f1 == pytest.approx(0.5)
    assert clean.score is None
    assert one == msgspec.structs.replace(clean)
    # Two of four say Block of all that is allowed: everything is contained, and what two others contain still is.
    assert (two.false_containments, two.suppression_rate) == (3, 0.0)


def test_the_rule_kept_least_has_a_window(table: tuple[AttackRow, ...]) -> None:
    figures = table[0].worst
    assert figures.stl is None
    assert figures.kept_least() is None
    for shares, least in (
        ({"a": 0.5, "b": 0.25, "c": None}, ("b", 0.25)),
        ({"b": 0.5, "a": 0.5}, ("a", 0.5)),
        ({"c": None}, None),
    ):
        assert msgspec.structs.replace(figures, stl=shares).kept_least() == least
