"""The schema of metrics.jsonl, and the documentation of both records."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from custodes.errors import CustodesError
from custodes.evaluate.evaluation import Baseline, Curve, DecisionCounts, Evaluation, PartSummary
from custodes.evaluate.response.schema import ShieldRecord
from custodes.evaluate.rules.schema import SpecRecord
from custodes.evaluate.run_schema import (
    METRICS_KEYS,
    SpecLine,
    decode_line,
    from_json_number,
    read_metrics,
    to_json_number,
    validate_line,
)

DESIGN_KEYS = {"iteration", "decisions", "value_loss", "value_loss_floor", "explained_variance", "ratio_error", "kl"}
DESIGN_KEYS |= {"explained_variance_mc", "policy_loss", "entropy", "clip_fraction", "reward_per_decision", "tp", "fp"}
DESIGN_KEYS |= {"tn", "fn", "f1", "eval_f1", "stl_satisfied", "steps_per_second", "seconds"}
DOCS = Path(__file__).parents[2] / "docs" / "run-folder.md"


def line(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(DESIGN_KEYS, 0.5)
    values |= {"iteration": 1, "decisions": 8192, "tp": 1, "fp": 2, "tn": 3, "fn": 4, "stl_satisfied": None}
    return values | changes


def test_the_keys_of_the_design_are_required() -> None:
    assert set(METRICS_KEYS) >= DESIGN_KEYS
    validate_line(line())
    for key in DESIGN_KEYS:
        short = {name: value for name, value in line().items() if name != key}
        with pytest.raises(CustodesError, match=key):
            validate_line(short)
        with pytest.raises(CustodesError, match=key):
            decode_line(json.dumps(short))


def test_further_keys_are_optional_and_checked() -> None:
    full = line(
        entropy_per_agent=[1.0, None],
        action_shares=[[0.7, 0.1, 0.1, 0.1], [1, 0, 0, 0]],
        grad_norm=[0.1, "inf"],
        learning_rate=1e-3,
        value_loss_update=0.5,
        eval_precision=None,
    )
    assert decode_line(json.dumps(full), strict=True) == validate_line(full)
    with pytest.raises(CustodesError, match="action_shares"):
        validate_line(line(action_shares=[[0.5, 0.5]]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"iteration": -1}, "iteration"),
        ({"iteration": 1.5}, "iteration"),
        ({"kl": "large"}, "kl"),
        ({"tp": -3}, "tp"),
        ({"value_loss_update": "much"}, "value_loss_update"),
    ],
)
def test_wrong_values_are_one_line(change: dict[str, Any], says: str) -> None:
    with pytest.raises(CustodesError, match=says) as caught:
        decode_line(json.dumps(line(**change)), where="metrics.jsonl: line 3")
    assert str(caught.value).startswith("metrics.jsonl: line 3: ")
    assert "\n" not in str(caught.value)
    with pytest.raises(CustodesError, match=says):
        validate_line(line(**change))


def test_undocumented_keys_are_refused_from_us_and_let_pass_from_others() -> None:
    strange = line(colour="blue")
    assert decode_line(json.dumps(strange)).iteration == 1
    with pytest.raises(CustodesError, match="undocumented key colour"):
        decode_line(json.dumps(strange), strict=True)
    with pytest.raises(CustodesError, match="undocumented key colour"):
        validate_line(strange)


@pytest.mark.parametrize(("value", "text"), [(1.5, 1.5), (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, None)])
def test_numbers_that_json_lacks(value: float, text: object) -> None:
    assert to_json_number(value) == text
    back = from_json_number(to_json_number(value))
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert to_json_number(None) is None
    assert from_json_number(None) != from_json_number(None)


def test_a_file_is_read_in_order_and_a_cut_last_line_left_out(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    texts = [json.dumps(line(iteration=i, seconds=float(s))) for i, s in ((1, 0), (2, 1), (2, 5), (3, 6))]
    file.write_text("\n".join(texts) + "\n" + texts[0][:40])
    got = read_metrics(file)
    assert [(row.iteration, row.seconds) for row in got] == [(1, 0.0), (2, 5.0), (3, 6.0)]
    file.write_text("")
    assert read_metrics(file) == ()
    file.write_text(texts[0][:40])
    assert read_metrics(file) == ()


def test_broken_and_missing_files_are_one_line(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    with pytest.raises(CustodesError, match=r"metrics\.jsonl: cannot read it: no such file"):
        read_metrics(file)
    file.write_text(json.dumps(line()) + "\nnonsense\n")
    with pytest.raises(CustodesError, match=r"metrics\.jsonl: line 2: no line of metrics"):
        read_metrics(file)
    file.write_bytes(json.dumps(line()).encode() + b'\n{"iteration": "\xff"}\n')
    with pytest.raises(CustodesError, match=r"metrics\.jsonl: line 2: no line of metrics"):
        read_metrics(file)


def documented(heading: str) -> set[str]:
    """Keys in the first column of the tables below a second-level heading of the documentation."""
    text = DOCS.read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    cells = re.findall(r"^\| (`[^|]*`) \|", section[1], re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}


def test_every_entry_of_a_rule_is_documented() -> None:
    entries = re.findall(r"^\| \*(\w+)\* \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert entries == [field.name for field in msgspec.structs.fields(SpecLine)]
    specs = {"r": dict.fromkeys(entries, 0.5) | {"triggered": 3, "trained": True}}
    assert validate_line(line(specs=specs)).specs is not None
    for wrong in ({"triggered": -1}, {"trained": 0.5}, {"multiplier": "much"}):
        with pytest.raises(CustodesError, match="specs"):
            validate_line(line(specs={"r": specs["r"] | wrong}))


def test_every_key_is_documented_and_nothing_else() -> None:
    assert documented("metrics.jsonl") == set(METRICS_KEYS)
    nested: dict[str, type[msgspec.Struct]] = {
        "baselines.NAME": Baseline,
        "pr_curve": Curve,
        "decision_counts": DecisionCounts,
        "split_summary.PART": PartSummary,
        "stl.SPEC": SpecRecord,
        "shield": ShieldRecord,
    }
    wanted = {field.name for field in msgspec.structs.fields(Evaluation)}
    shared = {field.name for field in msgspec.structs.fields(Evaluation)} & {
        field.name for field in msgspec.structs.fields(Baseline)
    } - {"seconds"}
    for prefix, kind in nested.items():
        names = {field.name for field in msgspec.structs.fields(kind)}
        wanted |= {f"{prefix}.{name}" for name in names - (shared if kind is Baseline else set())}
    assert documented("evaluation-SPLIT.json") == wanted
