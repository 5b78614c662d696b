"""Pieces of text, their places, and names in quotes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custodes.stl.errors import FormulaError
from custodes.stl.tokens import MAX_TEXT, quoted, shown, tokenize


def test_tokens_have_places() -> None:
    text = "G[0:1.5s] # why\n 'a b' >=/* x\ny */ .5e-3"
    tokens = tokenize(text)
    assert [token.text for token in tokens] == ["G", "[", "0", ":", "1.5", "s", "]", "a b", ">=", ".5e-3", ""]
    for token in tokens:
        if token.kind not in ("quoted", "end"):
            assert text[token.span.start : token.span.end] == token.text
    assert tokens[-1].kind == "end"
    assert tokens[-1].start == len(text)


def test_dotted_names_are_one_and_slashes_divide() -> None:
    assert [token.text for token in tokenize("host.cpu net/bytes disk.0 a->b")][:-1] == [
        *("host.cpu", "net", "/", "bytes", "disk.0", "a", "->", "b")
    ]


@given(st.text(min_size=1))
def test_every_name_survives_quoting(name: str) -> None:
    text = quoted(name)
    tokens = tokenize(text)
    assert [token.text for token in tokens] == [name, ""]
    assert text.isprintable()


@given(st.text())
def test_messages_are_short_and_printable(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 40 * len("\\U0010ffff")


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ('x > "a', 1, 5, 'this quote is never closed on its line; close it with "'),
        ("x\n and /* y", 2, 6, r"this comment is never closed; close it with \*/"),
        ('"" > 1', 1, 1, "a quoted name is empty"),
        (r'"a\q" > 1', 1, 3, r"unknown escape \\q"),
        (r'"\Uffffffff" > 1', 1, 2, "unknown escape"),
        ("{x > 1}", 1, 1, r"the character {.*write \("),
        ("x\0", 1, 2, r"the character \\x00 \(U\+0000\)"),
        ("x > \ud800", 1, 5, r"\\ud800 \(U\+D800\)"),
        ("x" * (MAX_TEXT + 1), 1, MAX_TEXT + 1, "has 100001 characters, more than 100000"),
    ],
)
def test_bad_text_is_refused_at_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        tokenize(text)
    assert (caught.value.line, caught.value.column) == (line, column)
