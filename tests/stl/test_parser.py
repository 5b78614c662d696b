"""What formulas mean, and what is refused where and with which advice."""

from __future__ import annotations

import pytest

from custodes.stl import formula as f
from custodes.stl.errors import FormulaError
from custodes.stl.operands import MAX_DEPTH, MAX_NODES
from custodes.stl.parser import parse
from custodes.stl.printer import format_formula

PARAMETERS: dict[str, float | str] = {
    "limit": 0.05,
    "wait": "5s",
    "three": 3,
    "half": 0.5,
    "huge": "1e30",
    "odd": "soon",
}


def same(one: str, other: str) -> None:
    assert parse(one) == parse(other)


@pytest.mark.parametrize(
    "spellings",
    [
        ("always[0,5] x", "globally[0,5] x", "G[0,5] x", "G[0:5](x)", "G [0, 5] (x > 0.5)"),
        ("eventually x", "finally x", "F x", "F(x)", "F[0,inf] x", "F[0,] x", "F[0:] x"),
        ("next x", "X x", "X(x)", "s_next(x)"),
        ("historically[1,2] x", "H[1,2] x"),
        ("once[1,2] x", "O[1,2] x"),
        ("prev x", "previous x", "Y x", "s_prev(x)"),
        ("x until[1,2] y", "x U[1,2] y", "(x) U[1:2] (y)"),
        ("x weak_until y", "x unless y", "x W y"),
        ("x release[0,3] y", "x R[0,3] y"),
        ("x since y", "x S y"),
        ("x and y", "x & y", "x && y"),
        ("x or y", "x | y", "x || y"),
        ("not x", "!x", "! (x)", "~x"),
        ("x -> y", "x implies y"),
        ("x <-> y", "x iff y"),
        ("x xor y", "not (x <-> y)"),
        ("x != 1", "x !== 1", "x != 1.0", "x != 10e-1"),
        ("rise(x)", "x and not prev x"),
        ("fall(x)", "not x and not prev not x"),
        ("F[0,1.5s] x", "F[0:1500ms] x", "F[0, 1500 ms] x"),
        ("F[0,0.5d] x", "F[0,12h] x"),
        ("F[0,5] x", "F[0e3,5.0] x"),
        ("x > 1 # the rest is a comment", "x /* one */ > /* two\n */ 1", "\n x\t>\r\n1 "),
        ('"a.b" > 1', "a.b > 1", "'a.b' > 1", r'"a\u002eb" > 1'),
    ],
)
def test_spellings_of_one_formula(spellings: tuple[str, ...]) -> None:
    for other in spellings[1:]:
        same(spellings[0], other)


@pytest.mark.parametrize(
    ("loose", "tight"),
    [
        ("a and b or c and d", "(a and b) or (c and d)"),
        ("a or b -> c or d", "(a or b) -> (c or d)"),
        ("a and b until c and d", "a and (b until c) and d"),
        ("not a until b", "(not a) until b"),
        ("always a until b", "(always a) until b"),
        ("G[0,3] x > 0 and y > 0", "(G[0,3] (x > 0)) and (y > 0)"),
        ("not x > 0 and y", "(not (x > 0)) and y"),
        ("at least 2 of 3 x > 0 or y", "(at least 2 of 3 (x > 0)) or y"),
        ("a and b and c", "(a and b) and c"),
        ("x - y - z > 1", "(x - y) - z > 1"),
        ("x / y / z * 2 > 1", "((x / y) / z) * 2 > 1"),
        ("-x * y + z > 1", "((-x) * y) + z > 1"),
        ("x+1>y-2*z", "(x + 1) > (y - (2 * z))"),
        ("(x) + (y) > (1)", "x + y > 1"),
        ("((x)) and ((y > 1))", "x and y > 1"),
        ("G not F x -> O y", "(G (not (F x))) -> (O y)"),
    ],
)
def test_precedence(loose: str, tight: str) -> None:
    same(loose, tight)


def test_trees_by_hand() -> None:
    x, y = f.Signal(name="x"), f.Signal(name="net.bytes-in")
    assert parse("x") == f.Comparison(operator=">", left=x, right=f.Number(value=0.5))
    assert parse('abs(x - "net.bytes-in") <= -1e-3') == f.Comparison(
        operator="<=",
        left=f.Absolute(term=f.Arithmetic(operator="-", left=x, right=y)),
        right=f.Number(value=-0.001),
    )
    five = f.Duration(amount=5, unit="s")
    holds = parse("x > 1")
    assert parse("at least 3 of 5s (x > 1)") == f.AtLeast(need=3, operand=holds, window=five)
    assert parse("mean(x, 5s) > rate(x > 1, 4)") == f.Comparison(
        operator=">",
        left=f.Fold(kind="mean", term=x, window=five),
        right=f.Count(kind="rate", formula=holds, window=f.Duration(amount=4)),
    )
    window = f.Bounds(lower=f.Duration(amount=100, unit="ms"), upper=f.Duration(amount=2, unit="s"))
    assert parse("(x > 1) U[100ms:2s] true") == f.Until(left=holds, right=f.Truth(value=True), bounds=window)


def test_minus_joins_a_number_only() -> None:
    assert parse("x > -1").right.value == -1.0  # type: ignore[union-attr]
    assert parse("x > -(1)").right == f.Negative(term=f.Number(value=1.0))  # type: ignore[union-attr]
    assert parse("x -1 > 0") == parse("x - 1 > 0")


@pytest.mark.parametrize(
    "letter", ["G", "F", "X", "H", "O", "Y", "U", "W", "R", "S", "s", "ms", "P", "count", "min", "at", "of"]
)
def test_operator_letters_and_words_name_signals_where_nothing_else_fits(letter: str) -> None:
    signal = f.Signal(name=letter)
    bare = f.Comparison(operator=">", left=signal, right=f.Number(value=0.5))
    assert parse(f"{letter} > 0.5") == bare
    assert parse(letter) == bare
    assert parse(f"({letter})") == bare
    assert parse(f"{letter} and {letter}") == f.And(left=bare, right=bare)
    assert parse(f'"{letter}"') == bare
    assert parse(f"always {letter} > 0.5") == f.Always(operand=bare)
    assert parse(f"{letter} U x") == f.Until(left=bare, right=parse("x"))


def test_letters_are_operators_in_front_of_operands() -> None:
    same("G G x", "always always x")
    same("G U > 3", 'always ("U" > 3)')
    same("G U x", '"G" until x')
    same('F "G"', 'eventually ("G" > 0.5)')
    same("G !x", "always not x")
    same("O (Y > 1)", 'once ("Y" > 1)')


def test_every_node_has_its_place() -> None:
    text = "always[0,5](cpu + 1 < limit -> once (fp))"
    node = parse(text, parameters=PARAMETERS)
    places = {type(each).__name__: text[each.span.start : each.span.end] for each in f.walk(node) if each.span}
    assert len(list(f.walk(node))) == sum(each.span is not None for each in f.walk(node))
    assert places["Always"] == text
    assert places["Implies"] == "cpu + 1 < limit -> once (fp)"
    assert places["Arithmetic"] == "cpu + 1"
    assert places["Once"] == "once (fp)"


def test_zero_keeps_its_unit_and_mixes_with_all() -> None:
    for text in ("F[0min,50] x", "F[0,5s] x", "F[0s,0] x", "F[0,0ms] x"):
        assert format_formula(parse(text)) == text.replace(" x", "(x > 0.5)").replace("F", "eventually")
        assert parse(format_formula(parse(text))) == parse(text)


def test_parameters_and_named_formulas() -> None:
    named = {"threat": parse("score > 0.5"), "late": parse("F[0,3] x")}
    both = parse("threat and F[three,wait2] late", parameters={**PARAMETERS, "wait2": 4}, formulas=named)
    assert both == parse("score > 0.5 and F[3,4] F[0,3] x")
    assert {(each.span.start, each.span.end) for each in f.walk(both) if each.span and each.span.end <= 6} == {(0, 6)}
    assert parse("x < limit * 2", parameters=PARAMETERS) == parse("x < 0.05 * 2")
    assert parse("F[0,wait] x", parameters=PARAMETERS) == parse("F[0,5s] x")
    assert parse("at least three of wait x", parameters=PARAMETERS) == parse("at least 3 of 5s x")
    assert parse('"limit" > 1', parameters=PARAMETERS) == f.Comparison(
        operator=">", left=f.Signal(name="limit"), right=f.Number(value=1.0)
    )


REFUSED = [
    ("", 1, "the formula is empty"),
    ("  # nothing", 12, "the formula is empty"),
    ("0 < x < 1", 7, "comparisons do not chain; write 0 < x and x < 1"),
    ("a -> b -> c", 8, r"-> after an operator of the same kind needs parentheses; put \( and \)"),
    ("a -> b <-> c", 8, "<-> after an operator"),
    ("a xor b xor c", 9, "xor after an operator"),
    ("a U b U c", 7, "U after an operator"),
    ("a until b since c", 11, "since after an operator"),
    ("x = 3", 3, "= is no operator here; write =="),
    ("out = x > 3", 5, "leave out a name in front such as `out =`"),
    ("x > 3;", 6, "leave the semicolon out"),
    ("x => 3", 3, "write -> for implies, or >= to compare"),
    ("x // 3 > 1", 3, "write / to divide"),
    ("x ** 2 > 1", 3, r"write x \* x"),
    ("x + 1", 1, r"a number stands where a formula is needed; compare it, such as x \+ 1 > 0.5"),
    ("x and 3", 7, "a number stands"),
    ("G (x + 1)", 3, "a number stands"),
    ("(x > 1) > 2", 1, "a formula stands where a number is needed"),
    ("x > not y", 5, "a formula stands"),
    ("abs(x > 1) > 2", 5, "a formula stands"),
    ("mean(x > 1, 5) > 2", 6, "a formula stands"),
    ("(x > 1", 7, r"\) to close \( at column 1"),
    ("x > 1)", 6, r"nothing was opened that this \) closes"),
    ("G[0,5 x", 7, r"\] to close \[ at column 2"),
    ("x >", 4, "the formula ends where a formula or a term has to follow"),
    ("> x", 1, "> has nothing on its left"),
    ("and x", 1, "and has nothing on its left"),
    ("x adn y", 3, "found adn; write and"),
    ("x > 1 y > 1", 7, "put an operator such as and, or, ->"),
    ("x > 1 AND y", 7, "write and"),
    ("alwys[0,5](x)", 1, "there is no operator or function alwys; did you mean always"),
    ("foo(x) > 1", 1, "there are abs, always"),
    ("x[0] > 1", 1, "there is no operator or function x"),
    ("always > 3", 1, 'always is an operator; write what it is about, or "always" in quotes'),
    ("x > inf", 5, "inf is no number here"),
    ("x > 1e999", 5, "1e999 is too large"),
    ("2x > 1", 2, r"x follows a number; write 2 \* x"),
    ("x > 5ms", 6, "units stand in bounds only"),
    ("+x > 1", 1, "leave it out"),
    ("next[2] x", 5, r"next takes no window; leave it out: write eventually\[2,2\]"),
    ("not[0,2] x", 4, "not takes no window"),
    ("F[5,2] x", 2, r"reversed; write \[2,5\]"),
    ("F[2s,500ms] x", 2, r"reversed; write \[500ms,2s\]"),
    ("F[1:5s] x", 2, r"one bound has a unit and the other counts samples; write \[1s,5s\]"),
    ("F[1s,0] x", 2, r"reversed; write \[0,1s\]"),
    ("F[1s,5] x", 2, r"write \[1s,5s\]"),
    ("F[-1,2] x", 3, "a bound is negative; write bounds from 0 up"),
    ("F[0.5,2] x", 3, "0.5 is no whole number of samples; write 0 or 1, or add a unit: 0.5s"),
    ("F[0,0.1ns] x", 5, "no whole number of nanoseconds"),
    ("F[0,5sec] x", 6, "unknown unit sec; write one of ns, us, ms, s, min, h, d"),
    ("F[2] x", 4, r"a window has two bounds; write \[0,5\]"),
    ("F[] x", 3, "a count of samples or a length of time"),
    ("F[0 5] x", 5, r"write the window as \[0,5\]"),
    ("F[0,5) x", 6, r"windows are closed; write \]"),
    ("F[0,inf) x", 8, r"windows are closed; write \[0,inf\]"),
    ("F[2s,inf) x", 9, r"write \[2s,inf\]"),
    ("F[0,5ps] x", 6, "unknown unit ps; a nanosecond is the shortest unit"),
    ("sqrt(x) > 1", 1, "no function sqrt; compute it into a column of the trace"),
    ("G (pow(x, 2) > 1)", 4, "no function pow; compute it into a column"),
    ("x > 0 or TRUE", 10, "TRUE is no truth value; write true"),
    ("False", 1, "False is no truth value; write false"),
    ("F[inf,inf] x", 3, "inf only ends a window"),
    ("F[0,bound] x", 5, "unknown parameter bound in a bound; declare it"),
    ("F[0,wiat] x", 5, "did you mean wait"),
    ("F[0,half] x", 5, "0.5 is no whole number"),
    ("F[0,huge] x", 5, "1e30 is out of range"),
    ("F[0,odd] x", 5, "parameter odd is 'soon', no length of time"),
    ("wait > 1", 1, "parameter wait is 5s, no number"),
    (f"F[0,{10**30}] x", 5, "out of range; leave the upper bound out"),
    (f"F[0,{'9' * 5000}] x", 5, "too many digits"),
    ("F[0,1e13] x", 5, "more than 1000000000000"),
    ("F[0,400000d] x", 5, "longer than 292 years"),
    ("min(x, y) > 0", 8, r"y is no window; write min\(x, 5\).*for two signals write x > 1 and y > 1"),
    ('max(x, "y") > 0', 8, "y is no window"),
    ("min(x) > 0", 6, r"write the window too, such as min\(x, 5\)"),
    ("sum(x, 0) > 0", 8, "a window of length 0 holds no sample; write 1"),
    ("sum(x, 0s) > 0", 8, "a window of length 0"),
    ("mean(x, 2.5) > 0", 9, "no whole number"),
    ("count(F x, 5) > 3", 7, "count looks back, but this inside it looks ahead; use an operator of the past"),
    ("rate(x U y, 5) > 3", 6, "rate looks back"),
    ("at least 1 of 2 (O next x)", 20, "at least looks back"),
    ("at least 6 of 5 x", 10, "6 of 5 samples is never reached; write at least 5 of 5"),
    ("at least 0 of 5 x", 10, "at least 0 always holds"),
    ("at least 2s of 5 x", 10, "at least counts samples"),
    ("at least 2 in 5 x", 12, r"of has to come here, found in; write at least 3 of 5"),
    ("at least x", 10, "unknown parameter x in a bound"),
]


@pytest.mark.parametrize(("text", "column", "message"), REFUSED, ids=[each[0][:20] for each in REFUSED])
def test_refused_with_place_and_advice(text: str, column: int, message: str) -> None:
    with pytest.raises(FormulaError, match=message) as caught:
        parse(text, parameters=PARAMETERS, source="rule")
    assert caught.value.column == column
    assert caught.value.line == 1
    assert str(caught.value).startswith(f"rule, line 1, column {column}: ")
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_places_count_lines() -> None:
    with pytest.raises(FormulaError, match="line 3, column 8") as caught:
        parse("always\n(x > 1\n   and y + 1)")
    assert caught.value.text[caught.value.span.start : caught.value.span.end] == "y + 1"


def test_unknown_signals_are_refused_with_the_nearest() -> None:
    known = ("host.cpu", "host.memory")
    assert parse("G (host.cpu < 1)", known=known)
    with pytest.raises(FormulaError, match=r"column 4: unknown signal host.cup; did you mean host.cpu\?"):
        parse("G (host.cup < 1)", known=known)
    with pytest.raises(FormulaError, match=r"unknown signal zz; known are host.cpu, host.memory"):
        parse("zz", known=known)
    with pytest.raises(FormulaError, match="known are none"):
        parse("zz", known=())


def test_levels_are_bounded_whatever_makes_them() -> None:
    half = MAX_DEPTH // 2 - 1
    for text in (
        "(" * half + "x" + ")" * half,
        "not " * half + "x",
        "-" * half + "x > 1",
        " and ".join(["x"] * half),
        "G(" * (half // 2) + "x" + ")" * (half // 2),
    ):
        node = parse(text)
        assert parse(format_formula(node)) == node
        assert repr(node)
        assert hash(node)
    for text in (
        "(" * 10_000 + "x",
        "not " * 10_000 + "x",
        "-" * 10_000 + "x > 1",
        " and ".join(["x"] * 10_000),
        "x" + " + 1" * 10_000 + " > 0",
        "abs(" * 10_000,
        "G(" * 10_000,
        "x U (" * 10_000,
        "at least 1 of 2 " * 5_000,
        "rise(" * 10_000,
        "F[0,1]" * 10_000,
    ):
        with pytest.raises(FormulaError, match="more than 100 levels"):
            parse(text)


def test_named_formulas_can_not_blow_up() -> None:
    made: dict[str, f.Formula] = {"f0": parse("x")}
    doublings = (MAX_NODES // 4).bit_length() - 1  # f0 has 3 nodes, f1 has 7
    for index in range(doublings):
        made[f"f{index + 1}"] = parse(f"f{index} and f{index}", formulas=made)
    with pytest.raises(FormulaError, match=f"more than {MAX_NODES} parts"):
        parse(f"f{doublings} and f{doublings}", formulas=made)
    with pytest.raises(FormulaError, match=f"more than {MAX_NODES} parts"):
        parse(f"f{doublings} or (" * 90 + "x", formulas=made)
    with pytest.raises(FormulaError, match=f"more than {MAX_NODES} parts"):
        parse("rise(" * 30 + "x" + ")" * 30)


def test_a_long_flat_formula_is_read_in_linear_time() -> None:
    clauses = " and ".join(f"(G[0,50]((x{i} < 0.5) -> F[0,10](y{i} > 0.2)))" for i in range(64))
    text = f"({clauses}) or ({clauses}) or ({clauses})"
    assert len(list(f.walk(parse(text)))) == 3 * (64 * 9 + 63) + 2


def test_other_spellings_of_the_truth_values_can_be_names_where_that_is_clear() -> None:
    assert parse('"TRUE"') == f.Comparison(operator=">", left=f.Signal(name="TRUE"), right=f.Number(value=0.5))
    assert parse("TRUE", known=["TRUE"]) == parse('"TRUE"')
    assert parse(format_formula(parse('"TRUE"'))) == parse('"TRUE"')


def test_functions_of_other_tools_are_names_where_they_are_not_called() -> None:
    assert parse("log > 1") == f.Comparison(operator=">", left=f.Signal(name="log"), right=f.Number(value=1.0))
