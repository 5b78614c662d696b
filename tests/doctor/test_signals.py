"""Signals: what was recorded, and nothing that was not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from custodes.doctor import Facts, Signals, signals_of


def test_lines_become_series() -> None:
    lines = [
        {"iteration": 1, "kl": 0.5, "entropy": [1.0, None], "text": "no number", "shares": [[1.0, 0.0]]},
        {"iteration": 2, "kl": "inf", "entropy": None, "shares": [[0.5, 0.5]], "late": 3},
    ]
    signals = signals_of(lines)
    assert signals.iterations == (1, 2)
    assert signals["kl"].tolist() == [0.5, np.inf]
    assert signals["shares"].shape == (2, 1, 2)
    np.testing.assert_array_equal(signals["entropy"], [[1.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(signals["late"], [np.nan, 3.0])
    assert "text" not in signals.series


def test_rules_become_columns_in_the_order_of_their_names() -> None:
    first = {"satisfied": 0.5, "cost": 0.1, "target": 0.05, "multiplier": 2.0, "trained": True}
    second = {"satisfied": None, "cost": None, "target": None, "multiplier": None, "trained": False}
    signals = signals_of(
        [{"iteration": 1, "specs": {"a": first}}, {"iteration": 2, "specs": {"a": first, "b": second}}]
    )
    assert signals.facts.specs == ("a", "b")
    np.testing.assert_array_equal(signals["spec_multiplier"], [[2.0, np.nan], [2.0, np.nan]])
    assert signals["spec_satisfied"].shape == (2, 2)
    assert "specs" not in signals.series


def test_a_later_line_of_an_iteration_counts_and_lines_of_two_files_join() -> None:
    lines = [{"iteration": 2, "kl": 1.0}, {"iteration": 1, "kl": 3.0}, {"iteration": 2, "kl": 2.0, "entropy": 1.0}]
    signals = signals_of(lines)
    assert signals.iterations == (1, 2)
    assert signals["kl"].tolist() == [3.0, 2.0]


def test_a_series_that_changes_its_shape_is_left_out() -> None:
    assert "x" not in signals_of([{"iteration": 1, "x": [1.0]}, {"iteration": 2, "x": 1.0}]).series


def test_what_is_missing_is_known() -> None:
    signals = signals_of([{"iteration": 1, "kl": 0.5, "f1": None}], Facts(agents=4))
    assert signals.missing(("kl", "f1", "entropy", "facts.agents", "facts.gamma")) == ("f1", "entropy", "facts.gamma")


def test_the_first_iterations_alone() -> None:
    signals = signals_of([{"iteration": n, "kl": n} for n in (1, 2, 3)])
    assert signals.until(2)["kl"].tolist() == [1.0, 2.0]
    assert signals.until(2).iterations == (1, 2)


def test_series_of_another_length_are_a_defect() -> None:
    with pytest.raises(ValueError, match="kl has 1 rows for 2"):
        Signals(iterations=(1, 2), series={"kl": np.zeros(1)})


def test_rules_that_are_trained_become_series() -> None:
    rule = {"triggered": 3, "satisfied": 0.5, "cost": 0.4, "multiplier": 1.5, "trained": True}
    unseen = rule | {"triggered": 0, "satisfied": None}
    lines: list[dict[str, Any]] = [
        {"iteration": 1, "stl_satisfied": 0.5, "specs": {"a": rule, "b": rule | {"trained": False}}},
        {"iteration": 2, "stl_satisfied": None, "specs": {"a": unseen, "b": rule | {"trained": False}}},
        {"iteration": 3, "stl_satisfied": None},
    ]
    signals = signals_of(lines)
    assert signals.facts.specs == ("a", "b")
    np.testing.assert_array_equal(signals["spec_satisfied"], [[0.5, np.nan], [np.nan, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(signals["spec_windows"][:2, 0], [3.0, 0.0])
    np.testing.assert_array_equal(signals["spec_cost"][:2, 0], [0.4, 0.4])
    np.testing.assert_array_equal(signals["spec_multiplier"][:2, 0], [1.5, 1.5])
    assert "spec_cost" not in signals_of(lines[2:]).series
    assert signals_of(lines[2:]).facts.specs is None
