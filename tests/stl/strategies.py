"""Any syntax tree that the language can say, for Hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from custodes.stl import formula as f
from tests.stl.generate import ARITHMETIC, COMPARISONS, FOLDS

NAMES = st.one_of(
    st.sampled_from(
        ["x", "host.cpu", "net.bytes-in", "G", "U", "always", "count", "s", "min", "inf", "at", "true", "größe"]
    ),
    st.text(min_size=1, max_size=6),
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
DURATIONS = st.builds(
    lambda amount, unit: f.Duration(amount=amount, unit=unit), st.integers(1, 10**5), st.sampled_from(["", *f.UNITS])
)


@st.composite
def bounds(draw: st.DrawFn) -> f.Bounds:
    unit = draw(st.sampled_from(["", "", *f.UNITS]))
    lower, more = draw(st.integers(0, 50)), draw(st.none() | st.integers(0, 10**5))
    upper = None if more is None else f.Duration(amount=lower + more, unit=unit)
    return f.Bounds(lower=f.Duration(amount=lower, unit=unit), upper=upper)


@st.composite
def terms(draw: st.DrawFn, depth: int = 3) -> Any:
    kinds: list[Any] = [f.Number, f.Signal]
    if depth:
        kinds += [f.Negative, f.Absolute, f.Arithmetic, f.Arithmetic, f.Count, f.Fold]
    kind = draw(st.sampled_from(kinds))
    if kind is f.Number:
        return f.Number(value=draw(NUMBERS))
    if kind is f.Signal:
        return f.Signal(name=draw(NAMES))
    if kind is f.Arithmetic:
        operator = draw(st.sampled_from(ARITHMETIC))
        return f.Arithmetic(operator=operator, left=draw(terms(depth - 1)), right=draw(terms(depth - 1)))
    if kind is f.Count:
        inside = draw(formulas(depth - 1, future=False))
        return f.Count(kind=draw(st.sampled_from(["count", "rate"])), formula=inside, window=draw(DURATIONS))
    if kind is f.Fold:
        fold = draw(st.sampled_from(FOLDS))
        return f.Fold(kind=fold, term=draw(terms(depth - 1)), window=draw(DURATIONS))
    return kind(term=draw(terms(depth - 1)))


@st.composite
def formulas(draw: st.DrawFn, depth: int = 4, *, future: bool = True) -> Any:
    """Formulas of at most so many operators above a comparison."""
    kinds: list[Any] = [f.Comparison, f.Comparison, f.Truth]
    if depth > 0:
        kinds += [f.Not, f.And, f.Or, f.Implies, f.Iff, *f.PAST, *(f.FUTURE if future else ())]
    kind = draw(st.sampled_from(kinds))
    if kind is f.Truth:
        return f.Truth(value=draw(st.booleans()))
    if kind is f.Comparison:
        operator = draw(st.sampled_from(COMPARISONS))
        deep = max(0, min(depth, 2))
        return f.Comparison(operator=operator, left=draw(terms(deep)), right=draw(terms(deep)))
    if kind is f.AtLeast:
        window = draw(DURATIONS)
        need = draw(st.integers(1, 9 if window.unit else min(9, window.amount)))
        return f.AtLeast(need=need, operand=draw(formulas(depth - 1, future=False)), window=window)
    parts: dict[str, Any] = {}
    names = ("left", "right") if "left" in kind.__dataclass_fields__ else ("operand",)
    for name in names:
        parts[name] = draw(formulas(depth - 1, future=future))
    if "bounds" in kind.__dataclass_fields__:
        parts["bounds"] = draw(bounds())
    return kind(**parts)
