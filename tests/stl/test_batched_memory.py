"""Memory of the batched evaluator: linear in the trace, whatever the window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from custodes.stl import formula as f
from custodes.stl.batched import evaluate
from custodes.stl.policy import End
from tests.stl.test_batched import bounds, over

TRACES = 2
X, Y = over("x"), over("y")
OPERATORS: dict[str, Callable[[int], f.Formula]] = {
    "always": lambda w: f.Always(operand=X, bounds=bounds(0, w)),
    "once": lambda w: f.Once(operand=X, bounds=bounds(w // 2, w)),
    "until": lambda w: f.Until(left=X, right=Y, bounds=bounds(w // 2, w)),
    "since": lambda w: f.Since(left=X, right=Y, bounds=bounds(0, w)),
    "at least": lambda w: f.AtLeast(need=w // 2, operand=X, window=f.Duration(amount=w)),
    "sum": lambda w: f.Comparison(
        operator=">",
        left=f.Fold(kind="sum", term=f.Signal(name="x"), window=f.Duration(amount=w)),
        right=f.Number(value=0.0),
    ),
    "count": lambda w: f.Comparison(
        operator=">",
        left=f.Count(kind="count", formula=X, window=f.Duration(amount=w)),
        right=f.Number(value=1.0),
    ),
}


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes how many elements the largest result of any operation has that owns its memory."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.untyped_storage().nbytes() // each.element_size())
        return made


def trace(samples: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(samples)
    return {name: torch.randn(TRACES, samples, generator=generator) for name in ("x", "y")}


@pytest.mark.parametrize("end", ["truncate", "interval"])
@pytest.mark.parametrize("name", OPERATORS)
def test_no_intermediate_is_larger_than_a_few_traces(name: str, end: End) -> None:
    for samples, window in ((500, 10), (500, 400), (2000, 1600)):
        with Largest() as largest:
            evaluate(OPERATORS[name](window), trace(samples), end=end)
        assert largest.elements <= 4 * TRACES * (samples + window)


def kept(formula: f.Formula, samples: int, smooth: float | None) -> int:
    """Bytes that the forward pass keeps for the backward pass, each storage once."""
    storages: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    signals = {name: x.requires_grad_() for name, x in trace(samples).items()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        evaluate(formula, signals, smooth=smooth)
    return sum(storages.values())


@pytest.mark.parametrize("smooth", [None, 2.0], ids=["exact", "smooth"])
@pytest.mark.parametrize("name", OPERATORS)
def test_what_the_backward_pass_needs_is_linear_in_the_trace(name: str, smooth: float | None) -> None:
    per_sample = [
        kept(OPERATORS[name](window), samples, smooth) / (TRACES * (samples + window))
        for samples, window in ((500, 8), (500, 400), (4000, 8), (4000, 3000))
    ]
    assert max(per_sample) <= 48
