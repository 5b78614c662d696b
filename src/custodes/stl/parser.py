"""From text to the syntax tree: operator precedence by binding powers (Pratt, Top down operator precedence, 1973).

A bare name in a formula's place is `name > 0.5`. The single letters G F X H O Y are operators where `(`, `[` or an
operand follows them, and U W R S where they stand between two operands; anywhere else a letter is a signal's name, and
in quotes it always is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any, NoReturn, final

from custodes.stl import formula as f
from custodes.stl import grammar as g
from custodes.stl.bounds import Parameters, read_bounds, read_need, read_window
from custodes.stl.cursor import Cursor, nearest
from custodes.stl.operands import MAX_DEPTH, Builder, Operand
from custodes.stl.tokens import Token, shown

_NOTHING: Mapping[str, Any] = {}


def parse(
    text: str,
    *,
    parameters: Parameters = _NOTHING,
    formulas: Mapping[str, f.Formula] = _NOTHING,
    known: Collection[str] | None = None,
    source: str = "formula",
) -> f.Formula:
    """Read a formula.

    Args:
        text: At most 100,000 characters and 100 levels.
        parameters: Names that stand for a number, or for a length of time ("5s") in bounds.
        formulas: Names that stand for a formula. Both only where the name is not in quotes.
        known: The signals that there are; None accepts every name.
        source: What to call the text in errors.

    Returns:
        The formula, every node with its place in the text. Bounds keep their units.

    Raises:
        FormulaError: What is wrong, where, and what to write instead.
    """
    return _Parser(Cursor(text, source), parameters, formulas, known).whole()


@final
class _Parser:
    """Reads one text."""

    def __init__(
        self,
        cursor: Cursor,
        parameters: Parameters,
        formulas: Mapping[str, f.Formula],
        known: Collection[str] | None,
    ) -> None:
        self.cursor, self.build = cursor, Builder(cursor)
        self.parameters, self.formulas, self.known = parameters, formulas, known
        self.level = 0

    def whole(self) -> f.Formula:
        if len(self.cursor.tokens) == 1:
            raise self.cursor.error(
                "the formula is empty", self.cursor.now.span, "write one, such as always (cpu < 0.9)"
            )
        read = self.expression(0)
        if self.cursor.at_sign(")") or self.cursor.at_sign("]"):
            sign = self.cursor.now
            raise self.cursor.error(f"nothing was opened that this {sign.text} closes", sign.span, "leave it out")
        if self.cursor.now.kind != "end":
            raise self.cursor.unexpected("the formula's end or an operator")
        node: f.Formula = self.build.formula(read).node
        return node

    def expression(self, floor: int) -> Operand:
        """The longest operand that comes, of operators that bind at least as tightly as the floor."""
        self.level += 1
        if self.level > MAX_DEPTH:
            raise self.build.too_deep(self.cursor.now.span)
        left, last = self.operand(), 0
        while True:
            token = self.cursor.now
            infix = g.INFIX.get(token.text) if token.kind in ("sign", "name") else None
            if infix is None or infix.power < floor:
                break
            if infix.power == last and last in g.CHAINLESS:
                self.refuse_chain(left, token, infix)
            left, last = self.infix(left, infix), infix.power
        self.level -= 1
        return left

    # --- between two operands -----------------------------------------------------------------------------------------

    def infix(self, left: Operand, infix: g.Infix) -> Operand:
        token, build = self.cursor.advance(), self.build
        numbers = infix.kind in ("comparison", "arithmetic")
        left = build.term(left) if numbers else build.formula(left)
        bounds = {"bounds": read_bounds(self.cursor, self.parameters)} if infix.kind == "temporal" else {}
        right = self.expression(infix.power + 1)
        right = build.term(right) if numbers else build.formula(right)
        both: dict[str, Any] = {"left": left, "right": right}
        start, end = left.start, right.end
        match infix.kind:
            case "comparison":
                return build.make(f.Comparison, start, end, operator=infix.word, **both)
            case "arithmetic":
                return build.make(f.Arithmetic, start, end, operator=infix.word, **both)
            case "and":
                return build.make(f.And, start, end, **both)
            case "or":
                return build.make(f.Or, start, end, **both)
            case "implies":
                return build.make(f.Implies, start, end, **both)
            case "iff":
                return build.make(f.Iff, start, end, **both)
            case "xor":
                return build.make(f.Not, start, end, operand=build.make(f.Iff, start, end, **both))
            case "temporal":
                return build.make(g.BINARY[token.text], start, end, **both, **bounds)

    def refuse_chain(self, left: Operand, token: Token, infix: g.Infix) -> NoReturn:
        """`a < b < c`, `a -> b -> c`, `a U b U c`: none means the same to everybody."""
        cut = self.build.text
        if infix.kind == "comparison":
            first, middle = left.node.left.span, left.node.right.span
            self.cursor.advance()
            right = self.expression(infix.power + 1)
            low, high = cut(first.start, first.end), cut(right.start, right.end)
            between = cut(middle.start, middle.end)
            sign = self.cursor.text[first.end : middle.start].strip(" ()")
            raise self.cursor.error(
                "comparisons do not chain",
                token.span,
                f"write {low} {shown(sign)} {between} and {between} {token.text} {high}",
            )
        raise self.cursor.error(
            f"{token.text} after an operator of the same kind needs parentheses",
            token.span,
            "put ( and ) around the part that belongs together",
        )

    # --- one operand --------------------------------------------------------------------------------------------------

    def operand(self) -> Operand:
        token = self.cursor.now
        match token.kind:
            case "number":
                return self.number(1.0, token.start)
            case "quoted":
                self.cursor.advance()
                return self.signal(token)
            case "name":
                return self.word(token)
            case "sign":
                return self.sign(token)
            case "end":
                raise self.cursor.unexpected("a formula or a term", fix="write what is missing")

    def sign(self, token: Token) -> Operand:
        if token.text == "(":
            self.cursor.advance()
            inner = self.expression(0)
            closed = self.cursor.expect(")", opened=token)
            return inner._replace(start=token.start, end=closed.end)
        if token.text == "-":
            self.cursor.advance()
            if self.cursor.now.kind == "number":
                return self.number(-1.0, token.start)
            inner = self.build.term(self.expression(g.MINUS))
            return self.build.make(f.Negative, token.start, inner.end, term=inner)
        if token.text in g.NOT or token.text in g.UNARY:
            return self.prefix(token)
        if token.text == "+":
            raise self.cursor.error("a plus in front of a term", token.span, "leave it out")
        if token.text in g.INFIX:
            raise self.cursor.error(
                f"{token.text} has nothing on its left", token.span, "write what it joins on both sides"
            )
        raise self.cursor.unexpected("a formula or a term", fix="write what is missing")

    def number(self, sign: float, start: int) -> Operand:
        token = self.cursor.advance()
        value = float(token.text)
        if not math.isfinite(value):
            raise self.cursor.error(f"{shown(token.text)} is too large", token.span, "write a number below 1.8e308")
        self.no_unit(token)
        return self.build.make(f.Number, start, token.end, value=sign * value)

    def no_unit(self, number: Token) -> None:
        after = self.cursor.now
        if after.kind == "name" and after.text not in g.INFIX and after.start == number.end:
            fix = "units stand in bounds only, as in [0,5s]" if after.text in f.UNITS else ""
            raise self.cursor.error(
                f"{shown(after.text)} follows a number", after.span, fix or f"write {number.text} * {shown(after.text)}"
            )

    def word(self, token: Token) -> Operand:
        after = self.cursor.ahead()
        word, called = token.text, after.kind == "sign" and after.text in ("(", "[")
        if word in g.NOT or (word in g.UNARY and (len(word) > 1 or self.is_operator())):
            return self.prefix(token)
        if word in g.CALLS and called and after.text == "(":
            return self.call(token)
        if word == "at" and after.kind == "name" and after.text == "least":
            return self.at_least(token)
        if word in g.TRUTHS:
            self.cursor.advance()
            return self.build.make(f.Truth, token.start, token.end, value=g.TRUTHS[word])
        if word in ("inf", "nan"):
            raise self.cursor.error(
                f"{word} is no number here", token.span, "write a finite number, or quote a signal's name"
            )
        if word in g.RESERVED:
            raise self.cursor.error(
                f"{word} has nothing on its left", token.span, f'write "{word}" if a signal is meant'
            )
        if called:
            self.refuse_call(token)
        if word in g.TRUTH_SPELLINGS and not self.is_known(word):
            fix = f'write {g.TRUTH_SPELLINGS[word]}, or "{word}" in quotes if a signal is meant'
            raise self.cursor.error(f"{word} is no truth value", token.span, fix)
        self.cursor.advance()
        return self.name(token)

    def is_known(self, word: str) -> bool:
        """Whether a name was declared, as a parameter, a formula or a signal."""
        return word in self.parameters or word in self.formulas or (self.known is not None and word in self.known)

    def is_operator(self) -> bool:
        """Is the single letter that comes next an operator: does an operand or a window follow it?"""
        after, then = self.cursor.ahead(), self.cursor.ahead(2)
        if after.kind == "name" and after.text in g.INFIX:
            # `G U x`: an until of two signals; `G U > 3`: always, of a signal U.
            return len(after.text) == 1 and (
                then.kind == "end" or (then.kind == "sign" and then.text not in ("(", "[", "-", "!"))
            )
        return after.kind in ("number", "quoted", "name") or after.text in ("(", "[", "!", "~")

    def name(self, token: Token) -> Operand:
        if token.text in self.parameters:
            value = self.parameters[token.text]
            if isinstance(value, str) or not math.isfinite(value):
                raise self.cursor.error(
                    f"parameter {shown(token.text)} is {shown(str(value))}, no number",
                    token.span,
                    "use it in a bound, or give it a finite number",
                )
            return self.build.make(f.Number, token.start, token.end, value=float(value))
        if token.text in self.formulas:
            return self.build.reference(self.formulas[token.text], token.start, token.end)
        return self.signal(token)

    def signal(self, token: Token) -> Operand:
        if self.known is not None and token.text not in self.known:
            near = nearest(token.text, tuple(self.known))
            some = ", ".join(shown(each) for each in sorted(self.known)[:5])
            fix = f"did you mean {shown(near)}?" if near else f"known are {some or 'none'}"
            raise self.cursor.error(f"unknown signal {shown(token.text)}", token.span, fix)
        return self.build.make(f.Signal, token.start, token.end, name=token.text)

    # --- operators in front -------------------------------------------------------------------------------------------

    def prefix(self, token: Token) -> Operand:
        self.cursor.advance()
        after = g.INFIX.get(self.cursor.now.text)
        if len(token.text) > 1 and after is not None and after.kind == "comparison" and self.cursor.now.kind == "sign":
            fix = f'write what it is about, or "{token.text}" in quotes if a signal is meant'
            raise self.cursor.error(f"{token.text} is an operator", token.span, fix)
        kind = f.Not if token.text in g.NOT else g.UNARY[token.text]
        bounds: dict[str, Any] = {}
        if kind in (f.Not, f.Next, f.Previous):
            if self.cursor.at_sign("["):
                instead = {f.Next: ": write eventually[2,2](...)", f.Previous: ": write once[2,2](...)"}.get(kind, "")
                raise self.cursor.error(f"{token.text} takes no window", self.cursor.now.span, f"leave it out{instead}")
        else:
            bounds["bounds"] = read_bounds(self.cursor, self.parameters)
        inner = self.build.formula(self.expression(g.PREFIX))
        return self.build.make(kind, token.start, inner.end, operand=inner, **bounds)

    def at_least(self, token: Token) -> Operand:
        self.cursor.advance()
        self.cursor.advance()
        first = self.cursor.now
        need = read_need(self.cursor, self.parameters)
        if not self.cursor.at_word("of"):
            raise self.cursor.unexpected("of", fix="write at least 3 of 5 (...)")
        self.cursor.advance()
        window = read_window(self.cursor, self.parameters, "at least")
        if not window.unit and need > window.amount:
            place = f.Span(start=first.start, end=self.cursor.tokens[self.cursor.index - 1].end)
            fix = f"write at least {window.amount} of {window.amount}, or a longer window"
            raise self.cursor.error(f"{need} of {window.amount} samples is never reached", place, fix)
        inner = self.build.causal(self.build.formula(self.expression(g.PREFIX)), "at least")
        return self.build.make(f.AtLeast, token.start, inner.end, need=need, operand=inner, window=window)

    # --- functions ----------------------------------------------------------------------------------------------------

    def call(self, token: Token) -> Operand:
        self.cursor.advance()
        opened, word = self.cursor.advance(), token.text
        inner = self.expression(0)
        if word in ("abs", "rise", "fall"):
            closed = self.cursor.expect(")", opened=opened)
            if word == "abs":
                return self.build.make(f.Absolute, token.start, closed.end, term=self.build.term(inner))
            return self.edge(self.build.formula(inner), token.start, closed.end, rising=word == "rise")
        self.cursor.expect(",", fix=f"write the window too, such as {word}(x, 5) or {word}(x, 5s)")
        inner = self.build.causal(self.build.formula(inner), word) if word in g.COUNTS else self.build.term(inner)
        window = read_window(self.cursor, self.parameters, word)
        closed = self.cursor.expect(")", opened=opened)
        if word in g.COUNTS:
            return self.build.make(f.Count, token.start, closed.end, kind=word, formula=inner, window=window)
        return self.build.make(f.Fold, token.start, closed.end, kind=word, term=inner, window=window)

    def edge(self, inner: Operand, start: int, end: int, *, rising: bool) -> Operand:
        """rise(p) is `p and not prev p`, fall(p) is rise(not p); the first sample counts as a change, as in rtamt."""
        if not rising:
            inner = self.build.make(f.Not, start, end, operand=inner)
        before = self.build.make(f.Not, start, end, operand=self.build.make(f.Previous, start, end, operand=inner))
        return self.build.make(f.And, start, end, left=inner, right=before)

    def refuse_call(self, token: Token) -> NoReturn:
        if token.text in g.NO_FUNCTIONS:
            fix = f"compute it into a column of the trace, such as x_{token.text}, and name that in the rule"
            raise self.cursor.error(f"there is no function {token.text}", token.span, fix)
        operators = (*(word for word in g.UNARY if len(word) > 1), *g.CALLS, "not")
        near = nearest(token.text, operators)
        fix = f"did you mean {near}?" if near else f"there are {', '.join(sorted(operators))}"
        raise self.cursor.error(f"there is no operator or function {shown(token.text)}", token.span, fix)
