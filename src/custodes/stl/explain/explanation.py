"""What an explanation holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

import numpy as np

from custodes.stl import formula as f
from custodes.stl.explain.text import render
from custodes.stl.explain.windows import Floats, Interval
from custodes.stl.policy import End

Verdict: TypeAlias = Literal["satisfied", "violated", "undetermined"]


@final
@dataclass(frozen=True, kw_only=True)
class Range:
    """What a term or signal is over the samples of a step."""

    text: str
    """The term, printed."""
    least: float
    """Smallest value; -inf where it is unknown."""
    most: float
    """Largest value; inf where it is unknown."""


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """One part of the formula and its share in the verdict."""

    node: f.Term | f.Formula
    """The part."""
    text: str
    """It, printed."""
    span: f.Span | None
    """Where it stands in the formula's text; None when it was not read from a text."""
    depth: int
    """How many operators stand above it."""
    samples: tuple[Interval, ...]
    """Where it matters."""
    count: int
    """How many samples that is."""
    holds: bool | None
    """Whether it is satisfied there; None for a term, and where that is unknown."""
    least: float
    """Its smallest robustness (of a term: value) there; may be infinite."""
    most: float
    """Its largest one."""
    nearest: int
    """The sample that is nearest to another verdict: of a violated part the best one, of a satisfied part the worst."""
    reason: str
    """The operator's part in it, in words; empty where there is nothing to say."""
    sides: tuple[Range, ...]
    """Of a comparison, what stands left and right of it."""


@final
@dataclass(frozen=True, kw_only=True)
class Runs:
    """A rule sample by sample, without its outermost unbounded `always`."""

    lower: Floats
    """Robustness, at least, [samples]."""
    upper: Floats
    """Robustness, at most, [samples]."""
    violated: tuple[Interval, ...]
    """Maximal ranges where it is violated."""
    open: tuple[Interval, ...]
    """Maximal ranges where unknown samples leave it open."""


@final
@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a formula is satisfied or violated at one sample of a trace."""

    formula: f.Formula
    """The formula, bounds in samples."""
    text: str
    """It, printed."""
    at: int
    """The sample that was asked about."""
    length: int
    """Samples of the trace."""
    end: End
    """End policy."""
    verdict: Verdict
    """At that sample. undetermined: unknown samples (masked, or after the end) can still turn it."""
    certain: bool
    """Whether the verdict holds whatever the unknown samples are. (Pessimistic calls violated what may be.)"""
    lower: float
    """Robustness there, at least."""
    upper: float
    """Robustness there, at most; the same as `lower` unless samples are unknown."""
    steps: tuple[Step, ...]
    """Parts of the formula that make the verdict, parents before children."""
    responsible: Mapping[str, tuple[Interval, ...]]
    """Samples of signals that imply the verdict alone: changing all others cannot turn it. (Of a verdict that is not
    certain: the samples that leave it open.)"""
    unknown: Mapping[str, tuple[Interval, ...]]
    """Samples among these that are unknown, also after the end of the trace."""
    runs: Runs
    """The rule sample by sample."""
    signals: Mapping[str, Floats]
    """The trace."""
    times: Floats | None
    """Time of every sample, in `unit`; None when samples are only counted."""
    unit: str
    """Unit of the times."""

    def to_text(self) -> str:
        """The explanation for people, a paragraph per part."""
        return render(self)

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON values; infinities are the texts "inf" and "-inf"."""
        return {
            "formula": self.text,
            "at": self.at,
            "time": None if self.times is None else float(self.times[self.at]),
            "time_unit": self.unit or None,
            "samples": self.length,
            "end": self.end,
            "verdict": self.verdict,
            "certain": self.certain,
            "robustness": [_number(self.lower), _number(self.upper)],
            "responsible": {name: _ranges(parts) for name, parts in self.responsible.items()},
            "unknown": {name: _ranges(parts) for name, parts in self.unknown.items()},
            "violations": _ranges(self.runs.violated),
            "undetermined": _ranges(self.runs.open),
            "steps": [_step(step) for step in self.steps],
        }


def _step(step: Step) -> dict[str, Any]:
    return {
        "formula": step.text,
        "span": None if step.span is None else [step.span.start, step.span.end],
        "depth": step.depth,
        "samples": _ranges(step.samples),
        "count": step.count,
        "holds": step.holds,
        "robustness": [_number(step.least), _number(step.most)],
        "nearest": step.nearest,
        "reason": step.reason,
        "sides": [{"term": each.text, "range": [_number(each.least), _number(each.most)]} for each in step.sides],
    }


def _ranges(parts: tuple[Interval, ...]) -> list[list[int]]:
    return [[part.first, part.last] for part in parts]


def _number(value: float) -> float | str:
    return value if np.isfinite(value) else ("inf" if value > 0 else "-inf")
