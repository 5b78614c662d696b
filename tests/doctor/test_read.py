"""From a run folder to signals, whole or not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from custodes.doctor import Facts, diagnose
from custodes.doctor.read import read_run
from custodes.doctor.schema import DIAGNOSTICS, SAMPLE, SESSIONS
from custodes.errors import CustodesError


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


def test_a_run_is_read_whole(run: Path) -> None:
    signals = read_run(run)
    assert signals.iterations == (1, 2, 3, 4)
    facts = signals.facts
    assert (facts.agents, facts.tolerated, facts.per_iteration, facts.planned_iterations) == (4, 1, 256, 4)
    assert facts.sessions is not None
    assert len(facts.sessions) == 1
    assert signals["threats"].tolist() == (signals["tp"] + signals["fn"]).tolist()
    np.testing.assert_array_equal(signals["ratio_elements"], 1.0)
    np.testing.assert_array_equal(signals["reward_mismatch"], 0.0)
    np.testing.assert_array_equal(signals["outside_draws"], 0.0)
    np.testing.assert_array_equal(signals["target_error"][:3], 0.0)
    assert (np.abs(signals["vote_surprise"]) < 6.0).all()
    np.testing.assert_array_equal(signals["parameters_mark_before"][1:], signals["parameters_mark_after"][:-1])
    assert not [finding for finding in diagnose(signals).findings if finding.severity == "critical"]


def test_a_run_without_a_record_is_read_by_its_metrics(run: Path) -> None:
    for name in (DIAGNOSTICS, SESSIONS, SAMPLE):
        (run / name).unlink()
    signals = read_run(run, Facts(gamma=0.5))
    assert signals.facts == Facts(gamma=0.5)
    assert "ratio_elements" not in signals.series
    missing = {part.name: part.missing for part in diagnose(signals).not_examined}
    assert missing["consensus"] == ("facts.agents", "facts.tolerated")


def test_a_cut_last_line_does_not_count(run: Path) -> None:
    file = run / DIAGNOSTICS
    file.write_bytes(file.read_bytes() + b'{"iteration": 5, "ratio')
    assert read_run(run).iterations == (1, 2, 3, 4)


@pytest.mark.parametrize(("name", "text"), [(DIAGNOSTICS, "[]"), (SESSIONS, "{}"), (DIAGNOSTICS, "{not json")])
def test_a_bad_line_is_named(run: Path, name: str, text: str) -> None:
    (run / name).write_text(text + "\n")
    with pytest.raises(CustodesError, match=f"{name}: line 1: "):
        read_run(run)


def test_a_session_that_lacks_a_key_is_refused(run: Path) -> None:
    (run / SESSIONS).write_text('{"iteration": 0}\n')
    with pytest.raises(CustodesError, match="no line of sessions"):
        read_run(run)


def test_a_damaged_sample_is_refused(run: Path) -> None:
    (run / SAMPLE).write_bytes(b"damaged")
    with pytest.raises(CustodesError, match="no sample of inputs"):
        read_run(run)


def test_no_run_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match="no metrics here"):
        read_run(tmp_path)
