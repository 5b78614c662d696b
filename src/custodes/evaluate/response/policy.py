"""Score any policy in the response task: ours, a baseline, or one that knows nothing of custodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from custodes.data.split import PartName
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.replay import MASKS
from custodes.errors import CustodesError
from custodes.evaluate.response.baselines import Heard, check_response_names, names_missing, run_response_baselines
from custodes.evaluate.response.inputs import PolicyInputs, policy_inputs
from custodes.evaluate.response.outcome import outcome, reference_of
from custodes.evaluate.response.record import in_order, response_record
from custodes.evaluate.response.schema import ResponseRecord
from custodes.evaluate.trees import TreeSettings
from custodes.team.workload import Workload

Policy = Callable[[PolicyInputs], ArrayLike]
"""From what may be seen to one action for each of `PolicyInputs.scored`: int [M] or [M, 3], 0 Allow to 3 Block."""


@dataclass(frozen=True, kw_only=True)
class ResponseScores:
    """A policy's record, and the baselines' beside it."""

    record: ResponseRecord
    """Of the policy."""
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name to the keys of `Baseline`, `response` among them."""


def score_policy(
    workload: Workload,
    policy: Policy,
    *,
    part: PartName = "test",
    costs: ResponseCosts | None = None,
    baselines: Iterable[str] = (),
    seed: int = 0,
) -> ResponseScores:
    """Let a policy decide on a part, replay its decisions, and score them.

    Args:
        workload: Data, split and inputs (`custodes.team.workload.prepare`).
        policy: Called once. It gets the labels of the period before the part and none of the part's own.
        part: The part to decide on.
        costs: Costs and times; None for those of the workload.
        baselines: Which of `RESPONSE_BASELINES` to score beside it.
        seed: Seeds the baselines and the bootstrap.

    Raises:
        CustodesError: The policy gave something else than an action for each row, or an unknown baseline was named.
    """
    wanted = tuple(baselines)
    check_response_names(wanted)
    inputs, recording = policy_inputs(workload, part, costs)
    decisions = _checked(policy(inputs), len(recording.rows))
    ends = reference_of(recording, inputs.costs)
    missing = names_missing(inputs, wanted)
    record = response_record(recording, decisions, inputs.costs, needs_names=missing, reference=ends, seed=seed)
    team = outcome(recording, decisions, inputs.costs) if wanted else None
    return ResponseScores(
        record=record,
        baselines=run_response_baselines(inputs, recording, wanted, team=team, reference=ends, seed=seed),
    )


def score_response(
    workload: Workload,
    part: PartName,
    *,
    rows: NDArray[np.integer[Any]],
    decisions: NDArray[np.integer[Any]],
    votes: NDArray[np.integer[Any]] | None = None,
    baselines: Iterable[str] | None = None,
    seed: int = 0,
    trees: TreeSettings | None = None,
    heard: Heard | None = None,
) -> ResponseScores:
    """Score the decisions of a team that has played a part, beside the baselines.

    Args:
        workload: What it played on.
        part: The part.
        rows: Row of the data set of each decision, int [M], in any order; the part's, each once.
        decisions: Int [M] or [M, 3] (`Play.decisions_by_state`).
        votes: Each agent's own, int [M, A] or [M, A, 3] (`Play.votes_by_state`); None for no figures of members.
        baselines: Which of `RESPONSE_BASELINES`; None for all, empty for none.
        seed: Seeds the baselines and the bootstrap.
        trees: One setting of trees to use in place of those that would be tried; None for these.
        heard: Told the decisions of each baseline.

    Raises:
        CustodesError: An unknown baseline.
        ValueError: Rows or shapes that do not fit (a defect of the caller).
    """
    wanted = None if baselines is None else tuple(baselines)
    inputs: PolicyInputs | None = None
    if wanted == ():
        # Nothing is fitted, so what methods may see is not worked out.
        recording = workload.recording(workload.split.rows(part))
    else:
        inputs, recording = policy_inputs(workload, part)
    said = in_order(recording, rows, decisions)
    ends = reference_of(recording, workload.costs)
    record = response_record(
        recording,
        said,
        workload.costs,
        votes=None if votes is None else in_order(recording, rows, votes),
        needs_names=() if inputs is None else names_missing(inputs, wanted),
        reference=ends,
        seed=seed,
    )
    if inputs is None:
        return ResponseScores(record=record)
    beside = run_response_baselines(
        inputs,
        recording,
        wanted,
        team=outcome(recording, said, workload.costs),
        reference=ends,
        seed=seed,
        trees=trees,
        heard=heard,
    )
    return ResponseScores(record=record, baselines=beside)


def _checked(decisions: ArrayLike, count: int) -> NDArray[np.int8]:
    """Decisions as the replay takes them."""
    said = np.asarray(decisions)
    if said.shape not in ((count,), (count, len(MASKS))):
        raise CustodesError(
            f"the policy gave an array of shape {said.shape}, not ({count},) or ({count}, {len(MASKS)})",
            where="response",
            fix="return one action for each of inputs.scored, in that order",
        )
    if not np.issubdtype(said.dtype, np.integer) or (len(said) and not (said.min() >= 0 and said.max() <= 3)):
        raise CustodesError(
            "the policy's actions are not whole numbers from 0 (Allow) to 3 (Block)",
            where="response",
            fix="return severities",
        )
    checked: NDArray[np.int8] = said.astype(np.int8)
    return checked
