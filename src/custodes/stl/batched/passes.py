"""The passes of a compiled formula: kernels over fixed buffers, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, final

import numpy as np

from custodes.stl.batched.scope import Scope
from custodes.stl.batched.scratch import Array, Scratch


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """What passes run on."""

    scope: Scope
    """Traces, all values known."""
    signals: Mapping[str, Array]
    """The scope's signals, [traces, samples]."""
    outside: Array | None
    """Bool [traces, samples], behind the ends of ragged traces; None where there is no such sample."""


Call: TypeAlias = Callable[[Block], object]
"""A pass; knows what it reads and where it writes."""


@final
class Passes:
    """A list of passes that grows while a formula is compiled. Values are flat buffers (`Scratch`).

    Args:
        scratch: Where the buffers come from.
    """

    def __init__(self, scratch: Scratch) -> None:
        self.scratch = scratch
        self.calls: list[Call] = []

    def kernel(self, kernel: Callable[..., Any], *inputs: Any, out: Array) -> None:
        """Add a numpy function of buffers and numbers."""
        call = partial(kernel, *inputs, out=out)
        self.calls.append(lambda block: call())

    def pair(self, kernel: Callable[..., Any], a: Array, b: Array, shifts: tuple[int, int]) -> Array:
        """Add a numpy function of the two samples so many columns later (or, below 0, earlier), for every column.

        Returns:
            The buffer that the result is in.
        """
        made = self.scratch.take()
        first, last = max(0, -min(shifts)), len(made) - max(0, *shifts)
        one, other = (x[first + shift : last + shift] for x, shift in zip((a, b), shifts, strict=True))
        self.kernel(kernel, one, other, out=made[first:last])
        return made

    def window(self, flat: Array, lower: int, upper: int, *, most: bool, ahead: bool) -> Array:
        """Extreme of the samples at distances lower to upper; uses the buffer up.

        Args:
            flat: Values, and beside the rows what counts there.
            lower: Nearest distance, >= 0.
            upper: Farthest distance, >= lower.
            most: Maximum, not minimum.
            ahead: Whether the window looks ahead of now, or behind it.
        """
        first, width = lower if ahead else -upper, upper - lower + 1
        if width == 1 and first == 0:
            return flat
        half = 1 << max(0, (width - 1).bit_length() - 1)
        flat = self.widened(flat, 1, half, most=most)
        made = self.pair(np.maximum if most else np.minimum, flat, flat, (first, first + width - half))
        self.scratch.give(flat)
        return made

    def widened(self, flat: Array, size: int, width: int, *, most: bool, keep: Array | None = None) -> Array:
        """Widen windows that begin at every column, by doubling (as `windows.grow`).

        Args:
            flat: Extremes of `size` columns; used up, unless it is `keep`.
            size: Width that there is.
            width: Width wanted, >= size.
            most: Maximum, not minimum.
            keep: A buffer that is still needed.

        Returns:
            The buffer that the result is in.
        """
        kernel = np.maximum if most else np.minimum
        while size < width:
            step = min(size, width - size)
            wider = self.pair(kernel, flat, flat, (0, step))
            if flat is not keep:
                self.scratch.give(flat)
            flat, size = wider, size + step
        return flat

    def guarded(self, p: Array, q: Array, lower: int, upper: int, *, ahead: bool) -> Array:
        """Until (ahead) or since (behind), as `custodes.stl.batched.guarded.guarded`; uses both buffers up.

        Args:
            p: The guard, and beside the rows what counts there.
            q: What has to come, like p.
            lower: Nearest distance, >= 0.
            upper: Farthest distance, >= 1.
            ahead: Until, not since.
        """
        width, size = upper - lower + 1, 1
        guard, held = p, 1
        while size < width:
            step = min(size, width - size)
            near, far = (0, step) if ahead else (step, 0)
            wider = self.pair(np.minimum, p, q, (near, far))
            columns = len(q) - step
            self.kernel(np.maximum, q[near : near + columns], wider[:columns], out=wider[:columns])
            self.scratch.give(q)
            q, size = wider, size + step
            if size < width or size <= lower:
                p = self.widened(p, size - step, size, most=False, keep=guard if size > lower else None)
                if size <= lower:
                    guard, held = p, size
        if p is not guard:
            self.scratch.give(p)
        guard = self.widened(guard, held, max(lower, 1), most=False)
        first = 0 if ahead else -upper
        if lower:
            made = self.pair(np.minimum, guard, q, (first, lower) if ahead else (first + width, first))
        else:
            made = self.pair(np.maximum, q, q, (first, first))
        self.scratch.give(guard)
        self.scratch.give(q)
        return made
