"""A formula's text as tokens with their places."""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

from custodes.stl import formula as f
from custodes.stl.errors import FormulaError
from custodes.stl.grammar import PLAIN_NAME, WORDS

MAX_TEXT: Final = 100_000
"""Longest formula, characters."""

TokenKind: TypeAlias = Literal["number", "name", "quoted", "sign", "end"]

_TOKEN: Final = re.compile(
    r"(?P<space>(?:\s+|\#[^\n]*|/\*(?s:.*?)\*/)+)"
    r"|(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    rf"|(?P<name>{PLAIN_NAME.pattern})"
    r"""|(?P<quoted>"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\\\n]*(?:\\.[^'\\\n]*)*')"""
    r"|(?P<sign><->|!==|<=>|->|=>|==|!=|<=|>=|&&|\|\||//|\*\*|/(?!\*)|[-+*<>=!~&|()\[\]:,;])"
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
_LETTERS: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_ESCAPED: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}
_SHOWN: Final = 40


class Token(NamedTuple):
    """A piece of the text."""

    kind: TokenKind
    text: str
    """As written; without quotes and escapes where the kind is quoted."""
    start: int
    end: int

    @property
    def span(self) -> f.Span:
        """Its place."""
        return f.Span(start=self.start, end=self.end)


def tokenize(text: str, source: str = "formula") -> list[Token]:
    """Tokens of a formula, with one of kind "end" after the last.

    Raises:
        FormulaError: A character that has no place in formulas, an open quote or comment, or too long a text.
    """
    if len(text) > MAX_TEXT:
        raise FormulaError(
            f"the formula has {len(text)} characters, more than {MAX_TEXT}",
            text=text,
            span=f.Span(start=MAX_TEXT, end=len(text)),
            source=source,
            fix="split it into several specs",
        )
    tokens: list[Token] = []
    position, length, match = 0, len(text), _TOKEN.match
    while position < length:
        found = match(text, position)
        if found is None:
            raise _unreadable(text, position, source)
        end, kind = found.end(), found.lastgroup
        if kind == "quoted":
            tokens.append(Token("quoted", _unquoted(text, position, end, source), position, end))
        elif kind != "space":
            tokens.append(Token(kind, found.group(), position, end))  # type: ignore[arg-type]
        position = end
    tokens.append(Token("end", "", length, length))
    return tokens


def quoted(name: str) -> str:
    """A signal's name as it is written in a formula: bare where that is unambiguous, else in quotes."""
    if PLAIN_NAME.fullmatch(name) and name not in WORDS:
        return name
    return '"' + "".join(_escaped(character) for character in name) + '"'


def shown(text: str) -> str:
    """Any text for use in a message: short, on one line, printable."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in short)


def _escaped(character: str) -> str:
    if character in _ESCAPED:
        return _ESCAPED[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _unquoted(text: str, start: int, end: int, source: str) -> str:
    def letter(found: re.Match[str]) -> str:
        code, place = found[1] or found[2], f.Span(start=start + 1 + found.start(), end=start + 1 + found.end())
        if code is not None and int(code, 16) <= 0x10FFFF:
            return chr(int(code, 16))
        if found[3] in _LETTERS:
            return _LETTERS[found[3]]
        raise FormulaError(
            f"unknown escape {shown(found[0])} in a quoted name",
            text=text,
            span=place,
            source=source,
            fix=r"write \\ for a backslash; known are \" \' \n \t \r \uXXXX \UXXXXXXXX",
        )

    name = _ESCAPE.sub(letter, text[start + 1 : end - 1])
    if not name:
        raise FormulaError(
            "a quoted name is empty",
            text=text,
            span=f.Span(start=start, end=end),
            source=source,
            fix="write the signal's name between the quotes",
        )
    return name


def _unreadable(text: str, position: int, source: str) -> FormulaError:
    character = text[position]
    fix = "quote a signal's name that has it"
    if character in "\"'":
        what, fix = "this quote is never closed on its line", f"close it with {character}"
    elif text.startswith("/*", position):
        what, fix = "this comment is never closed", "close it with */"
    else:
        name = shown(character)
        what = f"the character {name} (U+{ord(character):04X}) has no meaning here"
        fix = {"{": "write (", "}": "write )", "`": 'quote names with "', "%": "", "^": "write x * x for a square"}.get(
            character, fix
        )
    return FormulaError(what, text=text, span=f.Span(start=position, end=position + 1), source=source, fix=fix)
