"""Scores of binary decisions: counts, precision, recall, F1, PR-AUC, AUROC, and the threshold that is best for F1.

A prediction is "threat" where the team contains, that is where its decision is Quarantine or Block. Rows whose label is
neither benign (0) nor malicious (1) are left out of everything here. A number that is not defined is None, never 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from custodes.bft.votes import QUARANTINE
from custodes.errors import CustodesError


class BinaryMetrics(TypedDict):
    """The metrics of `evaluation-<split>.json`, for a team or a baseline; docs/run-folder.md says what each is."""

    decisions: int
    threats: int
    tp: int
    fp: int
    tn: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None
    pr_auc: float | None
    auroc: float | None
    reward_per_decision: float | None


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of predictions against labels; rows without a true label are in none of them."""

    tp: int
    """Malicious events that were contained."""
    fp: int
    """Benign events that were contained."""
    tn: int
    """Benign events that were not contained."""
    fn: int
    """Malicious events that were not contained."""

    @property
    def precision(self) -> float | None:
        """Contained events that were malicious, tp / (tp + fp), 0 to 1; None where nothing was contained."""
        return _ratio(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Malicious events that were contained, tp / (tp + fn), 0 to 1; None where there is no threat."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn), 0 to 1; None where there is no threat and nothing was contained."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def contains(decisions: ArrayLike) -> NDArray[np.bool_]:
    """Where a decision contains the process: Quarantine or Block. Integer severities [...] in, bool [...] out."""
    return np.asarray(np.asarray(decisions) >= QUARANTINE)


def scored(labels: ArrayLike) -> NDArray[np.bool_]:
    """Where a label counts: benign (0) or malicious (1). Integers [N] in, bool [N] out."""
    values = np.asarray(labels)
    return np.asarray((values == 0) | (values == 1))


def confusion(labels: ArrayLike, predictions: ArrayLike) -> Confusion:
    """Count predictions (bool [N], True = threat) against labels (integers [N])."""
    truth, said = np.asarray(labels), np.asarray(predictions).astype(bool)
    _same_length(labels=truth, predictions=said)
    malicious, benign = truth == 1, truth == 0
    return Confusion(
        tp=int(np.count_nonzero(malicious & said)),
        fp=int(np.count_nonzero(benign & said)),
        tn=int(np.count_nonzero(benign & ~said)),
        fn=int(np.count_nonzero(malicious & ~said)),
    )


def binary_metrics(
    *, labels: ArrayLike, predictions: ArrayLike, scores: ArrayLike, rewards: ArrayLike | None
) -> BinaryMetrics:
    """Score predictions on the rows that have a true label.

    Args:
        labels: Integers [N]: 0 benign, 1 malicious, anything else is left out.
        predictions: bool [N]: True where the event was contained (see `contains`).
        scores: Floats [N], finite: higher is more threatening. Only their order counts, for PR-AUC and AUROC.
        rewards: Floats [N]: what each decision earned; None where no reward is defined.

    Returns:
        The counts; precision, recall and F1 of the predictions; `pr_auc` = average precision, the sum over thresholds
        of (recall step) x precision, with equal scores taken together and no interpolation (Davis & Goadrich 2006,
        section 4, show why linear interpolation flatters); `auroc`; the mean reward. None where a number is undefined.

    Raises:
        ValueError: The arrays differ in length.
        CustodesError: A score is not finite.
    """
    truth, said, order = np.asarray(labels), np.asarray(predictions).astype(bool), _finite(scores)
    _same_length(labels=truth, predictions=said, scores=order)
    keep = scored(truth)
    counts = confusion(truth, said)
    threats, benign = counts.tp + counts.fn, counts.fp + counts.tn
    truth, order = truth[keep], order[keep]
    earned = None
    if rewards is not None:
        per_row = np.asarray(rewards, dtype=np.float64)
        _same_length(labels=keep, rewards=per_row)
        earned = float(per_row[keep].mean()) if threats + benign else None
    return BinaryMetrics(
        decisions=threats + benign,
        threats=threats,
        tp=counts.tp,
        fp=counts.fp,
        tn=counts.tn,
        fn=counts.fn,
        precision=counts.precision,
        recall=counts.recall,
        f1=counts.f1,
        pr_auc=float(average_precision_score(truth, order)) if threats else None,
        auroc=float(roc_auc_score(truth, order)) if threats and benign else None,
        reward_per_decision=earned,
    )


def threshold_for_f1(labels: ArrayLike, scores: ArrayLike) -> float:
    """The threshold t for which `scores >= t` has the highest F1: exact over all thresholds, in O(N log N).

    Equal scores stand or fall together. Of thresholds with the same F1 the highest is taken: it contains the fewest.

    Args:
        labels: Integers [N]; rows that are neither 0 nor 1 are left out.
        scores: Floats [N], finite.

    Returns:
        One of the scores, or infinity (contain nothing) where there is no threat to find.

    Raises:
        ValueError: The arrays differ in length.
        CustodesError: A score is not finite.
    """
    truth, order = np.asarray(labels), _finite(scores)
    _same_length(labels=truth, scores=order)
    keep = scored(truth)
    truth, order = truth[keep] == 1, order[keep]
    threats = np.count_nonzero(truth)
    if threats == 0:
        return math.inf
    by_score = np.argsort(-order, kind="stable")
    ranked = order[by_score]
    last_of_ties = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(truth[by_score])[last_of_ties]
    f1 = 2.0 * hits / (last_of_ties + 1 + threats)
    return float(ranked[last_of_ties[np.argmax(f1)]])


def pr_curve(labels: ArrayLike, scores: ArrayLike, points: int = 200) -> dict[str, list[float]] | None:
    """The precision-recall curve at no more than `points` thresholds, about evenly spaced in recall, ends included.

    Args:
        labels: Integers [N]; rows that are neither 0 nor 1 are left out.
        scores: Floats [N], finite.
        points: At least 2.

    Returns:
        `{"recall", "precision", "threshold"}`, lists of one length in the order of rising recall, or None where there
        is no threat.
    """
    if points < 2:
        raise ValueError(f"a curve has at least 2 points, not {points}")
    truth, order = np.asarray(labels), _finite(scores)
    _same_length(labels=truth, scores=order)
    keep = scored(truth)
    if not np.any(truth[keep] == 1):
        return None
    precision, recall, threshold = precision_recall_curve(truth[keep] == 1, order[keep])
    # scikit-learn appends (recall 0, precision 1), which no threshold reaches, and lists falling recall.
    precision, recall, threshold = precision[-2::-1], recall[-2::-1], threshold[::-1]
    if len(recall) > points:
        wanted = np.linspace(recall[0], recall[-1], points)
        picked = np.unique(np.append(np.searchsorted(recall, wanted[:-1]), len(recall) - 1))
        precision, recall, threshold = precision[picked], recall[picked], threshold[picked]
    return {"recall": recall.tolist(), "precision": precision.tolist(), "threshold": threshold.tolist()}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _finite(scores: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(scores, dtype=np.float64)
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise CustodesError(
            f"{bad} of {values.size} scores are not finite",
            where="evaluation",
            fix="the team diverged: evaluate an earlier checkpoint or lower the learning rate",
        )
    return values


def _same_length(**arrays: NDArray[Any]) -> None:
    lengths = {name: array.shape for name, array in arrays.items()}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        raise ValueError(f"arrays of one length are needed, one value per decision, not {lengths}")
