"""Walking along a formula's tokens, and saying what is wrong where."""

from __future__ import annotations

from difflib import get_close_matches
from typing import final

from custodes.stl import formula as f
from custodes.stl.errors import FormulaError
from custodes.stl.grammar import CALLS, INFIX, RESERVED
from custodes.stl.tokens import Token, shown, tokenize

_ADVICE = {
    "=": "write == to compare, and leave out a name in front such as `out =`",
    "=>": "write -> for implies, or >= to compare",
    "<=>": "write <->",
    ";": "leave the semicolon out",
    "//": "write / to divide, # for a comment",
    "**": "write x * x for a square",
}


@final
class Cursor:
    """The next token of a text."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source
        self.tokens = tokenize(text, source)
        self.index = 0
        self.now = self.tokens[0]

    def ahead(self, count: int = 1) -> Token:
        """The token so many after the next one; the end stays the end."""
        return self.tokens[min(self.index + count, len(self.tokens) - 1)]

    def advance(self) -> Token:
        """Take the next token."""
        token = self.now
        if token.kind != "end":
            self.index += 1
            self.now = self.tokens[self.index]
        return token

    def at_sign(self, sign: str) -> bool:
        """Is this sign next?"""
        return self.now.kind == "sign" and self.now.text == sign

    def at_word(self, word: str) -> bool:
        """Is this word next, without quotes?"""
        return self.now.kind == "name" and self.now.text == word

    def expect(self, sign: str, *, opened: Token | None = None, fix: str = "") -> Token:
        """Take a sign that has to come.

        Raises:
            FormulaError: Something else comes.
        """
        if self.at_sign(sign):
            return self.advance()
        if opened is not None:
            place = f" to close {opened.text} at column {self._column(opened.start)}"
            raise self.unexpected(f"{sign}{place}", fix=fix)
        raise self.unexpected(sign, fix=fix)

    def unexpected(self, expected: str, fix: str = "") -> FormulaError:
        """What to raise for the next token."""
        token = self.now
        if token.kind == "end":
            return self.error(
                f"the formula ends where {expected} has to follow", token.span, fix or f"write {expected}"
            )
        if token.kind == "sign" and token.text in _ADVICE:
            return self.error(f"{token.text} is no operator here", token.span, _ADVICE[token.text])
        advice = ""
        if token.kind == "name" and not fix:
            near = nearest(token.text, tuple(word for word in (*INFIX, *RESERVED, *CALLS) if word.isidentifier()))
            advice = f"write {near}" if near else "put an operator such as and, or, -> in front of it"
        what = f"{expected} has to come here, found {shown(self.text[token.start : token.end])}"
        return self.error(what, token.span, advice or fix or f"write {expected}")

    def error(self, what: str, span: f.Span, fix: str) -> FormulaError:
        """What to raise for a place."""
        return FormulaError(what, text=self.text, span=span, source=self.source, fix=fix)

    def _column(self, position: int) -> int:
        return position - self.text.rfind("\n", 0, position)


def nearest(name: str, among: tuple[str, ...]) -> str:
    """The most similar of some names; empty when none is."""
    if len(name) > 60:
        return ""
    folded = {each.lower(): each for each in among}
    found = get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""
