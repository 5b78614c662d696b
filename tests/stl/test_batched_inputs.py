"""Traces that the batched evaluator refuses, and in which words."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from custodes.stl import formula as f
from custodes.stl.batched import evaluate, smooth_error
from custodes.stl.errors import StlError
from custodes.stl.parser import parse
from custodes.stl.policy import ENDS, NANS, End, Nan
from tests.stl import definition
from tests.stl.test_batched import bounds, over

NODE = f.And(left=over("x"), right=over("y"))


def traces(**other: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"x": torch.zeros(2, 5), "y": torch.zeros(2, 5)} | other


def holed(value: float) -> torch.Tensor:
    x = torch.zeros(2, 5)
    x[1, 3] = value
    return x


@pytest.mark.parametrize(
    ("signals", "words"),
    [
        ({"x": torch.zeros(2, 5)}, "no signal 'y'"),
        ({}, "no signal 'x'"),
        (traces(y=torch.zeros(2, 4)), "signal 'y': has shape"),
        (traces(y=torch.zeros(2, 5, 1)), "3 dimensions"),
        (traces(y=torch.zeros(2, 5, dtype=torch.int64)), "convert it to float32 or float64"),
        (traces(x=torch.zeros(2, 0)), "signal 'x': is empty"),
        (traces(x=torch.zeros(0, 5)), "signal 'x': is empty"),
        (traces(y=holed(math.nan)), "signal 'y', trace 1, sample 3: the sample is NaN"),
        (traces(y=holed(math.inf)), "signal 'y', trace 1, sample 3: the sample is infinite"),
        ({"x": [0.0], "y": [0.0]}, "is a list"),
    ],
)
def test_bad_signals(signals: dict[str, Any], words: str) -> None:
    with pytest.raises(StlError, match=words):
        evaluate(NODE, signals)


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        (torch.tensor([5]), "one length per trace"),
        (torch.tensor([5, 0]), "trace 1: the length 0 is not within 1 and 5"),
        (torch.tensor([6, 5]), "trace 0: the length 6"),
        (torch.tensor([5.0, 5.0]), "whole numbers"),
    ],
)
def test_bad_lengths(lengths: torch.Tensor, words: str) -> None:
    with pytest.raises(StlError, match=words):
        evaluate(NODE, traces(), lengths=lengths)


@pytest.mark.parametrize(
    "choice", [{"end": "cut"}, {"nan": "drop"}, {"smooth": 0.0}, {"smooth": math.inf}, {"smooth": math.nan}]
)
def test_bad_choices(choice: dict[str, Any]) -> None:
    with pytest.raises(StlError):
        evaluate(NODE, traces(), **choice)


def test_infinite_samples_are_refused_also_where_nan_is_masked() -> None:
    with pytest.raises(StlError, match="infinite"):
        evaluate(NODE, traces(y=holed(-math.inf)), nan="mask")


def test_a_single_trace_names_its_sample_only() -> None:
    with pytest.raises(StlError, match="signal 'x', sample 1: the sample is NaN"):
        evaluate(over("x"), {"x": torch.tensor([0.0, math.nan])})


@pytest.mark.parametrize("nan", NANS)
def test_division_by_zero_is_unknown(nan: Nan) -> None:
    quotient = f.Arithmetic(operator="/", left=f.Signal(name="x"), right=f.Signal(name="y"))
    node = f.Comparison(operator=">", left=quotient, right=f.Number(value=1.0))
    signals = {"x": torch.tensor([[4.0, 4.0, 0.0]]), "y": torch.tensor([[2.0, 0.0, 0.0]])}
    for end in ENDS:
        found = evaluate(node, signals, nan=nan, end=end)
        assert found.lower.tolist() == [[1.0, -math.inf, -math.inf]]
        assert found.upper.tolist() == [[1.0, math.inf, math.inf]]
        assert found.valid.tolist() == [[True, False, False]]


@pytest.mark.parametrize("nan", NANS)
def test_overflow_is_unknown(nan: Nan) -> None:
    large = {"x": torch.tensor([3e38, 1.0])}
    node = f.Comparison(
        operator=">",
        left=f.Arithmetic(operator="+", left=f.Signal(name="x"), right=f.Signal(name="x")),
        right=f.Number(value=0.0),
    )
    assert evaluate(node, large, nan=nan).valid.tolist() == [False, True]


def test_blocks_name_the_trace_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custodes.stl.batched.evaluation.BLOCK_BYTES", 5 * 4)
    with pytest.raises(StlError, match="trace 1, sample 3"):
        evaluate(NODE, traces(y=holed(math.nan)))


def test_formulas_without_signals_take_the_shape_of_any() -> None:
    found = evaluate(f.Truth(value=True), {"unread": torch.zeros(2, 3)})
    assert found.value.tolist() == [[math.inf] * 3] * 2
    assert not found.valid.any()
    ratio = f.Arithmetic(operator="/", left=f.Number(value=1.0), right=f.Number(value=0.0))
    constant = f.Comparison(operator=">", left=ratio, right=f.Number(value=0.0))
    assert not evaluate(constant, {"unread": torch.zeros(2, 3)}).valid.any()
    with pytest.raises(StlError, match="no signal is given"):
        evaluate(f.Truth(value=True), {})


def test_formulas_that_must_be_rewritten_first() -> None:
    seconds = f.Bounds(upper=f.Duration(amount=5, unit="s"))
    with pytest.raises(StlError, match="has a unit"):
        evaluate(f.Always(operand=over("x"), bounds=seconds), traces())
    ahead = f.Count(kind="count", formula=f.Next(operand=over("x")), window=f.Duration(amount=3))
    with pytest.raises(StlError, match="looks ahead"):
        evaluate(f.Comparison(operator=">", left=ahead, right=f.Number(value=1.0)), traces())


def test_a_single_trace_has_the_shape_it_came_in() -> None:
    node = f.Eventually(operand=over("x"), bounds=bounds(0, 1))
    found = evaluate(node, {"x": torch.tensor([1.0, -1.0, 0.5])}, lengths=torch.tensor(2))
    assert found.value.tolist() == [1.0, -1.0, 0.0]
    assert found.valid.tolist() == [True, False, False]


def test_a_bound_of_nothing_is_refused() -> None:
    with pytest.raises(StlError):
        smooth_error(NODE, 0.0, 5)
    with pytest.raises(StlError):
        smooth_error(NODE, 1.0, 0)


@pytest.mark.parametrize(
    ("text", "x", "end", "nan"),
    [
        ("mean(x, 4) < 0.9", [1e308, 1e308, math.nan, 1.0, 1.0], "truncate", "mask"),
        ("always[2,3] (mean(x, 4) < 0.9)", [1e308] * 4, "interval", "reject"),
        ("sum(x, 3) * 2 > 0", [1e308, -1e308, 1e308, 1e308, 1.0], "truncate", "reject"),
        ("sum(x, 2) / sum(x, 3) > 0", [1e308, 1e308, 1e308, math.nan, 0.0], "hold", "mask"),
    ],
)
def test_an_overflow_that_meets_an_unknown_is_unknown(text: str, x: list[float], end: End, nan: Nan) -> None:
    wanted = definition.evaluate(parse(text), {"x": x}, end)
    found = evaluate(parse(text), {"x": torch.tensor(x, dtype=torch.float64)}, end=end, nan=nan)
    assert list(zip(found.lower.tolist(), found.upper.tolist(), strict=True)) == wanted
