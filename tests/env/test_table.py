from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from custodes.env.table import EnvTable, Viewer
from custodes.errors import CustodesError


def table(column_mask: NDArray[np.bool_] | None, row_mask: NDArray[np.bool_] | None, agents: int = 1) -> EnvTable:
    features = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    return EnvTable.from_numpy(features, np.array([0, 1, 2, -1, 0, 1]), column_mask, row_mask, agents=agents)


@settings(max_examples=100, deadline=None)
@given(data=st.data(), agents=st.integers(1, 3))
def test_views_follow_their_masks(data: st.DataObject, agents: int) -> None:
    columns = data.draw(st.none() | hnp.arrays(np.bool_, (agents, 4)))
    rows = data.draw(st.none() | hnp.arrays(np.bool_, (agents, 6)))
    source = table(columns, rows, agents)
    picked = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    seen = Viewer(source)(torch.tensor(picked))
    assert seen.mask is None
    for slot, row in enumerate(picked):
        for column in range(4):
            value = source.features[row, column]
            anyone = False
            for agent in range(agents):
                shown = bool(source.column_mask[agent, column]) and bool(source.row_mask[agent, row])
                anyone = anyone or shown
                assert seen.agents[slot, agent, column] == (value if shown else 0)
            assert seen.central[slot, column] == (value if anyone else 0)


@pytest.mark.parametrize("columns", [None, np.array([[True, False, True, True], [True, False, False, True]])])
@pytest.mark.parametrize("rows", [None, np.arange(12).reshape(2, 6) % 3 == 0])
def test_replacing_slots_is_looking_anew(columns: NDArray[np.bool_] | None, rows: NDArray[np.bool_] | None) -> None:
    view = Viewer(table(columns, rows, 2))
    before = view(torch.tensor([0, 1, 2, 3]))
    kept = before.agents.clone(), before.central.clone()
    after = view.replace(before, torch.tensor([3, 1]), torch.tensor([0, 4, 2, 5]))
    expected = view(torch.tensor([0, 4, 2, 5]))
    assert torch.equal(after.agents, expected.agents)
    assert torch.equal(after.central, expected.central)
    assert torch.equal(before.agents, kept[0])
    assert torch.equal(before.central, kept[1])


def test_nothing_is_copied_where_nothing_is_hidden() -> None:
    seen = Viewer(table(None, None, 3))(torch.tensor([0, 5]))
    assert seen.agents.shape == (2, 3, 4)
    assert seen.agents.data_ptr() == seen.central.data_ptr()


def test_moving_keeps_everything() -> None:
    source = table(None, None, 2)
    moved = source.to("cpu")
    assert torch.equal(moved.features, source.features)
    assert (moved.agents, moved.inputs) == (2, 4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(value: float) -> None:
    features = np.zeros((3, 2), dtype=np.float32)
    features[2, 1] = value
    with pytest.raises(CustodesError, match="table row 2: a feature is not finite"):
        EnvTable.from_numpy(features, np.zeros(3))


@pytest.mark.parametrize(
    ("features", "labels", "columns", "rows", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0), None, None, "no events"),
        (np.zeros((3, 0)), np.zeros(3), None, None, "no features"),
        (np.zeros(3), np.zeros(3), None, None, "no features"),
        (np.zeros((3, 2)), np.zeros(4), None, None, "labels is"),
        (np.zeros((3, 2)), np.zeros(3), np.ones((2, 3)), None, "column_mask is"),
        (np.zeros((3, 2)), np.zeros(3), np.ones((2, 2)), np.ones((3, 3)), "row_mask is"),
        (np.zeros((3, 2)), np.zeros(3), np.ones((0, 2)), None, "no agents"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    features: NDArray[np.float64],
    labels: NDArray[np.float64],
    columns: NDArray[np.float64] | None,
    rows: NDArray[np.float64] | None,
    message: str,
) -> None:
    with pytest.raises(CustodesError, match=message):
        EnvTable.from_numpy(features, labels, columns, rows)


def test_wrong_types_are_refused() -> None:
    source = table(None, None)
    with pytest.raises(CustodesError, match=r"labels is torch\.int32"):
        EnvTable(
            features=source.features,
            column_mask=source.column_mask,
            row_mask=source.row_mask,
            labels=source.labels.to(torch.int32),
        )
