"""Any policy is scored the same way, sees no truth of the part, and stands beside baselines with the same actions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pytest

from custodes.data.config import DataConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.triage import TriageConfig
from custodes.errors import CustodesError
from custodes.evaluate.evaluation import Baseline
from custodes.evaluate.response.baselines import ONE_ACTION, RESPONSE_BASELINES, run_response_baselines
from custodes.evaluate.response.fitting import fit_and_tune
from custodes.evaluate.response.inputs import PolicyInputs, policy_inputs
from custodes.evaluate.response.methods import METHODS, _settings
from custodes.evaluate.response.policy import ResponseScores, score_policy, score_response
from custodes.evaluate.response.record import response_record
from custodes.evaluate.trees import RARE, RARE_THREATS, TreeSettings
from custodes.team.config import TeamConfig
from custodes.team.workload import prepare
from tests.evaluate.response.small import by_kind, workload

SMALL = TreeSettings(max_iter=15, max_leaf_nodes=7, lags=2)
DESIGN = {"allow", "random", "event-kind", "trees", "trees-context", "image-lookup", "novelty", "oracle"}
DESIGN |= {"alert-all", "quarantine-all", "block-all"}


@pytest.fixture(scope="module")
def hidden() -> ResponseScores:
    """A team that blocks one kind of event, beside every baseline."""
    inputs, _ = policy_inputs(workload())
    kinds = inputs.events["kind"].to_numpy()
    rows = np.random.default_rng(0).permutation(inputs.scored)
    decisions = by_kind(kinds[rows], str(kinds[inputs.train[inputs.labels[inputs.train] == 1][0]]))
    votes = np.stack((decisions, 0 * decisions), axis=1)
    return score_response(workload(), "test", rows=rows, decisions=decisions, votes=votes, trees=SMALL)


def test_every_baseline_of_the_design_is_there_or_said_to_need_names(hidden: ResponseScores) -> None:
    assert set(RESPONSE_BASELINES) == DESIGN
    assert hidden.record.needs_names == ("image-lookup", "novelty")
    assert set(hidden.baselines) == DESIGN - {"image-lookup", "novelty"}
    for name, scores in hidden.baselines.items():
        row = msgspec.convert(scores, Baseline)
        assert row.response is not None, name
        assert row.response.score is not None
        assert row.response.score <= 1.0
        assert row.decisions == hidden.record.events
    assert len(hidden.record.per_member) == 2
    assert hidden.record.per_member[0].score == hidden.record.score


def test_the_ends_of_the_scale(hidden: ResponseScores) -> None:
    assert hidden.baselines["allow"]["response"].score == 0.0
    assert hidden.baselines["oracle"]["response"].score == 1.0
    assert hidden.baselines["oracle"]["f1"] == 1.0
    assert hidden.baselines["oracle"]["response"].false_containments == 0
    lead = hidden.baselines["allow"]["response"].behind_ci
    assert lead == hidden.record.score_ci


def test_tuned_baselines_never_lose_to_doing_nothing_on_the_training_period(hidden: ResponseScores) -> None:
    for name in METHODS:
        if name in hidden.baselines:
            row = hidden.baselines[name]["response"]
            assert row.tuned_score is not None
            assert row.tuned_score >= 0.0, name
            assert row.thresholds is not None


def test_shown_names_run_the_look_ups() -> None:
    inputs, part = policy_inputs(workload("shown"))
    assert inputs.names_shown
    assert {"image", "parent_image"} <= set(inputs.events.columns)
    got = run_response_baselines(inputs, part, ("image-lookup", "novelty"))
    assert set(got) == {"image-lookup", "novelty"}
    assert "fitted on" in got["image-lookup"]["note"]
    # An executable that training never saw is the rarest there is.
    fitted = next(iter(METHODS["novelty"].settings(inputs, None).values()))(inputs.known(), 0)
    seen = set(inputs.events["image"].gather(inputs.known()).to_list())
    score = fitted.score(inputs.scored)
    new = np.array([name not in seen for name in inputs.events["image"].gather(inputs.scored).to_list()])
    assert (score[new] == 2.0).all()
    assert (score[~new] < 2.0).all()


def test_a_policy_sees_no_truth_of_the_part() -> None:
    inputs, part = policy_inputs(workload())
    assert not {"label", "phase", "part", "image", "parent_image"} & set(inputs.events.columns)
    assert (inputs.labels[inputs.scored] == -1).all()
    assert not np.intersect1d(inputs.train, inputs.scored).size
    assert inputs.scored.tolist() == part.source.tolist()
    assert inputs.train.tolist() == inputs.rehearsal.whole.source.tolist()
    assert not set(inputs.events["object"].to_list()) & set(workload().dataset.events["object"].to_list()) - {""}
    # Other truth in the part changes nothing that is seen.
    work = workload()
    test = np.zeros(len(work.dataset), dtype=bool)
    test[work.split.rows("test")] = True
    flipped = work.dataset.events.with_columns(
        label=pl.Series(np.where(test, 1 - work.dataset.labels, work.dataset.labels).astype(np.int8)),
        phase=pl.when(pl.Series(test)).then(pl.lit("other")).otherwise(pl.col("phase")),
    )
    again, _ = policy_inputs(replace(work, dataset=replace(work.dataset, events=flipped)))
    for name in ("labels", "train", "folds", "scored", "lanes"):
        assert np.array_equal(getattr(inputs, name), getattr(again, name)), name
    for name in ("harm", "malicious", "innocent", "benign", "phase"):
        assert np.array_equal(getattr(inputs.rehearsal.whole, name), getattr(again.rehearsal.whole, name)), name
    assert inputs.events.equals(again.events)


def test_the_period_is_what_lies_before_the_part() -> None:
    for part, names in (("train", ("train",)), ("validation", ("train",)), ("test", ("train", "validation"))):
        inputs, _ = policy_inputs(workload(), part)  # type: ignore[arg-type]
        wanted = np.concatenate([workload().split.rows(name) for name in names])  # type: ignore[arg-type]
        assert sorted(inputs.train.tolist()) == sorted(wanted.tolist())


def test_a_foreign_policy_is_replayed_as_it_decides() -> None:
    asked: list[PolicyInputs] = []

    def policy(inputs: PolicyInputs) -> list[int]:
        asked.append(inputs)
        return [3 if kind == "exit" else 0 for kind in inputs.events["kind"].gather(inputs.scored).to_list()]

    costs = ResponseCosts(false_block=1.0)
    got = score_policy(workload(), policy, costs=costs, baselines=("allow",), seed=3)
    inputs, part = policy_inputs(workload(), costs=costs)
    assert len(asked) == 1
    assert asked[0].costs == costs
    assert got.record.cost == response_record(part, np.array(policy(inputs)), costs).cost
    assert got.record.costs["false_block"] == 1.0
    assert set(got.baselines) == {"allow"}
    three = score_policy(workload(), lambda seen: np.zeros((len(seen.scored), 3), dtype=int))
    assert three.record.score == 0.0


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda seen: np.zeros(3, dtype=int), "shape"),
        (lambda seen: np.zeros((len(seen.scored), 4), dtype=int), "shape"),
        (lambda seen: np.full(len(seen.scored), 4), "0 .Allow. to 3 .Block."),
        (lambda seen: np.full(len(seen.scored), 0.5), "whole numbers"),
    ],
)
def test_actions_that_are_none_are_one_line(made: Any, says: str) -> None:
    with pytest.raises(CustodesError, match=says) as caught:
        score_policy(workload(), made)
    assert "\n" not in str(caught.value)


def test_unknown_baselines_are_refused_before_anything_is_played() -> None:
    with pytest.raises(CustodesError, match="unknown baseline nonsense; choose from allow"):
        score_policy(workload(), lambda seen: pytest.fail("played"), baselines=("nonsense",))


def test_one_action_for_everything_is_far_from_the_oracle() -> None:
    work = prepare(DataConfig(source="synthetic", split="entity"), TriageConfig(lanes="by_entity"), TeamConfig())
    inputs, part = policy_inputs(work)
    got = run_response_baselines(inputs, part, tuple(ONE_ACTION))
    scores = {name: row["response"].score for name, row in got.items()}
    assert scores["allow"] == 0.0
    assert max(scores.values()) < 0.7, scores


def test_trees_learn_what_the_cost_asks_for() -> None:
    inputs, _ = policy_inputs(workload())
    tuned = fit_and_tune(METHODS["trees-context"], inputs, trees=SMALL)
    assert tuned.cost < 0.8 * inputs.rehearsal.cost_allow
    again = fit_and_tune(METHODS["trees-context"], inputs, trees=SMALL)
    assert (again.thresholds, again.cost) == (tuned.thresholds, tuned.cost)
    assert "2 settings the training period chose: the team's inputs" in tuned.note


def test_a_method_without_any_hold_never_acts_and_says_so() -> None:
    work = workload()
    calm = work.dataset.events.with_columns(label=pl.lit(0, dtype=pl.Int8), phase=pl.lit(""))
    inputs, _ = policy_inputs(replace(work, dataset=replace(work.dataset, events=calm)))
    tuned = fit_and_tune(METHODS["random"], inputs)
    assert "Never acts" in tuned.note
    assert "holds no attack" in tuned.note
    assert np.isinf(tuned.f1_threshold)
    assert not tuned.thresholds.decide(tuned.fitted.score(inputs.scored)).any()


def test_rare_threats_get_settings_of_their_own() -> None:
    inputs, _ = policy_inputs(workload())
    assert int((inputs.labels == 1).sum()) < RARE_THREATS
    assert _settings(inputs) == RARE
    assert not RARE.early_stopping
    plenty = replace(inputs, labels=np.ones(len(inputs.labels), dtype=np.int8))
    assert len(plenty.train) > RARE_THREATS
    assert _settings(plenty) == TreeSettings()
