"""Text of any sort is read or refused, never anything else."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks import stl_fuzz
from custodes.stl.errors import FormulaError
from custodes.stl.formula import Formula
from custodes.stl.grammar import INFIX, WORDS
from custodes.stl.parser import parse
from custodes.stl.printer import format_formula

PIECES = st.sampled_from(
    [*sorted({*WORDS, *INFIX}), *"()[],:;=#'\"", "1", "5s", "x", "0.5", "1e999", "at least 1 of 2"]
)


def read_or_refused(text: str) -> None:
    read = attempt(text)
    if isinstance(read, FormulaError):
        assert 0 <= read.span.start <= len(text)
        assert read.column >= 1
        assert str(read).isprintable()
    else:
        assert parse(format_formula(read)) == read


def attempt(text: str) -> Formula | FormulaError:
    try:
        return parse(text)
    except FormulaError as error:
        return error


@settings(max_examples=500, deadline=None)
@given(st.text())
@example("\ud800")
@example("\0")
@example("x > " + "9" * 5000)
@example("F[0," + "9" * 5000 + "] x")
@example("٣ > x")
def test_any_characters(text: str) -> None:
    read_or_refused(text)


@settings(max_examples=300, deadline=None)
@given(st.binary())
def test_any_bytes(data: bytes) -> None:
    read_or_refused(data.decode("utf-8", "surrogateescape"))
    read_or_refused(data.decode("latin-1"))


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES, max_size=25))
def test_any_words(pieces: list[str]) -> None:
    read_or_refused(" ".join(pieces))
    read_or_refused("".join(pieces))


def test_the_fuzzer_reads_and_refuses() -> None:
    tally, rng = stl_fuzz.Tally(), np.random.default_rng(3)
    for _ in range(1500):
        stl_fuzz.try_text(stl_fuzz.mutated(rng), tally)
        stl_fuzz.try_text(stl_fuzz.babble(rng), tally)
    assert tally.texts == 3000
    assert tally.accepted > 100
    assert tally.refused > 1000
    assert tally.accepted + tally.refused == tally.texts
