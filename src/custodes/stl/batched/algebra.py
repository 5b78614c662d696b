"""What minimum and maximum mean in a formula: exact, or smooth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from custodes.stl.batched import guarded, smooth, windows


class Algebra(ABC):
    """Minimum and maximum of two, over windows, and under a guard. Windows come padded (`windows.padded`)."""

    @abstractmethod
    def least(self, a: Tensor, b: Tensor) -> Tensor:
        """Minimum of two, elementwise."""

    @abstractmethod
    def greatest(self, a: Tensor, b: Tensor) -> Tensor:
        """Maximum of two, elementwise."""

    @abstractmethod
    def extreme(self, x: Tensor, width: int, *, most: bool, ahead: bool) -> Tensor:
        """Extreme of every window of `width` columns, [traces, columns - width + 1]."""

    @abstractmethod
    def guarded(self, p: Tensor, q: Tensor, lower: int, upper: int, *, ahead: bool) -> Tensor:
        """Until (ahead) or since (behind), [traces, columns - upper]."""


@final
class Exact(Algebra):
    """min and max. Ties of two operands share the gradient by halves; in a window the sample nearest to now has it."""

    def least(self, a: Tensor, b: Tensor) -> Tensor:
        """Minimum of two, elementwise."""
        return torch.minimum(a, b)

    def greatest(self, a: Tensor, b: Tensor) -> Tensor:
        """Maximum of two, elementwise."""
        return torch.maximum(a, b)

    def extreme(self, x: Tensor, width: int, *, most: bool, ahead: bool) -> Tensor:
        """Extreme of every window."""
        return windows.extreme(x, width, most=most, ahead=ahead)

    def guarded(self, p: Tensor, q: Tensor, lower: int, upper: int, *, ahead: bool) -> Tensor:
        """Until or since."""
        return guarded.guarded(p, q, lower, upper, ahead=ahead)


@final
class Smooth(Algebra):
    """Log-sum-exp.

    Args:
        beta: Sharpness, > 0: the error of an operator over n values is at most log(n) / beta.
    """

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def least(self, a: Tensor, b: Tensor) -> Tensor:
        """Smooth minimum of two, elementwise."""
        return smooth.least(a, b, self.beta)

    def greatest(self, a: Tensor, b: Tensor) -> Tensor:
        """Smooth maximum of two, elementwise."""
        return smooth.greatest(a, b, self.beta)

    def extreme(self, x: Tensor, width: int, *, most: bool, ahead: bool) -> Tensor:
        """Smooth extreme of every window."""
        return smooth.extreme(x, width, self.beta, most=most)

    def guarded(self, p: Tensor, q: Tensor, lower: int, upper: int, *, ahead: bool) -> Tensor:
        """Smooth until or since."""
        return smooth.guarded(p, q, lower, upper, self.beta, ahead=ahead)
