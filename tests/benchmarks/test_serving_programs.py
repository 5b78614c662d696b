"""The measurements of serving and of conformal bounds run, and say what they say they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import score, stl_conformal
from benchmarks.stl_conformal import SEEN, Trees, calibrated, correlation, covered, flagged, one_per_host
from custodes.stl.parser import parse
from tests.serve.conftest import make_case


def trees(hosts: int, each: int, *, alike: float, seed: int = 0, growth: float = 0.0) -> Trees:
    """Scores that grow at random steps, more alike within a host the larger `alike`."""
    draw = np.random.default_rng(seed)
    own, shared = draw.random((hosts * each, 1)), np.repeat(draw.random((hosts, 1)), each, axis=0)
    rise = 0.3 * (alike * shared + (1 - alike) * own) + growth
    values = 0.1 + rise * np.linspace(0, 1, stl_conformal.LENGTH)
    return Trees(
        score=torch.from_numpy(values)[..., None],
        host=np.repeat(np.arange(hosts), each),
        malicious=np.zeros(hosts * each, dtype=np.bool_),
    )


def test_bounds_cover_other_hosts_and_a_shift_is_flagged() -> None:
    formula = parse(f"always[0,{stl_conformal.LENGTH - 1}](score <= {stl_conformal.LIMIT})")
    draw = np.random.default_rng(1)
    before = one_per_host(trees(300, 3, alike=0.5), draw)
    assert len(before.host) == len(np.unique(before.host)) == 300
    forecaster = calibrated(formula, before, 0)
    assert forecaster.calibration.observed == SEEN
    after = one_per_host(trees(400, 3, alike=0.5, seed=5), draw)
    assert 0.9 < covered(forecaster, after) < 0.99
    assert not flagged(forecaster, after, 0)
    assert flagged(forecaster, one_per_host(trees(400, 3, alike=0.5, seed=5, growth=0.2), draw), 0)
    alike, apart = (correlation(forecaster, trees(200, 4, alike=share)) for share in (1.0, 0.0))
    assert alike == pytest.approx(1.0)
    assert abs(apart) < 0.1


@pytest.mark.slow
def test_the_programs_on_a_small_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = make_case(tmp_path / "run")
    assert stl_conformal.main([str(case.path), "--recordings", "2", "--runs", "2", "--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert set(found["synthetic"]) == {"benign", "malicious", "ok"}
    assert set(found["synthetic"]["benign"]["power"]) == {"scores", "generator"}
    file = tmp_path / "events.jsonl"
    case.workload.dataset.events.head(300).write_ndjson(file)
    assert score.main([str(case.path), str(file), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["events"] == 300
    assert set(measured) == {"events", "entities", "inputs", "observe", "observe_many", "command", "offline"}
    assert score.main([str(tmp_path), str(file)]) == 2
