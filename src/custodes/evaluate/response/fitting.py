"""Fit a method, choose among its settings and tune its thresholds, all within the training period."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from custodes.data.schema import MALICIOUS
from custodes.evaluate.metrics import threshold_for_f1
from custodes.evaluate.response.detection import highest_so_far
from custodes.evaluate.response.folds import FOLDS
from custodes.evaluate.response.inputs import PolicyInputs
from custodes.evaluate.response.methods import Fit, Fitted, Method
from custodes.evaluate.response.thresholds import Thresholds, tune
from custodes.evaluate.trees import TreeSettings

_NEVER: Final = -1.0
"""Score of rows that no fold could be scored on: below every threshold that is tuned."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A method that is ready to act."""

    fitted: Fitted
    """Fitted on the whole period."""
    thresholds: Thresholds
    """For the response cost."""
    f1_threshold: float
    """For containing events, best for F1; inf where the period holds no threat."""
    cost: float
    """Of the period with these thresholds."""
    note: str
    """What a reader must know."""


def fit_and_tune(method: Method, inputs: PolicyInputs, *, seed: int = 0, trees: TreeSettings | None = None) -> Tuned:
    """Score the period fold by fold, tune on these scores, and refit on the whole of it.

    Of several settings the one with the lowest tuned cost is taken. The scored part is not looked at.

    Args:
        method: What to fit.
        inputs: What it may see.
        seed: Seeds the fits.
        trees: One setting of trees to use in place of those that would be tried; None for these.
    """
    choices = method.settings(inputs, trees)
    best: tuple[float, str, Thresholds, NDArray[np.float64]] | None = None
    for name, fit in choices.items():
        score = _held_out(fit, inputs, seed) if method.held_out else fit(inputs.known(), seed).score(inputs.train)
        thresholds, cost = tune(inputs.rehearsal, score)
        if best is None or cost < best[0]:
            best = cost, name, thresholds, score
    assert best is not None  # Every method has a setting.
    cost, name, thresholds, score = best
    fitted = choices[name](inputs.known(), seed)
    return Tuned(
        fitted=fitted,
        thresholds=thresholds,
        f1_threshold=threshold_for_f1(inputs.labels[inputs.train], highest_so_far(inputs.rehearsal.whole, score)),
        cost=cost,
        note=_note(fitted.note, name if len(choices) > 1 else "", len(choices), thresholds, method, inputs),
    )


def _held_out(fit: Fit, inputs: PolicyInputs, seed: int) -> NDArray[np.float64]:
    """Score of each row of the period [T] by a fit that has not seen its attack tree or process."""
    score = np.full(len(inputs.train), _NEVER)
    for fold in range(FOLDS):
        mine = inputs.folds == fold
        rows = inputs.known(~mine)
        if mine.any() and len(rows):
            score[mine] = fit(rows, seed).score(inputs.train[mine])
    return score


def _note(said: str, name: str, choices: int, thresholds: Thresholds, method: Method, inputs: PolicyInputs) -> str:
    parts = [said]
    if name:
        parts.append(f"Of {choices} settings the training period chose: {name}.")
    if thresholds == Thresholds():
        attacked = bool((inputs.labels[inputs.train] == MALICIOUS).any())
        why = "no threshold was cheaper there than doing nothing" if attacked else "it holds no attack"
        parts.append(f"Never acts: thresholds were tuned on the training period, and {why}.")
    if not method.held_out:
        parts.append("Thresholds are tuned on the rows that it was fitted on.")
    return " ".join(part for part in parts if part)
