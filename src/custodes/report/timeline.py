"""The timeline of one attack: what its processes did, each agent's votes, the decision, and the rule's robustness."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from markupsafe import Markup

from custodes.bft.votes import ACTIONS, QUARANTINE
from custodes.evaluate.response.timeline import Moment, Timeline
from custodes.report.scale import number

_WIDTH, _LEFT, _RIGHT, _TOP = 760.0, 84.0, 10.0, 8.0
_ROW, _GAP, _PLOT, _FOOT = 18.0, 4.0, 96.0, 36.0
_OPACITY: Final = (0.06, 0.28, 0.6, 1.0)
"""Of a cell, by severity."""


def timeline_chart(timeline: Timeline, ident: str = "timeline") -> Markup:
    """Draw a timeline; events stand side by side in the order of time, however far apart they were.

    Args:
        timeline: With at least one moment.
        ident: Unique in the page.
    """
    agents = len(timeline.moments[0].votes)
    rows = 2 + agents
    below = _TOP + rows * (_ROW + _GAP) + 8
    height = below + _PLOT + _FOOT
    step = (_WIDTH - _LEFT - _RIGHT) / len(timeline.moments)
    parts = [
        f'<svg class="chart wide" style="max-width:100%" viewBox="0 0 {_WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="{ident}-t {ident}-d"><title id="{ident}-t">One attack, event by event</title>'
        f'<desc id="{ident}-d">{escape(summary(timeline))}</desc>'
    ]
    names = ("events", *(f"agent {agent}" for agent in range(agents)), "decision")
    for row, name in enumerate(names):
        middle = _TOP + row * (_ROW + _GAP) + _ROW / 2
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{middle + 4:.1f}" text-anchor="end">{name}</text>')
    for index, moment in enumerate(timeline.moments):
        parts += _cells(moment, _LEFT + index * step, step)
    parts += _robustness(timeline, below, step)
    parts += _hovers(timeline, height, step)
    return Markup("".join([*parts, "</svg>"]))


def summary(timeline: Timeline) -> str:
    """What is seen, in words."""
    first = next((each for each in timeline.moments if each.action >= QUARANTINE), None)
    lowest = min(each.robustness for each in timeline.moments)
    told = f"{timeline.prevented:,} of {timeline.malicious:,} malicious events of this attack never ran."
    when = (
        "The team contained none of its processes."
        if first is None
        else f"The first {ACTIONS[first.action]} came {number(first.second)} s after its first event."
    )
    return f"{told} {when} Lowest robustness of {timeline.rule}: {number(lowest)} s."


def _cells(moment: Moment, x: float, step: float) -> Iterator[str]:
    """Dot of the event, cells of the votes and of the decision."""
    middle = x + step / 2
    radius = min(step * 0.45, 5.0) * (1.0 if moment.malicious else 0.6)
    fill = "var(--accent)" if moment.malicious and moment.executed else "none"
    stroke = "var(--accent)" if moment.malicious else "var(--soft)"
    yield (
        f'<circle cx="{middle:.1f}" cy="{_TOP + _ROW / 2:.1f}" r="{radius:.1f}" style="fill:{fill};stroke:{stroke}"/>'
    )
    for row, severity in enumerate((*moment.votes, moment.action), start=1):
        own = row > len(moment.votes)
        top = _TOP + row * (_ROW + _GAP)
        yield (
            f'<rect x="{x:.1f}" y="{top:.1f}" width="{max(step - 0.6, 0.6):.1f}" height="{_ROW}" '
            f'style="fill:var({"--accent" if own else "--ink"});fill-opacity:{_OPACITY[severity]}"/>'
        )


def _robustness(timeline: Timeline, top: float, step: float) -> Iterator[str]:
    """The line below, with 0 in it."""
    values = [each.robustness for each in timeline.moments]
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return top + _PLOT * (high - value) / span

    right = _WIDTH - _RIGHT
    for value in sorted({low, 0.0, high}):
        kind = "axis" if value == 0 else "rule"
        yield f'<line class="{kind}" x1="{_LEFT}" y1="{at(value):.1f}" x2="{right}" y2="{at(value):.1f}"/>'
        label = escape(number(value, 3))
        yield f'<text class="tick" x="{_LEFT - 6}" y="{at(value) + 4:.1f}" text-anchor="end">{label}</text>'
    points = " ".join(f"{_LEFT + (i + 0.5) * step:.1f},{at(value):.1f}" for i, value in enumerate(values))
    yield f'<polyline class="line s0" points="{points}" style="fill:none"/>'
    foot = top + _PLOT + 16
    for index in sorted({0, len(values) // 2, len(values) - 1}):
        x = _LEFT + (index + 0.5) * step
        anchor = "end" if index == len(values) - 1 and index else "start" if index == 0 else "middle"
        second = number(timeline.moments[index].second, 3)
        yield f'<text class="tick" x="{x:.1f}" y="{foot:.1f}" text-anchor="{anchor}">{escape(second)} s</text>'
    yield (
        f'<text class="name" x="{(_LEFT + right) / 2}" y="{foot + 16:.1f}" text-anchor="middle">'
        "events in order, with the time since the first; below: robustness [s]</text>"
    )


def _hovers(timeline: Timeline, height: float, step: float) -> Iterator[str]:
    """Invisible columns that say what stands in them."""
    for index, moment in enumerate(timeline.moments):
        said = ", ".join(ACTIONS[vote] for vote in moment.votes)
        text = (
            f"{number(moment.second)} s: {timeline.processes[moment.process]}, {moment.channel}"
            f"{', malicious' if moment.malicious else ''}{'' if moment.executed else ', did not run'}\n"
            f"votes: {said}\ndecision: {ACTIONS[moment.action]} ({moment.standing})\n"
            f"robustness: {number(moment.robustness)} s"
        )
        yield (
            f'<rect class="hit" x="{_LEFT + index * step:.1f}" y="0" width="{step:.1f}" height="{height - _FOOT:.0f}">'
            f"<title>{escape(text)}</title></rect>"
        )
