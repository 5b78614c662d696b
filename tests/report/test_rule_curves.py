"""Curves of rules say what the lines of the metrics say."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from custodes.evaluate.run_schema import MetricsLine, decode_line
from custodes.report.curves import Figure
from custodes.report.rule_curves import multiplier_curves, rules_in, satisfaction_curves
from tests.report.runs import metrics_text
from tests.report.test_rules import ruled_metrics, spec_line

LINES = tuple(decode_line(line) for line in ruled_metrics().splitlines())


def described(figure: Figure) -> str:
    return ET.fromstring(str(figure.chart)).findtext("desc") or ""


def with_rules(count: int) -> tuple[MetricsLine, ...]:
    """Two lines with so many rules."""
    lines = [json.loads(line) for line in metrics_text(2).splitlines()]
    for line in lines:
        line["specs"] = {f"r-{index}": spec_line(0.5, float(index)) for index in range(count)}
    return tuple(decode_line(json.dumps(line)) for line in lines)


def test_a_rule_is_drawn_with_what_is_wanted() -> None:
    calm, quick, hopeless, silent = satisfaction_curves(LINES, {"calm": 0.05, "quick <to act>": 0.125})
    assert "training, as sampled: from 0.5 to 0.85, between 0.5 and 0.85." in described(calm)
    assert "wanted at least: from 0.95 to 0.95" in described(calm)
    assert "validation" not in described(calm)
    assert [name for _, name in calm.legend] == ["training, as sampled", "wanted at least"]
    assert "validation, greedy: from 0.875 to 0.875" in described(quick)
    assert "wanted at least: from 0.875" in described(quick)
    assert "wanted" not in described(hopeless) + hopeless.about
    assert calm.note == "248 windows in training; mean robustness 2 at first, 3.4 at the end"
    assert quick.note.startswith("217 windows")
    assert hopeless.note.endswith("measured, not trained")
    assert silent.chart is None


def test_multipliers_are_those_of_trained_rules() -> None:
    (figure,) = multiplier_curves(LINES)
    assert [name for _, name in figure.legend] == ["calm", "quick <to act>", "silent"]
    assert "calm: from 0 to 1.75" in described(figure)
    assert "quick <to act>: from 0.5 to 0.5" in described(figure)
    assert multiplier_curves([decode_line(line) for line in ruled_metrics(method="watch").splitlines()]) == ()


def test_a_single_multiplier_is_named() -> None:
    (figure,) = multiplier_curves(with_rules(1))
    assert [name for _, name in figure.legend] == ["r-0"]


@pytest.mark.parametrize(("count", "charts"), [(8, [8]), (9, [8, 1]), (17, [8, 8, 1])])
def test_as_many_rules_to_a_chart_as_can_be_told_apart(count: int, charts: list[int]) -> None:
    assert [len(figure.legend) for figure in multiplier_curves(with_rules(count))] == charts


def test_lines_of_before_rules_are_gaps() -> None:
    old = tuple(decode_line(line) for line in metrics_text(3).splitlines())
    assert rules_in(old) == ()
    assert satisfaction_curves(old, {}) == multiplier_curves(old) == ()
    mixed = (*old, *LINES[3:])
    assert rules_in(mixed) == ("calm", "quick <to act>", "hopeless", "silent")
    assert "from 0.65 to 0.85" in described(satisfaction_curves(mixed, {})[0])
