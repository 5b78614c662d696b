"""The abstract syntax of Signal Temporal Logic: what a formula is, whatever its spelling.

Two sorts of node. A **term** has a number at every sample; a **formula** has a robustness at every sample. Nodes are
frozen and compare by structure; the place in the text that a node was read from (`span`) takes no part in that.
The meaning of every node is written down in docs/stl.md, "Semantics".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Final, Literal, TypeAlias

UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
"""Units of time that a bound may carry, in nanoseconds."""

ArithmeticOperator: TypeAlias = Literal["+", "-", "*", "/"]
ComparisonOperator: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]
CountKind: TypeAlias = Literal["count", "rate"]
FoldKind: TypeAlias = Literal["sum", "mean", "min", "max"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A place in a formula's text."""

    start: int
    """First character, from 0."""
    end: int
    """One past the last character."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Duration:
    """How far from now: a count of samples, or of a unit of time."""

    amount: int
    """How many, >= 0."""
    unit: str = ""
    """A key of UNITS; empty for samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The closed window [lower, upper] of a temporal operator, as distances from now."""

    lower: Duration = field(default_factory=lambda: Duration(amount=0))
    """Nearest distance."""
    upper: Duration | None = None
    """Farthest distance; None is unbounded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """Anything with a place in the text."""

    span: Span | None = field(default=None, compare=False, repr=False)
    """Where it was read; None when it was made by a program."""


# --- terms ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Number(Node):
    """A constant."""

    value: float
    """Finite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal(Node):
    """A named column of the trace."""

    name: str
    """Any text that is not empty; printed in quotes unless it is a plain dotted name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Negative(Node):
    """Minus a term."""

    term: Term
    """What is negated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Absolute(Node):
    """abs(term)."""

    term: Term
    """What the absolute value is taken of."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arithmetic(Node):
    """Two terms joined by + - * or /, sample by sample, in IEEE arithmetic."""

    operator: ArithmeticOperator
    """Which."""
    left: Term
    """Left operand."""
    right: Term
    """Right operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Count(Node):
    """count or rate: how many, or what share, of the past window's samples satisfy a formula."""

    kind: CountKind
    """count: a number of samples. rate: that number over the samples of the window that the trace has, in [0, 1]."""
    formula: Formula
    """What is counted where its robustness is >= 0; looks at no future."""
    window: Duration
    """How many samples, the present one included, >= 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold(Node):
    """sum, mean, min or max of a term over the past window."""

    kind: FoldKind
    """Which."""
    term: Term
    """What is folded."""
    window: Duration
    """How many samples, the present one included, >= 1."""


# --- formulas ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth(Node):
    """true (robustness +inf) or false (-inf)."""

    value: bool
    """Which."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison(Node):
    """A predicate over two terms. A bare name in a formula's place is read as `name > 0.5`."""

    operator: ComparisonOperator
    """Which."""
    left: Term
    """Left operand."""
    right: Term
    """Right operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Not(Node):
    """Negation."""

    operand: Formula
    """What is negated."""


@dataclass(frozen=True, kw_only=True, slots=True)
class And(Node):
    """Conjunction of two; `a and b and c` is (a and b) and c."""

    left: Formula
    """Left operand."""
    right: Formula
    """Right operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Or(Node):
    """Disjunction of two; left-associative like And."""

    left: Formula
    """Left operand."""
    right: Formula
    """Right operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Implies(Node):
    """left -> right: (not left) or right."""

    left: Formula
    """Condition."""
    right: Formula
    """Consequence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Iff(Node):
    """left <-> right: both implications; `a xor b` is read as not (a <-> b)."""

    left: Formula
    """Left operand."""
    right: Formula
    """Right operand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Always(Node):
    """G: at every sample of the window ahead."""

    operand: Formula
    """What has to hold."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window ahead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Eventually(Node):
    """F: at some sample of the window ahead."""

    operand: Formula
    """What has to hold."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window ahead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Until(Node):
    """left U right: right holds at some t' of the window ahead, and left at every sample of [t, t')."""

    left: Formula
    """The guard, up to and without t'."""
    right: Formula
    """What has to come."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window ahead that t' lies in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeakUntil(Node):
    """left W right: (left U right) or always[0, upper] left."""

    left: Formula
    """The guard."""
    right: Formula
    """What releases it."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window ahead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release(Node):
    """left R right: not ((not left) U (not right))."""

    left: Formula
    """What ends the duty."""
    right: Formula
    """The duty."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window ahead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Next(Node):
    """X: at the next sample; as eventually[1,1], so false after the last."""

    operand: Formula
    """What has to hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Historically(Node):
    """H: at every sample of the window behind."""

    operand: Formula
    """What had to hold."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window behind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Once(Node):
    """O: at some sample of the window behind."""

    operand: Formula
    """What had to hold."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window behind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Since(Node):
    """left S right: right held at some t' of the window behind, and left at every sample of (t', t]."""

    left: Formula
    """The guard, after t' and up to now."""
    right: Formula
    """What had to come."""
    bounds: Bounds = field(default_factory=Bounds)
    """Window behind that t' lies in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Previous(Node):
    """Y: at the previous sample; as once[1,1], so false at the first."""

    operand: Formula
    """What had to hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AtLeast(Node):
    """at least `need` of the last `window` samples (the present one included): the need-th largest robustness."""

    need: int
    """How many, >= 1 and at most the window."""
    operand: Formula
    """What has to hold at them; looks at no future."""
    window: Duration
    """How many samples, the present one included."""


Term: TypeAlias = Number | Signal | Negative | Absolute | Arithmetic | Count | Fold
Formula: TypeAlias = (
    Truth
    | Comparison
    | Not
    | And
    | Or
    | Implies
    | Iff
    | Always
    | Eventually
    | Until
    | WeakUntil
    | Release
    | Next
    | Historically
    | Once
    | Since
    | Previous
    | AtLeast
)

FUTURE: Final = (Always, Eventually, Until, WeakUntil, Release, Next)
"""Formulas that look ahead."""
PAST: Final = (Historically, Once, Since, Previous, AtLeast)
"""Formulas that look behind."""


def children(node: Term | Formula) -> tuple[Term | Formula, ...]:
    """The nodes right below a node, from left to right."""
    values = (getattr(node, each.name) for each in fields(node))
    return tuple(value for value in values if isinstance(value, Node))  # type: ignore[misc]


def walk(node: Term | Formula) -> Iterator[Term | Formula]:
    """A node and everything below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)
