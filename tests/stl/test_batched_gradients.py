"""Gradients of the batched evaluator, exact and smooth, and how far smooth lies from exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from custodes.stl import formula as f
from custodes.stl.batched import evaluate, smooth_error
from custodes.stl.policy import ENDS, End
from tests.stl.generate import Grammar, random_formula
from tests.stl.test_batched import bounds, over

X, Y = over("x", 0.1), over("y", -0.2)
WITHOUT_END = f.Bounds(lower=f.Duration(amount=1))
W = f.Duration(amount=4)


def above(term: f.Term) -> f.Comparison:
    return f.Comparison(operator=">", left=term, right=f.Number(value=0.3))


def arithmetic(operator: f.ArithmeticOperator) -> f.Comparison:
    return above(f.Arithmetic(operator=operator, left=f.Signal(name="x"), right=f.Signal(name="y")))


def fold(kind: f.FoldKind) -> f.Comparison:
    return above(f.Fold(kind=kind, term=f.Signal(name="x"), window=W))


OPERATORS: dict[str, f.Formula] = {
    "not": f.Not(operand=f.And(left=X, right=Y)),
    "and": f.And(left=X, right=Y),
    "or": f.Or(left=X, right=Y),
    "implies": f.Implies(left=X, right=Y),
    "iff": f.Iff(left=X, right=Y),
    "==": f.Comparison(operator="==", left=f.Signal(name="x"), right=f.Signal(name="y")),
    "!=": f.Comparison(operator="!=", left=f.Signal(name="x"), right=f.Signal(name="y")),
    "abs": above(f.Absolute(term=f.Negative(term=f.Signal(name="x")))),
    "+": arithmetic("+"),
    "-": arithmetic("-"),
    "*": arithmetic("*"),
    "/": arithmetic("/"),
    "sum": fold("sum"),
    "mean": fold("mean"),
    "min": fold("min"),
    "max": fold("max"),
    "at least": f.AtLeast(need=2, operand=f.Or(left=X, right=Y), window=W),
    "next": f.Next(operand=X),
    "previous": f.Previous(operand=X),
    "always": f.Always(operand=X, bounds=bounds(1, 5)),
    "eventually": f.Eventually(operand=X, bounds=WITHOUT_END),
    "historically": f.Historically(operand=X, bounds=WITHOUT_END),
    "once": f.Once(operand=X, bounds=bounds(0, 3)),
    "until": f.Until(left=X, right=Y, bounds=bounds(2, 6)),
    "until without end": f.Until(left=X, right=Y, bounds=WITHOUT_END),
    "weak until": f.WeakUntil(left=X, right=Y, bounds=bounds(0, 4)),
    "release": f.Release(left=X, right=Y, bounds=bounds(1, 4)),
    "since": f.Since(left=X, right=Y, bounds=bounds(2, 6)),
    "since without end": f.Since(left=X, right=Y, bounds=WITHOUT_END),
}


def signals(seed: int = 0, traces: int = 2, samples: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    x, y = (torch.from_numpy(rng.normal(size=(traces, samples))).requires_grad_() for _ in range(2))
    return x, y


@pytest.mark.parametrize("smooth", [None, 3.0], ids=["exact", "smooth"])
@pytest.mark.parametrize("end", ["truncate", "hold"])
@pytest.mark.parametrize("name", OPERATORS)
def test_gradients_are_finite_differences(name: str, end: End, smooth: float | None) -> None:
    lengths = torch.tensor([9, 6])

    def values(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        found = evaluate(OPERATORS[name], {"x": x, "y": y}, lengths=lengths, end=end, smooth=smooth).value
        return found.masked_fill(found.isinf(), 0.0)

    assert torch.autograd.gradcheck(values, signals())


@pytest.mark.parametrize("name", OPERATORS)
def test_values_with_a_gradient_are_those_without(name: str) -> None:
    x, y = signals(1, 3, 20)
    for end in ENDS:
        for smooth in (None, 2.0):
            found = evaluate(OPERATORS[name], {"x": x, "y": y}, end=end, smooth=smooth)
            with torch.no_grad():
                plain = evaluate(OPERATORS[name], {"x": x, "y": y}, end=end, smooth=smooth)
            assert torch.equal(found.lower, plain.lower)
            assert torch.equal(found.upper, plain.upper)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("smooth", [None, 4.0], ids=["exact", "smooth"])
def test_no_gradient_is_nan(end: End, smooth: float | None) -> None:
    rng = np.random.default_rng(3)
    lengths = torch.tensor([12, 5, 1])
    for _ in range(60):
        node = random_formula(rng, Grammar(depth=3))
        batch = {name: torch.from_numpy(rng.normal(size=(3, 12))) for name in ("x", "y", "z")}
        for x in batch.values():
            x[0, 4] = math.nan
            x.requires_grad_()
        found = evaluate(node, batch, lengths=lengths, end=end, nan="mask", smooth=smooth)
        assert not found.value.isnan().any()
        total = found.value[found.value.isfinite()].sum()
        if not total.requires_grad:
            continue
        total.backward()  # type: ignore[no-untyped-call]
        for x in batch.values():
            assert x.grad is None or x.grad.isfinite().all(), node


def gradient(node: f.Formula, x: list[float], y: list[float], t: int) -> tuple[list[float], list[float]]:
    """Gradient of the robustness at t."""
    one, other = (torch.tensor(each, requires_grad=True) for each in (x, y))
    (evaluate(node, {"x": one, "y": other}).value[t] + 0 * (one + other).sum()).backward()  # type: ignore[no-untyped-call]
    assert one.grad is not None
    assert other.grad is not None
    return one.grad.tolist(), other.grad.tolist()


def test_ties_of_two_operands_share_by_halves() -> None:
    assert gradient(f.And(left=over("x"), right=over("y")), [1.0], [1.0], 0) == ([0.5], [0.5])
    assert gradient(f.Or(left=over("x"), right=over("y")), [1.0], [1.0], 0) == ([0.5], [0.5])


def test_of_tied_samples_the_nearest_to_now_has_it_all() -> None:
    level, none = [2.0] * 6, [0.0] * 6
    assert gradient(f.Always(operand=over("x"), bounds=bounds(1, 5)), level, none, 0)[0] == [0, 1, 0, 0, 0, 0]
    assert gradient(f.Once(operand=over("x"), bounds=bounds(1, 5)), level, none, 5)[0] == [0, 0, 0, 0, 1, 0]
    maximum = above(f.Fold(kind="max", term=f.Signal(name="x"), window=f.Duration(amount=5)))
    assert gradient(maximum, level, none, 5)[0] == [0, 0, 0, 0, 0, 1]


def test_of_tied_samples_of_until_the_nearest_guard_has_it_all() -> None:
    level = [2.0] * 6
    until = f.Until(left=over("x"), right=over("y"), bounds=bounds(2, 5))
    assert gradient(until, level, level, 0) == ([1, 0, 0, 0, 0, 0], [0] * 6)
    since = f.Since(left=over("x"), right=over("y"), bounds=bounds(2, 5))
    assert gradient(since, level, level, 5) == ([0, 0, 0, 0, 0, 1], [0] * 6)
    assert gradient(f.Until(left=over("x"), right=over("y"), bounds=bounds(0, 5)), level, level, 0)[1] == [
        1,
        0,
        0,
        0,
        0,
        0,
    ]


def test_counts_have_gradient_zero() -> None:
    for kind in ("count", "rate"):
        count = f.Count(kind=kind, formula=over("x"), window=W)
        assert gradient(above(count), [1.0, -1.0], [0.0, 0.0], 1)[0] == [0.0, 0.0]


@pytest.mark.parametrize("name", ["or", "always", "until", "since without end", "mean"])
def test_second_derivatives_of_smooth_are_finite_differences(name: str) -> None:
    def values(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        found = evaluate(OPERATORS[name], {"x": x, "y": y}, smooth=2.0).value
        return found.masked_fill(found.isinf(), 0.0)

    assert torch.autograd.gradgradcheck(values, signals(0, 1, 6))


@pytest.mark.parametrize("beta", [0.5, 20.0])
@pytest.mark.parametrize("end", ["truncate", "hold", "interval"])
@pytest.mark.parametrize("name", OPERATORS)
def test_smooth_lies_within_its_bound(name: str, end: End, beta: float) -> None:
    x, y = (each.detach() for each in signals(2, 8, 25))
    exact = evaluate(OPERATORS[name], {"x": x, "y": y}, end=end)
    soft = evaluate(OPERATORS[name], {"x": x, "y": y}, end=end, smooth=beta)
    bound = smooth_error(OPERATORS[name], beta, 25)
    for one, other in ((exact.lower, soft.lower), (exact.upper, soft.upper)):
        finite = one.isfinite()
        assert torch.equal(one[~finite], other[~finite])
        assert ((one - other)[finite].abs() <= bound + 1e-12).all()


def test_the_bound_is_reached_by_equal_samples() -> None:
    x = {"x": torch.zeros(1, 40, dtype=torch.float64)}
    node = f.Eventually(operand=over("x"), bounds=bounds(0, 10))
    assert evaluate(node, x, smooth=3.0).value[0, 0].item() == pytest.approx(math.log(11) / 3, rel=1e-12)
    assert smooth_error(node, 3.0, 40) == pytest.approx(math.log(11) / 3, rel=1e-12)


def test_nested_formulas_stay_within_the_sum_of_the_bounds() -> None:
    rng = np.random.default_rng(9)
    for _ in range(150):
        node = random_formula(rng, Grammar())
        batch = {name: torch.from_numpy(rng.normal(size=(4, 18))) for name in ("x", "y", "z")}
        lengths = torch.tensor([18, 3, 11, 1])
        for end in ENDS:
            exact = evaluate(node, batch, lengths=lengths, end=end)
            soft = evaluate(node, batch, lengths=lengths, end=end, smooth=2.5)
            finite = exact.value.isfinite()
            assert torch.equal(exact.value[~finite], soft.value[~finite])
            bound = smooth_error(node, 2.5, 18)
            assert ((exact.value - soft.value)[finite].abs() <= bound + 1e-9).all(), node


def test_smooth_gives_every_sample_of_a_window_a_gradient() -> None:
    x, y = signals(4, 1, 12)
    until = f.Until(left=X, right=Y, bounds=bounds(2, 8))
    evaluate(until, {"x": x, "y": y}, smooth=1.0).value[0, 0].backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad[0, :8] != 0).all()
    assert (y.grad[0, 2:9] != 0).all()
    assert (x.grad[0, 8:] == 0).all()
    assert (y.grad[0, :2] == 0).all()


def test_smooth_is_stable_far_from_zero() -> None:
    x = torch.tensor([[1e4, -1e4, 1e4, 3.0]], dtype=torch.float32, requires_grad=True)
    value = evaluate(f.Always(operand=f.Eventually(operand=over("x"))), {"x": x}, smooth=100.0).value
    assert value.isfinite().all()
    value.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.isfinite().all()
