"""What is said of a run's data, and what a record says by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from custodes.data.config import DataConfig
from custodes.data.synthetic import SyntheticConfig
from custodes.env.triage import TriageConfig
from custodes.evaluate.response.inputs import records_alone
from custodes.team.config import TeamConfig
from custodes.team.workload import Workload, prepare
from custodes.train.presets import load_preset
from custodes.train.run_folder import RunFolder
from custodes.train.warnings import data_warnings

DATA = DataConfig(
    source="synthetic",
    synthetic=SyntheticConfig(hosts=2, processes=40, events=4000, campaigns=9),
    block_events=100,
)


def workload(*groups: str, views: Literal["replicated", "overlapping"] = "replicated") -> Workload:
    return prepare(replace(DATA, groups=groups), TriageConfig(), TeamConfig(agents=4, views=views))


@pytest.mark.parametrize(
    ("groups", "views", "told"),
    [
        (("size", "timing"), "overlapping", True),
        (("size", "timing"), "replicated", False),
        (("size", "channel"), "overlapping", False),
        (("size", "kind"), "overlapping", False),
    ],
)
def test_views_that_tell_a_hidden_channel(
    groups: tuple[str, ...], views: Literal["replicated", "overlapping"], told: bool
) -> None:
    warnings = workload(*groups, views=views).warnings()
    assert any("whether an event is hidden tells its channel" in line for line in warnings) == told


def test_records_of_history_alone_say_nothing_by_themselves() -> None:
    assert records_alone(workload("timing")).shape == (len(workload("timing").dataset), 0)


def test_a_records_columns_are_chosen_by_training_rows() -> None:
    given = workload("size")
    events = given.dataset.events
    train = np.isin(np.arange(len(events)), given.split.rows("train"))
    assert records_alone(given).shape[1] == 1
    # The column still varies over the other rows, where a baseline may not look.
    flat = events.with_columns(size=np.where(train, 1.0, events["size"].to_numpy()))
    assert records_alone(replace(given, dataset=replace(given.dataset, events=flat))).shape[1] == 0


def test_other_recordings_and_malformed_lines_are_told() -> None:
    given = workload("size")
    run = RunFolder(path=Path("run"), config=load_preset("quick"), digest=given.dataset.digest, versions={})
    assert data_warnings(run, given) == ()
    assert "not the recording" in data_warnings(replace(run, digest="0" * 64), given)[0]
    for count, line in ((1, "1 malformed line of"), (1234, "1,234 malformed lines of")):
        assert data_warnings(run, replace(given, dataset=replace(given.dataset, rejected=count)))[0].startswith(line)
