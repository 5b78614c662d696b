"""The evaluation record: made from a play, written, read, and refused where it does not hold."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from custodes.errors import CustodesError
from custodes.evaluate.baselines import BaselineScores
from custodes.evaluate.evaluation import (
    Evaluation,
    Played,
    Scene,
    decode_evaluation,
    encode_evaluation,
    evaluate_play,
    read_evaluation,
)
from custodes.evaluate.metrics import binary_metrics
from custodes.evaluate.response.record import response_record
from tests.evaluate.response.small import COSTS, DECISIONS, recording

METRIC_KEYS = {"decisions", "threats", "tp", "fp", "tn", "fn", "precision", "recall", "f1", "pr_auc", "auroc"}
METRIC_KEYS |= {"reward_per_decision"}
DESIGN_KEYS = METRIC_KEYS | {"dataset", "split", "baselines", "response", "stl", "bft"}
REWARDS = np.array([[1.0, -10.0], [1.0, -10.0], [-9.5, 8.5], [-9.5, 8.5]])


def scene(**changes: Any) -> Scene:
    values: dict[str, Any] = {
        "dataset": "made-up",
        "split": "test",
        "labels": np.array([0, 0, 1, 0, 1, 2]),
        "split_rows": np.array([1, 2, 3, 4, 5]),
        "rewards": REWARDS,
        "f": 1,
        "split_summary": {"train": {"records": 1, "threats": 0, "rate": 0.0}},
        "split_method": "blocks",
        "data_digest": "sha256:0",
        "checkpoint": "checkpoints/best.safetensors",
        "iteration": 12,
        "trained_decisions": 9000,
        "warnings": ("neighbours on both sides",),
    }
    return Scene(**(values | changes))


def played(**changes: Any) -> Played:
    values: dict[str, Any] = {
        "rows": np.array([4, 1, 2, 3, 5]),
        "decisions": np.array([3, 0, 1, 2, 3]),
        "score": np.array([0.9, 0.1, 0.4, 0.6, 0.8], dtype=np.float32),
        "votes": np.array([[3, 3, 3, 0], [0, 0, 0, 0], [1, 1, 0, 0], [2, 2, 0, 1], [3, 3, 3, 3]], dtype=np.int8),
    }
    return Played(**(values | changes))


def baseline() -> BaselineScores:
    metrics = binary_metrics(labels=[0, 1, 0, 1], predictions=[False] * 4, scores=[0.0] * 4, rewards=[1, -10, 1, -10])
    return BaselineScores(**metrics, threshold=None, note="Contains nothing.", seconds=0.1)


def test_a_play_becomes_a_record() -> None:
    got = evaluate_play(played(), scene(), {"allow": baseline()}, seconds=1.5)
    assert (got.tp, got.fp, got.tn, got.fn) == (1, 1, 1, 1)
    assert (got.decisions, got.threats, got.left_out) == (4, 2, 1)
    assert got.reward_per_decision == pytest.approx((8.5 + 1 - 10 - 9.5) / 4)
    assert got.action_shares[3] == (0.6, 0.2, 0.0, 0.2)
    assert got.decision_counts.benign == (1, 0, 1, 0)
    assert got.decision_counts.malicious == (0, 1, 0, 1)
    assert got.agents == 4
    assert got.pr_curve is not None
    assert got.pr_curve.recall == (0.5, 0.5, 1.0, 1.0)
    assert got.baselines["allow"].f1 == 0.0


def test_it_holds_the_keys_of_the_design_and_comes_back_equal(tmp_path: Path) -> None:
    record = evaluate_play(played(), scene(), {"allow": baseline()}, seconds=1.5)
    data = encode_evaluation(record)
    keys = json.loads(data)
    assert set(keys) >= DESIGN_KEYS
    assert keys["response"] is keys["stl"] is keys["bft"] is None
    assert set(keys["baselines"]["allow"]) == METRIC_KEYS | {"threshold", "note", "seconds", "response"}
    file = tmp_path / "evaluation-test.json"
    file.write_bytes(data)
    assert read_evaluation(file) == record


def test_no_threats_gives_nulls() -> None:
    got = evaluate_play(played(), scene(labels=np.zeros(6, dtype=int)), {}, seconds=0.0)
    assert (got.recall, got.pr_auc, got.auroc, got.pr_curve) == (None, None, None, None)
    assert decode_evaluation(encode_evaluation(got)) == got


def test_a_play_of_other_rows_is_refused() -> None:
    for rows in ([4, 1, 2, 3, 3], [4, 1, 2, 3, 0]):
        with pytest.raises(ValueError, match="once each"):
            evaluate_play(played(rows=np.array(rows)), scene(), {}, seconds=0.0)
    with pytest.raises(ValueError, match="fit together"):
        evaluate_play(played(decisions=np.array([0])), scene(), {}, seconds=0.0)
    with pytest.raises(ValueError, match="severities 0 to 3"):
        evaluate_play(played(decisions=np.array([4, 0, 0, 0, 0])), scene(), {}, seconds=0.0)
    with pytest.raises(CustodesError, match="not finite"):
        evaluate_play(played(score=np.full(5, math.nan)), scene(), {}, seconds=0.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tp": -1}, "tp"),
        ({"f1": 1.5}, "f1"),
        ({"tp": 2}, "tp . fn is not threats"),
        ({"split": "all"}, "split"),
        ({"colour": "blue"}, "colour"),
        ({"format": 99}, "format 99"),
        ({"baselines": {"allow": {"f1": 0.0}}}, "allow|baselines"),
        ({"pr_curve": {"recall": [0.1], "precision": [], "threshold": []}}, "differ in length"),
        ({"agents": "4"}, "agents"),
    ],
)
def test_a_record_that_does_not_hold_is_one_line(change: dict[str, object], says: str) -> None:
    good = json.loads(encode_evaluation(evaluate_play(played(), scene(), {}, seconds=0.0)))
    with pytest.raises(CustodesError, match=says) as caught:
        decode_evaluation(json.dumps(good | change), where="evaluation-test.json")
    assert str(caught.value).startswith("evaluation-test.json: ")
    assert "\n" not in str(caught.value)


def test_a_record_cut_at_any_byte_is_one_line() -> None:
    data = encode_evaluation(evaluate_play(played(), scene(), {}, seconds=0.0))
    for cut in range(0, len(data.rstrip()), 37):
        with pytest.raises(CustodesError, match="no evaluation"):
            decode_evaluation(data[:cut])
    with pytest.raises(CustodesError, match="no evaluation"):
        decode_evaluation(b'{"dataset": "\xff"}')


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match=r"evaluation-test\.json: cannot read it: no such file"):
        read_evaluation(tmp_path / "evaluation-test.json")


def test_plays_of_tensors_are_taken_as_they_are() -> None:
    torch = pytest.importorskip("torch")
    arrays = dataclasses.asdict(played())
    tensors = Played(**{name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()})
    got = evaluate_play(tensors, scene(), {}, seconds=0.0)
    assert isinstance(got, Evaluation)
    assert got == evaluate_play(played(), scene(), {}, seconds=0.0)


def test_a_response_record_comes_along_and_is_held_to_its_schema() -> None:
    response = response_record(recording(), DECISIONS, COSTS)
    record = evaluate_play(played(), scene(rewards=None), {"allow": baseline()}, seconds=1.5, response=response)
    assert record.reward_per_decision is None
    data = encode_evaluation(record)
    assert decode_evaluation(data) == record
    assert decode_evaluation(data).response == response
    values = json.loads(data)
    for broken in ({"colour": 1}, {"score": "high"}, {"time_to_contain_s": None}):
        with pytest.raises(CustodesError, match="no evaluation"):
            decode_evaluation(json.dumps(values | {"response": values["response"] | broken}))
    del values["response"]["per_phase"]
    with pytest.raises(CustodesError, match="per_phase"):
        decode_evaluation(json.dumps(values))
