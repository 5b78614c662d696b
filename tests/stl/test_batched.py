"""The batched evaluator against the definition, and what must not depend on the batch."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
import torch

from custodes.stl import formula as f
from custodes.stl.analysis import horizon, warmup
from custodes.stl.batched import Robustness, evaluate
from custodes.stl.policy import ENDS, End
from tests.stl import definition
from tests.stl.generate import Grammar, random_formula, random_trace

LENGTHS = (1, 2, 4, 9, 20, 34)
FORMULAS = int(os.environ.get("CUSTODES_FORMULAS", "600"))
"""`make oracle` tries 2,000; the definition is slow."""


def tensors(trace: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values.copy()) for name, values in trace.items()}


def sums(node: f.Formula) -> bool:
    return any(isinstance(each, f.Fold) and each.kind in ("sum", "mean") for each in f.walk(node))


def same(found: torch.Tensor, wanted: np.ndarray, node: f.Formula) -> bool:
    """To the bit, but for formulas that sum."""
    if sums(node):
        return bool(np.allclose(found.numpy(), wanted, rtol=1e-9, atol=1e-13))
    return bool((found.numpy() == wanted).all())


def sure(node: f.Formula, low: np.ndarray, high: np.ndarray, end: End) -> np.ndarray:
    """The validity mask as the contract states it."""
    t = np.arange(len(low))
    valid = (t >= warmup(node)) & np.isfinite(low) & (low == high)
    ahead = horizon(node)
    if end in ("truncate", "hold"):
        valid &= ahead is not None and t + (ahead or 0) <= len(low) - 1
    return np.asarray(valid)


def mismatches(node: f.Formula, wanted: np.ndarray, end: End, found: Robustness) -> list[str]:
    """What differs from the definition."""
    low, high = wanted[:, 0], wanted[:, 1]
    wrong = [] if same(found.lower, low, node) else ["lower"]
    wrong += [] if same(found.upper, high, node) else ["upper"]
    wrong += [] if found.value is found.lower else ["value"]
    # Rounding of sums may tell two ends apart that the definition has equal: the mask then follows the ends found.
    ends = (found.lower.numpy(), found.upper.numpy()) if sums(node) else (low, high)
    return wrong + ([] if (found.valid.numpy() == sure(node, *ends, end)).all() else ["valid"])


def compare(seed: int, formulas: int, *ends: End, holes: bool = False) -> None:
    """Ends that share one meaning are compared with one definition."""
    rng = np.random.default_rng(seed)
    for number in range(formulas):
        node = random_formula(rng, Grammar())
        trace = random_trace(rng, LENGTHS[number % len(LENGTHS)])
        if holes:
            for values in trace.values():
                values[rng.random(len(values)) < 0.15] = math.nan
        wanted = np.array(definition.evaluate(node, {name: x.tolist() for name, x in trace.items()}, ends[0]))
        for end in ends:
            found = evaluate(node, tensors(trace), end=end, nan="mask" if holes else "reject")
            assert not (wrong := mismatches(node, wanted, end, found)), (number, end, wrong, node)


@pytest.mark.parametrize("end", ENDS)
def test_is_the_definition(end: End) -> None:
    compare(1, 60, end)


@pytest.mark.slow
@pytest.mark.parametrize("ends", [("truncate",), ("hold",), ("interval", "pessimistic")])
def test_is_the_definition_on_many_formulas(ends: tuple[End, ...]) -> None:
    compare(2, FORMULAS, *ends)


@pytest.mark.parametrize("end", ENDS)
def test_masked_holes_are_the_definitions_unknowns(end: End) -> None:
    compare(3, 80, end, holes=True)


@pytest.mark.parametrize("end", ENDS)
def test_ragged_traces_are_each_trace_alone_whatever_lies_behind(end: End) -> None:
    rng = np.random.default_rng(4)
    lengths = torch.tensor([7, 1, 16, 3])
    for _ in range(80):
        node = random_formula(rng, Grammar())
        batch = {name: torch.from_numpy(rng.normal(size=(4, 16))) for name in ("x", "y", "z")}
        for x in batch.values():
            x[0, 7:] = math.nan
            x[1, 1:] = math.inf
        found = evaluate(node, batch, lengths=lengths, end=end)
        for row, length in enumerate(lengths.tolist()):
            alone = evaluate(node, {name: x[row, :length] for name, x in batch.items()}, end=end)
            for part in ("value", "lower", "upper", "valid"):
                assert torch.equal(getattr(found, part)[row, :length], getattr(alone, part)), (part, row, node)
                assert not getattr(found, part)[row, length:].any()


def test_order_and_blocks_of_a_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    order = torch.from_numpy(rng.permutation(9))
    for _ in range(40):
        node = random_formula(rng, Grammar())
        batch = {name: torch.from_numpy(rng.normal(size=(9, 12))) for name in ("x", "y", "z")}
        whole = evaluate(node, batch, end="interval")
        with monkeypatch.context() as patch:
            patch.setattr("custodes.stl.batched.evaluation.BLOCK_BYTES", 2 * 12 * 8)
            found = evaluate(node, {name: x[order] for name, x in batch.items()}, end="interval")
        for part in ("lower", "upper", "valid"):
            assert torch.equal(getattr(found, part), getattr(whole, part)[order])


def test_valid_values_survive_every_continuation() -> None:
    rng = np.random.default_rng(6)
    seen = 0
    for _ in range(150):
        node = random_formula(rng, Grammar())
        if sums(node):
            continue
        batch = {name: torch.from_numpy(rng.normal(size=(1, 26))) for name in ("x", "y", "z")}
        cut = {name: x[:, :14] for name, x in batch.items()}
        longer = {"truncate": evaluate(node, batch), "interval": evaluate(node, batch, end="interval")}
        for end in ("truncate", "hold"):
            prefix = evaluate(node, cut, end=end)
            seen += int(prefix.valid.sum())
            assert torch.equal(prefix.value[prefix.valid], longer["truncate"].value[:, :14][prefix.valid]), node
        prefix, later = evaluate(node, cut, end="interval"), longer["interval"]
        assert (prefix.lower <= later.lower[:, :14]).all(), node
        assert (prefix.upper >= later.upper[:, :14]).all(), node
    assert seen > 500


def test_float32_is_float64_rounded() -> None:
    rng = np.random.default_rng(7)
    node = f.Always(
        operand=f.Until(left=over("x"), right=over("y"), bounds=bounds(2, 9)),
        bounds=bounds(0, 5),
    )
    batch = {name: torch.from_numpy(rng.normal(size=(5, 30)).astype(np.float32)) for name in ("x", "y")}
    single, double = evaluate(node, batch), evaluate(node, {name: x.double() for name, x in batch.items()})
    assert single.value.dtype == torch.float32
    assert torch.equal(single.value.double(), double.value)
    mixed = evaluate(node, {"x": batch["x"].double(), "y": batch["y"]})
    assert mixed.value.dtype == torch.float64


def test_bounds_longer_than_the_trace() -> None:
    x = {"x": torch.tensor([1.0, -2.0, 3.0])}
    far = bounds(7, 10**6)
    assert evaluate(f.Always(operand=over("x"), bounds=far), x).value.tolist() == [math.inf] * 3
    assert evaluate(f.Eventually(operand=over("x"), bounds=far), x).value.tolist() == [-math.inf] * 3
    assert evaluate(f.Once(operand=over("x"), bounds=far), x).value.tolist() == [-math.inf] * 3
    assert evaluate(f.Eventually(operand=over("x"), bounds=far), x, end="hold").value.tolist() == [3.0] * 3
    until = f.Until(left=over("x"), right=over("x"), bounds=far)
    assert evaluate(until, x).value.tolist() == [-math.inf] * 3
    assert evaluate(until, x, end="hold").value.tolist() == [-2.0, -2.0, 3.0]
    assert not evaluate(until, x).valid.any()


def test_rank_of_every_window_is_its_sorted_one() -> None:
    rng = np.random.default_rng(8)
    for samples in (1, 2, 7, 33):
        x = torch.from_numpy(rng.integers(-3, 4, size=(3, samples)).astype(np.float64))
        for window in (1, 2, 5, 40):
            for need in {1, (window + 1) // 2, window}:
                node = f.AtLeast(need=need, operand=over("x"), window=f.Duration(amount=window))
                found = evaluate(node, {"x": x}).value
                for t in range(samples):
                    values = x[:, max(0, t - window + 1) : t + 1].sort(dim=1, descending=True).values
                    wanted = values[:, need - 1] if values.shape[1] >= need else torch.full((3,), -math.inf)
                    assert torch.equal(found[:, t], wanted.double())


def test_sums_keep_their_digits_after_a_large_value() -> None:
    x = torch.full((1, 400), 0.1, dtype=torch.float64)
    x[0, 3] = 1e15
    node = f.Comparison(
        operator=">",
        left=f.Fold(kind="sum", term=f.Signal(name="x"), window=f.Duration(amount=37)),
        right=f.Number(value=0.0),
    )
    assert evaluate(node, {"x": x}).value[0, 300].item() == pytest.approx(3.7, rel=1e-14)


def over(name: str, value: float = 0.0) -> f.Comparison:
    return f.Comparison(operator=">", left=f.Signal(name=name), right=f.Number(value=value))


def bounds(lower: int, upper: int) -> f.Bounds:
    return f.Bounds(lower=f.Duration(amount=lower), upper=f.Duration(amount=upper))
