"""The shipped rules: each with a trace that satisfies it and one that violates it, samples ten seconds apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from custodes.stl import formula as f
from custodes.stl.analysis import signals
from custodes.stl.batched import evaluate
from custodes.stl.errors import StlError
from custodes.stl.explain import explain, per_sample
from custodes.stl.rules import library_names, library_text, load_library
from custodes.stl.rules.docs import page
from custodes.stl.rules.reach import seconds_ahead, seconds_behind
from custodes.stl.streaming import SingleMonitor
from custodes.stl.traces import formula_in_samples

PAGE = Path(__file__).parents[2] / "docs" / "stl-rules.md"
PERIOD = 10 * 10**9
LENGTH = 100
QUIET = {
    "threat": 0.0,
    "contained": 1.0,
    "malicious": 0.0,
    "fn": 0.0,
    "benign": 40.0,
    "fp": 0.0,
    "score": 0.1,
    "alerted": 0.0,
    "alerts": 0.0,
    "contain": 0.0,
    "votes": 0.0,
    "quarantined": 0.0,
    "quarantine_age_s": 0.0,
    "released": 0.0,
    "blocked": 0.0,
    "flaps": 0.0,
    "critical": 0.0,
    "latency_s": 0.02,
    "queue": 3.0,
    "reporting": 4.0,
    "cpu": 0.2,
    "memory_mb": 600.0,
}
"""A quiet host, the same at every sample."""

Change = tuple[str, int, int, float]
"""Signal, first sample, one past the last, value."""
EXAMPLES: dict[str, tuple[list[Change], list[Change]]] = {
    "containment-time": (
        [("threat", 40, 41, 1), ("contained", 40, 43, 0)],
        [("threat", 40, 41, 1), ("contained", 40, 44, 0)],
    ),
    "detection-time": (
        [("threat", 40, 41, 1), ("contained", 40, 60, 0), ("alerted", 46, 47, 1)],
        [("threat", 40, 41, 1), ("contained", 40, 60, 0), ("alerted", 47, 48, 1)],
    ),
    "missed-threats": (
        [("malicious", 40, 60, 10), ("fn", 40, 60, 1)],
        [("malicious", 40, 60, 10), ("fn", 40, 60, 2)],
    ),
    "false-positive-rate": ([("fp", 40, 60, 1)], [("fp", 40, 68, 1)]),
    "critical-process-free": ([("critical", 40, 41, 2)], [("critical", 40, 42, 1)]),
    "quarantine-budget": ([("quarantined", 40, 60, 20)], [("quarantined", 50, 51, 21)]),
    "quarantine-load": ([("quarantined", 70, 90, 14)], [("quarantined", 70, 100, 12)]),
    "quarantine-renewed": ([("quarantine_age_s", 40, 41, 600)], [("quarantine_age_s", 40, 41, 610)]),
    "quarantine-lifted": (
        [("quarantined", 10, 36, 2)],
        [("quarantined", 10, 38, 2)],
    ),
    "no-flapping": (
        [("flaps", 10, 12, 1), ("flaps", 80, 82, 1)],
        [("flaps", 10, 12, 1), ("flaps", 50, 51, 1)],
    ),
    "no-hasty-return": (
        [("released", 40, 41, 1), ("contain", 46, 47, 1), ("score", 46, 47, 0.96)],
        [("released", 40, 41, 1), ("contain", 46, 47, 1), ("score", 46, 47, 0.9)],
    ),
    "block-after-evidence": (
        [("score", 40, 41, 0.85), ("blocked", 70, 71, 1)],
        [("score", 40, 41, 0.85), ("blocked", 71, 72, 1)],
    ),
    "block-in-steps": (
        [("quarantined", 20, 30, 1), ("blocked", 80, 81, 1)],
        [("blocked", 80, 81, 1)],
    ),
    "containment-voted": (
        [("contain", 40, 41, 1), ("votes", 40, 41, 2)],
        [("contain", 40, 41, 1), ("votes", 40, 41, 1)],
    ),
    "quorum-returns": ([("reporting", 40, 43, 2)], [("reporting", 40, 44, 2)]),
    "response-latency": ([("latency_s", 40, 43, 4)], [("latency_s", 40, 44, 4)]),
    "mean-latency": ([("latency_s", 40, 46, 0.9)], [("latency_s", 40, 47, 0.9)]),
    "queue-drains": ([("queue", 40, 43, 5000)], [("queue", 40, 44, 5000)]),
    "cpu-bound": ([("cpu", 40, 42, 1)], [("cpu", 40, 43, 1)]),
    "memory-bound": ([("memory_mb", 40, 50, 2048)], [("memory_mb", 40, 41, 2100)]),
    "alert-workload": ([("alerts", 10, 40, 1)], [("alerts", 10, 41, 1)]),
    "alert-storm": ([("alerts", 40, 41, 10)], [("alerts", 40, 46, 2)]),
}
BY_NAME = {spec.name: spec for spec in load_library().specs}


def trace(changes: list[Change]) -> dict[str, np.ndarray]:
    made = {name: np.full(LENGTH, value) for name, value in QUIET.items()}
    for name, first, last, value in changes:
        made[name][first:last] = value
    return made


def in_ten_seconds(name: str) -> f.Formula:
    return formula_in_samples(BY_NAME[name], PERIOD, "library")


def test_every_rule_has_its_examples() -> None:
    assert list(EXAMPLES) == list(library_names()) == list(BY_NAME)
    assert len(BY_NAME) > 20
    assert set(QUIET) == set(load_library().signals)


@pytest.mark.parametrize("name", EXAMPLES)
def test_satisfied_and_violated(name: str) -> None:
    formula = in_ten_seconds(name)
    for changes, good in zip(EXAMPLES[name], (True, False), strict=True):
        signals_now = trace(changes)
        result = evaluate(formula, {key: torch.from_numpy(values) for key, values in signals_now.items()})
        assert (float(result.value[0]) >= 0) == good
        explanation = explain(formula, signals_now)
        assert explanation.verdict == ("satisfied" if good else "violated")
        assert bool(explanation.runs.violated) != good
        monitor = SingleMonitor(per_sample(formula))
        points = [
            monitor.update({key: float(values[at]) for key, values in signals_now.items()}) for at in range(LENGTH)
        ]
        assert (min(point.lower for point in points if point.time >= 0) >= 0) == good


@pytest.mark.parametrize("name", BY_NAME)
def test_a_rule_runs_live(name: str) -> None:
    spec = BY_NAME[name]
    assert isinstance(spec.formula, f.Always)
    ahead, behind = (reach(per_sample(spec.formula)) for reach in (seconds_ahead, seconds_behind))
    assert ahead is not None
    assert ahead <= 60
    assert behind is not None
    assert behind <= 3600
    if "hard" in spec.tags:
        assert ahead == 0
        assert "label" not in spec.tags
    labelled = [key for key in signals(spec.formula) if "true label" in load_library().signals[key].description]
    assert bool(labelled) == ("label" in spec.tags)


def test_the_library_declares_what_is_used() -> None:
    library = load_library()
    read = {name for spec in library.specs for name in signals(spec.formula)}
    assert read == set(library.signals)
    assert all(info.unit and info.description for info in library.signals.values())
    text = library_text()
    assert all(text.count(name) >= 2 for name in library.parameters)
    assert all(spec.description.count(" Why: ") == 1 for spec in library.specs)


def test_one_rule_by_name() -> None:
    assert [spec.name for spec in load_library(["cpu-bound", "no-flapping"]).specs] == ["cpu-bound", "no-flapping"]
    with pytest.raises(StlError, match="the library has no rule 'cpu-bond'; did you mean 'cpu-bound'"):
        load_library(["cpu-bond"])


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m custodes.stl.rules.docs > docs/stl-rules.md"


def test_reach_counts_units_only() -> None:
    always = f.Always(operand=f.Truth(value=True), bounds=f.Bounds(upper=f.Duration(amount=90, unit="min")))
    assert seconds_ahead(always) == 5400.0
    assert seconds_behind(always) == 0.0
    assert seconds_ahead(f.Always(operand=f.Truth(value=True), bounds=f.Bounds(upper=f.Duration(amount=9)))) is None
