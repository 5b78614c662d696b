"""What other tools for temporal logic can read, for tests that compare with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from custodes.stl import formula as f
from custodes.stl.grammar import WORDS


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a tool's formulas differ from those of custodes."""

    name: str
    """Of the tool."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Other spellings; empty where there is no operator of that meaning."""
    names: re.Pattern[str] | None = None
    """Names that it reads; None for all, in quotes where needed."""
    reserved: frozenset[str] = frozenset()
    """Words that are no names there."""
    units: frozenset[str] = frozenset(f.UNITS)
    """Units that it reads in bounds."""
    bounded: frozenset[str] = frozenset()
    """Operators that need a window there."""
    endless: str = ","
    """How a window [a, without end] goes on after a; empty when there is none."""
    truth: bool = True
    """Has true and false."""
    iff: bool = True
    """Has <-> as two implications."""
    minus: bool = True
    """Has a minus in front of a term that is no number."""
    aggregates: bool = True
    """Has count, rate, sum, mean, min, max over windows, and at least k of w."""
    parentheses: bool = False
    """Put them around every operand, as its precedences differ."""


_ONE_AHEAD, _ONE_BEHIND = "eventually[1,1]", "once[1,1]"

DIALECTS: Final = {
    "custodes": Dialect(name="custodes"),
    # Its next and prev are true beyond the trace, its iff and xor compare robustness by distance, and R has no rule.
    "rtamt": Dialect(
        name="rtamt",
        words={"weak_until": "unless", "release": "", "!=": "!==", "next": _ONE_AHEAD, "prev": _ONE_BEHIND},
        names=re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
        reserved=WORDS
        | {"s", "ms", "us", "ns", "ps", "topic", "import", "input", "output", "internal", "const", "real", "float"}
        | {
            "long",
            "complex",
            "int",
            "bool",
            "assertion",
            "specification",
            "from",
            "sqrt",
            "exp",
            "pow",
            "TRUE",
            "FALSE",
        }
        | {"s_next", "s_prev", "true", "false"},
        units=frozenset({"s", "ms", "us", "ns"}),
        bounded=frozenset({"unless"}),
        endless="",
        truth=False,
        iff=False,
        minus=False,
        aggregates=False,
        parentheses=True,
    ),
    "sentil": Dialect(
        name="sentil",
        words={"weak_until": "", "release": "", "prev": _ONE_BEHIND},
        names=re.compile(r"[A-Za-z_][A-Za-z0-9_]*"),
        reserved=WORDS | {"P", "sqrt", "exp", "log", "ln", "sin", "cos", "tan", "pow", "floor", "ceil", "sign"},
        units=frozenset(),
        endless=", inf",
        truth=False,
        iff=False,
        aggregates=False,
        parentheses=True,
    ),
}
"""By name."""
