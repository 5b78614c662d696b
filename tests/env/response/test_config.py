from __future__ import annotations

import math
from typing import Any

import pytest

from custodes.env.response.config import ResponseConfig
from custodes.errors import CustodesError


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("slots", 0),
        ("slots", -3),
        ("credit", "nobody"),
        ("reward_scale", 0.0),
        ("reward_scale", -1.0),
        ("reward_scale", math.inf),
        ("reward_scale", math.nan),
        ("lane_share", 1.0),
        ("lane_share", -0.1),
        ("lane_share", math.nan),
    ],
)
def test_a_setting_out_of_range_is_refused_in_one_line(setting: str, value: Any) -> None:
    with pytest.raises(CustodesError, match=f"env.{setting}") as caught:
        ResponseConfig(**{setting: value})
    assert "\n" not in str(caught.value)
