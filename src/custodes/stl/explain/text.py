"""An explanation as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from custodes.stl import formula as f

if TYPE_CHECKING:
    from custodes.stl.explain.explanation import Explanation, Range, Step
    from custodes.stl.explain.windows import Interval

WIDTH: Final = 96
"""Longer formulas are cut in the middle."""
RANGES: Final = 4
"""More ranges of samples than this are counted, not listed."""
DEEPEST: Final = 12
"""Deeper parts are indented no further."""


def render(explanation: Explanation) -> str:
    """The verdict, a line or two per part of the formula, and the samples responsible."""
    lines = [headline(explanation)]
    for step in explanation.steps:
        indent = "  " * (min(step.depth, DEEPEST) + 1)
        lines += [f"{indent}{shorten(step.text)}", f"{indent}  {_says(step, explanation)}"]
    what = "alone make it so" if explanation.certain else "leave it open"
    if explanation.responsible:
        named = "; ".join(f"{name} at {places(parts)}" for name, parts in explanation.responsible.items() if parts)
        lines.append(f"These samples {what}: {named or 'none'}.")
    hidden = "; ".join(f"{name} at {places(parts)}" for name, parts in explanation.unknown.items() if parts)
    if hidden:
        lines.append(f"Unknown: {hidden}.")
    lines += _runs(explanation)
    return "\n".join(lines)


def headline(explanation: Explanation) -> str:
    """The verdict on one line."""
    where = f"sample {explanation.at}{_moment(explanation, explanation.at)}"
    if explanation.lower == explanation.upper:
        robustness = f"robustness {number(explanation.lower)}"
    else:
        robustness = f"robustness between {number(explanation.lower)} and {number(explanation.upper)}"
    return f"{explanation.verdict.capitalize()} at {where}: {robustness} ({explanation.end})."


def places(parts: tuple[Interval, ...]) -> str:
    """Ranges of samples; of many the first few, and how many there are."""
    shown = ", ".join(str(part) for part in parts[:RANGES])
    if len(parts) <= RANGES:
        return shown
    total = sum(part.last - part.first + 1 for part in parts)
    return f"{shown}, ... ({total} samples in {len(parts)} ranges, the last {parts[-1]})"


def number(value: float) -> str:
    """Six digits are enough for people."""
    return f"{value:.6g}"


def shorten(text: str) -> str:
    """A formula on at most WIDTH characters."""
    if len(text) <= WIDTH:
        return text
    half = (WIDTH - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def _says(step: Step, explanation: Explanation) -> str:
    what = {True: "holds", False: "fails", None: "is open"}[step.holds]
    where = f"at {places(step.samples)}" + (
        _moment(explanation, step.samples[0].first) if step.count == 1 else f" ({step.count} samples)"
    )
    name = "robustness"
    if isinstance(step.node, f.Count | f.Fold):
        what, name = "counts", "value"
    parts = [f"{what} {where}", f"{name} {_span(step.least, step.most)}"]
    if step.count > 1 and step.least != step.most and step.holds is not None:
        best = "worst" if step.holds else "best"
        parts.append(f"{best} at {step.nearest}{_moment(explanation, step.nearest)}")
    parts += [_side(each) for each in step.sides if each.text != number(each.least)]
    if step.samples[-1].last >= explanation.length:
        parts.append(f"the trace ends at {explanation.length - 1}")
    return "; ".join([*parts, step.reason] if step.reason else parts)


def _side(side: Range) -> str:
    if np.isneginf(side.least) and np.isposinf(side.most):
        return f"{shorten(side.text)} is unknown"
    return f"{shorten(side.text)} = {_span(side.least, side.most)}"


def _span(least: float, most: float) -> str:
    return number(least) if least == most else f"{number(least)} to {number(most)}"


def _moment(explanation: Explanation, sample: int) -> str:
    if explanation.times is None or sample >= explanation.length:
        return ""
    return f" (time {number(float(explanation.times[sample]))}{explanation.unit and ' ' + explanation.unit})"


def _runs(explanation: Explanation) -> Iterator[str]:
    """Where else the rule is broken."""
    if explanation.runs.violated:
        total = sum(part.last - part.first + 1 for part in explanation.runs.violated)
        share = f"{total} of {explanation.length} samples"
        yield f"Violated, sample by sample, at {places(explanation.runs.violated)} ({share})."
    if explanation.runs.open:
        yield f"Undetermined at {places(explanation.runs.open)}."
