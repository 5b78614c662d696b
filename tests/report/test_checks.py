"""Warnings: each said when it holds and only then."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import msgspec
import pytest

from custodes.evaluate import Evaluation, MetricsLine, decode_evaluation, decode_line
from custodes.report.checks import floor_ratio, warnings_of
from custodes.report.files import RunFiles
from tests.report.runs import config, evaluation, metrics_text


@pytest.fixture(scope="module")
def good() -> RunFiles:
    record = decode_evaluation(evaluation("test", ("allow", "event-kind")))
    lines = tuple(decode_line(line) for line in metrics_text(40).splitlines())
    return RunFiles(
        name="run", config=tomllib.loads(config()), metrics=calm(lines), evaluations=(record,), findings=None
    )


def calm(lines: tuple[MetricsLine, ...], **changes: Any) -> tuple[MetricsLine, ...]:
    values = {"ratio_error": 1e-7, "value_loss": 1.1, "value_loss_floor": 1.0} | changes
    return tuple(msgspec.structs.replace(line, **values) for line in lines)


def said(run: RunFiles, **changes: Any) -> str:
    return "\n".join(warnings_of(dataclasses.replace(run, **changes)))


def with_evaluation(run: RunFiles, **changes: Any) -> tuple[Evaluation, ...]:
    return (msgspec.structs.replace(run.evaluations[0], **changes),)


def test_a_good_run_gets_no_warning(good: RunFiles) -> None:
    assert said(good) == ""


def test_shared_parameters_are_said_once(good: RunFiles) -> None:
    shared = tomllib.loads(config(sharing='"shared"'))
    assert "f, the number of lying agents that the vote stands, means nothing" in said(good, config=shared)
    evaluated = with_evaluation(good, warnings=("the agents share parameters: they fail together",))
    text = said(good, config=shared, evaluations=evaluated)
    assert text == "The agents share parameters: they fail together"


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"agents": "3"}, "3 agents stand no liar"), ({"warm_start": "true"}, "supervised warm start")],
)
def test_settings_that_change_the_meaning(good: RunFiles, settings: dict[str, str], says: str) -> None:
    assert says in said(good, config=tomllib.loads(config(**settings)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ratio_error": 1e-3}, "off by 0.001"),
        ({"ratio_error": "inf"}, "off by inf"),
        ({"value_loss": 1.5}, "1.50 times its floor: critics have not learned"),
        ({"value_loss": 0.5}, "0.50 times its floor: its estimate is too high"),
        ({"value_loss": None}, "missing or not finite in 40 of 40"),
    ],
)
def test_training_that_went_wrong(good: RunFiles, changes: dict[str, Any], says: str) -> None:
    assert says in said(good, metrics=calm(good.metrics, **changes))


def test_results_that_need_a_word(good: RunFiles) -> None:
    assert "other data" in said(good, evaluations=with_evaluation(good, data_digest="another"))
    ahead = good.evaluations[0].baselines["event-kind"]
    rival = {"event-kind": ahead, "trees": msgspec.structs.replace(ahead, f1=0.99)}
    text = said(good, evaluations=with_evaluation(good, baselines=rival, f1=0.9))
    assert text == "On test the baseline trees is ahead of the team by F1 0.090"
    assert said(good, evaluations=with_evaluation(good, baselines=rival, f1=0.975)) == ""


def test_the_floor_ratio_is_over_the_last_tenth(good: RunFiles) -> None:
    lines = calm(good.metrics)
    first = tuple(msgspec.structs.replace(line, value_loss=50.0) for line in lines[:36])
    assert floor_ratio(first + lines[36:]) == pytest.approx(1.1)
    assert floor_ratio(()) is None
    assert floor_ratio(calm(good.metrics, value_loss_floor=None)) is None
    assert floor_ratio(calm(good.metrics, value_loss_floor=0.0)) is None
