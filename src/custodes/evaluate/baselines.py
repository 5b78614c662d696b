"""What a team must beat: allow everything, chance, the event's kind, and boosted trees without and with context.

Each baseline gives every row a score; a threshold turns scores into decisions (Quarantine at or above it, else Allow).
Thresholds are tuned for F1 on the validation rows only, never on the rows that are scored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ALLOW, QUARANTINE
from custodes.errors import CustodesError
from custodes.evaluate.metrics import BinaryMetrics, binary_metrics, scored, threshold_for_f1
from custodes.evaluate.trees import Context, TreeSettings, fit_trees, lag_rows

PARTS: Final = ("train", "validation", "test")
"""Names of the parts of a split, indexed by their code."""

_LABEL_RULE: Final = 0.8
"""Share of the label's entropy that the kind explains, from which the labels are said to be written from the kind."""


@dataclass(frozen=True, kw_only=True)
class BaselineInputs:
    """What the baselines may see: the table as the encoder made it, and its split."""

    features: NDArray[np.float32]
    """float32 [N, D], finite: the encoder's features of each event, which may hold its history (counts, changes)."""
    alone: NDArray[np.float32]
    """float32 [N, C], finite: the encoder's features of each event as if nothing had come before it."""
    labels: NDArray[np.integer[Any]]
    """Integers [N]: 0 benign, 1 malicious; rows with another label are neither fitted on nor scored."""
    kinds: NDArray[np.integer[Any]]
    """Integers [N]: a code per kind of event."""
    part: NDArray[np.integer[Any]]
    """Integers [N]: 0 train, 1 validation, 2 test, -1 left out."""
    lanes: NDArray[np.integer[Any]]
    """Integers [N]: the lane of each row, -1 for none; inside a lane, recorded order is row order."""
    rewards: NDArray[np.floating[Any]]
    """Floats [4, 2]: what an action (Allow, Alert, Quarantine, Block) earns on a benign and on a malicious event."""
    split: str = "test"
    """The part to score: train, validation or test."""

    def rows(self, part: str) -> NDArray[np.int64]:
        """int64 rows of a part that have a true label, in recorded order."""
        return np.flatnonzero((self.part == PARTS.index(part)) & scored(self.labels))


class BaselineScores(BinaryMetrics):
    """Metrics of one baseline, and how it came to them."""

    threshold: float | None
    """Contain at or above this score; None where nothing is ever contained."""
    note: str
    """What a reader must know; empty when nothing."""
    seconds: float
    """Time to fit and score."""


@dataclass(frozen=True, kw_only=True)
class _Model:
    """A fitted baseline."""

    score: Callable[[NDArray[np.int64]], NDArray[np.float64]]
    threshold: float | None = None
    """A threshold that needs no tuning; None to tune it on validation."""
    note: str = ""


def run_baselines(
    inputs: BaselineInputs,
    names: Iterable[str] | None = None,
    seed: int = 0,
    trees: TreeSettings | None = None,
) -> dict[str, BaselineScores]:
    """Fit and score baselines on the rows that a team is scored on.

    Args:
        inputs: The table, its split and the reward table.
        names: Which ones, of `BASELINES`; None for all.
        seed: Seeds `random` and the trees.
        trees: Sizes and limits of the trees; None for the defaults.

    Returns:
        Name to the keys of `evaluation-<split>.json`, with `threshold`, `note` and `seconds`.

    Raises:
        CustodesError: An unknown name, arrays that do not fit together, or nothing to fit on.
    """
    wanted = tuple(BASELINES) if names is None else tuple(names)
    check_names(wanted)
    _check(inputs)
    settings = trees or TreeSettings()
    return {name: _score(BASELINES[name], inputs, seed, settings) for name in wanted}


def check_names(names: Iterable[str]) -> None:
    """Refuse names that no baseline has; cheap, so call it before anything is played.

    Raises:
        CustodesError: An unknown name; the line lists the known ones.
    """
    unknown = sorted(set(names) - set(BASELINES))
    if unknown:
        raise CustodesError(f"unknown baseline {', '.join(unknown)}", fix=f"choose from {', '.join(BASELINES)}")


def rewards_of(decisions: NDArray[Any], labels: NDArray[Any], table: NDArray[Any]) -> NDArray[np.float64]:
    """What each decision [M] earned on its label [M], by a reward table [4, 2]; NaN where the label is not 0 or 1."""
    known = scored(labels)
    earned = np.asarray(table, dtype=np.float64)[decisions, np.where(known, labels, 0)]
    return np.where(known, earned, np.nan)


def explained_entropy(codes: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """How much of a binary label a category tells: mutual information over the label's entropy.

    Args:
        codes: Integers [N], 0 or more: the category of each row.
        labels: Integers [N], 0 or 1.

    Returns:
        0 (nothing) to 1 (everything); 0 where all labels are the same.
    """
    counts = np.bincount(codes).astype(np.float64)
    rate = np.bincount(codes, weights=labels) / np.maximum(counts, 1)
    whole = _entropy(np.array([labels.mean()]))[0]
    left = float(counts @ _entropy(rate)) / len(labels)
    return float(1 - left / whole) if whole > 0 else 0.0


def _entropy(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy of coins with these rates, in nats; 0 log 0 is 0."""
    safe = np.clip(rate, 1e-300, 1.0), np.clip(1 - rate, 1e-300, 1.0)
    return np.asarray(-(rate * np.log(safe[0]) + (1 - rate) * np.log(safe[1])))


def _score(
    build: Callable[[BaselineInputs, int, TreeSettings], _Model],
    inputs: BaselineInputs,
    seed: int,
    settings: TreeSettings,
) -> BaselineScores:
    started = time.perf_counter()
    model = build(inputs, seed, settings)
    threshold, note = (model.threshold, model.note) if model.threshold is not None else _tuned(model, inputs)
    rows = inputs.rows(inputs.split)
    labels, scores = inputs.labels[rows], model.score(rows)
    said = scores >= threshold
    decisions = np.where(said, QUARANTINE, ALLOW)
    metrics = binary_metrics(
        labels=labels, predictions=said, scores=scores, rewards=rewards_of(decisions, labels, inputs.rewards)
    )
    return BaselineScores(
        **metrics,
        threshold=threshold if math.isfinite(threshold) else None,
        note=note,
        seconds=time.perf_counter() - started,
    )


def _tuned(model: _Model, inputs: BaselineInputs) -> tuple[float, str]:
    """The threshold that is best for F1 on validation, and the model's note with what tuning adds to it."""
    rows = inputs.rows("validation")
    threshold = threshold_for_f1(inputs.labels[rows], model.score(rows)) if len(rows) else math.inf
    if math.isinf(threshold):
        return 0.5, f"{model.note} Validation holds no threat to tune on, so the threshold is 0.5.".strip()
    if inputs.split == "validation":
        return threshold, f"{model.note} The threshold was tuned on these very rows.".strip()
    return threshold, model.note


def _allow(inputs: BaselineInputs, seed: int, settings: TreeSettings) -> _Model:
    return _Model(score=lambda rows: np.zeros(len(rows)), threshold=math.inf, note="Contains nothing.")


def _random(inputs: BaselineInputs, seed: int, settings: TreeSettings) -> _Model:
    labels = inputs.labels[_training(inputs)]
    rate = float(labels.mean())
    # A score for every row of the table, so that a row's score does not depend on which others are asked for.
    chance = np.random.default_rng(seed).random(len(inputs.labels))
    return _Model(
        score=lambda rows: chance[rows],
        threshold=1.0 - rate,
        note=f"Contains {rate:.2%} of events by chance, the training rows' threat rate.",
    )


def _event_kind(inputs: BaselineInputs, seed: int, settings: TreeSettings) -> _Model:
    """Score an event by the share of threats among training events of its kind; unseen kinds get the overall share."""
    rows = _training(inputs)
    kinds, code = np.unique(inputs.kinds, return_inverse=True)
    seen = np.bincount(code[rows], minlength=len(kinds))
    threats = np.bincount(code[rows], weights=inputs.labels[rows], minlength=len(kinds))
    rate = np.where(seen > 0, threats / np.maximum(seen, 1), inputs.labels[rows].mean())

    def score(asked: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(rate[code[asked]], dtype=np.float64)

    explained = explained_entropy(code[rows], inputs.labels[rows])
    note = ""
    if explained >= _LABEL_RULE:
        note = (
            f"The kind of an event tells {explained:.0%} of what there is to know of its label: the labels were made "
            "from it, so this repeats the label rule and detects nothing. Hold a team that does not see the kind "
            "against the trees."
        )
    return _Model(score=score, note=note)


def _trees(inputs: BaselineInputs, seed: int, settings: TreeSettings) -> _Model:
    """Boosted trees on what the record says by itself: no history in any column."""
    model = fit_trees(inputs.alone, inputs.labels, _training(inputs), context=None, seed=seed, settings=settings)
    return _Model(score=model.score, note=model.note)


def _trees_context(inputs: BaselineInputs, seed: int, settings: TreeSettings) -> _Model:
    """Boosted trees on all that an agent sees of the event, and on the eight records before it in its lane."""
    before = lag_rows(np.asarray(inputs.lanes, dtype=np.int64), settings.lags)
    context = Context(before=before, records=inputs.alone)
    model = fit_trees(inputs.features, inputs.labels, _training(inputs), context=context, seed=seed, settings=settings)
    note = model.note
    if inputs.alone.shape[1] == 0:
        note = f"{note} A record says nothing by itself here, so these trees see the event's inputs alone.".strip()
    if not np.any(before >= 0):
        note = f"{note} No lane holds two events, so there is no context to see.".strip()
    return _Model(score=model.score, note=note)


BASELINES: Final[dict[str, Callable[[BaselineInputs, int, TreeSettings], _Model]]] = {
    "allow": _allow,
    "random": _random,
    "event-kind": _event_kind,
    "trees": _trees,
    "trees-context": _trees_context,
}
"""Name to what fits it, in the order of reports."""


def _training(inputs: BaselineInputs) -> NDArray[np.int64]:
    rows = inputs.rows("train")
    if len(rows) == 0:
        raise CustodesError("no training row has a true label", where="baselines", fix="change the split")
    return rows


def _check(inputs: BaselineInputs) -> None:
    n = len(inputs.labels)
    shapes = {
        name: getattr(inputs, name).shape
        for name in ("features", "alone", "labels", "kinds", "part", "lanes", "rewards")
    }
    if shapes["features"][:1] != (n,) or len(shapes["features"]) != 2 or shapes["rewards"] != (4, 2):
        raise ValueError(f"features [N, D] and rewards [4, 2] are needed, not {shapes}")
    if shapes["alone"][:1] != (n,) or len(shapes["alone"]) != 2:
        raise ValueError(f"records alone [N, C] are needed, not {shapes}")
    if any(shapes[name] != (n,) for name in ("labels", "kinds", "part", "lanes")):
        raise ValueError(f"labels, kinds, part and lanes need one value per row, not {shapes}")
    if inputs.split not in PARTS:
        raise CustodesError(f"unknown split {inputs.split!r}", fix=f"choose from {', '.join(PARTS)}")
