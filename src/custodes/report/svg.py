"""Charts as inline SVG: lines over training, and the precision-recall plane. No scripts, no fonts, no network.

Colours and line styles are CSS classes of the page (`s0` to `s7`, `rule`, `axis`), so that one drawing serves light and
dark. Values show on hover through `<title>`; a summary for screen readers stands in `<desc>`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from markupsafe import Markup

from custodes.report.scale import Axis, Floats, number, thin, tick_labels

STYLES = 8
"""Line styles that the page tells apart."""
_HOVERS = 160
"""Stretches of a line chart that answer to the pointer."""
_WIDTH, _HEIGHT = 350.0, 214.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 10.0, 10.0, 40.0
_SHAPES = (
    "M-4,-4H4V4H-4Z",
    "M0,-5L5,4H-5Z",
    "M0,-5.5L5.5,0L0,5.5L-5.5,0Z",
    "M-5,-1.5H-1.5V-5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5Z",
    "M0,5L5,-4H-5Z",
)
"""Outlines of markers around 0, 0: square, triangle, diamond, cross, triangle down."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line."""

    name: str
    """As in the legend."""
    y: Floats
    """Floats [N]; NaN and infinities are gaps."""
    style: int = 0
    """0 to 7: accent or ink, whole or broken."""
    dots: bool = False
    """Mark each value, and join those that are there across gaps (for values taken now and then)."""


@dataclass(frozen=True, kw_only=True)
class Marker:
    """One point of the precision-recall plane."""

    name: str
    """As in the legend."""
    recall: float
    """0 to 1."""
    precision: float
    """0 to 1."""
    shape: int
    """Index of the outline."""


def line_chart(
    *, ident: str, title: str, x: Floats, x_name: str, y_name: str, x_axis: Axis, y_axis: Axis, series: Sequence[Series]
) -> Markup:
    """Lines over a common x.

    Args:
        ident: Unique in the page; letters, digits and dashes.
        title: What is drawn.
        x: Floats [N], rising.
        x_name: Label of the x axis, with its unit.
        y_name: Label of the y axis, with its unit.
        x_axis: Limits and ticks.
        y_axis: Limits and ticks.
        series: Lines [N].

    Returns:
        An `<svg>` element.
    """
    body = [_line(line, x, x_axis, y_axis) for line in series]
    inside = f'<g clip-path="url(#{ident}-c)">{"".join(body)}</g>'
    desc = f"{y_name} against {x_name}. " + " ".join(_summary(line) for line in series)
    return _frame(
        ident, title, desc, x_name, y_name, x_axis, y_axis, inside + _hovers(x, x_name, x_axis, y_axis, series)
    )


def pr_chart(
    *, ident: str, title: str, recall: Floats, precision: Floats, team: Marker | None, markers: Sequence[Marker]
) -> Markup:
    """A team's precision-recall curve, the point it works at, and the points of others.

    Args:
        ident: Unique in the page.
        title: What is drawn.
        recall: Floats [N], rising, 0 to 1.
        precision: Floats [N], 0 to 1.
        team: Where the team's decisions lie; None where its precision is undefined.
        markers: Where the baselines lie.
    """
    axis = Axis(low=0.0, high=1.0, ticks=(0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    points = [(*_at(r, p, axis, axis), r, p) for r, p in zip(recall, precision, strict=True)]
    body = [_path([(px, py) for px, py, _, _ in points], "line s0")]
    body += [
        f'<circle class="hit" cx="{px:.1f}" cy="{py:.1f}" r="5">'
        f"<title>recall {r:.3f}, precision {p:.3f}</title></circle>"
        for px, py, r, p in points
    ]
    body += [_mark(marker, axis, "mark") for marker in markers]
    body += [_mark(team, axis, "mark own")] if team else []
    named = [*([team] if team else []), *markers]
    desc = "Precision against recall. " + " ".join(
        f"{marker.name}: recall {marker.recall:.3f}, precision {marker.precision:.3f}." for marker in named
    )
    return _frame(ident, title, desc, "recall (share of threats)", "precision (share)", axis, axis, "".join(body))


def line_key(style: int) -> Markup:
    """A short piece of a line, for a legend."""
    drawn = f'<line class="line s{style % STYLES}" x1="1" y1="5" x2="23" y2="5"/>'
    return Markup(f'<svg class="key" viewBox="0 0 24 10" width="24" height="10" aria-hidden="true">{drawn}</svg>')


def marker_key(shape: int | None) -> Markup:
    """A marker, for a legend; None is the team's own."""
    drawn = '<circle class="mark own" cx="7" cy="7" r="5"/>' if shape is None else _outline(7, 7, shape, "mark", "")
    return Markup(f'<svg class="key" viewBox="0 0 14 14" width="14" height="14" aria-hidden="true">{drawn}</svg>')


def _frame(ident: str, title: str, desc: str, x_name: str, y_name: str, x: Axis, y: Axis, body: str) -> Markup:
    """Axes, grid, labels and the accessible name around what is drawn."""
    right, foot = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    box = f'x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{foot - _TOP}"'
    view = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"'
    parts = [
        f'<svg class="chart" {view} role="img" aria-labelledby="{ident}-t {ident}-d">',
        f'<title id="{ident}-t">{escape(title)}</title><desc id="{ident}-d">{escape(desc)}</desc>',
        f'<clipPath id="{ident}-c"><rect {box}/></clipPath>',
    ]
    for tick, label in zip(y.ticks, tick_labels(y.ticks) if not y.log else map(number, y.ticks), strict=True):
        at = _at(x.low, tick, x, y)[1]
        parts.append(f'<line class="rule" x1="{_LEFT}" y1="{at:.1f}" x2="{right}" y2="{at:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    for tick, label in zip(x.ticks, tick_labels(x.ticks), strict=True):
        at = _at(tick, y.low, x, y)[0]
        anchor = "end" if at > right - 12 else "middle"
        parts.append(f'<line class="rule" x1="{at:.1f}" y1="{foot}" x2="{at:.1f}" y2="{foot + 4}"/>')
        parts.append(f'<text class="tick" x="{at:.1f}" y="{foot + 16}" text-anchor="{anchor}">{escape(label)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" y1="{foot}" x2="{right}" y2="{foot}"/>')
    middle = (_LEFT + right) / 2, (_TOP + foot) / 2
    parts.append(f'<text class="name" x="{middle[0]}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_name)}</text>')
    turned = f'transform="translate(11 {middle[1]}) rotate(-90)"'
    parts.append(f'<text class="name" {turned} text-anchor="middle">{escape(y_name)}</text>')
    return Markup("".join([*parts, body, "</svg>"]))


def _line(series: Series, x: Floats, x_axis: Axis, y_axis: Axis) -> str:
    """A thinned line with its gaps; a value alone between two gaps is a dot."""
    y = np.where(np.isfinite(series.y), series.y, np.nan)
    if series.dots:
        there = np.isfinite(y)
        x, y = x[there], y[there]
    x, y = thin(x, y)
    style = f"s{series.style % STYLES}"
    runs: list[list[tuple[float, float]]] = [[]]
    for px, py in zip(x, y, strict=True):
        if math.isnan(py):
            runs.append([])
        else:
            runs[-1].append(_at(float(px), float(py), x_axis, y_axis))
    drawn = [_path(run, f"line {style}") for run in runs if len(run) > 1]
    lone = [point for run in runs for point in run if series.dots or len(run) == 1]
    # So many dots would only thicken the line.
    if len(lone) <= 60 or not series.dots:
        drawn += [f'<circle class="dot {style}" cx="{px:.1f}" cy="{py:.1f}" r="2.4"/>' for px, py in lone]
    return "".join(drawn)


def _hovers(x: Floats, x_name: str, x_axis: Axis, y_axis: Axis, series: Sequence[Series]) -> str:
    """Invisible stretches side by side, each with the values at its middle."""
    if len(x) == 0:
        return ""
    picked = np.unique(np.linspace(0, len(x) - 1, min(len(x), _HOVERS)).round().astype(int))
    places = np.array([_at(float(x[index]), y_axis.low, x_axis, y_axis)[0] for index in picked])
    edges = np.concatenate(([_LEFT], (places[1:] + places[:-1]) / 2, [_WIDTH - _RIGHT]))
    parts = []
    for index, start, end in zip(picked, edges[:-1], edges[1:], strict=True):
        values = "\n".join(f"{line.name}: {number(float(line.y[index]))}" for line in series)
        text = escape(f"{x_name}: {number(float(x[index]))}\n{values}")
        box = f'x="{start:.1f}" y="{_TOP}" width="{max(end - start, 0):.1f}" height="{_HEIGHT - _BOTTOM - _TOP}"'
        parts.append(f'<rect class="hit" {box}><title>{text}</title></rect>')
    return "".join(parts)


def _summary(series: Series) -> str:
    known = series.y[np.isfinite(series.y)]
    if not known.size:
        return f"{series.name}: no values."
    span = f"between {number(float(known.min()))} and {number(float(known.max()))}"
    return f"{series.name}: from {number(float(known[0]))} to {number(float(known[-1]))}, {span}."


def _mark(marker: Marker, axis: Axis, style: str) -> str:
    px, py = _at(marker.recall, marker.precision, axis, axis)
    title = escape(f"{marker.name}: recall {marker.recall:.3f}, precision {marker.precision:.3f}")
    if "own" in style:
        return f'<circle class="{style}" cx="{px:.1f}" cy="{py:.1f}" r="5"><title>{title}</title></circle>'
    return _outline(px, py, marker.shape, style, f"<title>{title}</title>")


def _outline(px: float, py: float, shape: int, style: str, inside: str) -> str:
    place = f'transform="translate({px:.1f} {py:.1f})"'
    return f'<path class="{style}" d="{_SHAPES[shape % len(_SHAPES)]}" {place}>{inside}</path>'


def _path(points: Sequence[tuple[float, float]], style: str) -> str:
    steps = "L".join(f"{px:.1f},{py:.1f}" for px, py in points)
    return f'<path class="{style}" d="M{steps}"/>' if points else ""


def _at(x: float, y: float, x_axis: Axis, y_axis: Axis) -> tuple[float, float]:
    """Where a point lies in the drawing; far off the axis is brought near, as drawings with huge numbers break."""
    across, up = (min(max(axis.place(value), -1.0), 2.0) for axis, value in ((x_axis, x), (y_axis, y)))
    return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _BOTTOM - _TOP)
