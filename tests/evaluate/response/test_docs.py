"""The documentation names every key of the record and every cost, with its default, and nothing else."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import msgspec

from custodes.env.response.costs import ResponseCosts
from custodes.evaluate.response.baselines import RESPONSE_BASELINES
from custodes.evaluate.response.folds import FOLDS
from custodes.evaluate.response.schema import BaselineResponse, ResponseFigures, ResponseRecord
from custodes.evaluate.response.thresholds import CANDIDATES

DOCS = Path(__file__).parents[3] / "docs"


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def names(kind: type[msgspec.Struct]) -> set[str]:
    return {field.name for field in msgspec.structs.fields(kind)}


def test_every_key_of_the_record_is_documented_and_nothing_else() -> None:
    text = (DOCS / "run-folder.md").read_text(encoding="utf-8")
    section = text[text.index("## The response record\n") :].split("\n## ")[0]
    shared, own, baseline = re.split(r"\n`response` alone has:\n|\n`baselines.NAME.response` alone has:\n", section)
    assert set(first_cells(shared)) == names(ResponseFigures)
    assert set(first_cells(own)) == names(ResponseRecord) - names(ResponseFigures)
    assert set(first_cells(baseline)) == names(BaselineResponse) - names(ResponseFigures)


def test_every_cost_stands_there_with_its_default() -> None:
    text = (DOCS / "response.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d.]+) \|", text, re.MULTILINE))
    assert {name: float(value) for name, value in rows.items()} == {
        field.name: float(getattr(ResponseCosts(), field.name)) for field in fields(ResponseCosts)
    }


def test_every_baseline_and_the_protocols_numbers_are_told() -> None:
    text = (DOCS / "response.md").read_text(encoding="utf-8")
    for name in RESPONSE_BASELINES:
        assert f"`{name}`" in text
    assert (FOLDS, CANDIDATES) == (4, 24)
    assert "**four folds**" in text
    assert f"{CANDIDATES} candidates" in text
