"""Root causes first, consequences folded under them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from custodes.doctor import Evidence, Finding, Severity, diagnose
from custodes.doctor.diagnose import fold
from tests.doctor.healthy import each, flat, signals

SHOWN = (Evidence(metric="x", value=1.0, expectation="0", source="test"),)


def finding(name: str, iteration: int = 1, severity: Severity = "critical") -> Finding:
    return Finding(name=name, severity=severity, iteration=iteration, cause="c", evidence=SHOWN, change="d")


def test_a_consequence_is_folded_under_its_cause() -> None:
    roots, folded = fold([finding("entropy-never-falls", 20), finding("ratio-broadcast")])
    assert [(root.name, root.explains) for root in roots] == [("ratio-broadcast", ("entropy-never-falls",))]
    assert [one.name for one in folded] == ["entropy-never-falls"]


def test_what_was_there_well_before_is_no_consequence() -> None:
    roots, folded = fold([finding("entropy-never-falls", 1), finding("ratio-broadcast", 30)])
    assert [root.name for root in roots] == ["ratio-broadcast", "entropy-never-falls"]
    assert folded == ()


def test_settings_and_data_follow_from_nothing_that_training_shows() -> None:
    roots, folded = fold([finding("return-unpredictable", 0), finding("value-units", 1)])
    assert ([root.name for root in roots], folded) == (["value-units", "return-unpredictable"], ())
    _, folded = fold([finding("return-unpredictable", 2), finding("value-units", 5)])
    assert [one.name for one in folded] == ["return-unpredictable"]


@pytest.mark.parametrize(
    ("cause", "shown"),
    [
        ("class-too-rare", "input-ceiling"),
        ("class-too-rare", "one-action-optimal"),
        ("inputs-constant", "input-ceiling"),
        ("inputs-constant", "one-action-optimal"),
        ("reward-constant", "one-action-optimal"),
    ],
)
def test_settings_and_data_follow_from_others_that_the_first_iteration_shows(cause: str, shown: str) -> None:
    roots, folded = fold([finding(shown, 0), finding(cause, 1)])
    assert [(root.name, root.explains) for root in roots] == [(cause, (shown,))]
    assert [one.name for one in folded] == [shown]


def test_a_root_names_what_follows_from_what_it_explains() -> None:
    chain = [finding("input-ceiling", 0), finding("one-action-optimal", 0), finding("entropy-collapse", 9)]
    roots, _ = fold(chain)
    assert [(root.name, set(root.explains)) for root in roots] == [
        ("input-ceiling", {"one-action-optimal", "entropy-collapse"})
    ]


def test_the_gravest_comes_first_then_the_mechanism() -> None:
    roots, _ = fold([finding("consensus-f0", 0, "warning"), finding("metric-window"), finding("ratio-broadcast", 3)])
    assert [root.name for root in roots] == ["ratio-broadcast", "metric-window", "consensus-f0"]


def test_the_json_object_is_that_of_the_design() -> None:
    given = signals({"agents": 3, "tolerated": 0}, stl_satisfied=flat(np.nan), ratio_elements=flat(64.0))
    printed = json.loads(json.dumps(diagnose(given).to_json()))
    assert set(printed) == {"findings", "not_examined"}
    first, second = printed["findings"]
    assert (first["name"], second["name"]) == ("ratio-broadcast", "consensus-f0")
    assert set(first) == {"name", "severity", "iteration", "cause", "evidence", "change", "explains"}
    assert set(first["evidence"][0]) == {"metric", "value", "expectation", "source"}
    left = {"name": "violated", "findings": ["spec-always-violated"], "missing": ["stl_satisfied"]}
    assert left in printed["not_examined"]


def test_a_mechanism_hides_its_consequences_but_not_another_defect() -> None:
    given = signals({"rows_shared": 0.7}, ratio_elements=flat(64.0), advantage_signal=each(1.0))
    diagnosis = diagnose(given)
    assert [(root.name, root.explains) for root in diagnosis.findings] == [
        ("ratio-broadcast", ("advantage-no-signal",)),
        ("split-leakage", ()),
    ]
