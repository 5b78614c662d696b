from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from custodes.evaluate import decode_evaluation, read_evaluation
from tests.cli.conftest import SMALL_FLAGS, Unchanged, custodes
from tests.cli.test_bad_input import TRAIN, recording

ONE_ACTION = {"allow", "alert-all", "quarantine-all", "block-all"}
BASELINES = {*ONE_ACTION, "random", "event-kind", "trees", "trees-context", "oracle"}


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
    assert any("not the recording that the team was trained on" in line for line in json.loads(done.out)["warnings"])
    assert custodes("evaluate", a_run, "--data", other, "--baselines", "none", "--out", out).code == 0
    assert read_evaluation(out).dataset == "other.parquet"
    check()


def test_a_report_page(a_run: Path) -> None:
    custodes("evaluate", a_run, "--baselines", "allow")
    done = custodes("report", a_run)
    assert (done.code, done.out, done.err) == (0, f"Written to {a_run / 'report.html'}\n", "")
    assert "<html" in (a_run / "report.html").read_text()
    assert json.loads(custodes("report", a_run, "--json").out) == {"report": str(a_run / "report.html")}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--baselines", "foo"], "unknown baseline foo"),
        (["--out", "missing/x.json"], "cannot write it"),
        (["--shield", "missing.toml"], "missing.toml: cannot be read"),
    ],
)
def test_what_is_refused_is_refused_before_the_play(
    a_run: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], line: str
) -> None:
    def play(*args: object, **kwargs: object) -> None:
        raise AssertionError("the data was loaded first")

    monkeypatch.setattr("custodes.train.scoring.workload_of", play)
    assert line in custodes("evaluate", a_run, *flags).refusal


def test_inputs_of_history_alone_are_evaluated(tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ["--set", "train.iterations=1", "--set", 'data.groups=["timing"]']
    assert custodes("train", "--out", run, *SMALL_FLAGS, *flags).code == 0
    done = custodes("evaluate", run, "--baselines", "trees,trees-context", "--json")
    assert done.code == 0, done.err
    assert "every score is the same" in decode_evaluation(done.out).baselines["trees"].note


def test_malformed_lines_are_told_and_kept_in_the_run(tmp_path: Path) -> None:
    path, run = tmp_path / "events.jsonl", tmp_path / "runs" / "run"
    lines = recording().write_ndjson().splitlines()
    path.write_text("\n".join([*lines[:5], "oops", *lines[5:], "oops"]) + "\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "run.rejects.jsonl").write_text("mine")
    done = custodes(*TRAIN, "--data", path, "--out", run)
    assert done.code == 0, done.err
    assert done.err.count(f"Note: 2 malformed lines left out (kept in {run / 'rejects.jsonl'})\n") == 1
    assert [json.loads(line)["line"] for line in (run / "rejects.jsonl").read_text().splitlines()] == [6, 2002]
    assert (tmp_path / "runs" / "run.rejects.jsonl").read_text() == "mine"
    played = custodes("evaluate", run, "--baselines", "none", "--json")
    assert (played.code, played.err) == (0, "Note: 2 malformed lines left out.\n")
    assert "2 malformed lines of the recording left out" in decode_evaluation(played.out).warnings
    path.write_text("\n".join([*lines, *["oops"] * 50]) + "\n")
    beside = tmp_path / "runs" / "other.rejects.jsonl"
    assert (
        f"see the malformed lines in {beside}"
        in custodes(*TRAIN, "--data", path, "--out", beside.with_name("other")).refusal
    )
    assert len(beside.read_text().splitlines()) == 50


def test_the_attack_table(a_run: Path) -> None:
    done = custodes("evaluate", a_run, "--baselines", "none", "--attack", "collude", "--byzantine", "1")
    assert (done.code, done.err) == (0, "")
    assert "Under attack: n = 2, f = 0" in done.out
    found = read_evaluation(a_run / "evaluation-test.json").bft
    assert found is not None
    assert (found.byzantine, found.attack) == (1, "collude")
    assert {(row.rule, row.attack, row.byzantine) for row in found.table if row.rule == "severity"} == {
        ("severity", None, 0),
        ("severity", "collude", 1),
    }


def test_under_a_shield_the_results_lie_beside(a_run: Path, tmp_path: Path) -> None:
    assert custodes("evaluate", a_run, "--baselines", "none").code == 0
    plain = (a_run / "evaluation-test.json").read_bytes()
    assert b"shield" not in plain
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[spec]]\nname = "peace"\nformula = "always (not contain)"\ntags = ["hard"]\n'
        '[[spec]]\nname = "truth"\nformula = "always (innocent -> not contain)"\ntags = ["hard", "label"]\n'
    )
    done = custodes("evaluate", a_run, "--baselines", "none", "--shield", rules)
    assert (done.code, done.err) == (0, "Note: rule truth is not watched: it reads the true label.\n")
    assert "Shield: " in done.out
    assert done.out.splitlines()[-1] == f"Written to {a_run / 'evaluation-test-shielded.json'}"
    found, before = read_evaluation(a_run / "evaluation-test-shielded.json"), decode_evaluation(plain)
    assert found.shield
    assert found.response is not None
    assert before.response is not None
    assert (found.shield.specs, found.shield.unavoidable) == (str(rules), 0)
    assert found.shield.by_rule.keys() == {"peace"}
    assert found.shield.left_out == {"truth": "it reads the true label"}
    assert found.shield.decisions == before.response.events
    assert len(found.shield.interventions) == min(found.shield.replaced, 20)
    assert (found.response.false_blocks, found.response.false_quarantines) == (0, 0)
    assert any("under a shield" in line for line in found.warnings)
    # What is said of events is of the votes.
    assert (found.tp, found.fp) == (before.tp, before.fp)
    assert (a_run / "evaluation-test.json").read_bytes() == plain


def test_the_attack_table_tells_of_the_worst_liars_against_the_shield(a_run: Path) -> None:
    flags = ["--attack", "collude", "--byzantine", "1", "--shield", "default", "--json"]
    done = custodes("evaluate", a_run, "--baselines", "none", *flags)
    assert done.code == 0, done.err
    found = decode_evaluation(done.out)
    assert found.bft is not None
    assert "the attack table is of the votes" in found.bft.notes[0]
    assert found.response is not None
    for row in found.bft.table:
        assert bool(row.shielded) == (row.rule == "severity")
    clean, lied = (row.shielded for row in found.bft.table if row.shielded)
    assert clean.score == found.response.score
    assert clean.malicious_prevented == found.response.malicious_prevented
    assert clean.false_containments_per_1000 == found.response.false_containments_per_1000
    assert clean.unchanged == 1.0 >= lied.unchanged
    assert "The same with the shield" in custodes("evaluate", a_run, *flags[:-1], "--baselines", "none").out
    assert found.shield
    assert found.shield.by_rule.keys() == {"evidence-before-containment", "alert-load"}


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--attack", "bribe"], "unknown attack bribe"),
        (["--attack", "traitor"], "custodes train --traitor"),
        (["--byzantine", "3"], "3 of 2 agents cannot lie"),
    ],
)
def test_attacks_that_cannot_be_played_are_refused_at_once(
    a_run: Path, unchanged: Callable[[Path], Unchanged], flags: list[str], line: str
) -> None:
    check = unchanged(a_run)
    assert line in custodes("evaluate", a_run, *flags).refusal
    check()


def test_a_traitor_is_trained_by_its_own_flag(a_run: Path) -> None:
    flags = ["--set", "traitor.decisions=300", "--set", "traitor.hidden=8"]
    done = custodes("train", "--traitor", a_run, *flags)
    assert (done.code, done.out) == (0, f"{a_run / 'traitor.safetensors'}\n")
    played = custodes("evaluate", a_run, "--baselines", "none", "--attack", "traitor", "--json")
    assert played.code == 0, played.err
    assert json.loads(played.out)["bft"]["notes"]
    too_many = custodes("evaluate", a_run, "--attack", "traitor", "--byzantine", "2")
    assert "trained for up to 1 liars, not 2" in too_many.refusal
    assert "leave out --preset" in custodes("train", "--traitor", a_run, "--preset", "quick").refusal
    assert "unknown setting" in custodes("train", "--traitor", a_run, "--set", "rl.gamma=0").refusal


def test_a_run_that_does_not_act_has_no_shield(tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = ["--set", "train.iterations=1", "--set", "env.task=triage"]
    assert custodes("train", "--out", run, *SMALL_FLAGS, *flags).code == 0
    assert "this run does not act" in custodes("evaluate", run, "--shield", "default").refusal
