"""What a sample carries: on inputs whose worth is known."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from custodes.doctor.ceiling import _auroc, _gain, ceiling_of, leak_of
from custodes.doctor.sample import InputSample

TABLE = ((1.0, 1.0, -9.5, -9.5), (-10.0, -10.0, 8.5, 8.5))
ROWS, RUN = 4000, 40


def sample(told: str) -> InputSample:
    """Labels that the inputs tell, that the event before tells, or that nothing tells."""
    rng = np.random.default_rng(0)
    labels = (rng.random(ROWS) < 0.1).astype(np.int8)
    run = np.arange(ROWS) // RUN
    inputs = rng.normal(size=(ROWS, 3))
    if told == "alone":
        inputs[:, 1] += 3.0 * labels
    elif told == "before":
        inputs[:-1, 1] += 6.0 * labels[1:]
    elif told == "column":
        inputs[:, 2] = labels
    return InputSample(inputs=inputs.astype(np.float16), labels=labels, lane=run, run=run)


def test_inputs_that_tell_nothing() -> None:
    ceiling = ceiling_of(sample("nothing"), TABLE)
    assert ceiling is not None
    assert ceiling.auroc_context < 0.58
    assert max(ceiling.f1_alone, ceiling.f1_context) < 1.5 * ceiling.f1_chance
    assert ceiling.gain == pytest.approx(0.0, abs=0.01)


def test_inputs_that_tell_alone() -> None:
    ceiling = ceiling_of(sample("alone"), TABLE)
    assert ceiling is not None
    assert ceiling.f1_alone > 0.75
    assert ceiling.gain is not None
    assert ceiling.gain > 0.5


def test_inputs_that_tell_by_what_came_before() -> None:
    ceiling = ceiling_of(sample("before"), TABLE)
    assert ceiling is not None
    assert ceiling.f1_alone < 0.4
    assert ceiling.f1_context > 0.9


def test_a_column_that_holds_the_label() -> None:
    leak, none = leak_of(sample("column")), leak_of(sample("alone"))
    assert leak is not None
    assert (leak.column, leak.auroc) == (2, 1.0)
    assert none is not None
    assert none.auroc < 0.999


def test_a_thin_sample_says_nothing() -> None:
    few = sample("alone")
    thin = InputSample(inputs=few.inputs[:50], labels=few.labels[:50], lane=few.lane[:50], run=few.run[:50])
    assert ceiling_of(thin) is None
    assert leak_of(thin) is None


def test_a_threshold_that_pays_only_without_false_alarms_pays_nothing() -> None:
    rng = np.random.default_rng(1)
    truth = (rng.random(2000) < 0.1).astype(np.int64)
    score = truth + rng.normal(size=2000)
    assert _gain(truth, score, TABLE) > 0.1
    assert _gain(truth, score, ((1.0, 1.0, -1e5, -1e5), TABLE[1])) == 0.0
    # Containing a threat that costs more than it saves: nothing is to be gained at all.
    assert _gain(truth, score, (TABLE[0], (-10.0, -10.0, -20.0, -20.0))) == 0.0


def test_the_area_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    truth, score = rng.integers(0, 2, 300), rng.integers(0, 9, 300).astype(np.float64)
    assert _auroc(truth, score) == pytest.approx(roc_auc_score(truth, score))
