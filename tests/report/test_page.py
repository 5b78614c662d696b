"""The page as a whole: complete, self-contained, honest about what is missing, one line for what is broken."""

from __future__ import annotations

import html.parser
import json
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from custodes.errors import CustodesError
from custodes.report import write_report
from tests.report.runs import config, evaluation, make_run, metrics_text

NAMES = ("allow", "random", "event-kind", "trees")
VOID = {"meta", "link", "br", "hr"}


class Balance(html.parser.HTMLParser):
    """Every element that opens closes, in order; ids are unique; what is referred to exists."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name == "aria-labelledby" and value:
                self.refers += value.split()
            if name == "href" and value and value.startswith("#"):
                self.refers.append(value[1:])
            if name in ("src", "href", "srcset", "data", "action") and value and not value.startswith(("#", "data:")):
                self.loads.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "first", iterations=60, names=NAMES)


@pytest.fixture(scope="module")
def page(run: Path) -> str:
    return write_report(run).read_text(encoding="utf-8")


def small(folder: Path) -> Path:
    """The least that is a run."""
    folder.mkdir()
    (folder / "config.toml").write_text(config(), encoding="utf-8")
    return folder


def test_the_page_is_well_formed_and_loads_nothing(page: str) -> None:
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert set(parser.refers) <= set(parser.ids)
    assert parser.loads == []
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_every_drawing_is_well_formed_and_named(page: str) -> None:
    charts = re.findall(r'<svg class="chart".*?</svg>', page, re.DOTALL)
    assert len(charts) >= 14
    for chart in charts:
        root = ET.fromstring(chart)
        assert root.findtext("title")
        assert root.findtext("desc")
        assert "nan" not in re.sub(r"<(title|desc).*?</\1>", "", chart)


def test_everything_asked_for_is_there(page: str) -> None:
    for text in ("Value loss", "its floor", "Explained variance", "of Monte Carlo returns", "Reward per decision", "F1",
                 "Entropy per agent", "KL divergence", "Clip fraction", "Ratio error", "Gradient norm", "Speed",
                 "Precision against recall", "Confusion matrix", "Team and baselines", "event-kind",
                 "Votes of each agent", "rl", "learning_rate", "cross-fitted by lane", "label-rule"):  # fmt: skip
        assert text in page
    assert "Not measured in this run: Rules satisfied." in page


def test_texts_of_the_run_are_escaped(page: str) -> None:
    assert "made-up &lt;data&gt;" in page
    assert "&lt;almost&gt;" in page
    assert "<data>" not in page
    assert "<almost>" not in page


def test_numbers_are_those_of_the_files(run: Path, page: str) -> None:
    record = json.loads((run / "evaluation-test.json").read_text(encoding="utf-8"))
    assert f"<b>{record['f1']:.3f}</b>" in page
    assert f'<td class="hit">{record["tp"]:,}</td><td>{record["fn"]:,}</td>' in page
    row = record["baselines"]["trees"]
    assert f"<td>{row['f1']:.3f}</td><td>{row['precision']:.3f}</td>" in page


def test_the_same_files_give_the_same_page(run: Path, page: str) -> None:
    assert write_report(run).read_text(encoding="utf-8") == page
    assert [path.name for path in run.iterdir() if path.name.endswith(".part")] == []


def test_missing_parts_are_said_to_be_missing(tmp_path: Path) -> None:
    page = write_report(small(tmp_path / "run")).read_text(encoding="utf-8")
    assert "has not been evaluated" in page
    assert "no curves" in page
    assert "holds no audit" in page
    assert '<svg class="chart"' not in page


def test_values_that_are_not_there_are_gaps(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    lines = [json.loads(line) for line in metrics_text(5).splitlines()]
    for line in lines:
        line |= {"value_loss": None, "kl": "inf", "f1": None, "eval_f1": None}
        del line["grad_norm"], line["entropy_per_agent"]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    page = write_report(run).read_text(encoding="utf-8")
    for title in ("KL divergence", "F1", "Gradient norm per agent", "Entropy per agent"):
        assert title in page[page.index("Not measured in this run") :].split("</p>")[0]
    assert "missing or not finite in 5 of 5 iterations" in page


def test_one_iteration_is_enough(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    (run / "metrics.jsonl").write_text(metrics_text(1), encoding="utf-8")
    assert "Value loss" in write_report(run).read_text(encoding="utf-8")


def test_a_split_without_threats_has_no_curve(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    record = json.loads(evaluation("test", ("allow",)))
    for row in (record, record["baselines"]["allow"]):
        row |= {"decisions": row["fp"] + row["tn"], "threats": 0, "tp": 0, "fn": 0, "recall": None}
        row |= {"pr_auc": None, "auroc": None}
    record |= {"pr_curve": None, "f1": None}
    (run / "evaluation-test.json").write_text(json.dumps(record), encoding="utf-8")
    page = write_report(run).read_text(encoding="utf-8")
    assert "No threat among the scored events" in page
    assert "n/a" in page


def broken(run: Path, name: str, content: bytes) -> str:
    (run / name).write_bytes(content)
    with pytest.raises(CustodesError) as caught:
        write_report(run)
    (run / name).unlink()
    line = str(caught.value)
    assert name in line
    assert "\n" not in line
    return line


def test_broken_files_are_one_line_and_the_old_page_stays(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    before = write_report(run).read_bytes()
    assert "line 1" in broken(run, "metrics.jsonl", b"{}\n")
    assert "line 1" in broken(run, "metrics.jsonl", b"\xff\n")
    assert "no evaluation" in broken(run, "evaluation-test.json", b"{")
    assert "no audit" in broken(run, "audit.json", b'{"findings": 3}')
    assert "no audit" in broken(run, "audit.json", b"\xff")
    assert "not valid TOML" in broken(run, "config.toml", b"a = ")
    assert (run / "report.html").read_bytes() == before


def test_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match="no such folder; name the folder of a run"):
        write_report(tmp_path / "nothing")
    with pytest.raises(CustodesError, match=r"config\.toml: cannot read it: no such file"):
        write_report(tmp_path)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_no_permission_is_one_line(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    run.chmod(0o555)
    try:
        with pytest.raises(CustodesError, match=r"report\.html: cannot write it"):
            write_report(run)
    finally:
        run.chmod(0o755)


def test_a_page_that_cannot_be_replaced_is_one_line(tmp_path: Path) -> None:
    run = small(tmp_path / "run")
    (run / "report.html").mkdir()
    with pytest.raises(CustodesError, match=r"report\.html: cannot write it"):
        write_report(run)
