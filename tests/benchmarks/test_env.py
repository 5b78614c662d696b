from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.env import SLOTS, acting_rarely, blocking_all, main, measure
from benchmarks.env_stage import generated


@pytest.fixture(autouse=True)
def keep_threads() -> Iterator[None]:
    """The benchmark sets one torch thread for its process, which here is the tests'."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_the_generated_recording_is_one_of_process_trees_with_attacks() -> None:
    stage = generated(4000)
    recording = stage.recording()
    assert (recording.forest.parent >= 0).mean() > 0.5
    assert recording.malicious.any()
    assert recording.innocent.mean() > 0.5
    lengths = stage.lanes().length
    assert lengths.sum() == 4000
    assert lengths.max() > 10 * np.median(lengths)
    # Each agent misses about a quarter of the events, and every event reaches three of the four.
    assert (stage.table.row_mask.sum(0) == 3).all()


def test_the_same_seed_makes_the_same_recording() -> None:
    one, other = generated(500, seed=3), generated(500, seed=3)
    assert one.dataset.events.equals(other.dataset.events)
    assert torch.equal(one.table.features, other.table.features)
    assert not one.dataset.events.equals(generated(500, seed=4).dataset.events)


def test_both_games_and_the_replay_are_timed() -> None:
    result = measure(generated(2000), (2, 5), repeats=1, steps=3)
    assert [(row["task"], row["slots"]) for row in result["rows"]] == [
        ("response", 2),
        ("response", 5),
        ("triage", 2),
        ("triage", 5),
    ]
    for row in result["rows"]:
        assert (row["agents"], row["inputs"]) == (4, 64)
        assert row["entity_steps_per_second"] > 0
        assert row["microseconds_per_step"] > 0
    assert [(row["policy"], row["events"]) for row in result["replay"]] == [
        ("one-percent", 500),
        ("block-all", 500),
        ("one-percent", 2000),
        ("block-all", 2000),
    ]
    assert all(row["events_per_cpu_second"] > 0 for row in result["replay"])


def test_policies_act_as_they_say() -> None:
    rare = acting_rarely(50_000)
    assert (rare > 0).mean() == pytest.approx(0.01, rel=0.2)
    assert set(rare.tolist()) == {0, 1, 2, 3}
    assert set(blocking_all(9).tolist()) == {3}


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--events", "800", "--slots", "4", "--steps", "2", "--repeats", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["events"] == 800
    assert len(result["rows"]) == 2
    assert 1024 in SLOTS


def test_the_table_has_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--events", "800", "--slots", "4", "--steps", "2", "--repeats", "1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 + 4


def test_a_file_is_played_with_its_own_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.parquet"
    generated(3000).dataset.events.write_parquet(path)
    assert main(["--json", "--data", str(path), "--slots", "4", "--steps", "2", "--repeats", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["events"] == 3000
    assert result["rows"][0]["agents"] == 4


def test_a_file_that_is_not_there_is_one_line_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", "nowhere.parquet"]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert len(seen.err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--slots", "0"], ["--events", "3"], ["--steps", "x"], ["--repeats", "-1"]])
def test_bad_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err
