"""Random formulas and traces for differential tests, from one seeded generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from custodes.stl import formula as f

SIGNALS = ("x", "y", "z")
BOUNDED = (f.Always, f.Eventually, f.Historically, f.Once, f.Until, f.WeakUntil, f.Release, f.Since)
FOLDS: tuple[f.FoldKind, ...] = ("sum", "mean", "min", "max")
COMPARISONS: tuple[f.ComparisonOperator, ...] = ("<", "<=", ">", ">=", "==", "!=")
ARITHMETIC: tuple[f.ArithmeticOperator, ...] = ("+", "-", "*", "/")


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """What a random formula may contain."""

    depth: int = 4
    """Most operators above a comparison."""
    longest: int = 6
    """Largest bound, samples."""
    future: bool = True
    """Operators that look ahead."""
    past: bool = True
    """Operators that look behind."""
    unbounded: bool = True
    """Windows without an end."""
    unbounded_future: bool = True
    """Windows ahead without an end (only where `unbounded`)."""
    aggregates: bool = True
    """count, rate, sum, mean, min, max and at least k of w."""
    plain: bool = False
    """Only what rtamt and sentil have too: no release, weak until, iff, aggregates, truth."""


def random_formula(rng: np.random.Generator, grammar: Grammar) -> f.Formula:
    """A formula of at most the grammar's depth."""
    return _formula(rng, grammar, grammar.depth)


def random_trace(rng: np.random.Generator, length: int) -> dict[str, np.ndarray]:
    """Continuous signals: ties have probability zero, so that an order of minima cannot hide."""
    return {name: rng.normal(size=length) for name in SIGNALS}


def _formula(rng: np.random.Generator, grammar: Grammar, depth: int) -> f.Formula:
    if depth == 0 or rng.random() < 0.1:
        return _comparison(rng, grammar, depth)
    kinds: list[type[Any]] = [f.Not, f.And, f.Or, f.Implies]
    if not grammar.plain:
        kinds += [f.Iff]
    if grammar.future:
        kinds += [f.Always, f.Eventually, f.Until, f.Next, *(() if grammar.plain else (f.WeakUntil, f.Release))]
    if grammar.past:
        kinds += [f.Historically, f.Once, f.Since, f.Previous]
    if grammar.aggregates:
        kinds += [f.AtLeast]
    kind = kinds[rng.integers(len(kinds))]
    if kind is f.AtLeast:
        window = int(rng.integers(1, grammar.longest + 1))
        operand = _formula(rng, _causal(grammar), depth - 1)
        return f.AtLeast(need=int(rng.integers(1, window + 1)), operand=operand, window=f.Duration(amount=window))
    parts: dict[str, Any] = {}
    if kind in (f.Not, f.Next, f.Previous, f.Always, f.Eventually, f.Historically, f.Once):
        parts |= {"operand": _formula(rng, grammar, depth - 1)}
    else:
        parts |= {"left": _formula(rng, grammar, depth - 1), "right": _formula(rng, grammar, depth - 1)}
    if kind in BOUNDED:
        parts |= {"bounds": _bounds(rng, grammar, kind)}
    made: f.Formula = kind(**parts)
    return made


def _causal(grammar: Grammar) -> Grammar:
    return Grammar(
        depth=grammar.depth,
        longest=grammar.longest,
        future=False,
        past=grammar.past,
        unbounded=grammar.unbounded,
        aggregates=grammar.aggregates,
        plain=grammar.plain,
    )


def _bounds(rng: np.random.Generator, grammar: Grammar, kind: type) -> f.Bounds:
    lower = int(rng.integers(0, grammar.longest // 2 + 1))
    allowed = grammar.unbounded and (grammar.unbounded_future or kind not in f.FUTURE)
    if allowed and rng.random() < 0.25:
        return f.Bounds(lower=f.Duration(amount=lower if rng.random() < 0.5 else 0))
    return f.Bounds(
        lower=f.Duration(amount=lower), upper=f.Duration(amount=int(rng.integers(lower, grammar.longest + 1)))
    )


def _comparison(rng: np.random.Generator, grammar: Grammar, depth: int) -> f.Formula:
    if not grammar.plain and rng.random() < 0.02:
        return f.Truth(value=bool(rng.random() < 0.5))
    operators = COMPARISONS[:4] if grammar.plain else COMPARISONS
    left = _term(rng, grammar, min(depth, 2))
    if isinstance(left, f.Count):
        right: f.Term = f.Number(value=float(rng.integers(0, 4)) + 0.5 if left.kind == "count" else 0.37)
    else:
        right = f.Number(value=round(float(rng.normal()), 2))
    if rng.random() < 0.2:
        right = _term(rng, grammar, 0)
    return f.Comparison(operator=operators[rng.integers(len(operators))], left=left, right=right)


def _term(rng: np.random.Generator, grammar: Grammar, depth: int) -> f.Term:
    signal = f.Signal(name=SIGNALS[rng.integers(len(SIGNALS))])
    draw = rng.random()
    if grammar.aggregates and draw < 0.25:
        window = f.Duration(amount=int(rng.integers(1, grammar.longest + 1)))
        if draw < 0.1:
            count: f.CountKind = "count" if rng.random() < 0.5 else "rate"
            return f.Count(kind=count, formula=_formula(rng, _causal(grammar), depth), window=window)
        fold = FOLDS[rng.integers(len(FOLDS))]
        return f.Fold(kind=fold, term=_term(rng, grammar, 0), window=window)
    if depth == 0 or draw < 0.7 or grammar.plain:
        return signal
    if draw < 0.75:
        return f.Negative(term=signal)
    if draw < 0.8:
        return f.Absolute(term=signal)
    operator = ARITHMETIC[rng.integers(len(ARITHMETIC))]
    other = f.Number(value=2.5) if operator == "/" else _term(rng, grammar, 0)
    return f.Arithmetic(operator=operator, left=signal, right=other)
