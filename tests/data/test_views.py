"""Views: presets, the coverage that lying agents ask for, and masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.data.config import DataConfig
from custodes.data.features import Encoder
from custodes.data.schema import CHANNELS
from custodes.data.views import (
    CHANNEL_GROUPS,
    View,
    channel_is_hidden,
    check_views,
    preset_views,
    thin_channels,
    view_masks,
)
from custodes.errors import CustodesError
from tests.data.features_cases import random_dataset


def _seen(view: View) -> set[str]:
    return set(view.channels or CHANNELS)


def test_shares_are_all_channels_once() -> None:
    assert sorted(channel for share in CHANNEL_GROUPS.values() for channel in share) == sorted(CHANNELS)


@given(st.integers(1, 34))
def test_overlapping_and_replicated_views_withstand_f_of_3f_plus_1(f: int) -> None:
    for kind in ("overlapping", "replicated"):
        views = preset_views(kind, 3 * f + 1)
        assert check_views(views, f) == ()
        assert len({view.name for view in views}) == 3 * f + 1


def test_each_overlapping_agent_misses_one_share() -> None:
    missed = [set(CHANNELS) - _seen(view) for view in preset_views("overlapping", 4)]
    assert missed == [set(share) for share in CHANNEL_GROUPS.values()]


@given(st.integers(1, 4))
def test_disjoint_views_see_every_channel_once(n: int) -> None:
    views = preset_views("disjoint", n)
    assert sorted(channel for view in views for channel in _seen(view)) == sorted(CHANNELS)


def test_disjoint_views_of_many_agents_begin_again() -> None:
    views = preset_views("disjoint", 6)
    assert views[4].channels == views[0].channels
    assert views[5].channels == views[1].channels != views[4].channels


def test_disjoint_views_are_refused_or_warned_about() -> None:
    views = preset_views("disjoint", 4)
    with pytest.raises(CustodesError, match=r"file by 1.* of 4 agents seen, and 3 are needed to withstand 1 lying"):
        check_views(views, 1)
    (warning,) = check_views(views, 1, warn=True)
    assert "registry by 1" in warning
    assert check_views(views, 0) == ()


def test_only_channels_of_the_data_count() -> None:
    views = (View(name="a", channels=("file",)), View(name="b", channels=("file",)), View(name="c"))
    assert check_views(views, 1, ("file",)) == ()
    assert thin_channels(views, 1, ("file", "network")) == {"network": 1}


@pytest.mark.parametrize(
    ("view", "message"),
    [(View(name="a", groups=("sizes",)), "group 'sizes'"), (View(name="a", channels=("disk",)), "channel 'disk'")],
)
def test_unknown_words_are_refused(view: View, message: str) -> None:
    data = random_dataset(20)
    encoder = Encoder.fit(data, np.arange(20), DataConfig())
    with pytest.raises(CustodesError, match=message):
        check_views((view,), 0)
    with pytest.raises(CustodesError, match=message):
        view_masks((view,), encoder, data)


@pytest.mark.parametrize(("kind", "n", "message"), [("overlapped", 4, "no view preset"), ("disjoint", 0, "team of 0")])
def test_bad_presets_are_refused(kind: str, n: int, message: str) -> None:
    with pytest.raises(CustodesError, match=message):
        preset_views(kind, n)  # type: ignore[arg-type]


def test_masks_say_what_each_agent_sees() -> None:
    data = random_dataset(200)
    encoder = Encoder.fit(data, np.arange(200), DataConfig())
    views = (View(name="all"), View(name="few", groups=("size", "kind"), channels=("file", "network")))
    column_mask, row_mask = view_masks(views, encoder, data)
    assert column_mask.all(axis=1).tolist() == [True, False]
    assert row_mask.all(axis=1).tolist() == [True, False]
    assert column_mask[1].tolist() == [column.group in ("size", "kind") for column in encoder.columns]
    assert row_mask[1].tolist() == [channel in ("file", "network") for channel in data.events["channel"]]


@pytest.mark.parametrize(
    ("groups", "hidden"),
    [
        (("size",), True),
        (("size", "timing", "numeric"), True),
        (("size", "channel"), False),
        (("kind",), False),
        ((), False),
    ],
)
def test_whether_the_inputs_tell_the_channel(groups: tuple[str, ...], hidden: bool) -> None:
    data = random_dataset(200)
    assert channel_is_hidden(Encoder.fit(data, np.arange(200), DataConfig(groups=groups))) == hidden


def test_a_channel_that_never_varies_is_no_input() -> None:
    data = random_dataset(200)
    still = replace(data, events=data.events.with_columns(channel=pl.lit("file"), kind=pl.lit("open")))
    assert channel_is_hidden(Encoder.fit(still, np.arange(200), DataConfig(groups=("size", "channel", "kind"))))


def test_a_view_without_inputs_is_refused() -> None:
    data = random_dataset(50)
    encoder = Encoder.fit(data, np.arange(50), DataConfig(groups=("size",)))
    with pytest.raises(CustodesError, match="none of its groups kind"):
        view_masks((View(name="blind", groups=("kind",)),), encoder, data)
