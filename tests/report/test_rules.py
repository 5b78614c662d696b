"""The rules section: there when a run has rules, with the figures of its files, and silent about what was not shown."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import msgspec
import pytest

from custodes.evaluate.evaluation import Evaluation, decode_evaluation, encode_evaluation
from custodes.evaluate.rules.schema import SpecEvidence, SpecRecord
from custodes.report import write_report
from custodes.report.files import read_run
from custodes.report.rules import RULE_HEADS, outcome, rules_of
from tests.report.runs import config, evaluation, metrics_text
from tests.report.test_page import Balance

KEPT = SpecRecord(
    feasible=True,
    triggered=40,
    satisfied=39,
    satisfied_rate=0.975,
    robustness_min=-3.0,
    robustness_mean=8.0,
    allowed=0.05,
    processes=21,
    label=False,
    evidence={"oracle": SpecEvidence(triggered=44, satisfied_rate=1.0)},
)
MISSED = msgspec.structs.replace(KEPT, satisfied=30, satisfied_rate=0.75, label=True)
HOPELESS = msgspec.structs.replace(
    MISSED,
    feasible=False,
    evidence={
        "allow": SpecEvidence(triggered=0, satisfied_rate=None),
        "oracle": SpecEvidence(triggered=1044, satisfied_rate=0.5),
        "trees": SpecEvidence(triggered=12, satisfied_rate=0.8125),
    },
)
SILENT = msgspec.structs.replace(
    KEPT,
    feasible=False,
    triggered=0,
    satisfied=0,
    satisfied_rate=None,
    robustness_min=None,
    robustness_mean=None,
    processes=0,
    evidence={"oracle": SpecEvidence(triggered=0, satisfied_rate=None)},
)
STL = {"calm": KEPT, "quick <to act>": MISSED, "hopeless": HOPELESS, "silent": SILENT}


def ruled() -> Evaluation:
    """An evaluation of a team under four rules."""
    return msgspec.structs.replace(decode_evaluation(evaluation("test", ("allow",))), stl=STL)


def spec_line(satisfied: float | None, multiplier: float | None, **more: Any) -> dict[str, Any]:
    """One rule in one iteration."""
    return {
        "triggered": 0 if satisfied is None else 31,
        "satisfied": satisfied,
        "robustness": None if satisfied is None else satisfied * 4,
        "cost": 0.02,
        "target": 0.025,
        "multiplier": multiplier,
        "trained": True,
        **more,
    }


def ruled_metrics(*, method: str = "lagrangian") -> str:
    """`metrics.jsonl` of eight iterations under four rules."""
    lines = [json.loads(line) for line in metrics_text(8).splitlines()]
    for place, line in enumerate(lines):
        steered = method == "lagrangian"
        line["specs"] = {
            "calm": spec_line(0.5 + 0.05 * place, 0.25 * place if steered else None),
            "quick <to act>": spec_line(
                None if place == 2 else 0.75, 0.5 if steered else None, eval_satisfied=0.875 if place == 7 else None
            ),
            "hopeless": spec_line(0.25, 0.0 if steered else None, trained=False),
            "silent": spec_line(None, 0.0 if steered else None),
        }
    return "".join(json.dumps(line) + "\n" for line in lines)


def make_ruled_run(folder: Path, *, method: str = "lagrangian", judged: bool = True) -> Path:
    """A run folder with rules; the folder must not exist."""
    folder.mkdir()
    rules = f'\n[rules]\nfile = "default"\nmethod = "{method}"\ntighten = 0.5\n'
    (folder / "config.toml").write_text(config() + rules, encoding="utf-8")
    (folder / "metrics.jsonl").write_text(ruled_metrics(method=method), encoding="utf-8")
    if judged:
        (folder / "evaluation-test.json").write_bytes(encode_evaluation(ruled()))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_ruled_run(tmp_path_factory.mktemp("runs") / "ruled")


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_the_page_stays_well_formed(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.refers) <= set(parser.ids)
    assert {"rules", "c-multipliers-0-t", "c-rule-0-t", "c-rule-1-d"} <= set(parser.ids)
    assert "quick &lt;to act&gt;" in page
    assert "<to act>" not in page


def test_a_run_without_rules_has_no_section(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.toml").write_text(config(), encoding="utf-8")
    (folder / "metrics.jsonl").write_text(metrics_text(4), encoding="utf-8")
    (folder / "evaluation-test.json").write_bytes(evaluation("test", ("allow",)))
    assert rules_of(read_run(folder)) is None
    page = write_report(folder).read_text(encoding="utf-8")
    assert 'id="rules"' not in page
    assert "#rules" not in page


def test_the_table_holds_the_figures_of_the_record(run: Path, page: str) -> None:
    section = rules_of(read_run(run))
    assert section is not None
    (table,) = section.tables
    rows = {row.name: dict(zip(RULE_HEADS, row.cells, strict=True)) for row in table.rows}
    assert rows["calm"] == {
        "windows": "40",
        "processes": "21",
        "satisfied": "39",
        "share": "0.975",
        "wanted": "0.950",
        "least robustness": "-3",
        "feasible": "yes",
        "outcome": "kept",
    }
    assert [rows[name]["outcome"] for name in STL] == ["kept", "missed", "missed", "not shown"]
    assert [rows[name]["feasible"] for name in STL] == ["yes", "yes", "no", "not shown"]
    assert rows["silent"]["share"] == "not shown"
    assert rows["silent"]["least robustness"] == "n/a"
    assert [row.label for row in table.rows] == [False, True, True, False]
    assert table.sentence == (
        "of 3 rules with windows the team keeps 1, and misses quick <to act>, hopeless. "
        "Not shown, as no window came up: silent."
    )
    assert '<th scope="row">hopeless (label)</th><td>40</td>' in page


def test_evidence_stands_beside_what_nobody_keeps_and_beside_nothing_else(run: Path, page: str) -> None:
    section = rules_of(read_run(run))
    assert section is not None
    told = "trees 0.812 of 12, oracle 0.500 of 1,044, allow has no window"
    assert section.tables[0].infeasible == (("hopeless", told),)
    assert f"<b>hopeless</b>: no policy tried keeps it. Satisfied share of its windows: {told}." in page


def test_the_outcome_is_what_the_rule_allows() -> None:
    exactly = msgspec.structs.replace(KEPT, satisfied=38, satisfied_rate=0.95)
    assert (outcome(exactly), outcome(msgspec.structs.replace(exactly, satisfied_rate=0.9499))) == ("kept", "missed")
    assert outcome(SILENT) == "not shown"


def test_no_rule_with_a_window_is_said(tmp_path: Path) -> None:
    run = make_ruled_run(tmp_path / "run")
    quiet = msgspec.structs.replace(ruled(), stl={"silent": SILENT})
    (run / "evaluation-test.json").write_bytes(encode_evaluation(quiet))
    assert "On test: no rule had a window. Not shown, as no window came up: silent." in write_report(run).read_text()


def test_charts_of_training_are_drawn_and_named(run: Path, page: str) -> None:
    section = rules_of(read_run(run))
    assert section is not None
    assert [figure.title for figure in section.figures] == ["Multipliers", "calm", "quick <to act>", "hopeless"]
    assert section.undrawn == ("silent",)
    assert section.unsteered == ""
    assert "Not shown in training, as no window came up: silent." in page
    for figure in section.figures:
        root = ET.fromstring(str(figure.chart))
        assert root.findtext("title") == figure.title
        assert root.findtext("desc")
        assert "nan" not in re.sub(r"<(title|desc).*?</\1>", "", str(figure.chart))


def test_before_an_evaluation_there_are_charts_and_no_table(tmp_path: Path) -> None:
    run = make_ruled_run(tmp_path / "run", judged=False)
    section = rules_of(read_run(run))
    assert section is not None
    assert section.tables == ()
    # What is wanted is then known from what training aims at: 0.025 at half of what is allowed.
    assert "at least 0.950 is wanted" in section.figures[1].about
    assert "How the rules held" not in write_report(run).read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["penalty", "watch"])
def test_without_multipliers_it_says_why(tmp_path: Path, method: str) -> None:
    page = write_report(make_ruled_run(tmp_path / "run", method=method)).read_text(encoding="utf-8")
    assert f"There are no multipliers with rules.method = {method}." in page
    assert "c-multipliers" not in page
