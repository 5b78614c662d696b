"""The words and signs of the language, and how tightly they bind.

Loosest first: `->` `<->` `xor`; `or`; `and`; `until` `weak_until` `release` `since`; the operators in front (`not`,
`always`, `at least 2 of 5`, ...); comparisons; `+` `-`; `*` `/`; the minus in front of a term.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

from custodes.stl import formula as f

InfixKind: TypeAlias = Literal["implies", "iff", "xor", "or", "and", "temporal", "comparison", "arithmetic"]

ARROW, OR, AND, TEMPORAL, PREFIX, COMPARISON, SUM, PRODUCT, MINUS, ATOM = range(10, 110, 10)
"""Binding powers."""

CHAINLESS: Final = frozenset({ARROW, TEMPORAL, COMPARISON})
"""Powers of operators that don't follow each other without parentheses."""


class Infix(NamedTuple):
    """An operator between two operands."""

    kind: InfixKind
    word: str
    power: int


UNARY: Final[dict[str, type[f.Node]]] = {
    **dict.fromkeys(("always", "globally", "G"), f.Always),
    **dict.fromkeys(("eventually", "finally", "F"), f.Eventually),
    **dict.fromkeys(("next", "X", "s_next"), f.Next),
    **dict.fromkeys(("historically", "H"), f.Historically),
    **dict.fromkeys(("once", "O"), f.Once),
    **dict.fromkeys(("prev", "previous", "Y", "s_prev"), f.Previous),
}
"""Temporal operators in front of one formula."""

BINARY: Final[dict[str, type[f.Node]]] = {
    **dict.fromkeys(("until", "U"), f.Until),
    **dict.fromkeys(("weak_until", "unless", "W"), f.WeakUntil),
    **dict.fromkeys(("release", "R"), f.Release),
    **dict.fromkeys(("since", "S"), f.Since),
}
"""Temporal operators between two formulas."""

NOT: Final = frozenset({"not", "!", "~"})
TRUTHS: Final = {"true": True, "false": False}
COUNTS: Final[dict[str, f.CountKind]] = {"count": "count", "rate": "rate"}
FOLDS: Final[dict[str, f.FoldKind]] = {"sum": "sum", "mean": "mean", "min": "min", "max": "max"}
CALLS: Final = frozenset({"abs", "rise", "fall", *COUNTS, *FOLDS})
"""Words that are functions where a parenthesis follows, and names elsewhere."""

NO_FUNCTIONS: Final = frozenset({
    "sqrt", "cbrt", "exp", "pow", "log", "log2", "log10", "ln", "sin", "cos", "tan", "tanh", "floor", "ceil", "round",
    "sign", "mod", "sigmoid", "clip", "clamp",
})  # fmt: skip
"""Functions that other tools have and this language has not."""
TRUTH_SPELLINGS: Final = {"TRUE": "true", "True": "true", "FALSE": "false", "False": "false"}
"""Other spellings of the truth values, by the one that is read."""

_COMPARISONS: Final[dict[str, f.ComparisonOperator]] = {
    **{"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "==", "!=": "!="},
    **{"!==": "!="},
}

INFIX: Final[dict[str, Infix]] = {
    **dict.fromkeys(("->", "implies"), Infix("implies", "->", ARROW)),
    **dict.fromkeys(("<->", "iff"), Infix("iff", "<->", ARROW)),
    "xor": Infix("xor", "xor", ARROW),
    **dict.fromkeys(("or", "|", "||"), Infix("or", "or", OR)),
    **dict.fromkeys(("and", "&", "&&"), Infix("and", "and", AND)),
    **{word: Infix("temporal", word, TEMPORAL) for word in BINARY},
    **{word: Infix("comparison", sign, COMPARISON) for word, sign in _COMPARISONS.items()},
    **{
        sign: Infix("arithmetic", sign, power)
        for sign, power in {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT}.items()
    },
}
"""Everything between two operands, by spelling."""

RESERVED: Final = frozenset(
    word for word in (*UNARY, *INFIX, *NOT, *TRUTHS, "inf", "nan") if len(word) > 1 and word.isidentifier()
)
"""Words that are never a bare name. A single letter is one where it can't be an operator."""

WORDS: Final = frozenset(
    word for word in (*RESERVED, *UNARY, *BINARY, *CALLS, *TRUTH_SPELLINGS, "at", "least", "of") if word.isidentifier()
)
"""Words that mean something somewhere: a signal of that name is printed in quotes."""

PLAIN_NAME: Final = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
"""A name that needs no quotes."""
