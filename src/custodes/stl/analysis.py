"""What a formula needs, read off its syntax: signals, future, past and the causality of its aggregates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from custodes.stl import formula as f
from custodes.stl.durations import in_samples
from custodes.stl.errors import FormulaError, StlError

__all__ = ["View", "check_causal", "horizon", "in_samples", "memory", "signals", "views", "warmup"]


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """The samples at which a node looks at one of its children, as offsets from now."""

    node: f.Term | f.Formula
    """The child."""
    first: int | None
    """Earliest offset, samples; None reaches back to the start of the trace."""
    last: int | None
    """Latest offset, samples; None reaches ahead without end."""


def signals(node: f.Term | f.Formula) -> tuple[str, ...]:
    """Names of the signals that a formula or term reads, sorted, each once."""
    return tuple(sorted({each.name for each in f.walk(node) if isinstance(each, f.Signal)}))


def horizon(node: f.Term | f.Formula) -> int | None:
    """How many samples after the present one the value depends on; None when there is no bound.

    Every sub-formula is looked at inside the trace, so that a window ahead counts even where its operand looks back.
    """
    farthest = 0
    for view in views(node):
        below = horizon(view.node)
        if below is None or view.last is None:
            return None
        farthest = max(farthest, view.last + below)
    return farthest


def memory(node: f.Term | f.Formula) -> int | None:
    """How many samples before the present one the value depends on; None when there is no bound."""
    farthest = 0
    for view in views(node):
        below = memory(view.node)
        if below is None or view.first is None:
            return None
        farthest = max(farthest, below - view.first)
    return farthest


def warmup(node: f.Term | f.Formula) -> int:
    """First sample from which no window behind is empty, in the formula or in the sub-formulas that it looks at.

    A window behind without end always reaches back to the first sample; it counts as filled once it holds one sample
    at which its operand is past its own warm-up. `at least k of w` needs k samples.
    """
    first = node.need - 1 if isinstance(node, f.AtLeast) else 0
    for view in views(node):
        below = warmup(view.node)
        if view.first is None or below == 0:
            first = max(first, below - (view.last or 0) if view.last is not None else 0)
        else:
            first = max(first, below - view.first)
    return first


def check_causal(node: f.Term | f.Formula, *, text: str = "", source: str = "formula") -> None:
    """Refuse an aggregate (count, rate, at least k of w) over a formula that looks ahead.

    Args:
        node: What to check.
        text: The text it was read from, for the place in the error.
        source: Name of the formula or file.

    Raises:
        FormulaError: At the operator that looks ahead.
    """
    below: list[tuple[f.Term | f.Formula, str]] = [(node, "")]
    while below:
        each, aggregate = below.pop()
        if aggregate and isinstance(each, f.FUTURE):
            raise FormulaError(
                f"{aggregate} looks back, but {type(each).__name__.lower()} inside it looks ahead",
                text=text,
                span=each.span or f.Span(start=0, end=len(text)),
                source=source,
                fix="use an operator of the past there: once, historically, since, prev",
            )
        name = each.kind if isinstance(each, f.Count) else "at least" if isinstance(each, f.AtLeast) else aggregate
        below.extend((child, name) for child in f.children(each))


def views(node: f.Term | f.Formula) -> Iterator[View]:
    """Where a node looks at its children; bounds have to be in samples.

    Raises:
        StlError: When a bound carries a unit.
    """
    match node:
        case f.Always(operand=operand, bounds=bounds) | f.Eventually(operand=operand, bounds=bounds):
            yield _ahead(operand, bounds)
        case f.Historically(operand=operand, bounds=bounds) | f.Once(operand=operand, bounds=bounds):
            yield _behind(operand, bounds)
        case f.Next(operand=operand):
            yield View(node=operand, first=1, last=1)
        case f.Previous(operand=operand):
            yield View(node=operand, first=-1, last=-1)
        case f.Until(left=left, right=right, bounds=bounds) | f.Release(left=left, right=right, bounds=bounds):
            yield _ahead(right, bounds)
            last = _farthest(bounds)
            if last is None or last > 0:
                yield View(node=left, first=0, last=None if last is None else last - 1)
        case f.WeakUntil(left=left, right=right, bounds=bounds):
            yield _ahead(right, bounds)
            yield View(node=left, first=0, last=_farthest(bounds))
        case f.Since(left=left, right=right, bounds=bounds):
            yield _behind(right, bounds)
            last = _farthest(bounds)
            if last is None or last > 0:
                yield View(node=left, first=None if last is None else 1 - last, last=0)
        case (
            f.AtLeast(operand=inside, window=window)
            | f.Count(formula=inside, window=window)
            | f.Fold(term=inside, window=window)
        ):
            yield View(node=inside, first=1 - _samples(window), last=0)
        case _:
            for child in f.children(node):
                yield View(node=child, first=0, last=0)


def _ahead(operand: f.Formula, bounds: f.Bounds) -> View:
    return View(node=operand, first=_samples(bounds.lower), last=_farthest(bounds))


def _behind(operand: f.Formula, bounds: f.Bounds) -> View:
    far = _farthest(bounds)
    return View(node=operand, first=None if far is None else -far, last=-_samples(bounds.lower))


def _farthest(bounds: f.Bounds) -> int | None:
    return None if bounds.upper is None else _samples(bounds.upper)


def _samples(duration: f.Duration) -> int:
    if duration.unit and duration.amount:
        raise StlError(
            f"the bound {duration.amount}{duration.unit} has a unit where samples are needed",
            fix="turn it into samples first, with in_samples(formula, period_ns)",
        )
    return duration.amount
