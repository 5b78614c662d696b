"""The robustness of every part of a formula over one trace, also beyond the trace's end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, final

import numpy as np

from custodes.stl import formula as f
from custodes.stl.analysis import horizon
from custodes.stl.errors import StlError
from custodes.stl.explain.windows import Floats, Samples, Windows
from custodes.stl.policy import End

if TYPE_CHECKING:
    from torch import Tensor

_ZERO: Final = f.Number(value=0.0)
LARGEST: Final = 10_000_000
"""Most samples that an explanation looks at."""


@final
class Values:
    """Bounds of every node at every sample.

    Beyond the end nothing stands (truncate), or so many samples of what the policy says that from `edge` on every node
    is constant, or no operator sees any.

    Args:
        formula: The whole formula, bounds in samples.
        signals: One trace: float64 arrays of one length, finite or NaN.
        end: End policy.
        certain: Whether to ask for what holds whatever the unknown samples are, or for what may hold.
    """

    def __init__(self, formula: f.Formula, signals: Mapping[str, Floats], end: End, *, certain: bool = True) -> None:
        self.length = len(next(iter(signals.values())))
        self.end, self.certain = end, certain
        self.edge = self.length - 1 + (0 if end == "truncate" else _reach(formula))
        self.size = self.length if end == "truncate" else self.edge + 2
        if self.size > LARGEST:
            raise StlError(
                f"{self.size} samples are needed to say what stands after the end, more than {LARGEST}",
                fix="explain under --end truncate, or shorten the windows behind",
            )
        self._signals = {name: self._extended(values) for name, values in signals.items()}
        self._tensors: dict[str, Tensor] = {}
        self._known: dict[int, tuple[f.Term | f.Formula, Floats, Floats]] = {}

    def bound(self, node: f.Term | f.Formula, most: bool) -> Floats:
        """What a node is at most, or at least, at every sample [size]."""
        _, lower, upper = self.pair(node)
        return upper if most == self.certain else lower

    def pair(self, node: f.Term | f.Formula) -> tuple[f.Term | f.Formula, Floats, Floats]:
        """The node (kept, so that its id stays its own) with its lower and upper values at every sample [size]."""
        if id(node) not in self._known:
            self._known[id(node)] = (node, *self._computed(node))
        return self._known[id(node)]

    def clip(self, samples: Samples) -> Samples:
        """Samples after the edge are all like the edge."""
        return np.unique(np.minimum(samples, self.edge))

    def ahead(self, times: Samples, bounds: f.Bounds) -> Windows:
        """The window of each of the times for an operator of the future."""
        first = times + bounds.lower.amount
        if self.end == "truncate":
            far = np.full_like(times, self.edge) if bounds.upper is None else times + bounds.upper.amount
            return Windows(first=first, last=np.minimum(far, self.edge))
        after = self.edge + 1
        far = np.full_like(times, after) if bounds.upper is None else times + bounds.upper.amount
        # One sample stands for all after the edge.
        return Windows(first=np.minimum(first, after), last=np.minimum(far, after))

    def behind(self, times: Samples, bounds: f.Bounds) -> Windows:
        """The window of each of the times for an operator of the past."""
        first = np.zeros_like(times) if bounds.upper is None else np.maximum(times - bounds.upper.amount, 0)
        return Windows(first=first, last=times - bounds.lower.amount)

    def last(self, times: Samples, window: f.Duration) -> Windows:
        """The window of each of the times for an aggregate."""
        return Windows(first=np.maximum(times - window.amount + 1, 0), last=times)

    def _extended(self, values: Floats) -> Floats:
        beyond = values[-1] if self.end == "hold" else np.nan
        return np.concatenate([values, np.full(self.size - self.length, beyond)])

    def _computed(self, node: f.Term | f.Formula) -> tuple[Floats, Floats]:
        if isinstance(node, f.Signal):
            values = self._signals[node.name]
            unknown = np.isnan(values)
            return np.where(unknown, -np.inf, values), np.where(unknown, np.inf, values)
        if isinstance(node, f.Number):
            return np.full(self.size, node.value), np.full(self.size, node.value)
        # A term minus nothing is itself, so that one evaluator serves terms too.
        asked = f.Comparison(operator=">", left=node, right=_ZERO) if isinstance(node, _TERMS) else node
        return self._evaluated(asked)

    def _evaluated(self, formula: f.Formula) -> tuple[Floats, Floats]:
        import torch

        from custodes.stl.batched import evaluate

        if not self._tensors:
            self._tensors = {name: torch.from_numpy(values) for name, values in self._signals.items()}
        with torch.no_grad():
            result = evaluate(formula, self._tensors, end=self.end, nan="mask")
        return result.lower.numpy(), result.upper.numpy()


_TERMS: Final = (f.Negative, f.Absolute, f.Arithmetic, f.Count, f.Fold)


def _reach(formula: f.Formula) -> int:
    """So many samples after the end matter: then what looks behind has forgotten the trace, or nothing looks there."""
    behind = 1
    for node in f.walk(formula):
        bounds, window = getattr(node, "bounds", None), getattr(node, "window", None)
        if bounds is not None and not isinstance(node, f.FUTURE):
            behind += (bounds.upper or bounds.lower).amount + bounds.lower.amount
        behind += 1 if window is None else window.amount
    ahead = horizon(formula)
    return behind if ahead is None else min(behind, ahead)
