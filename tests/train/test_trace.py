"""The main job on the real recording, at a small size: the original's splits, no look at the label's rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from custodes.data import load, split
from custodes.train.loop import train
from custodes.train.presets import load_preset
from custodes.train.scoring import evaluate_run, load_team, workload_of


def recording(shared_data: Path) -> Path:
    return shared_data / "darpa-tc-e5-trace.parquet"


def test_splits_have_the_sizes_and_rates_of_the_original(shared_data: Path) -> None:
    config = replace(load_preset("trace").data, path=str(recording(shared_data)))
    dataset = load(config)
    rows = split(dataset, replace(config, split="rows")).summary(dataset.labels)
    for part, size in (("train", 349_999), ("validation", 75_000), ("test", 75_001)):
        assert abs((rows[part]["records"] or 0) - size) <= 1
        assert round(100 * (rows[part]["rate"] or 0), 2) == pytest.approx(10.93, abs=0.011)
    blocks = split(dataset, replace(config, split="blocks")).summary(dataset.labels)
    assert all(abs((blocks[part]["rate"] or 0) - 0.109268) < 0.005 for part in blocks)


@pytest.mark.slow
def test_shuffling_event_type_changes_no_prediction(shared_data: Path, tmp_path: Path) -> None:
    """The labels are a rule on `event_type`: a team that saw it would only re-learn the rule."""
    settings = [f"data.path={recording(shared_data)}", "train.iterations=3", "rl.hidden=16", "rl.encoder=16"]
    run = train(load_preset("trace", settings), tmp_path / "run")
    events = pl.read_parquet(recording(shared_data))
    mixed = tmp_path / "mixed.parquet"
    events.with_columns(events["event_type"].shuffle(seed=1)).write_parquet(mixed)
    plays = []
    for path in (str(recording(shared_data)), str(mixed)):
        workload = workload_of(run, path)
        team, _ = load_team(run, workload, run.checkpoints / "best.safetensors")
        plays.append(team.play(workload.table, workload.lanes("test")))
    assert np.array_equal(plays[0].votes, plays[1].votes)
    assert np.array_equal(plays[0].score, plays[1].score)
    assert not load(replace(run.config.data, path=str(mixed))).events["kind"].equals(workload_kind(run))


def workload_kind(run: object) -> pl.Series:
    """The recorded kinds, to show that the shuffle did change them."""
    return workload_of(run).dataset.events["kind"]  # type: ignore[arg-type]


@pytest.mark.slow
def test_ppo_alone_passes_the_recurrent_bar_early(shared_data: Path, tmp_path: Path) -> None:
    """Twelve thousandths of the budget: F1 on validation already well above what the columns carry without context."""
    settings = [f"data.path={recording(shared_data)}", "train.decisions=81920", "team.agents=1"]
    run = train(load_preset("trace", settings), tmp_path / "run")
    found = evaluate_run(run, workload_of(run), part="validation", baselines=())
    assert found.f1 is not None
    assert found.f1 > 0.6
