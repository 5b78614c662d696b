"""Printing, against reading back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from custodes.stl import formula as f
from custodes.stl.errors import StlError
from custodes.stl.parser import parse
from custodes.stl.printer import DialectName, format_formula, format_term
from tests.stl.generate import Grammar, random_formula
from tests.stl.strategies import formulas


def bits(node: f.Formula) -> list[str]:
    """Numbers to the last bit: 0.0 == -0.0 would hide the sign."""
    return [each.value.hex() for each in f.walk(node) if isinstance(each, f.Number)]


@settings(max_examples=400, deadline=None)
@given(formulas())
def test_printed_text_reads_back_as_the_same_tree(node: f.Formula) -> None:
    text = format_formula(node)
    again = parse(text)
    assert again == node
    assert bits(again) == bits(node)
    assert format_formula(again) == text
    assert text.isprintable()


def test_random_formulas_of_the_generator_read_back() -> None:
    rng = np.random.default_rng(7)
    for _ in range(500):
        node = random_formula(rng, Grammar(depth=5))
        assert parse(format_formula(node)) == node


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("G[0,50]((x<0.5) -> F[0,10](y>0.2))", "always[0,50](x < 0.5 -> eventually[0,10](y > 0.2))"),
        ("x U[5 : 20] y", "(x > 0.5) until[5,20] (y > 0.5)"),
        ("a and (b and c) or d", "a > 0.5 and (b > 0.5 and c > 0.5) or d > 0.5"),
        ("(a or b) and c", "(a > 0.5 or b > 0.5) and c > 0.5"),
        ("a xor b", "not (a > 0.5 <-> b > 0.5)"),
        ("H[1.5s,] not x", "historically[1500ms,](not (x > 0.5))"),
        ("at least 3 of 5s (x)", "at least 3 of 5s (x > 0.5)"),
        ("rate(fp, 60s) <= 0.05", "rate(fp > 0.5, 60s) <= 0.05"),
        ("x - (y - -1) * -z < .5e-3", "x - (y - (-1)) * (-z) < 0.0005"),
        ('"G" > 0 & \'a "b\' !== 1', '"G" > 0 and "a \\"b" != 1'),
        ("next prev x", "next(prev(x > 0.5))"),
    ],
)
def test_there_is_one_spelling(text: str, canonical: str) -> None:
    assert format_formula(parse(text)) == canonical
    assert parse(canonical) == parse(text)


def test_numbers_that_are_not_finite_are_refused() -> None:
    for value in (math.inf, math.nan):
        node = f.Comparison(operator=">", left=f.Signal(name="x"), right=f.Number(value=value))
        with pytest.raises(StlError, match="use finite numbers"):
            format_formula(node)


@pytest.mark.parametrize(
    ("text", "dialect", "printed"),
    [
        ("G[0,5] (x > -1 and y <= 2)", "sentil", "always[0,5]((x > -1) and (y <= 2))"),
        ("O[2,] prev (x != 1)", "sentil", "once[2, inf](once[1,1](x != 1))"),
        ("-x > 0", "sentil", "-x > 0"),
        ("-x > 0", "rtamt", "0 - x > 0"),
        ("(x != 1) unless[0,5s] (y > 0)", "rtamt", "(x !== 1) unless[0,5s] (y > 0)"),
        ("next (x > 0)", "rtamt", "eventually[1,1](x > 0)"),
    ],
)
def test_dialects(text: str, dialect: DialectName, printed: str) -> None:
    assert format_formula(parse(text), dialect) == printed


@pytest.mark.parametrize(
    ("text", "dialect", "what"),
    [
        ("a <-> b", "rtamt", "<->"),
        ("F[2,] x", "rtamt", "without end"),
        ("x W y", "rtamt", "unless without bounds"),
        ("x R y", "rtamt", "release"),
        ("F[0,5min] x", "rtamt", "unit min"),
        ("host.cpu", "rtamt", "name host.cpu"),
        ("x W[0,5] y", "sentil", "weak_until"),
        ("true", "sentil", "true and false"),
        ("F[0,5s] x", "sentil", "unit s"),
        ("max(x, 5) > 0", "sentil", "max over a window"),
        ("at least 1 of 2 x", "sentil", "at least"),
        ('"G"', "sentil", 'name "G"'),
    ],
)
def test_dialects_refuse_what_the_tool_lacks(text: str, dialect: DialectName, what: str) -> None:
    with pytest.raises(StlError, match=f"{dialect} has no way to write .*{what}"):
        format_formula(parse(text), dialect)


@pytest.mark.parametrize("text", ["x", "-(x + 1)", "sum(x, 3) / (y - 2)", "-2", "rate(x > 1, 5s)"])
def test_a_term_alone_prints_as_in_a_comparison(text: str) -> None:
    comparison = parse(f"{text} > 0")
    assert isinstance(comparison, f.Comparison)
    assert f"{format_term(comparison.left)} > 0" == format_formula(comparison)
