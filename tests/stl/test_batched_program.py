"""Compiled formulas: the same values as node by node, whoever calls, and buffers that stay inside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from custodes.stl import formula as f
from custodes.stl.batched import Robustness, evaluate, evaluation
from custodes.stl.batched.passes import Block
from custodes.stl.batched.program import Program
from custodes.stl.batched.shelf import Shelf
from custodes.stl.policy import ENDS, End
from tests.stl.generate import Grammar, random_formula
from tests.stl.test_batched import bounds, over

PHI = f.Always(
    operand=f.Implies(left=over("x"), right=f.Eventually(operand=over("y"), bounds=bounds(0, 10))), bounds=bounds(0, 50)
)


def batch(rng: np.random.Generator, traces: int, samples: int, **kind: Any) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(rng.normal(size=(traces, samples))).to(**kind) for name in ("x", "y", "z")}


def node_by_node(monkeypatch: pytest.MonkeyPatch, *arguments: Any, **choices: Any) -> Robustness:
    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "_plain", lambda traces: False)
        return evaluate(*arguments, **choices)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("end", ENDS)
def test_values_are_those_of_node_by_node(end: End, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    for number in range(60):
        node = random_formula(rng, Grammar())
        signals = batch(rng, 5, (3, 17, 40)[number % 3], dtype=dtype)
        lengths = None if number % 2 else torch.from_numpy(rng.integers(1, signals["x"].shape[1] + 1, size=5))
        found = evaluate(node, signals, lengths=lengths, end=end)
        wanted = node_by_node(monkeypatch, node, signals, lengths=lengths, end=end)
        for part in ("lower", "upper", "valid"):
            assert torch.equal(getattr(found, part), getattr(wanted, part)), (part, node)


def test_a_plain_call_runs_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[int, ...]] = []
    run = Program.run

    def noted(self: Program, block: Block, out: Any) -> None:
        ran.append(out.shape)
        run(self, block, out)

    monkeypatch.setattr(Program, "run", noted)
    signals = batch(np.random.default_rng(2), 3, 80)
    evaluate(PHI, signals)
    evaluate(PHI, signals, end="hold")
    assert ran == [(3, 80), (3, 80)]
    evaluate(PHI, {name: x.requires_grad_() for name, x in signals.items()})
    evaluate(PHI, {name: x.detach() for name, x in signals.items()}, smooth=2.0)
    assert len(ran) == 2


def test_results_and_signals_are_left_alone_by_later_calls() -> None:
    rng = np.random.default_rng(3)
    one, other = batch(rng, 4, 90), batch(rng, 4, 90)
    kept = {name: x.clone() for name, x in one.items()}
    first = evaluate(PHI, one)
    value, valid = first.value.clone(), first.valid.clone()
    evaluate(PHI, other)
    assert torch.equal(first.value, value)
    assert torch.equal(first.valid, valid)
    assert all(torch.equal(one[name], x) for name, x in kept.items())
    first.value.fill_(7.0)
    assert torch.equal(evaluate(PHI, one).value, value)


def test_threads_do_not_disturb_one_another() -> None:
    rng = np.random.default_rng(4)
    batches = [batch(rng, 16, 400) for _ in range(8)]
    wanted = [evaluate(PHI, each).value for each in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: evaluate(PHI, batches[number % 8]).value, range(400)))
    assert all(torch.equal(each, wanted[number % 8]) for number, each in enumerate(found))


@pytest.mark.parametrize("window", [10, 900])
def test_buffers_are_few_and_linear_in_the_trace(window: int) -> None:
    node = f.Until(left=PHI, right=over("z"), bounds=bounds(window // 2, window))
    program = Program(node, 4, 1000, held=False, dtype=np.dtype(np.float64))
    assert program.nbytes <= 6 * 8 * 5 * (1000 + max(window, 50))


def test_the_shelf_keeps_within_its_limit() -> None:
    shelf = Shelf(limit=50_000)
    for samples in range(100, 1000, 100):
        signals = {"x": np.ones((1, samples)), "y": np.ones((1, samples))}
        block: Any = Block(scope=None, signals=signals, outside=None)  # type: ignore[arg-type]
        program = Program(PHI, 1, samples, held=False, dtype=np.dtype(np.float64))
        shelf.run(samples, lambda program=program: program, block, np.empty((1, samples)))  # type: ignore[misc]
        assert 0 < shelf.nbytes() <= 50_000


def test_a_trace_with_an_unknown_term_spoils_nothing() -> None:
    signals = batch(np.random.default_rng(5), 2, 70)
    node = f.Always(
        operand=f.Comparison(
            operator=">",
            left=f.Arithmetic(operator="/", left=f.Signal(name="x"), right=f.Signal(name="y")),
            right=f.Number(value=0.0),
        ),
        bounds=bounds(0, 5),
    )
    before = evaluate(node, signals).value
    broken = signals | {"y": torch.zeros_like(signals["y"])}
    hidden = evaluate(node, broken)
    assert not hidden.valid.any()
    assert (hidden.lower == -torch.inf).all()
    assert torch.equal(evaluate(node, signals).value, before)


# torch.func and dual numbers make torch compile decompositions with what it itself deprecates.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_tangents_are_carried() -> None:
    x = batch(np.random.default_rng(6), 2, 70)["x"]
    tangents: Any = torch.func.jvp(lambda x: evaluate(over("x"), {"x": x}).value, (x,), (torch.ones_like(x),))
    assert torch.equal(tangents[1], torch.ones_like(x))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))  # type: ignore[no-untyped-call]
        found = torch.autograd.forward_ad.unpack_dual(evaluate(over("x"), {"x": dual}).value)  # type: ignore[no-untyped-call]
        assert torch.equal(found.tangent, torch.ones_like(x))
