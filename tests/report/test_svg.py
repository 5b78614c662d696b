"""Drawings: well formed, named, with gaps where values are missing."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from custodes.report.scale import linear_axis
from custodes.report.svg import Marker, Series, line_chart, line_key, marker_key, pr_chart


def draw(y: list[float], *, dots: bool = False) -> ET.Element:
    values, x = np.array(y), np.arange(len(y), dtype=float)
    chart = line_chart(
        ident="a", title="<b>", x=x, x_name="x & more", y_name="y", x_axis=linear_axis(x), y_axis=linear_axis(values),
        series=[Series(name="one < two", y=values, dots=dots)],
    )  # fmt: skip
    return ET.fromstring(chart)


def paths(chart: ET.Element) -> list[str]:
    return [path.get("d", "") for path in chart.iter("path")]


def test_gaps_break_the_line_and_a_lone_value_is_a_dot() -> None:
    nan, inf = float("nan"), float("inf")
    chart = draw([1, 2, nan, 3, inf, 4, 5, 6])
    assert [path.count(",") for path in paths(chart)] == [2, 3]
    assert len(list(chart.iter("circle"))) == 1
    assert "NaN" not in ET.tostring(chart, encoding="unicode")


def test_values_taken_now_and_then_are_joined_and_marked() -> None:
    nan = float("nan")
    chart = draw([nan, 2, nan, nan, 3, nan, 4], dots=True)
    assert [path.count(",") for path in paths(chart)] == [3]
    assert len(list(chart.iter("circle"))) == 3


def test_a_chart_has_a_name_a_summary_and_values_on_hover() -> None:
    chart = draw([1.0, 5.0, 3.0])
    assert chart.get("role") == "img"
    assert chart.get("aria-labelledby") == "a-t a-d"
    titles = [title.text for title in chart.iter("title")]
    assert titles[0] == "<b>"
    assert titles[2] == "x & more: 1\none < two: 5"
    assert [desc.text for desc in chart.iter("desc")] == [
        "y against x & more. one < two: from 1 to 3, between 1 and 5."
    ]


def test_long_lines_are_thinned() -> None:
    chart = draw(np.sin(np.arange(5000) / 50).tolist())
    assert paths(chart)[0].count(",") <= 400
    assert len(list(chart.iter("rect"))) <= 161


def test_the_plane_marks_team_and_baselines() -> None:
    team = Marker(name="team", recall=0.5, precision=0.9, shape=0)
    others = [Marker(name=f"b{i}", recall=0.1 * i, precision=0.5, shape=i) for i in range(7)]
    chart = ET.fromstring(
        pr_chart(ident="p", title="t", recall=np.array([0.5, 1.0]), precision=np.array([0.9, 0.1]), team=team,
                 markers=others)
    )  # fmt: skip
    titles = [title.text for title in chart.iter("title")]
    assert "team: recall 0.500, precision 0.900" in titles
    assert all(f"b{i}: recall 0.{i}00, precision 0.500" in titles for i in range(7))
    for key in (line_key(9), marker_key(None), marker_key(6)):
        assert ET.fromstring(key).get("aria-hidden") == "true"
