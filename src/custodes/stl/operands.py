"""Making nodes out of what was read: the right sort, limited depth and size, spans, no future inside aggregates."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final, NamedTuple, TypeVar, final

from custodes.stl import formula as f
from custodes.stl.cursor import Cursor
from custodes.stl.errors import FormulaError
from custodes.stl.tokens import shown

MAX_DEPTH: Final = 100
"""Most levels of a formula, operators and parentheses: every evaluator may recurse along them."""
MAX_NODES: Final = 20_000
"""Most nodes of a formula, named sub-formulas written out."""

_Tree = TypeVar("_Tree", bound=f.Node)
_TERMS: Final = (f.Number, f.Signal, f.Negative, f.Absolute, f.Arithmetic, f.Count, f.Fold)


class Operand(NamedTuple):
    """Something that was read."""

    node: Any
    """A Term or a Formula."""
    start: int
    """First character, parentheses included."""
    end: int
    """One past the last character, parentheses included."""
    depth: int = 1
    """Levels of nodes."""
    size: int = 1
    """Nodes."""
    ahead: f.Span | None = None
    """An operator that looks ahead in it; None when there is none."""

    @property
    def span(self) -> f.Span:
        """Its place."""
        return f.Span(start=self.start, end=self.end)


@final
class Builder:
    """Makes the nodes of one text."""

    def __init__(self, cursor: Cursor) -> None:
        self.cursor = cursor
        self.referred = 0

    def make(self, kind: type[f.Node], start: int, end: int, /, **parts: Any) -> Operand:
        """A node over operands and plain values.

        Raises:
            FormulaError: The node is too deep or too large.
        """
        depth, size, ahead = 0, 1, None
        for name, part in parts.items():
            if isinstance(part, Operand):
                depth, size, ahead = max(depth, part.depth), size + part.size, ahead or part.ahead
                parts[name] = part.node
        span = f.Span(start=start, end=end)
        if kind in f.FUTURE:
            ahead = span
        self._limit(depth + 1, size, span)
        return Operand(kind(span=span, **parts), start, end, depth + 1, size, ahead)

    def reference(self, node: f.Formula, start: int, end: int) -> Operand:
        """A named sub-formula, put in the place of its name.

        Raises:
            FormulaError: It is too deep or too large.
        """
        span = f.Span(start=start, end=end)
        depth, size, ahead = 0, 0, False
        levels: list[tuple[f.Term | f.Formula, int]] = [(node, 1)]
        while levels:
            each, level = levels.pop()
            depth, size, ahead = max(depth, level), size + 1, ahead or isinstance(each, f.FUTURE)
            self._limit(depth, self.referred + size, span)
            levels.extend((child, level + 1) for child in f.children(each))
        self.referred += size  # All of it stays in the formula; to wait for its making would let work pile up.
        return Operand(_placed(node, span), start, end, depth, size, span if ahead else None)

    def term(self, operand: Operand) -> Operand:
        """An operand where a number is needed.

        Raises:
            FormulaError: It is a formula.
        """
        if not isinstance(operand.node, _TERMS):
            raise self.cursor.error(
                "a formula stands where a number is needed",
                operand.span,
                "compare numbers; two formulas are compared with <->, and count(formula, 5) is a number",
            )
        return operand

    def formula(self, operand: Operand) -> Operand:
        """An operand where a formula is needed: a bare name is `name > 0.5`.

        Raises:
            FormulaError: It is a number, or a term that isn't a bare name.
        """
        if isinstance(operand.node, f.Signal):
            half = f.Number(value=0.5, span=operand.span)
            node = f.Comparison(operator=">", left=operand.node, right=half, span=operand.span)
            return Operand(node, operand.start, operand.end, 2, 3)
        if isinstance(operand.node, _TERMS):
            raise self.cursor.error(
                "a number stands where a formula is needed",
                operand.span,
                f"compare it, such as {self.text(operand.start, operand.end)} > 0.5",
            )
        return operand

    def causal(self, operand: Operand, what: str) -> Operand:
        """A formula that an aggregate may look at.

        Raises:
            FormulaError: It looks ahead.
        """
        if operand.ahead is not None:
            raise self.cursor.error(
                f"{what} looks back, but this inside it looks ahead",
                operand.ahead,
                "use an operator of the past there: once, historically, since, prev",
            )
        return operand

    def text(self, start: int, end: int) -> str:
        """A part of the text, for a message."""
        return shown(self.cursor.text[start:end])

    def _limit(self, depth: int, size: int, span: f.Span) -> None:
        if depth > MAX_DEPTH:
            raise self.too_deep(span)
        if size > MAX_NODES:
            raise self.cursor.error(f"the formula has more than {MAX_NODES} parts", span, "split it into several specs")

    def too_deep(self, span: f.Span) -> FormulaError:
        """What to raise for a formula of too many levels."""
        return self.cursor.error(
            f"the formula has more than {MAX_DEPTH} levels (each operator of a chain is one)",
            span,
            "split the rule into several [[spec]], or group a long chain: (a and b) and (c and d)",
        )


def _placed(node: _Tree, span: f.Span) -> _Tree:
    """The tree with all its nodes at one place: their own places are of another text."""
    below = {each.name: getattr(node, each.name) for each in fields(node)}
    return replace(node, span=span, **{k: _placed(v, span) for k, v in below.items() if isinstance(v, f.Node)})
