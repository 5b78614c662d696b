"""stlcg++ (torch): batches by vmap, in pieces that fit into memory, since an operator takes O(T^2) per trace."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

PIECES = {"phi1": 16, "phi2": 4}
"""Traces per vmap call."""


class StlcgPlusPlus:
    """Has no grammar: the two formulas are built as objects."""

    name = "stlcgpp"

    def __init__(self) -> None:
        self.torch: Any = importlib.import_module("torch")
        self.torch.set_num_threads(1)
        self.stl: Any = importlib.import_module("stlcgpp.formula")

    def versions(self) -> dict[str, str]:
        """By distribution."""
        return {name: metadata.version(name) for name in ("stlcgpp", "torch")}

    def _formula(self, text: str) -> tuple[str, Any]:
        x = self.stl.Predicate("x", lambda trace: trace[..., 0])
        y = self.stl.Predicate("y", lambda trace: trace[..., 1])
        if "until" in text:
            held, reached = self.stl.GreaterThan(x, 0.0), self.stl.GreaterThan(y, 0.0)
            return "phi2", self.stl.Until(held, reached, interval=[5, 20])
        answer = self.stl.Eventually(self.stl.GreaterThan(y, 0.2), interval=[0, 10])
        return "phi1", self.stl.Always(self.stl.Implies(self.stl.LessThan(x, 0.5), answer), interval=[0, 50])

    def _tensor(self, traces: list[dict[str, list[float]]]) -> Any:
        return self.torch.tensor([list(zip(trace["x"], trace["y"], strict=True)) for trace in traces])

    def offline(self, formula: str, traces: list[dict[str, list[float]]]) -> list[tuple[Callable[[], object], int]]:
        """One item per piece, whole robustness trace."""
        name, built = self._formula(formula)
        size = len(traces[0]["x"])
        if len(traces) == 1:
            single = self._tensor(traces)[0]
            return [(lambda: built(single), size)]
        mapped, pieces = self.torch.vmap(built), self._tensor(traces).split(PIECES[name])
        return [(partial(mapped, piece), len(piece) * size) for piece in pieces]

    def values(self, formula: str, trace: dict[str, list[float]]) -> list[float]:
        """Robustness at every sample; its until has an inclusive guard."""
        found: list[float] = self._formula(formula)[1](self._tensor([trace])[0]).tolist()
        return found

    def many(self, jobs: list[tuple[list[Any], dict[str, list[float]]]]) -> dict[str, list[list[float]]]:
        """Robustness traces of formulas (trees: operator, arguments, perhaps an interval) in float64."""
        found = []
        self.torch.set_default_dtype(self.torch.float64)  # Its masks have the default type.
        for tree, trace in jobs:
            names = sorted(trace)
            signal = self.torch.tensor([trace[name] for name in names], dtype=self.torch.float64).T
            found.append(self._built(tree, names)(signal).tolist())
        return {"values": found}

    def _built(self, tree: list[Any], names: list[str]) -> Any:
        kind = tree[0]
        if kind in ("LessThan", "GreaterThan"):
            column, limit = names.index(tree[1]), tree[2]
            predicate = self.stl.Predicate(tree[1], lambda trace, column=column: trace[..., column])
            return getattr(self.stl, kind)(predicate, limit)
        parts = [self._built(part, names) for part in tree[1:] if isinstance(part[0], str)]
        interval = [part for part in tree[1:] if not isinstance(part[0], str)]
        return getattr(self.stl, kind)(*parts, **({"interval": interval[0]} if interval else {}))


def engine() -> StlcgPlusPlus:
    """For the driver."""
    return StlcgPlusPlus()
