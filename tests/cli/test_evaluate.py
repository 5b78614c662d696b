from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from custodes.evaluate import decode_evaluation, read_evaluation
from tests.cli.conftest import SMALL_FLAGS, Unchanged, custodes

BASELINES = {"allow", "random", "event-kind", "trees", "trees-context"}


def test_json_is_one_object_and_the_file(a_run: Path) -> None:
    done = custodes("evaluate", a_run, "--json")
    assert (done.code, done.err) == (0, "")
    evaluation = decode_evaluation(done.out)
    assert evaluation == read_evaluation(a_run / "evaluation-test.json")
    assert (evaluation.split, evaluation.dataset) == ("test", "synthetic")
    assert set(evaluation.baselines) == BASELINES
    assert evaluation.checkpoint == "checkpoints/best.safetensors"


def test_the_table_for_people(a_run: Path) -> None:
    done = custodes("evaluate", a_run, "--split", "validation", "--baselines", "allow,random", "--checkpoint", "last")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert "validation part" in lines[0]
    assert "checkpoints/last.safetensors" in lines[0]
    assert [line.split()[0] for line in lines[2:5]] == ["team", "allow", "random"]
    assert lines[-1] == f"Written to {a_run / 'evaluation-validation.json'}"
    assert max(map(len, lines[1:5])) <= 80


def test_no_baselines(a_run: Path) -> None:
    assert json.loads(custodes("evaluate", a_run, "--baselines", "none", "--json").out)["baselines"] == {}


def test_unknown_baseline(a_run: Path, unchanged: Callable[[Path], Unchanged]) -> None:
    check = unchanged(a_run)
    assert "tres" in custodes("evaluate", a_run, "--baselines", "tres").refusal
    check()


def test_other_data_leaves_the_results_of_the_run(
    a_run: Path, tmp_path: Path, unchanged: Callable[[Path], Unchanged]
) -> None:
    other, out = tmp_path / "other.parquet", tmp_path / "other.json"
    made = custodes("data", "convert", other, "--preset", "quick", *SMALL_FLAGS[:8], "--set", "data.synthetic.seed=9")
    assert made.code == 0, made.err
    assert custodes("evaluate", a_run, "--baselines", "none").code == 0
    check = unchanged(a_run)
    done = custodes("evaluate", a_run, "--data", other, "--baselines", "none", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["dataset"] == "other.parquet"
    assert custodes("evaluate", a_run, "--data", other, "--baselines", "none", "--out", out).code == 0
    assert read_evaluation(out).dataset == "other.parquet"
    check()


def test_a_report_page(a_run: Path) -> None:
    custodes("evaluate", a_run, "--baselines", "allow")
    done = custodes("report", a_run)
    assert (done.code, done.out, done.err) == (0, f"Written to {a_run / 'report.html'}\n", "")
    assert "<html" in (a_run / "report.html").read_text()
    assert json.loads(custodes("report", a_run, "--json").out) == {"report": str(a_run / "report.html")}
