"""Folds for scores of rows that a model was not fitted on."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.env.response.recording import Recording

FOLDS: Final = 4
"""Folds that a training period is dealt to."""


def deal_folds(recording: Recording) -> NDArray[np.int64]:
    """Deal a training period to folds: whole attack trees, round robin, and the processes outside of them likewise.

    The trees are dealt in the order of their first malicious event, so that each fold misses whole attacks; what a
    model then scores it has not seen the like of, as on the day that counts. Where there are fewer trees than folds
    (the first process of a host may do something malicious, and everything descends from it) each process counts as a
    tree.

    Args:
        recording: The period, with no truth but its own.

    Returns:
        int64 [M], 0 to 3, for each of `recording.rows`.
    """
    forest, rows = recording.forest, recording.rows
    entity = forest.entity[rows]
    root = forest.attack_roots(recording.malicious)
    harmful = entity[recording.phase[rows] >= 0]
    if len(np.unique(root[harmful])) < FOLDS:
        root = np.arange(forest.entities)
    under_attack = recording.malicious[root]
    fold = np.zeros(forest.entities, dtype=np.int64)
    for group in (_in_order(root[harmful]), _in_order(entity[~under_attack[entity]])):
        fold[group] = np.arange(len(group)) % FOLDS
    dealt: NDArray[np.int64] = fold[root][entity]
    return dealt


def _in_order(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distinct values in the order of their first appearance."""
    distinct, first = np.unique(values, return_index=True)
    return distinct[np.argsort(first)]
