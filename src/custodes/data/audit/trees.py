"""How far boosted trees get: on the record alone, and with what came before it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from custodes.data.audit.finding import AuditFinding
from custodes.data.dataset import Dataset
from custodes.data.features import Encoder
from custodes.data.features.segments import Runs, codes
from custodes.data.split import PARTS, Split

LAGS: Final = 8
"""Earlier records of the stream beside each record."""
MOST_ROWS: Final = 100_000
"""Records of each part in use, at most."""
EASY: Final = 0.95
"""F1 on the record alone from which a data set asks for no memory."""
ROUNDS: Final = 100
"""Boosting rounds."""


def tree_scores(
    dataset: Dataset, split: Split, encoder: Encoder, inputs: NDArray[np.float32], seed: int
) -> AuditFinding:
    """Score histogram gradient boosting on test, with and without context, its threshold tuned for F1 on validation.

    Without context it reads what the record itself says of the run's inputs; with context the run's inputs and what the
    eight earlier records of the stream say.

    Args:
        dataset: Events, N rows.
        split: Parts of the N rows.
        encoder: Encoder of the run, fitted on train.
        inputs: Inputs that it gives, float32 [N, D].
        seed: Draws the rows and seeds the trees, at least 0.
    """
    rng = np.random.default_rng(seed)
    rows = [_draw(split.rows(name), dataset.labels, rng) for name in PARTS]
    labels = [dataset.labels[part] for part in rows]
    short = [name for name, mine in zip(PARTS, labels, strict=True) if len(np.unique(mine)) < 2]
    if short:
        told = f"no trees: {', '.join(short)} holds one class only"
        return AuditFinding(name="trees", severity="warning", what=told, evidence={"parts": short})
    alone = _record(dataset, encoder)
    back = Runs(key=codes(dataset.events["stream"])[0])
    lags = [back.shift(np.arange(1, len(dataset) + 1), steps) - 1 for steps in range(1, LAGS + 1)]
    context = [np.hstack([inputs[part], *(_at(alone, lag[part]) for lag in lags)]) for part in rows]
    scores = {
        "row": _score([alone[part] for part in rows], labels, seed) if alone.shape[1] else None,
        "context": _score(context, labels, seed),
    }
    return _finding(scores, dict(zip(PARTS, map(len, rows), strict=True)))


def _draw(rows: NDArray[np.int64], labels: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.int64]:
    scored = rows[np.isin(labels[rows], (0, 1))]
    return np.sort(rng.choice(scored, MOST_ROWS, replace=False)) if len(scored) > MOST_ROWS else scored


def _record(dataset: Dataset, encoder: Encoder) -> NDArray[np.float32]:
    """What each record itself says of the run's inputs, float32 [N, R]; texts as numbers, whose order means nothing."""
    groups = set(encoder.groups)
    texts: list[str] = [name for name in ("channel", "kind", "object_kind") if name in groups]
    texts += ["image", "parent_image"] if "names" in groups else []
    numbers = dict.fromkeys([*encoder.numeric, *(["size"] if "size" in groups else [])])
    columns = [dataset.events[name].to_numpy().astype(np.float32) for name in numbers]
    columns += [codes(dataset.events[name])[0].astype(np.float32) for name in texts]
    return np.column_stack(columns) if columns else np.zeros((len(dataset), 0), dtype=np.float32)


def _at(values: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Values of some rows, float32 [M, R]; not a number where the row is -1, which trees read as missing."""
    return np.where((rows >= 0)[:, None], values[rows], np.float32(np.nan))


def _score(inputs: list[NDArray[np.float32]], labels: list[NDArray[np.int8]], seed: int) -> dict[str, float]:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import average_precision_score, f1_score, precision_recall_curve

    trees = HistGradientBoostingClassifier(max_iter=ROUNDS, early_stopping=False, random_state=seed)
    trees.fit(inputs[0], labels[0])
    validation, test = (trees.predict_proba(part)[:, 1] for part in inputs[1:])
    precision, recall, thresholds = precision_recall_curve(labels[1], validation)
    both = np.maximum(precision + recall, np.finfo(float).tiny)
    threshold = float(thresholds[np.argmax((2 * precision * recall / both)[:-1])])
    return {
        "f1": float(f1_score(labels[2], test >= threshold, zero_division=0.0)),
        "pr_auc": float(average_precision_score(labels[2], test)),
        "threshold": threshold,
    }


def _finding(scores: dict[str, dict[str, float] | None], records: dict[str, int]) -> AuditFinding:
    row, context = scores["row"], scores["context"]
    told = [
        f"F1 {part['f1']:.3f} {words}"
        for part, words in ((row, "on the record alone"), (context, "with context"))
        if part
    ]
    easy = row is not None and row["f1"] >= EASY
    what = f"boosted trees reach {', '.join(told)}{': nothing here asks for memory' if easy else ''}"
    evidence: dict[str, Any] = {**scores, "lags": LAGS, "records": records}
    return AuditFinding(name="trees", severity="warning" if easy else "info", what=what, evidence=evidence)
