"""How far a smooth robustness may lie from the exact one."""

from __future__ import annotations

import math

from custodes.stl import formula as f
from custodes.stl.batched.extension import extra_samples
from custodes.stl.errors import StlError


def smooth_error(formula: f.Formula, beta: float, length: int) -> float:
    """Largest |smooth - exact| robustness of a formula, at any sample and under any end policy.

    An operator over n values adds at most log(n) / beta to the error of its operands: n is 2 for `and`, `or` and `->`,
    the samples of the window for windows, upper bound + 1 for until, release and since; `<->` and weak until are a
    minimum and a maximum, and add both. Terms, `at least` and what is counted are exact and add nothing.

    Args:
        formula: With bounds in samples.
        beta: Sharpness, > 0.
        length: Samples of the longest trace, >= 1; no window holds more than it and its continuation.

    Returns:
        The bound, in units of the signals, >= 0.

    Raises:
        StlError: When beta or length is out of range.
    """
    if not (beta > 0 and math.isfinite(beta)) or length < 1:
        raise StlError(f"beta={beta!r} and length={length!r} bound nothing", fix="give beta > 0 and length >= 1")
    return _nats(formula, length + extra_samples(formula, "interval") + 1) / beta


def _nats(node: f.Formula, length: int) -> float:
    match node:
        case f.Truth() | f.Comparison():
            return 0.0
        case f.Not(operand=operand) | f.Next(operand=operand) | f.Previous(operand=operand):
            return _nats(operand, length)
        case f.AtLeast(operand=operand):
            return _nats(operand, length)
        case f.And(left=left, right=right) | f.Or(left=left, right=right) | f.Implies(left=left, right=right):
            return max(_nats(left, length), _nats(right, length)) + math.log(2)
        case f.Iff(left=left, right=right):
            return max(_nats(left, length), _nats(right, length)) + 2 * math.log(2)
        case f.Always() | f.Eventually() | f.Historically() | f.Once():
            return _nats(node.operand, length) + math.log(_held(node.bounds, node.bounds.lower.amount, length))
        case f.Until() | f.Release() | f.Since():
            below = max(_nats(node.left, length), _nats(node.right, length))
            return below + math.log(_held(node.bounds, 0, length))
        case f.WeakUntil():
            below = max(_nats(node.left, length), _nats(node.right, length))
            return below + math.log(_held(node.bounds, 0, length)) + math.log(2)


def _held(bounds: f.Bounds, first: int, length: int) -> int:
    """Most samples from a first distance to the farthest that a window takes in."""
    return length if bounds.upper is None else min(bounds.upper.amount - first + 1, length)
