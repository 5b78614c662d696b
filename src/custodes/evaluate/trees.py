"""Boosted trees on single events, or on an event and the ones before it in its lane: the supervised ceiling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from custodes.errors import CustodesError

_CHUNK = 65_536
"""Rows scored at a time, so that memory does not grow with the split."""
_SEEN_ENOUGH = 50
"""Training rows that must have a lag for it to be a column: scikit-learn's binning fails on a column of NaN alone, and
early stopping sets a random tenth of the rows aside before it bins."""


@dataclass(frozen=True, kw_only=True)
class TreeSettings:
    """Histogram gradient boosting as it reached the ceiling on `trace` (F1 0.92 with eight lags, blocks split)."""

    max_iter: int = 300
    """Boosting rounds at most, 1 or more; early stopping on a tenth of the training rows usually ends sooner."""
    learning_rate: float = 0.1
    """Shrinkage of each tree, above 0."""
    max_leaf_nodes: int = 63
    """Leaves of one tree, 2 or more."""
    min_samples_leaf: int = 20
    """Training rows of a leaf at least, 1 or more."""
    l2_regularization: float = 0.0
    """Weight of the penalty on leaf values, 0 or more."""
    early_stopping: bool = True
    """Set a tenth of the training rows aside to stop by, where there are enough of each class."""
    lags: int = 8
    """Earlier events of the same lane beside the event itself, 1 or more (`trees-context`)."""
    max_train_rows: int = 400_000
    """Training rows at most; more are subsampled, which the baseline's note then says."""
    max_train_values: int = 100_000_000
    """Training rows x columns at most (0.4 GB): wide features with lags are subsampled to this."""
    max_benign_rows: int = 0
    """Benign training rows at most, with every threat kept beside them; 0 for no such limit."""


RARE_THREATS: Final = 2_000
"""Training threats below which the settings for rare threats are tried: a tenth of so few tells nobody when to stop."""
RARE: Final = TreeSettings(
    max_iter=200,
    learning_rate=0.05,
    max_leaf_nodes=15,
    min_samples_leaf=10,
    l2_regularization=1.0,
    early_stopping=False,
)
"""Small, slow trees without early stopping, for when threats are rare."""


@dataclass(frozen=True, kw_only=True)
class TreeModel:
    """A fitted classifier and what it saw."""

    score: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    """Probability of a threat for rows [M] of the table, floats [M], 0 to 1."""
    train_rows: int
    """Rows that it was fitted on."""
    note: str
    """What a reader of its score must know; empty when nothing."""


def lag_rows(lane: NDArray[np.int64], lags: int) -> NDArray[np.int64]:
    """For each row, the rows before it in its lane, nearest first.

    Args:
        lane: int [N]: the lane of each row of the table; -1 for none. Inside a lane, recorded order is row order.
        lags: How many earlier rows, 1 or more.

    Returns:
        int64 [N, lags]; -1 where the lane has no such row.
    """
    n = len(lane)
    order = np.argsort(lane, kind="stable")
    ordered = lane[order]
    result = np.full((n, lags), -1, dtype=np.int64)
    for lag in range(1, min(lags, n - 1) + 1):
        same = (ordered[lag:] == ordered[:-lag]) & (ordered[lag:] >= 0)
        result[order[lag:][same], lag - 1] = order[:-lag][same]
    return result


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a tree sees of the events before the one that it scores."""

    before: NDArray[np.int64]
    """int64 [N, lags], `lag_rows`."""
    records: NDArray[np.float32]
    """float32 [N, C], finite: what a record says by itself."""


def with_lags(features: NDArray[np.float32], rows: NDArray[np.int64], context: Context | None) -> NDArray[np.float32]:
    """Features of `rows` [M], and records before each, as float32 [M, D + C x lags]; NaN where there is none.

    Args:
        features: float32 [N, D].
        rows: int64 [M].
        context: The records before, or None for the features alone (M x D).
    """
    if context is None:
        return features[rows]
    earlier = context.before[rows]
    records = context.records[earlier]
    records[earlier < 0] = np.nan
    return np.concatenate((features[rows], records.reshape(len(rows), -1)), axis=1)


def fit_trees(
    features: NDArray[np.float32],
    labels: NDArray[np.integer[Any]],
    train: NDArray[np.int64],
    *,
    context: Context | None,
    seed: int,
    settings: TreeSettings,
) -> TreeModel:
    """Fit boosted trees on the training rows; nothing is kept on disk.

    Args:
        features: float32 [N, D], finite.
        labels: Integers [N], 0 or 1 at every row of `train`.
        train: int64 rows to fit on, all with a true label.
        context: The records before each event, or None.
        seed: Seeds the subsample, the early-stopping split and the trees.
        settings: Sizes and limits.

    Raises:
        CustodesError: There is no training row.
    """
    context = _often(context, train)
    width = features.shape[1] + (0 if context is None else context.before.shape[1] * context.records.shape[1])
    if len(train) == 0:
        raise CustodesError(
            "no training row with a true label to fit trees on", where="baselines", fix="change the split"
        )
    if width == 0:
        return _constant(labels[train], "", "A record says nothing by itself here, so every score is the same.")
    train = _fewer_benign(train, labels, seed, settings.max_benign_rows)
    rows, note = _subsample(train, width, seed, settings)
    truth = labels[rows]
    # A subsample of rare-lag rows could lose a lag again, so the check is repeated on the rows that are left.
    context = _often(context, rows)
    rarest = int(min(np.count_nonzero(truth == 0), np.count_nonzero(truth == 1)))
    if rarest == 0:
        return _constant(truth, note, "The training rows hold one class only, so every score is the same.")
    model = HistGradientBoostingClassifier(
        max_iter=settings.max_iter,
        learning_rate=settings.learning_rate,
        max_leaf_nodes=settings.max_leaf_nodes,
        min_samples_leaf=settings.min_samples_leaf,
        l2_regularization=settings.l2_regularization,
        # Early stopping sets a stratified tenth aside, which needs a few rows of each class.
        early_stopping=settings.early_stopping and rarest >= 20,
        random_state=seed,
    )
    model.fit(with_lags(features, rows, context), truth)

    def score(asked: NDArray[np.int64]) -> NDArray[np.float64]:
        chunks = [asked[start : start + _CHUNK] for start in range(0, len(asked), _CHUNK)]
        parts = [model.predict_proba(with_lags(features, chunk, context))[:, 1] for chunk in chunks]
        return np.concatenate(parts) if parts else np.empty(0)

    return TreeModel(score=score, train_rows=len(rows), note=note)


def _constant(truth: NDArray[np.integer[Any]], *notes: str) -> TreeModel:
    """The same score for every event: the share of threats among the rows that there were to fit on."""
    rate = float(truth.mean())
    return TreeModel(score=lambda asked: np.full(len(asked), rate), train_rows=len(truth), note=_join(*notes))


def _often(context: Context | None, rows: NDArray[np.int64]) -> Context | None:
    """The context without the lags that hardly any of the rows has; None where records say nothing by themselves."""
    if context is None or context.records.shape[1] == 0:
        return None
    seen = np.count_nonzero(context.before[rows] >= 0, axis=0) >= _SEEN_ENOUGH
    return replace(context, before=context.before[:, seen])


def _fewer_benign(
    train: NDArray[np.int64], labels: NDArray[np.integer[Any]], seed: int, limit: int
) -> NDArray[np.int64]:
    """Every threat and at most `limit` benign rows, in their order; scores then rank, but are no probabilities."""
    benign = np.flatnonzero(labels[train] == 0)
    if not 0 < limit < len(benign):
        return train
    kept = labels[train] != 0
    kept[np.random.default_rng(seed).choice(benign, size=limit, replace=False)] = True
    rows: NDArray[np.int64] = train[kept]
    return rows


def _subsample(
    train: NDArray[np.int64], width: int, seed: int, settings: TreeSettings
) -> tuple[NDArray[np.int64], str]:
    """At most as many training rows as the settings allow, in their order, and what to say about it."""
    limit = max(1, min(settings.max_train_rows, settings.max_train_values // width))
    if len(train) <= limit:
        return train, ""
    picked = np.random.default_rng(seed).choice(len(train), size=limit, replace=False)
    return train[np.sort(picked)], f"Fitted on {limit:,} of {len(train):,} training rows, drawn at random."


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)
