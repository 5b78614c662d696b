"""Pictures of explanations."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from custodes.stl.errors import StlError
from custodes.stl.explain import Explanation, explain
from custodes.stl.parser import parse
from custodes.stl.plot import plot_explanation
from custodes.stl.policy import End


def an_explanation(end: End = "truncate") -> Explanation:
    at = np.arange(200)
    rule = parse('always (x < 0.9 or eventually[0,10] "cost $y$" > 0.2)')
    trace = {"x": np.sin(at / 15), "cost $y$": np.cos(at / 15)}
    return explain(rule, trace, end=end, times=at / 10, unit="s")


def test_png(tmp_path: Path) -> None:
    path = plot_explanation(an_explanation(), tmp_path / "a.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [each.name for each in tmp_path.iterdir()] == ["a.png"]


def test_svg_says_what_it_shows_and_is_the_same_again(tmp_path: Path) -> None:
    path = plot_explanation(an_explanation("interval"), tmp_path / "a.svg")
    text = path.read_text()
    assert "<svg" in text
    # A threshold, the shaded samples, the zero line and the sample asked about each leave a mark.
    for color in ("#d62728", "#f5b7b1", "#1f4e79", "stroke-dasharray"):
        assert color in text
    plain = explain(parse("x > 0"), {"x": [1.0]})
    other = plot_explanation(plain, tmp_path / "b.svg").read_text()
    assert "stroke-dasharray" in other
    assert "#f5b7b1" not in other


def test_infinite_robustness_and_one_sample(tmp_path: Path) -> None:
    explanation = explain(parse("eventually[2,3] x > 0"), {"x": [1.0]})
    assert plot_explanation(explanation, tmp_path / "a.png").stat().st_size > 1000


def test_refusals_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StlError, match=r"a\.gif: \.gif names no picture format; use \.png or \.svg"):
        plot_explanation(an_explanation(), tmp_path / "a.gif")
    with pytest.raises(StlError, match="cannot be written: no such file"):
        plot_explanation(an_explanation(), tmp_path / "none" / "a.png")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(StlError, match=r"plots need matplotlib; pip install 'custodes\[plot\]'"):
        plot_explanation(an_explanation(), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []
