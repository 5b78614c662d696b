"""From the syntax tree to text: one spelling, that reads back as the same tree."""

from __future__ import annotations

import math
from typing import Final, Literal, TypeAlias, final

from custodes.stl import formula as f
from custodes.stl import grammar as g
from custodes.stl.dialects import DIALECTS, Dialect
from custodes.stl.errors import StlError
from custodes.stl.tokens import quoted

DialectName: TypeAlias = Literal["custodes", "rtamt", "sentil"]

_JOINERS: Final[dict[type[f.Node], tuple[str, int]]] = {
    f.And: ("and", g.AND),
    f.Or: ("or", g.OR),
    f.Implies: ("->", g.ARROW),
    f.Iff: ("<->", g.ARROW),
}
_POWERS: Final[dict[f.ArithmeticOperator, int]] = {"+": g.SUM, "-": g.SUM, "*": g.PRODUCT, "/": g.PRODUCT}
_WORDS: Final[dict[type[f.Node], str]] = {
    f.Always: "always",
    f.Eventually: "eventually",
    f.Historically: "historically",
    f.Once: "once",
    f.Until: "until",
    f.WeakUntil: "weak_until",
    f.Release: "release",
    f.Since: "since",
    f.Next: "next",
    f.Previous: "prev",
}


def format_formula(formula: f.Formula, dialect: DialectName = "custodes") -> str:
    """Text of a formula; `parse(format_formula(formula)) == formula`, numbers bit by bit.

    Args:
        formula: What to print.
        dialect: "rtamt" (0.4.10) and "sentil" (0.3.1) write what these read, with the same meaning there.

    Raises:
        StlError: A number that is not finite, or something that the dialect has no word for.
    """
    return _Printer(DIALECTS[dialect]).formula(formula)[0]


def format_term(term: f.Term) -> str:
    """Text of a term, as it stands in a comparison.

    Raises:
        StlError: A number that is not finite.
    """
    return _Printer(DIALECTS["custodes"]).term(term)[0]


@final
class _Printer:
    """Prints in one dialect; every method returns the text and the power that it binds with."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def formula(self, node: f.Formula) -> tuple[str, int]:
        match node:
            case f.Truth(value=value):
                self.need(self.dialect.truth, "true and false")
                return ("true" if value else "false"), g.ATOM
            case f.Comparison(operator=operator, left=left, right=right):
                sign = self.dialect.words.get(operator, operator)
                return f"{self.inside(left, g.SUM)} {sign} {self.inside(right, g.SUM)}", g.COMPARISON
            case f.Not(operand=operand):
                return f"not {self.enclosed(operand)}", g.PREFIX
            case f.And() | f.Or() | f.Implies() | f.Iff():
                return self.joined(node)
            case f.Until() | f.WeakUntil() | f.Release() | f.Since():
                word = self.word(node)
                sides = self.enclosed(node.left), self.enclosed(node.right)
                return f"{sides[0]} {word}{self.bounds(node.bounds, word)} {sides[1]}", g.TEMPORAL
            case f.Always() | f.Eventually() | f.Historically() | f.Once():
                word = self.word(node)
                return f"{word}{self.bounds(node.bounds, word)}{self.enclosed(node.operand)}", g.PREFIX
            case f.Next() | f.Previous():
                return f"{self.word(node)}{self.enclosed(node.operand)}", g.PREFIX
            case f.AtLeast(need=need, operand=operand, window=window):
                self.need(self.dialect.aggregates, "at least")
                return f"at least {need} of {self.duration(window)} {self.enclosed(operand)}", g.PREFIX

    def joined(self, node: f.And | f.Or | f.Implies | f.Iff) -> tuple[str, int]:
        word, power = _JOINERS[type(node)]
        self.need(self.dialect.iff or not isinstance(node, f.Iff), "<-> with this meaning")
        floors = (power + 1, power + 1) if power == g.ARROW else (power, power + 1)
        if self.dialect.parentheses:
            floors = (g.ATOM, g.ATOM)
        left, right = (self.at_least(each, floor) for each, floor in zip((node.left, node.right), floors, strict=True))
        return f"{left} {word} {right}", power

    def at_least(self, node: f.Formula, floor: int) -> str:
        text, power = self.formula(node)
        return text if power >= floor else f"({text})"

    def enclosed(self, node: f.Formula) -> str:
        return f"({self.formula(node)[0]})"

    def term(self, node: f.Term) -> tuple[str, int]:
        match node:
            case f.Number(value=value):
                return number(value), (g.MINUS if math.copysign(1.0, value) < 0 else g.ATOM)
            case f.Signal(name=name):
                return self.name(name), g.ATOM
            case f.Negative(term=term):
                if not self.dialect.minus:
                    return f"0 - {self.inside(term, g.ATOM)}", g.SUM
                return f"-{self.inside(term, g.ATOM, number=True)}", g.MINUS
            case f.Absolute(term=term):
                return f"abs({self.term(term)[0]})", g.ATOM
            case f.Arithmetic(operator=operator, left=left, right=right):
                power = _POWERS[operator]
                first, second = (g.ATOM, g.ATOM) if self.dialect.parentheses else (power, power + 1)
                # A minus sign right after an operator is legal, and in parentheses it is also readable.
                text, tight = self.term(right)
                second_text = f"({text})" if tight < second or tight == g.MINUS else text
                return f"{self.inside(left, first)} {operator} {second_text}", power
            case f.Count(kind=kind, formula=formula, window=window):
                self.need(self.dialect.aggregates, kind)
                return f"{kind}({self.formula(formula)[0]}, {self.duration(window)})", g.ATOM
            case f.Fold(kind=kind, term=term, window=window):
                self.need(self.dialect.aggregates, f"{kind} over a window")
                return f"{kind}({self.term(term)[0]}, {self.duration(window)})", g.ATOM

    def inside(self, node: f.Term, floor: int, *, number: bool = False) -> str:
        """A term in parentheses where it binds less tightly than the floor, or a number that must not join a sign."""
        text, power = self.term(node)
        return f"({text})" if power < floor or (number and isinstance(node, f.Number)) else text

    def word(self, node: f.Formula) -> str:
        word = _WORDS[type(node)]
        said = self.dialect.words.get(word, word)
        self.need(bool(said), word)
        return said

    def bounds(self, bounds: f.Bounds, word: str) -> str:
        if bounds.upper is None:
            if not bounds.lower.amount and not bounds.lower.unit:
                self.need(word not in self.dialect.bounded, f"{word} without bounds")
                return ""
            self.need(bool(self.dialect.endless), "a window from a bound on without end")
            return f"[{self.duration(bounds.lower)}{self.dialect.endless}]"
        return f"[{self.duration(bounds.lower)},{self.duration(bounds.upper)}]"

    def duration(self, duration: f.Duration) -> str:
        self.need(not duration.unit or duration.unit in self.dialect.units, f"the unit {duration.unit}")
        return f"{duration.amount}{duration.unit}"

    def name(self, name: str) -> str:
        if self.dialect.names is None:
            return quoted(name)
        plain = self.dialect.names.fullmatch(name) is not None and name not in self.dialect.reserved
        self.need(plain, f"the name {quoted(name)}")
        return name

    def need(self, has: bool, what: str) -> None:
        if not has:
            raise StlError(f"{self.dialect.name} has no way to write {what}", fix="print it in the dialect custodes")


def number(value: float) -> str:
    """Shortest text that reads back as the same number.

    Raises:
        StlError: The number is not finite.
    """
    if not math.isfinite(value):
        raise StlError(f"a formula holds the number {value}", fix="use finite numbers")
    return repr(float(value)).removesuffix(".0")
