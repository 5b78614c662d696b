"""Methods that score events: what each is fitted on, and how. Thresholds turn their scores into actions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.dataset import codes
from custodes.data.schema import MALICIOUS
from custodes.evaluate.response.inputs import PolicyInputs
from custodes.evaluate.trees import RARE, RARE_THREATS, Context, TreeSettings, fit_trees, lag_rows

Rows = NDArray[np.int64]
Scorer = Callable[[Rows], NDArray[np.float64]]
"""Rows [M] of the recording to scores [M], higher is more threatening."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A method that has learned from training rows."""

    score: Scorer
    """Scores any rows."""
    note: str = ""
    """What a reader of its figures must know."""


_RARE_WIDE: Final = replace(RARE, max_benign_rows=20_000, max_iter=100, learning_rate=0.1)
"""For inputs with hundreds of columns of lags, which take ten times as long."""

Fit = Callable[[Rows, int], Fitted]
"""From labelled training rows and a seed to a fitted method."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to score events, in one or more settings among which the training period decides."""

    settings: Callable[[PolicyInputs, TreeSettings | None], dict[str, Fit]]
    """What may be fitted on these inputs, by name; with one setting of trees instead of their own, if given."""
    needs_names: bool = False
    """Reads executables' names."""
    held_out: bool = True
    """Thresholds are tuned on scores of folds that were not fitted on; else on the fitted scores themselves."""


def _random(inputs: PolicyInputs, _: TreeSettings | None) -> dict[str, Fit]:
    def fit(rows: Rows, seed: int) -> Fitted:
        chance = np.random.default_rng(seed).random(len(inputs.labels))
        return Fitted(score=lambda asked: chance[asked])

    return {"": fit}


def _event_kind(inputs: PolicyInputs, _: TreeSettings | None) -> dict[str, Fit]:
    return {"": _lookup(inputs, codes(inputs.events, "kind"))}


def _image_lookup(inputs: PolicyInputs, _: TreeSettings | None) -> dict[str, Fit]:
    return {"": _lookup(inputs, codes(inputs.events, "image"))}


def _lookup(inputs: PolicyInputs, code: Rows) -> Fit:
    """The share of threats among training events of the same code; unseen codes get the overall share."""

    def fit(rows: Rows, seed: int) -> Fitted:
        size = int(code.max()) + 1
        seen = np.bincount(code[rows], minlength=size)
        threats = np.bincount(code[rows], weights=inputs.labels[rows], minlength=size)
        rate = np.where(seen > 0, threats / np.maximum(seen, 1), inputs.labels[rows].mean())
        return Fitted(score=lambda asked: np.asarray(rate[code[asked]], dtype=np.float64))

    return fit


def _novelty(inputs: PolicyInputs, _: TreeSettings | None) -> dict[str, Fit]:
    """How rare the executable and the pair of parent's and own are: 1 / (1 + training processes with it), summed.

    2 is an executable that training never saw, 1 and more a pair that it never saw.
    """
    process = codes(inputs.events, "stream", "entity")
    image, pair = codes(inputs.events, "image"), codes(inputs.events, "parent_image", "image")

    def fit(rows: Rows, seed: int) -> Fitted:
        rare = [_rarity(code, process, rows) for code in (image, pair)]
        return Fitted(score=lambda asked: rare[0][image[asked]] + rare[1][pair[asked]])

    return {"": fit}


def _rarity(code: Rows, process: Rows, rows: Rows) -> NDArray[np.float64]:
    """1 / (1 + processes with a training row of each code), float64 [codes]."""
    frame = pl.DataFrame({"code": code[rows], "process": process[rows]}).unique()
    return np.asarray(1.0 / (1.0 + np.bincount(frame["code"].to_numpy(), minlength=int(code.max()) + 1)))


def _trees(inputs: PolicyInputs, only: TreeSettings | None) -> dict[str, Fit]:
    """Boosted trees on what the record says by itself."""
    return {"the record": _boosted(inputs, inputs.alone, None, only or _settings(inputs))}


def _trees_context(inputs: PolicyInputs, only: TreeSettings | None) -> dict[str, Fit]:
    """Boosted trees on all inputs of the team, which may hold history, without and with the records before."""
    settings = only or _settings(inputs)
    # With rare threats hundreds of columns of lags mostly fit noise; fewer benign rows make trying it affordable.
    wide = settings if only or settings != RARE else _RARE_WIDE
    context = Context(before=lag_rows(inputs.lanes, wide.lags), records=inputs.alone)
    return {
        "the team's inputs": _boosted(inputs, inputs.features, None, settings),
        f"the team's inputs and {wide.lags} records before": _boosted(inputs, inputs.features, context, wide),
    }


def _settings(inputs: PolicyInputs) -> TreeSettings:
    threats = int((inputs.labels[inputs.train] == MALICIOUS).sum())
    return TreeSettings() if threats >= RARE_THREATS else RARE


def _boosted(
    inputs: PolicyInputs, features: NDArray[np.float32], context: Context | None, settings: TreeSettings
) -> Fit:
    def fit(rows: Rows, seed: int) -> Fitted:
        model = fit_trees(features, inputs.labels, rows, context=context, seed=seed, settings=settings)
        return Fitted(score=model.score, note=model.note)

    return fit


METHODS: Final[dict[str, Method]] = {
    "random": Method(settings=_random),
    "event-kind": Method(settings=_event_kind),
    "trees": Method(settings=_trees),
    "trees-context": Method(settings=_trees_context),
    # A deny list is what was seen doing harm: with its attack held out it would be empty.
    "image-lookup": Method(settings=_image_lookup, needs_names=True, held_out=False),
    "novelty": Method(settings=_novelty, needs_names=True),
}
"""Name to method, in the order of reports."""
