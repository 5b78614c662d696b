"""`custodes doctor` on a known case and on other trainers' logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from custodes.doctor.origin import DEFECTS
from tests.cli.conftest import custodes
from tests.doctor.foreign.test_reading import LOGS
from tests.doctor.origin.recording import SETTINGS, small_recording

MUST = (
    "ratio-broadcast",
    "return-unpredictable",
    "start-state-mismatch",
    "input-ceiling",
    "consensus-f0",
    "spec-always-violated",
    "label-is-a-rule",
    "metric-window",
)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small recording, and settings that fit it."""
    monkeypatch.setattr("custodes.doctor.origin.OriginSettings", lambda: SETTINGS)
    return small_recording(tmp_path)


@pytest.mark.slow
def test_the_case_is_one_json_object(small: Path) -> None:
    done = custodes("doctor", "--case", "origin", "--data", small, "--fix", "metric-window", "--json")
    assert done.code == 0
    assert done.err.startswith("Training the original on small.parquet: 6 iterations of 512 records.\n")
    printed = json.loads(done.out)
    assert set(printed) == {"findings", "not_examined", "training"}
    assert {finding["name"] for finding in printed["findings"]} == set(DEFECTS) - {"metric-window"}
    assert printed["training"]["name"] == "without metric-window"


@pytest.mark.slow
def test_the_case_is_words_for_people(small: Path) -> None:
    done = custodes("doctor", "--case", "origin", "--data", small, "--no-table")
    assert done.code == 0
    assert "critical: ratio-broadcast (from iteration 1)\n" in done.out
    assert "as published" in done.out
    assert "What each fix buys" not in done.out


@pytest.mark.slow
def test_the_original_is_named_defect_by_defect(shared_data: Path) -> None:
    done = custodes("doctor", "--case", "origin", "--data", shared_data, "--json")
    printed = json.loads(done.out)
    assert set(MUST) <= {finding["name"] for finding in printed["findings"]} == set(DEFECTS)
    training = printed["training"]
    assert training["value_loss"] == pytest.approx(1.0, abs=0.005)
    assert training["explained_variance"] == pytest.approx(0.0, abs=0.005)
    assert training["entropy"] > 1.37
    assert (training["tp"], training["fp"]) == (0, 0)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--case", "nope"], "--case: no case 'nope'; choose origin"),
        (["--case", "origin", "--fix", "nope"], "--fix: no defect 'nope'; choose one of ratio-broadcast"),
        (["--case", "origin", "run"], "run: a run and --case exclude each other; leave one out"),
        (["--case", "origin"], "no recording darpa-tc-e5-trace.parquet"),
        ([], "custodes doctor: nothing to look at; name a run, or --case origin"),
        (["run", "--fix", "ratio-broadcast"], "--fix, --data, --table and --published need --case; leave them out"),
    ],
)
def test_bad_usage_is_one_line(args: list[str], message: str) -> None:
    assert message in custodes("doctor", *args).refusal


def test_a_recording_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"no parquet")
    assert "x.parquet" in custodes("doctor", "--case", "origin", "--data", path).refusal


def test_a_foreign_log_is_read() -> None:
    done = custodes("doctor", LOGS / "value-clip", "--json")
    assert done.code == 0
    assert done.err == "A log of Stable-Baselines3: 63 iterations.\n"
    assert [finding["name"] for finding in json.loads(done.out)["findings"]] == ["value-clip"]
    assert "Nothing fired over 63 iterations." in custodes("doctor", LOGS / "healthy").out


def test_a_log_that_cannot_be_understood_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("step,height\n1,2\n")
    assert "no log of a trainer that is known here (tags: height" in custodes("doctor", path).refusal
