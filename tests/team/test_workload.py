"""From settings to what a team plays: what is fitted on which rows, what is refused, which lanes come out."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import custodes.team.workload as workload_module
from custodes.bft.votes import tolerated
from custodes.data.config import DataConfig, SplitMethod
from custodes.data.dataset import Dataset, codes
from custodes.data.features import Encoder
from custodes.data.schema import BENIGN, CHANNELS, MALICIOUS
from custodes.data.split import PARTS, PartName
from custodes.data.synthetic.config import SyntheticConfig
from custodes.data.views import CHANNEL_GROUPS, View
from custodes.env.lanes import LaneMode, build_lanes
from custodes.env.response.env import ResponseEnv
from custodes.env.triage import TriageConfig
from custodes.errors import CustodesError
from custodes.team.config import TeamConfig
from custodes.team.workload import Workload, prepare, with_data

SYNTHETIC = SyntheticConfig(hosts=2, processes=40, events=6000, campaigns=8)
DATA = DataConfig(source="synthetic", block_events=200, synthetic=SYNTHETIC)
GAME = TriageConfig(slots=4, window=64)
REPLICATED = TeamConfig(agents=4)


@pytest.fixture(scope="module")
def prepared() -> Workload:
    return prepare(DATA, GAME, REPLICATED)


def serve(monkeypatch: pytest.MonkeyPatch, dataset: Dataset) -> None:
    """Let `prepare` load this recording, whatever the settings name."""
    monkeypatch.setattr(workload_module, "load", lambda config, rejects=None: dataset)


def with_events(dataset: Dataset, events: pl.DataFrame) -> Dataset:
    return replace(dataset, events=events.select(dataset.events.columns).cast(dataset.events.schema))


def other_rows_scrambled(workload: Workload) -> Dataset:
    """The recording with everything but the training rows' contents replaced (labels and streams stay)."""
    train = np.isin(np.arange(len(workload.dataset)), workload.split.rows("train"))
    events = workload.dataset.events.with_columns(train=pl.Series(train)).with_columns(
        kind=pl.when("train").then("kind").otherwise(pl.lit("seen_nowhere_else")),
        channel=pl.when("train").then("channel").otherwise(pl.lit("memory")),
        entity=pl.when("train").then("entity").otherwise(pl.lit("someone_else")),
        parent=pl.when("train").then("parent").otherwise(pl.lit("")),
        object=pl.when("train").then("object").otherwise(pl.lit("elsewhere")),
        object_kind=pl.when("train").then("object_kind").otherwise(pl.lit("unheard_of")),
        size=pl.when("train").then("size").otherwise(pl.lit(1e9)),
    )
    return with_events(workload.dataset, events)


def test_the_encoder_is_fitted_on_training_rows_only(prepared: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the validation and test rows hold, the encoder is the same to the last bit."""
    other = other_rows_scrambled(prepared)
    assert not other.events.equals(prepared.dataset.events)
    serve(monkeypatch, other)
    again = prepare(DATA, GAME, REPLICATED)
    assert np.array_equal(again.split.part, prepared.split.part)
    assert again.encoder == prepared.encoder
    assert again.encoder == Encoder.fit(other, prepared.split.rows("train"), DATA)
    # The comparison can fail: fitted on all rows, the encoder is another one.
    assert Encoder.fit(other, np.arange(len(other)), DATA) != prepared.encoder


def test_a_fitted_encoder_is_used_as_it_is(prepared: Workload) -> None:
    drifted = replace(DATA, synthetic=replace(SYNTHETIC, seed=1))
    again = prepare(drifted, GAME, REPLICATED, encoder=prepared.encoder)
    assert again.encoder is prepared.encoder
    assert again.features.shape[1] == len(prepared.encoder.columns)
    assert np.array_equal(again.features, prepared.encoder.transform(again.dataset))


def test_the_table_holds_the_features_the_labels_and_the_views(prepared: Workload) -> None:
    table = prepared.table
    assert np.array_equal(table.features.numpy(), prepared.features)
    assert np.array_equal(prepared.features, prepared.encoder.transform(prepared.dataset))
    assert np.array_equal(table.labels.numpy(), prepared.dataset.labels)
    assert table.features.shape == (len(prepared.dataset), len(prepared.encoder.columns))
    assert table.column_mask.shape == (4, table.features.shape[1])
    assert bool(table.column_mask.all())
    assert bool(table.row_mask.all())
    assert prepared.thin_views == ()
    assert prepared.warnings() == prepared.split.warnings


def test_preparing_twice_gives_the_same(prepared: Workload) -> None:
    again = prepare(DATA, GAME, REPLICATED)
    assert again.dataset.digest == prepared.dataset.digest
    assert np.array_equal(again.split.part, prepared.split.part)
    assert again.encoder == prepared.encoder
    assert torch.equal(again.table.features, prepared.table.features)


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize(("missing", "word"), [(MALICIOUS, "malicious"), (BENIGN, "benign")])
def test_a_training_or_validation_part_of_one_class_is_refused(
    prepared: Workload, part: PartName, missing: int, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = prepared.split.rows(part)
    labels = prepared.dataset.labels.copy()
    labels[rows] = MALICIOUS if missing == BENIGN else BENIGN
    given = with_parts(prepared, labels)
    serve(monkeypatch, given)
    with pytest.raises(CustodesError) as caught:
        prepare(replace(DATA, split="given"), GAME, REPLICATED)
    assert f"no {word} record among {len(rows)}" in str(caught.value)
    assert f"{part} part" in str(caught.value)
    # Evaluation brings its encoder and plays such data.
    prepare(replace(DATA, split="given"), GAME, REPLICATED, encoder=prepared.encoder)


def with_parts(workload: Workload, labels: np.ndarray) -> Dataset:
    """The recording with other labels and its split as a column, which split `given` follows."""
    events = workload.dataset.events.with_columns(
        label=pl.Series(labels).cast(pl.Int8), part=pl.Series(workload.split.part).cast(pl.Int8)
    )
    return replace(workload.dataset, events=events)


def test_a_test_part_of_one_class_can_be_played(prepared: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores say what is undefined there; training does not need it."""
    labels = prepared.dataset.labels.copy()
    labels[prepared.split.rows("test")] = BENIGN
    serve(monkeypatch, with_parts(prepared, labels))
    assert len(prepare(replace(DATA, split="given"), GAME, REPLICATED).lanes("test").order)


def test_a_recording_without_attacks_is_refused() -> None:
    with pytest.raises(CustodesError, match="no malicious record"):
        prepare(replace(DATA, synthetic=replace(SYNTHETIC, campaigns=0)), GAME, REPLICATED)


@pytest.mark.parametrize("agents", [2, 4, 6, 7])
def test_overlapping_views_reach_enough_agents(agents: int) -> None:
    workload = prepare(DATA, GAME, TeamConfig(agents=agents, views="overlapping"))
    assert workload.thin_views == ()
    assert not bool(workload.table.row_mask.all())
    assert int(workload.table.row_mask.sum(0).min()) >= 2 * tolerated(agents) + 1


def test_one_agent_that_misses_a_channel_is_refused() -> None:
    with pytest.raises(CustodesError, match="file by 0 of 1 agents seen, and 1 are needed to withstand 0 lying"):
        prepare(DATA, GAME, TeamConfig(agents=1, views="overlapping"))


def file_seen_by_two(kind: str, n: int) -> tuple[View, ...]:
    blind = View(name="blind", channels=tuple(channel for channel in CHANNELS if channel != "file"))
    return (View(name="all"), View(name="all-too"), *[blind] * (n - 2))


def test_a_channel_that_too_few_agents_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload_module, "preset_views", file_seen_by_two)
    with pytest.raises(CustodesError) as caught:
        prepare(DATA, GAME, TeamConfig(agents=4, views="overlapping"))
    line = str(caught.value)
    assert "file by 2 of 4 agents seen, and 3 are needed to withstand 1 lying" in line
    assert line.startswith("team.views: ")
    assert "registry" not in line


def test_a_thin_channel_that_no_event_has_does_no_harm(prepared: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workload_module, "preset_views", file_seen_by_two)
    renamed = pl.when(pl.col("channel") == "file").then(pl.lit("other")).otherwise("channel").alias("channel")
    serve(monkeypatch, with_events(prepared.dataset, prepared.dataset.events.with_columns(renamed)))
    assert prepare(DATA, GAME, TeamConfig(agents=4, views="overlapping")).thin_views == ()


def test_disjoint_views_warn_where_liars_could_hide_a_channel() -> None:
    workload = prepare(DATA, GAME, TeamConfig(agents=4, views="disjoint"))
    (sentence,) = workload.thin_views
    assert all(f"{channel} by 1" in sentence for channel in CHANNELS)
    assert "of 4 agents seen, and 3 are needed to withstand 1 lying" in sentence
    assert workload.warnings() == (*workload.split.warnings, sentence)
    assert workload.table.row_mask.sum(0).tolist() == [1] * len(workload.dataset)
    for channel, sees in zip(workload.dataset.events["channel"], workload.table.row_mask.T.tolist(), strict=True):
        share = next(i for i, mine in enumerate(CHANNEL_GROUPS.values()) if channel in mine)
        assert sees == [agent == share for agent in range(4)]


def test_disjoint_views_of_two_agents_have_no_liar_to_fear() -> None:
    assert prepare(DATA, GAME, TeamConfig(agents=2, views="disjoint")).thin_views == ()


@pytest.mark.parametrize("method", ["rows", "blocks", "temporal", "entity"])
@pytest.mark.parametrize("mode", ["by_stream", "by_entity", "rows"])
def test_lanes_of_the_parts_are_disjoint_and_complete(method: SplitMethod, mode: LaneMode) -> None:
    workload = prepare(replace(DATA, split=method), replace(GAME, lanes=mode), REPLICATED)
    stream = codes(workload.dataset.events, "stream")
    played: list[int] = []
    for part in PARTS:
        rows = workload.split.rows(part)
        for window in (0, 64):
            lanes = workload.lanes(part, window)
            assert sorted(lanes.order.tolist()) == rows.tolist()
            assert set(lanes.successor.tolist()) <= set(rows.tolist())
            assert window == 0 or int(lanes.length.max()) <= window
            same = np.diff(np.repeat(np.arange(len(lanes.start)), lanes.length)) == 0
            assert np.all(np.diff(lanes.order)[same] > 0)
            assert np.all(np.diff(stream[lanes.order])[same] == 0)
        played += lanes.order.tolist()
    assert sorted(played) == list(range(len(workload.dataset)))


def test_lanes_follow_the_games_own_mode(prepared: Workload) -> None:
    rows = prepared.split.rows("train")
    for window in (0, 64):
        ours, expected = prepared.lanes("train", window), build_lanes(prepared.dataset, rows, "by_stream", window)
        assert all(np.array_equal(getattr(ours, f.name), getattr(expected, f.name)) for f in fields(expected))


def test_training_plays_the_training_part_in_windows(prepared: Workload) -> None:
    env = prepared.training_env(f=1, seed=5)
    assert (env.slots, env.agents, env.inputs) == (4, 4, prepared.features.shape[1])
    assert env.lanes == len(prepared.lanes("train", GAME.window).start)
    assert env.lanes > len(prepared.lanes("train").start)
    train = {row.tobytes() for row in prepared.features[prepared.split.rows("train")]}
    observation, again = env.reset(), prepared.training_env(f=1, seed=5).reset()
    assert torch.equal(observation.central, again.central)
    for _ in range(200):
        assert all(row.tobytes() in train for row in observation.central.numpy())
        observation = env.step(torch.zeros(4, 4, dtype=torch.int64)).observation


def test_malformed_lines_go_where_the_caller_says(
    prepared: Workload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path | None] = []

    def load(config: DataConfig, *, rejects: Path | None = None) -> Dataset:
        asked.append(rejects)
        return prepared.dataset

    monkeypatch.setattr(workload_module, "load", load)
    prepare(DATA, GAME, REPLICATED, rejects=tmp_path / "rejects.jsonl")
    assert asked == [tmp_path / "rejects.jsonl"]


def test_settings_for_another_file() -> None:
    assert with_data(DATA, "") == DATA
    assert with_data(DATA, "other.parquet") == replace(DATA, path="other.parquet")


RESPONSE = TriageConfig(task="response", lanes="by_entity", slots=4, window=16, credit="team")


def test_response_plays_windows_of_lives_in_training_and_in_scoring() -> None:
    workload = prepare(replace(DATA, split="entity"), RESPONSE, REPLICATED)
    assert workload.lanes("test").length.max() == RESPONSE.window
    assert workload.lanes("test", 0).length.max() > RESPONSE.window
    env = workload.training_env(1, 0)
    assert isinstance(env, ResponseEnv)
    assert env.lanes == len(workload.lanes("train").start)


def test_few_windows_keeps_each_first_one_and_no_more_than_asked() -> None:
    workload = prepare(replace(DATA, split="entity"), replace(RESPONSE, windows=2), REPLICATED)
    rows = workload.training_rows()
    kept = rows[workload_module._few_windows(workload.dataset, rows, 16, 2, seed=0)]
    entity = codes(workload.dataset.events, "stream", "entity")
    for one in np.unique(entity[rows]):
        life, mine = rows[entity[rows] == one], kept[entity[kept] == one]
        assert mine[: min(16, len(life))].tolist() == life[:16].tolist()
        place = np.searchsorted(life, mine)
        assert len(np.unique(place // 16)) == min(2, -(-len(life) // 16))
        assert len(mine) == sum(len(life[16 * p : 16 * p + 16]) for p in np.unique(place // 16)), "whole windows"
    other = rows[workload_module._few_windows(workload.dataset, rows, 16, 2, seed=1)]
    assert not np.array_equal(kept, other)
    assert workload.training_env(1, 0).lanes == sum(
        min(2, -(-int((entity[rows] == one).sum()) // 16)) for one in np.unique(entity[rows])
    )


def test_training_harm_stands_at_the_stakes_of_the_scored_part() -> None:
    workload = prepare(replace(DATA, split="entity"), RESPONSE, REPLICATED)
    train, test = workload.split.rows("train"), workload.split.rows("test")
    recording = workload.training_recording(train)
    present = len(np.unique(recording.phase[recording.rows][recording.phase[recording.rows] >= 0]))
    assert recording.harm.sum() == pytest.approx(100 * present * len(train) / len(test))
    assert workload.recording(train).harm.sum() == pytest.approx(100 * present)


def test_refit_trains_on_validation_too() -> None:
    plain = prepare(DATA, GAME, REPLICATED)
    both = prepare(DATA, GAME, REPLICATED, refit=True)
    assert both.training_rows().tolist() == np.flatnonzero(both.split.part <= 1).tolist()
    assert plain.training_rows().tolist() == plain.split.rows("train").tolist()
    assert both.encoder != plain.encoder
