"""Reputations against their definition, and what they must not tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.features import Encoder
from custodes.data.features.encoder import GROUPS
from custodes.data.features.reputation import LEAST
from custodes.data.features.table import Table
from custodes.errors import CustodesError
from tests.data.features_cases import dataset, datasets, random_dataset

KEY_OF = {"reputation": "object", "standing": "image"}


def values(data: Dataset, group: str, learned: Dataset | None = None) -> dict[str, np.ndarray]:
    """Features of a group by name, learned from another table or from this one."""
    table, before = (Table(events=d.events) for d in (data, learned or data))
    blocks = GROUPS[group].blocks(table, GROUPS[group].learn(before))
    return {block.name: np.asarray(block.values(), dtype=np.float64) for block in blocks}  # type: ignore[union-attr]


def by_definition(data: Dataset, key: str) -> list[float]:
    """Share of malicious ones among the other processes that touched each row's key."""
    rows = data.events.to_dicts()
    bad = {(r["stream"], r["entity"]) for r in rows if r["label"] == 1}
    found = []
    for row in rows:
        people: dict[str, bool] = {}
        for other in rows:
            if other[key] == row[key] and other["entity"]:
                people[other["entity"]] = people.get(other["entity"], False) or (
                    (other["stream"], other["entity"]) in bad
                )
        worth = bool(row[key]) and bool(row["entity"]) and sum(people.values()) >= LEAST * len(people)
        others = [guilty for who, guilty in people.items() if who != row["entity"]]
        found.append(sum(others) / (len(others) + 0.5) if worth and any(people.values()) else 0.0)
    return found


@pytest.mark.parametrize("group", ["reputation", "standing"])
@given(data=datasets())
@settings(deadline=None, max_examples=60)
def test_matches_the_definition(group: str, data: Dataset) -> None:
    share = by_definition(data, KEY_OF[group])
    got = values(data, group)
    assert next(iter(got.values())).tolist() == pytest.approx(share)
    rows = data.events.to_dicts()
    worst = [
        max(
            share[j]
            for j in range(i + 1)
            if (rows[j]["stream"], rows[j]["entity"]) == (rows[i]["stream"], rows[i]["entity"])
        )
        for i in range(len(rows))
    ]
    if group == "reputation":
        assert got["reputation:process"].tolist() == pytest.approx(worst)
    assert (got[f"{group}:lineage"] >= np.array(worst) - 1e-12).all()


def test_a_process_learns_nothing_from_its_own_label() -> None:
    alone = dataset({"entity": ["a", "b"], "object": ["x", "y"], "label": [1, 0], "image": ["a.exe", "b.exe"]})
    assert not any(column.any() for group in KEY_OF for column in values(alone, group).values())


def test_what_training_saw_is_told_to_others() -> None:
    train = dataset({"entity": ["a", "b", "c"], "object": ["x", "x", "z"], "label": [1, 1, 0]})
    later = dataset({"entity": ["d", "d", "e", "f"], "object": ["z", "x", "w", "w"], "parent": ["", "", "d", "e"]})
    got = values(later, "reputation", train)
    assert got["reputation:object"].tolist() == [0.0, 0.8, 0.0, 0.0]
    assert got["reputation:process"].tolist() == [0.0, 0.8, 0.0, 0.0]
    assert got["reputation:lineage"].tolist() == [0.0, 0.8, 0.8, 0.8], "children and grandchildren inherit it"


def test_programs_and_processes_are_no_objects_here() -> None:
    rows = {"entity": ["a", "b", "c"], "object": ["x"] * 3, "label": [1, 1, 1]}
    assert values(dataset(rows), "reputation")["reputation:object"].any()
    for hidden in ({"ext_program": [1, 1, 1]}, {"object_kind": ["process"] * 3}):
        assert not values(dataset(rows | hidden), "reputation")["reputation:object"].any()


def test_later_labels_change_nothing() -> None:
    data = random_dataset(200, 3)
    encoder = Encoder.fit(data, np.arange(100), DataConfig(groups=("reputation", "kind")))
    flipped = Dataset(
        name=data.name,
        source=data.source,
        events=data.events.with_columns(label=1 - data.events["label"]),
        recorded_order=True,
        digest="",
        rejected=0,
    )
    assert np.array_equal(encoder.transform(data), encoder.transform(flipped))


def test_names_stay_hidden() -> None:
    with pytest.raises(CustodesError, match="group standing reads executables' names"):
        Encoder.fit(random_dataset(20), np.arange(20), DataConfig(groups=("standing",)))
