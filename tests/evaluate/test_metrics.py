"""Metrics against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import CustodesError
from custodes.evaluate.metrics import binary_metrics, confusion, contains, pr_curve, threshold_for_f1

ROWS = st.lists(
    st.tuples(st.sampled_from((-1, 0, 1, 2)), st.booleans(), st.sampled_from((0.0, 0.1, 0.25, 0.5, 0.9))), max_size=30
)


def f1_of(labels: list[int], said: list[bool]) -> float | None:
    tp = fp = fn = 0
    for label, prediction in zip(labels, said, strict=True):
        tp += label == 1 and prediction
        fp += label == 0 and prediction
        fn += label == 1 and not prediction
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def average_precision(labels: list[int], scores: list[float]) -> float:
    """Sum over distinct scores, from the highest, of recall gained times precision there."""
    pairs = [(score, label) for score, label in zip(scores, labels, strict=True) if label in (0, 1)]
    threats = sum(label for _, label in pairs)
    total, before = 0.0, 0.0
    for threshold in sorted({score for score, _ in pairs}, reverse=True):
        taken = [label for score, label in pairs if score >= threshold]
        recall = sum(taken) / threats
        total += (recall - before) * sum(taken) / len(taken)
        before = recall
    return total


def auroc(labels: list[int], scores: list[float]) -> float:
    """Chance that a threat scores above a benign event, ties half."""
    wins = [
        (a > b) + 0.5 * (a == b)
        for a, x in zip(scores, labels, strict=True)
        if x == 1
        for b, y in zip(scores, labels, strict=True)
        if y == 0
    ]
    return sum(wins) / len(wins)


@given(ROWS)
def test_metrics_match_their_definitions(rows: list[tuple[int, bool, float]]) -> None:
    labels, said, scores = [r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows]
    rewards = [10 * score - label for label, _, score in rows]
    got = binary_metrics(labels=labels, predictions=said, scores=scores, rewards=rewards)
    known = [i for i, label in enumerate(labels) if label in (0, 1)]
    assert got["decisions"] == len(known)
    assert got["threats"] == labels.count(1) == got["tp"] + got["fn"]
    assert got["tp"] + got["fp"] + got["tn"] + got["fn"] == got["decisions"]
    assert got["f1"] == pytest.approx(f1_of(labels, said))
    if got["threats"]:
        assert got["recall"] == pytest.approx(got["tp"] / got["threats"])
        assert got["pr_auc"] == pytest.approx(average_precision(labels, scores))
    else:
        assert got["recall"] is None
        assert got["pr_auc"] is None
    if got["threats"] and labels.count(0):
        assert got["auroc"] == pytest.approx(auroc(labels, scores))
    else:
        assert got["auroc"] is None
    if known:
        assert got["reward_per_decision"] == pytest.approx(sum(rewards[i] for i in known) / len(known))
    else:
        assert got["reward_per_decision"] is None


@given(ROWS)
def test_threshold_is_the_best_of_all(rows: list[tuple[int, bool, float]]) -> None:
    labels, scores = [r[0] for r in rows], [r[2] for r in rows]
    got = threshold_for_f1(labels, scores)
    if 1 not in labels:
        assert got == math.inf
        return
    tried = {
        t: f1_of(labels, [s >= t for s in scores])
        for t in {s for s, label in zip(scores, labels, strict=True) if label in (0, 1)}
    }
    best = max(value for value in tried.values() if value is not None)
    assert tried[got] == pytest.approx(best)
    assert got == max(t for t, value in tried.items() if value == pytest.approx(best))


def test_threshold_keeps_equal_scores_together() -> None:
    # Cutting inside the tie at 0.5 would reach F1 1; no threshold can.
    assert threshold_for_f1([1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]) == 0.5
    assert threshold_for_f1(np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.4, 0.1], dtype=np.float32)) == np.float32(0.4)


def test_allow_all_has_f1_zero_and_no_precision() -> None:
    got = binary_metrics(labels=[0, 1], predictions=[False, False], scores=[0, 0], rewards=None)
    assert (got["f1"], got["precision"], got["recall"]) == (0.0, None, 0.0)
    assert got["reward_per_decision"] is None
    assert (got["pr_auc"], got["auroc"]) == (0.5, 0.5)


def test_contains_is_quarantine_and_above() -> None:
    assert contains([0, 1, 2, 3]).tolist() == [False, False, True, True]
    counts = confusion([1, 0, 2], contains([3, 1, 3]))
    assert (counts.tp, counts.fp, counts.tn, counts.fn) == (1, 0, 1, 0)


def test_curve_is_thin_ends_included_and_on_the_data() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(5000) < 0.1).astype(int)
    scores = rng.normal(size=5000) + labels
    curve = pr_curve(labels, scores, points=50)
    assert curve is not None
    assert 2 <= len(curve["recall"]) <= 50
    assert curve["recall"] == sorted(curve["recall"])
    assert curve["recall"][-1] == 1.0
    for recall, precision, threshold in zip(curve["recall"], curve["precision"], curve["threshold"], strict=True):
        counts = confusion(labels, scores >= threshold)
        assert (recall, precision) == pytest.approx((counts.recall, counts.precision))
    assert pr_curve([0, 0], [0.1, 0.2]) is None
    assert pr_curve([1, 0], [0.5, 0.5]) == {"recall": [1.0], "precision": [0.5], "threshold": [0.5]}
    with pytest.raises(ValueError, match="at least 2"):
        pr_curve([1], [0.5], points=1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_one_line(bad: float) -> None:
    for call in (
        lambda: binary_metrics(labels=[1, 0], predictions=[True, False], scores=[bad, 0.0], rewards=None),
        lambda: threshold_for_f1([1, 0], [bad, 0.0]),
        lambda: pr_curve([1, 0], [bad, 0.0]),
    ):
        with pytest.raises(CustodesError, match=r"^evaluation: 1 of 2 scores are not finite; the team diverged"):
            call()


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        binary_metrics(labels=[1], predictions=[True, False], scores=[0.0], rewards=None)
    with pytest.raises(ValueError, match="one length"):
        binary_metrics(labels=[1], predictions=[True], scores=[0.0], rewards=[[1.0]])
