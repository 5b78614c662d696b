"""Baselines on made-up tables whose best score is known."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.errors import CustodesError
from custodes.evaluate.baselines import BASELINES, BaselineInputs, explained_entropy, rewards_of, run_baselines
from custodes.evaluate.trees import Context, TreeSettings, fit_trees, lag_rows, with_lags

REWARDS = np.array([[1.0, -10.0], [1.0, -10.0], [-9.5, 8.5], [-9.5, 8.5]])
SMALL = TreeSettings(max_iter=60, max_leaf_nodes=15)


def table(n: int = 6000, seed: int = 0) -> BaselineInputs:
    """A row is a threat where the *previous* row of its lane has a high first feature, as its kind says in 9 of 10."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 3)).astype(np.float32)
    lanes = np.arange(n) // 50
    labels = np.zeros(n, dtype=np.int64)
    labels[1:] = (features[:-1, 0] > 1.0) & (lanes[1:] == lanes[:-1])
    kinds = np.where(rng.random(n) < 0.9, labels, 1 - labels)
    part = np.repeat([0, 1, 2], [n * 6 // 10, n * 2 // 10, n * 2 // 10])
    return BaselineInputs(
        features=features, alone=features, labels=labels, kinds=kinds, part=part, lanes=lanes, rewards=REWARDS
    )


def changed(inputs: BaselineInputs, **changes: Any) -> BaselineInputs:
    return dataclasses.replace(inputs, **changes)


@given(st.lists(st.integers(-1, 3), max_size=25), st.integers(1, 4))
def test_lags_match_a_double_loop(lanes: list[int], lags: int) -> None:
    got = lag_rows(np.array(lanes, dtype=np.int64), lags)
    for i, lane in enumerate(lanes):
        earlier = [j for j in reversed(range(i)) if lanes[j] == lane and lane >= 0]
        assert got[i].tolist() == (earlier + [-1] * lags)[:lags]


def test_lagged_features_stop_at_the_lane() -> None:
    features = np.arange(8, dtype=np.float32).reshape(4, 2)
    before = lag_rows(np.array([5, 5, -1, 5]), 2)
    got = with_lags(features, np.array([3, 2]), Context(before=before, records=features))
    np.testing.assert_array_equal(got[0], [6, 7, 2, 3, 0, 1])
    np.testing.assert_array_equal(got[1], [4, 5, np.nan, np.nan, np.nan, np.nan])


def test_context_finds_what_single_events_cannot() -> None:
    got = run_baselines(table(), seed=0, trees=SMALL)
    assert tuple(got) == tuple(BASELINES)
    threats, decisions = got["allow"]["threats"], got["allow"]["decisions"]
    for scores in got.values():
        assert (scores["threats"], scores["decisions"]) == (threats, decisions)
        assert scores["seconds"] >= 0
    assert got["allow"]["tp"] == got["allow"]["fp"] == 0
    assert got["allow"]["threshold"] is None
    assert got["allow"]["reward_per_decision"] == pytest.approx((decisions - 11 * threats) / decisions)
    assert got["trees-context"]["f1"] is not None
    assert got["trees-context"]["f1"] > 0.95
    assert got["trees"]["f1"] is not None
    assert got["trees"]["f1"] < 0.4
    assert got["random"]["auroc"] == pytest.approx(0.5, abs=0.06)
    contained = got["random"]["tp"] + got["random"]["fp"]
    assert contained / decisions == pytest.approx(threats / decisions, abs=0.05)


def test_event_kind_scores_by_training_rates_only() -> None:
    inputs = table()
    got = run_baselines(inputs, ["event-kind"])["event-kind"]
    test = inputs.part == 2
    train = inputs.part == 0
    rate = [inputs.labels[train & (inputs.kinds == kind)].mean() for kind in (0, 1)]
    assert got["threshold"] == pytest.approx(max(rate))
    assert got["tp"] == np.count_nonzero(test & (inputs.labels == 1) & (inputs.kinds == 1))
    assert got["note"] == ""
    flipped = changed(inputs, labels=np.where(test, 1 - inputs.labels, inputs.labels))
    assert run_baselines(flipped, ["event-kind"])["event-kind"]["threshold"] == got["threshold"]


def test_event_kind_says_when_the_labels_were_written_from_it() -> None:
    inputs = table()
    got = run_baselines(changed(inputs, kinds=inputs.labels + 7), ["event-kind"])["event-kind"]
    assert got["f1"] == 1.0
    assert "detects nothing" in got["note"]


def test_explained_entropy_matches_known_cases() -> None:
    half = np.array([0, 1, 0, 1])
    assert explained_entropy(half, half) == pytest.approx(1.0)
    assert explained_entropy(np.zeros(4, dtype=int), half) == pytest.approx(0.0)
    assert explained_entropy(np.arange(4), np.ones(4, dtype=int)) == 0.0
    # Half the rows are decided by the code, half stay a fair coin: one of two halves of a bit is left.
    assert explained_entropy(np.array([3, 0, 1, 1, 0, 3, 1, 1]), np.array([0, 1, 0, 1, 1, 0, 1, 0])) == pytest.approx(
        0.5
    )


def test_unseen_kinds_get_the_overall_rate() -> None:
    inputs = table()
    kinds = inputs.kinds.copy()
    kinds[inputs.part == 2] = 99
    got = run_baselines(changed(inputs, kinds=kinds), ["event-kind"])["event-kind"]
    assert got["tp"] + got["fp"] == 0
    assert got["auroc"] == 0.5


def test_thresholds_come_from_validation_only() -> None:
    inputs = table()
    for name in ("trees", "event-kind", "random"):
        before = run_baselines(inputs, [name], trees=SMALL)[name]
        labels = np.where(inputs.part == 2, 1 - inputs.labels, inputs.labels)
        after = run_baselines(changed(inputs, labels=labels), [name], trees=SMALL)[name]
        assert before["threshold"] == after["threshold"]


def test_the_same_seed_gives_the_same_numbers() -> None:
    def numbers(seed: int) -> list[dict[str, object]]:
        got = run_baselines(table(), ["random", "trees"], seed=seed, trees=SMALL)
        return [{key: value for key, value in scores.items() if key != "seconds"} for scores in got.values()]

    assert numbers(3) == numbers(3)
    assert numbers(3)[0] != numbers(4)[0]


def test_contaminated_rows_are_neither_fitted_on_nor_scored() -> None:
    inputs = table()
    labels = inputs.labels.copy()
    labels[::7] = 2
    got = run_baselines(changed(inputs, labels=labels), ["allow", "event-kind"])
    kept = (inputs.part == 2) & (labels != 2)
    assert got["allow"]["decisions"] == got["event-kind"]["decisions"] == np.count_nonzero(kept)


def test_what_a_reader_must_know_is_in_the_note() -> None:
    inputs = table()
    no_threats = changed(inputs, labels=np.where(inputs.part == 1, 0, inputs.labels))
    got = run_baselines(no_threats, ["trees"], trees=SMALL)["trees"]
    assert got["threshold"] == 0.5
    assert "no threat to tune on" in got["note"]
    on_validation = run_baselines(changed(inputs, split="validation"), ["trees"], trees=SMALL)["trees"]
    assert "tuned on these very rows" in on_validation["note"]
    alone = run_baselines(changed(inputs, lanes=np.arange(len(inputs.labels))), ["trees-context"], trees=SMALL)
    assert "no context to see" in alone["trees-context"]["note"]
    few = run_baselines(inputs, ["trees"], trees=TreeSettings(max_iter=5, max_train_rows=500))["trees"]
    assert "500 of 3,600 training rows" in few["note"]
    one_class = changed(inputs, labels=np.where(inputs.part == 0, 0, inputs.labels))
    assert "one class only" in run_baselines(one_class, ["trees"], trees=SMALL)["trees"]["note"]


def test_wide_features_are_subsampled_to_the_memory_limit() -> None:
    inputs = table()
    settings = TreeSettings(max_iter=5, max_train_values=3000)
    model = fit_trees(inputs.features, inputs.labels, np.arange(3600), context=None, seed=0, settings=settings)
    assert model.train_rows == 1000
    assert model.score(np.empty(0, dtype=np.int64)).shape == (0,)


def test_rewards_follow_the_table() -> None:
    got = rewards_of(np.array([0, 2, 3, 1, 0]), np.array([0, 1, 0, 1, 2]), REWARDS)
    np.testing.assert_array_equal(got, [1.0, 8.5, -9.5, -10.0, np.nan])


def test_records_that_say_nothing_give_one_score_and_a_note() -> None:
    got = run_baselines(changed(table(), alone=table().alone[:, :0]), ["trees", "trees-context"], trees=SMALL)
    assert got["trees"]["auroc"] == 0.5
    assert "A record says nothing by itself here, so every score is the same." in got["trees"]["note"]
    assert "these trees see the event's inputs alone" in got["trees-context"]["note"]
    inputs = table()
    features = np.ascontiguousarray(np.stack((inputs.labels, inputs.features[:, 0]), axis=1), dtype=np.float32)
    told = changed(inputs, features=features, alone=inputs.alone[:, :0])
    assert run_baselines(told, ["trees-context"], trees=SMALL)["trees-context"]["f1"] == 1.0


def test_bad_input_is_one_line() -> None:
    inputs = table(600)
    with pytest.raises(CustodesError, match="unknown baseline oracle; choose from allow, random"):
        run_baselines(inputs, ["oracle"])
    with pytest.raises(CustodesError, match="unknown split 'all'"):
        run_baselines(changed(inputs, split="all"), ["allow"])
    nothing = changed(inputs, labels=np.full(600, -1))
    for name in ("random", "event-kind", "trees", "trees-context"):
        with pytest.raises(CustodesError, match="no training row has a true label"):
            run_baselines(nothing, [name], trees=SMALL)
    with pytest.raises(ValueError, match="one value per row"):
        run_baselines(changed(inputs, kinds=inputs.kinds[:-1]), ["allow"])
    with pytest.raises(ValueError, match="rewards"):
        run_baselines(changed(inputs, rewards=REWARDS.T), ["allow"])


def test_every_threat_is_kept_where_benign_rows_are_drawn() -> None:
    inputs = table()
    train = inputs.rows("train")
    threats = int((inputs.labels[train] == 1).sum())
    settings = TreeSettings(max_iter=5, max_benign_rows=100)
    model = fit_trees(inputs.features, inputs.labels, train, context=None, seed=0, settings=settings)
    assert model.train_rows == threats + 100
    whole = TreeSettings(max_iter=5, max_benign_rows=len(train))
    assert fit_trees(inputs.features, inputs.labels, train, context=None, seed=0, settings=whole).train_rows == len(
        train
    )


def test_settings_for_rare_threats_change_the_trees() -> None:
    inputs = table()
    train = inputs.rows("train")
    plain = TreeSettings(max_iter=10, max_leaf_nodes=15, early_stopping=False)
    stiff = dataclasses.replace(plain, min_samples_leaf=200, l2_regularization=50.0)
    scores = [
        fit_trees(inputs.features, inputs.labels, train, context=None, seed=0, settings=settings).score(train)
        for settings in (plain, stiff)
    ]
    assert np.ptp(scores[1]) < np.ptp(scores[0])
