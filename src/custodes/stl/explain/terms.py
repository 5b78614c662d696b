"""Why a comparison is as low, or as high, as it is: claims about terms, down to samples of signals.

A claim about a term has no level: it says that the term is at most (or at least) what it is, at each of its samples.
Where only the exact number will do, both are claimed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from custodes.stl import formula as f
from custodes.stl.explain.claims import Claim
from custodes.stl.explain.values import Values
from custodes.stl.explain.windows import Mask, Samples, least_in_each, union


def comparison_claims(values: Values, claim: Claim) -> Iterator[Claim]:
    """The claims about both sides that a claim about a comparison follows from.

    Args:
        values: Bounds of every node.
        claim: About a comparison.
    """
    node, times, most = claim.node, claim.times, claim.most
    assert isinstance(node, f.Comparison)
    if node.operator in ("<", "<="):
        yield from (_claim(node.left, times, not most), _claim(node.right, times, most))
    elif node.operator in (">", ">="):
        yield from (_claim(node.left, times, most), _claim(node.right, times, not most))
    else:
        yield from _distance(values, node, times, far=most == (node.operator == "=="))


def term_claims(values: Values, claim: Claim) -> Iterator[Claim]:
    """The claims about a term's operands that a claim about the term follows from; none below a signal or a number."""
    node, times, most = claim.node, claim.times, claim.most
    match node:
        case f.Negative(term=term):
            yield _claim(term, times, not most)
        case f.Absolute(term=term):
            yield from _exact(term, times) if most else _away_from_zero(values, term, times)
        case f.Arithmetic():
            yield from _arithmetic(node, times, most)
        case f.Count(formula=formula, window=window):
            yield from _count(values, formula, union(values.last(times, window), values.size), most)
        case f.Fold(kind=kind, term=term, window=window):
            windows = values.last(times, window)
            if kind in ("sum", "mean") or most == (kind == "max"):
                yield _claim(term, union(windows, values.size), most)
            else:
                bound = values.bound(term, most)
                yield _claim(term, least_in_each(windows, bound if most else -bound), most)


def _claim(node: f.Term, times: Samples, most: bool) -> Claim:
    return Claim(node=node, times=times, most=most, level=None)


def _exact(term: f.Term, times: Samples) -> Iterator[Claim]:
    yield from (_claim(term, times, most) for most in (False, True))


def _either(left: f.Term, right: f.Term, times: Samples, above: Mask, below: Mask) -> Iterator[Claim]:
    """Left above right at some samples, below it at others; where neither is known, both are needed as they are."""
    for left_most, where in ((False, above), (True, below)):
        yield from (_claim(left, times[where], left_most), _claim(right, times[where], not left_most))
    rest = times[~(above | below)]
    yield from (*_exact(left, rest), *_exact(right, rest))


def _distance(values: Values, node: f.Comparison, times: Samples, *, far: bool) -> Iterator[Claim]:
    """To be far apart, one side is high and the other low; to be near, both have to stay as they are."""
    if not far:
        yield from (*_exact(node.left, times), *_exact(node.right, times))
        return
    low, high = ([values.bound(side, most)[times] for side in (node.left, node.right)] for most in (False, True))
    yield from _either(node.left, node.right, times, low[0] > high[1], high[0] < low[1])


def _away_from_zero(values: Values, term: f.Term, times: Samples) -> Iterator[Claim]:
    above, below = values.bound(term, False)[times] > 0, values.bound(term, True)[times] < 0
    yield _claim(term, times[above], False)
    yield _claim(term, times[below], True)
    yield from _exact(term, times[~(above | below)])


def _arithmetic(node: f.Arithmetic, times: Samples, most: bool) -> Iterator[Claim]:
    left, right = node.left, node.right
    if node.operator in ("+", "-"):
        yield from (_claim(left, times, most), _claim(right, times, most == (node.operator == "+")))
    elif isinstance(right, f.Number):
        yield _claim(left, times, most == (right.value >= 0))
    elif node.operator == "*" and isinstance(left, f.Number):
        yield _claim(right, times, most == (left.value >= 0))
    else:
        yield from (*_exact(left, times), *_exact(right, times))


def _count(values: Values, formula: f.Formula, inside: Samples, most: bool) -> Iterator[Claim]:
    """A count is at least what it is by the samples that satisfy the formula, and at most by those that violate it."""
    bound = values.bound(formula, most)
    chosen = inside[bound[inside] < 0 if most else bound[inside] >= 0]
    if chosen.size:
        yield Claim(node=formula, times=chosen, most=most, level=float(np.max(bound[chosen])) if most else 0.0)
