"""What a sample of inputs carries: boosted trees on lanes that they were not fitted on, and single columns.

Half of the lanes are fitted on and the other half scored, both ways round, so that every score is of an event whose
lane the trees did not see.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.doctor.facts import Ceiling, InputLeak
from custodes.doctor.sample import InputSample

LAGS: Final = 8
"""Earlier events of the run beside each event, at most."""
COLUMNS: Final = 160
"""Columns of the trees with context, about at most: wide inputs get fewer lags (at least one)."""
FEWEST: Final = 20
"""Malicious events, and benign ones, below which nothing is said."""
ROUNDS: Final = 50
BINS: Final = 63
LEAVES: Final = 15

Table = tuple[tuple[float, ...], tuple[float, ...]]


def ceiling_of(sample: InputSample, reward_table: Table | None = None) -> Ceiling | None:
    """How far trees get on what the agents see; None where the sample is too thin to say.

    Args:
        sample: Events.
        reward_table: What each action earns on a benign and on a malicious event; None without one.
    """
    known = np.isin(sample.labels, (0, 1))
    truth = sample.labels[known].astype(np.int64)
    if min(np.count_nonzero(truth == 1), np.count_nonzero(truth == 0)) < FEWEST:
        return None
    inputs = np.nan_to_num(sample.inputs.astype(np.float32))
    half = _halves(sample.lane, sample.run, sample.labels)
    if half is None:
        return None
    alone = _scores(inputs, sample.labels, known, half)
    context = _scores(_with_context(inputs, sample.run), sample.labels, known, half)
    if alone is None or context is None:
        return None
    better = context if _best_f1(truth, context) >= _best_f1(truth, alone) else alone
    rate = float(truth.mean())
    return Ceiling(
        f1_alone=_best_f1(truth, alone),
        f1_context=_best_f1(truth, context),
        f1_chance=2.0 * rate / (1.0 + rate),
        auroc_context=_auroc(truth, better),
        gain=None if reward_table is None else _gain(truth, better, reward_table),
        events=len(truth),
        threats=int(truth.sum()),
    )


def leak_of(sample: InputSample) -> InputLeak | None:
    """The column that tells the label best by a threshold or by its value; None where the sample is too thin."""
    known = np.isin(sample.labels, (0, 1))
    truth = sample.labels[known].astype(np.int64)
    if min(np.count_nonzero(truth == 1), np.count_nonzero(truth == 0)) < FEWEST:
        return None
    best = (-1.0, 0)
    for column in range(sample.inputs.shape[1]):
        area = _auroc(truth, sample.inputs[known, column].astype(np.float64))
        best = max(best, (max(area, 1.0 - area), column))
    return InputLeak(column=best[1], auroc=best[0])


def _halves(lane: NDArray[np.int64], run: NDArray[np.int64], labels: NDArray[np.int8]) -> NDArray[np.int64] | None:
    """Which half each event is in, whole lanes, malicious ones dealt first; whole runs where there is one lane."""
    for group in (lane, run):
        _, number = np.unique(group, return_inverse=True)
        size = np.bincount(number)
        threats = np.bincount(number, labels == 1)
        order = np.lexsort((-size, -threats))
        side = np.empty(len(size), dtype=np.int64)
        # Dealt there and back, so that the halves get about as much.
        side[order] = np.array([0, 1, 1, 0])[np.arange(len(size)) % 4]
        half: NDArray[np.int64] = side[number]
        if all(np.count_nonzero(labels[half == s] == 1) >= FEWEST // 2 for s in (0, 1)):
            return half
    return None


def _scores(
    inputs: NDArray[np.float32], labels: NDArray[np.int8], known: NDArray[np.bool_], half: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """Probability of a threat for the labelled events [M], each by trees fitted on the other half."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    varies = inputs[known].std(0) > 0
    if not varies.any():
        return np.full(int(known.sum()), 0.5)
    score = np.zeros(len(labels))
    for side in (0, 1):
        fit, scored = known & (half != side), known & (half == side)
        if len(np.unique(labels[fit])) < 2 or not scored.any():
            return None
        trees = HistGradientBoostingClassifier(
            max_iter=ROUNDS, max_leaf_nodes=LEAVES, max_bins=BINS, early_stopping=False, random_state=0
        )
        trees.fit(inputs[fit][:, varies], labels[fit])
        score[scored] = trees.predict_proba(inputs[scored][:, varies])[:, 1]
    return score[known]


def _with_context(inputs: NDArray[np.float32], run: NDArray[np.int64]) -> NDArray[np.float32]:
    """Inputs beside those of earlier events of the run; zero where there is none."""
    rows, width = inputs.shape
    lags = min(LAGS, max(1, COLUMNS // max(width, 1) - 1))
    parts = [inputs]
    for lag in range(1, lags + 1):
        earlier = np.zeros_like(inputs)
        same = run[lag:] == run[:-lag]
        earlier[lag:][same] = inputs[: rows - lag][same]
        parts.append(earlier)
    return np.concatenate(parts, axis=1)


def _best_f1(truth: NDArray[np.int64], score: NDArray[np.float64]) -> float:
    """F1 at the best threshold."""
    hits, called = _sweep(truth, score)
    f1: NDArray[np.float64] = 2.0 * hits / (called + np.count_nonzero(truth))
    return float(f1.max())


def _gain(truth: NDArray[np.int64], score: NDArray[np.float64], table: Table) -> float:
    """What the best threshold earns above the best constant action, as a share of what perfect knowledge would."""
    benign, malicious = (np.asarray(row) for row in table)
    bad = int(truth.sum())
    good = len(truth) - bad
    constant = float((good * benign + bad * malicious).max())
    oracle = float(good * benign.max() + bad * malicious.max())
    if oracle - constant <= 1e-9 * max(abs(oracle), 1.0):
        return 0.0
    hits, called = _sweep(truth, score)
    # One more false alarm than was seen (rule of succession): a few sure hits prove no certainty.
    false = np.minimum(called - hits + 1, good)
    best = constant
    # One action below the threshold, a severer one at or above it.
    for below in range(len(benign)):
        for above in range(below + 1, len(benign)):
            earned = hits * malicious[above] + false * benign[above]
            earned += (bad - hits) * malicious[below] + (good - false) * benign[below]
            best = max(best, float(earned.max()))
    return (best - constant) / (oracle - constant)


def _sweep(truth: NDArray[np.int64], score: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Malicious and all events at or above each distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.diff(score[order]) != 0, True)
    return np.cumsum(truth[order])[last], np.flatnonzero(last) + 1


def _auroc(truth: NDArray[np.int64], score: NDArray[np.float64]) -> float:
    """Chance that a malicious event scores above a benign one, ties counting half."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2.0)[place]
    bad = int(truth.sum())
    return float((rank[truth == 1].sum() - bad * (bad + 1) / 2) / (bad * (len(truth) - bad)))
