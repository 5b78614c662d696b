"""A made-up run of the response task: the recording of `tests.evaluate.response.small`, a team and baselines."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from custodes.evaluate.evaluation import Baseline, Evaluation, decode_evaluation, encode_evaluation
from custodes.evaluate.response.figures import figure_values
from custodes.evaluate.response.outcome import bootstrap_lead, oracle, outcome, reference_of
from custodes.evaluate.response.record import response_record
from custodes.evaluate.response.schema import BaselineResponse
from tests.evaluate.response.small import COSTS, DECISIONS, recording
from tests.report.runs import config, evaluation

NONE = np.zeros(len(DECISIONS), dtype=np.int8)
LATE = np.array([0, 0, 0, 0, 0, 0, 3, 0], dtype=np.int8)
"""Blocks the malicious process at its last event only."""


def baseline_of(decisions: NDArray[np.int8], team: NDArray[np.int8]) -> BaselineResponse:
    """What some decisions came to, beside a team's."""
    part = recording()
    ends = reference_of(part, COSTS)
    result = outcome(part, decisions, COSTS)
    return BaselineResponse(
        **figure_values(part, result, ends, COSTS),
        thresholds=None,
        tuned_score=None,
        behind_ci=bootstrap_lead(part, outcome(part, team, COSTS), result, ends, 0),
        note="Made up <by hand>.",
        seconds=0.5,
    )


def responding(team: NDArray[np.int8] = DECISIONS, member: NDArray[np.int8] = LATE) -> Evaluation:
    """An evaluation with a response record: allow, trees (late) and the oracle stand beside the team."""
    record = decode_evaluation(evaluation("test", ("allow", "trees")))
    part = recording()
    response = response_record(
        part, team, COSTS, votes=np.stack((NONE, member), axis=1), needs_names=("image-lookup", "novelty")
    )
    trees: Baseline = record.baselines["trees"]
    perfect = msgspec.structs.replace(trees, f1=1.0, response=baseline_of(oracle(part), team))
    beside = {
        "allow": msgspec.structs.replace(record.baselines["allow"], response=baseline_of(NONE, team)),
        "trees": msgspec.structs.replace(trees, response=baseline_of(LATE, team)),
        "oracle": perfect,
    }
    return msgspec.structs.replace(record, response=response, baselines=beside, reward_per_decision=None)


def make_responding_run(folder: Path, record: Evaluation) -> Path:
    """A run folder with that evaluation and nothing else."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(config(), encoding="utf-8")
    (folder / "evaluation-test.json").write_bytes(encode_evaluation(record))
    return folder
