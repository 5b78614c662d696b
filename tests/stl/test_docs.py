"""The worked examples of docs/stl.md are computed, by the definition and by the batched evaluator."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import torch

from custodes.stl.batched import evaluate
from custodes.stl.parser import parse
from custodes.stl.policy import End
from tests.stl import definition

PAGE = Path(__file__).parents[2] / "docs" / "stl.md"
TRACE = {"x": [0.5, 0.4, 0.3, 0.2, 0.1, -0.2], "y": [-1.0, -0.5, 0.2, -0.3, 0.6, 0.1]}
ROW = re.compile(r"^\| `(?P<formula>[^`]+)` \| (?P<end>\w+) \| (?P<values>[^|]+) \|$", re.MULTILINE)
VALUE = re.compile(r"\[(?P<lower>[^,\]]+), (?P<upper>[^\]]+)\]|(?P<value>[^,\s]+)")
EXAMPLES = [
    (found["formula"], found["end"], found["values"]) for found in ROW.finditer(PAGE.read_text(encoding="utf-8"))
]


def pairs(values: str) -> list[tuple[float, float]]:
    """`0.1, [-inf, 0.2]` as bounds."""
    found = VALUE.finditer(values)
    return [
        (float(each["value"]),) * 2 if each["value"] else (float(each["lower"]), float(each["upper"])) for each in found
    ]


def test_the_page_has_examples_of_every_policy() -> None:
    assert len(EXAMPLES) >= 25
    assert {end for _, end, _ in EXAMPLES} == set(get_args(End))


@pytest.mark.parametrize(("formula", "end", "values"), EXAMPLES)
def test_an_example_is_right(formula: str, end: End, values: str) -> None:
    wanted = pairs(values)
    meant = definition.evaluate(parse(formula), TRACE, end)
    if end == "pessimistic":
        meant = [(lower, lower) for lower, _ in meant]
    assert [low for low, _ in meant] == pytest.approx([low for low, _ in wanted], abs=1e-12)
    assert [high for _, high in meant] == pytest.approx([high for _, high in wanted], abs=1e-12)
    got = evaluate(parse(formula), {name: torch.tensor(v, dtype=torch.float64) for name, v in TRACE.items()}, end=end)
    assert got.value.tolist() == pytest.approx([low for low, _ in wanted], abs=1e-12)
