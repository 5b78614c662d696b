"""Why a part of a formula is as low, or as high, as it is: claims about it follow from claims about its parts.

A claim says that a formula is at most (or at least) a level at some samples. Each rule below gives claims about the
children that together imply it, as few samples as the operator allows: one witness for a violated `always`, the whole
window for a violated `eventually`. At the leaves stand samples of signals; whatever the other samples are changed to,
the claim at the top stays true.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np

from custodes.stl import formula as f
from custodes.stl.explain.values import Values
from custodes.stl.explain.windows import Floats, Mask, Samples, Windows, next_true, union, witnesses


@final
@dataclass(frozen=True, kw_only=True)
class Claim:
    """A bound on a node at some samples."""

    node: f.Term | f.Formula
    """What it is about."""
    times: Samples
    """Where, sorted."""
    most: bool
    """At most the level; at least it otherwise."""
    level: float | None
    """The bound, the same at all samples; None: what the node is at each of them."""


@final
@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a claim holds."""

    claims: tuple[Claim, ...]
    """About the children; together they imply it."""
    text: str
    """The operator's part in it, in words; empty where there is nothing to say."""


Until: TypeAlias = f.Until | f.WeakUntil | f.Release
_ONE = f.Bounds(lower=f.Duration(amount=1), upper=f.Duration(amount=1))


def reason(values: Values, claim: Claim) -> Reason:
    """The claims about a formula's children that a claim about it follows from.

    Args:
        values: Bounds of every node.
        claim: About a formula, true by these bounds.
    """
    node, times, most = claim.node, claim.times, claim.most
    level = 0.0 if claim.level is None else claim.level
    match node:
        case f.Not(operand=operand):
            return Reason(claims=(Claim(node=operand, times=times, most=not most, level=-level),), text="")
        case f.And(left=left, right=right):
            return _pair(values, times, _Side(left, most, level), _Side(right, most, level), every=not most)
        case f.Or(left=left, right=right):
            return _pair(values, times, _Side(left, most, level), _Side(right, most, level), every=most)
        case f.Implies(left=left, right=right):
            return _pair(values, times, _Side(left, not most, -level), _Side(right, most, level), every=most)
        case f.Iff(left=left, right=right):
            return _iff(values, claim, level, left, right)
        case f.Always(operand=operand, bounds=bounds):
            return _window(values, operand, values.ahead(times, bounds), most, level, every=not most)
        case f.Eventually(operand=operand, bounds=bounds):
            return _window(values, operand, values.ahead(times, bounds), most, level, every=most)
        case f.Next(operand=operand):
            return _window(values, operand, values.ahead(times, _ONE), most, level, every=most)
        case f.Historically(operand=operand, bounds=bounds):
            return _window(values, operand, values.behind(times, bounds), most, level, every=not most)
        case f.Once(operand=operand, bounds=bounds):
            return _window(values, operand, values.behind(times, bounds), most, level, every=most)
        case f.Previous(operand=operand):
            return _window(values, operand, values.behind(times, _ONE), most, level, every=most)
        case f.Until() | f.Release() | f.WeakUntil():
            return _until(values, node, times, most, level)
        case f.Since():
            return _since(values, node, times, most, level)
        case f.AtLeast():
            return _at_least(values, node, times, most, level)
    return Reason(claims=(), text="")


@final
@dataclass(frozen=True)
class _Side:
    """One operand with the claim that may be made about it."""

    node: f.Formula
    most: bool
    level: float

    def claim(self, times: Samples) -> Claim:
        return Claim(node=self.node, times=times, most=self.most, level=self.level)


def _pair(values: Values, times: Samples, left: _Side, right: _Side, *, every: bool) -> Reason:
    """Both operands (every), or at each sample the one that makes the claim by more."""
    if every:
        return _reason((left.claim(times), right.claim(times)), "")
    by_left = _margin(values, left, times) >= _margin(values, right, times)
    return _reason((left.claim(times[by_left]), right.claim(times[~by_left])), "")


def _margin(values: Values, side: _Side, times: Samples) -> Floats:
    """By how much a side makes its claim."""
    bound = values.bound(side.node, side.most)[times]
    with np.errstate(invalid="ignore"):
        margin = side.level - bound if side.most else bound - side.level
    return np.where(bound == side.level, 0.0, margin)


def _iff(values: Values, claim: Claim, level: float, left: f.Formula, right: f.Formula) -> Reason:
    """Both implications, or at each sample the one that is lower."""
    most, times = claim.most, claim.times
    ways = [(_Side(a, not most, -level), _Side(b, most, level)) for a, b in ((left, right), (right, left))]
    if not most:
        made = [_pair(values, times, *way, every=False) for way in ways]
        return _reason(tuple(each for part in made for each in part.claims), "")
    lowest = [np.minimum(*(_margin(values, side, times) for side in way)) for way in ways]
    by_first = lowest[0] >= lowest[1]
    parts = zip(ways, (times[by_first], times[~by_first]), strict=True)
    return _reason(tuple(side.claim(where) for way, where in parts for side in way), "")


def _window(values: Values, operand: f.Formula, windows: Windows, most: bool, level: float, *, every: bool) -> Reason:
    """Every sample of the windows, or a witness in each."""
    empty = _empty(windows)
    if every:
        chosen = union(windows, values.size)
        text = empty if chosen.size == 0 else ""
    else:
        bound = values.bound(operand, most)
        chosen = witnesses(windows, _good(values, operand, most, level), bound if most else -bound)
        text = ""
    return _reason((Claim(node=operand, times=values.clip(chosen), most=most, level=level),), text)


def _until(values: Values, node: Until, times: Samples, most: bool, level: float) -> Reason:
    """Until and release are each other's dual; weak until may also hold by its guard alone."""
    left, right = (_good(values, side, most, level) for side in (node.left, node.right))
    windows = values.ahead(times, node.bounds)
    if most != isinstance(node, f.Release):
        needed, guard, text = _never(times, windows, left, right)
        if isinstance(node, f.WeakUntil):
            bound = values.bound(node.left, most)
            whole = witnesses(values.ahead(times, f.Bounds(upper=node.bounds.upper)), left, bound)
            guard = Windows(first=np.append(guard.first, whole), last=np.append(guard.last, whole))
    else:
        found = next_true(right)[np.minimum(windows.first, values.size - 1)]
        reached = (found <= windows.last) & (windows.first <= windows.last)
        if isinstance(node, f.WeakUntil):
            failed = next_true(~left)[times]
            reached &= found <= failed
        text = "" if reached.all() else "the guard holds to the end of the window"
        last = values.ahead(times, f.Bounds(upper=node.bounds.upper)).last
        needed = Windows(first=found[reached], last=found[reached])
        guard = Windows(first=times, last=np.where(reached, found - 1, last))
    return _sides(values, node, needed, guard, most, level, text)


def _since(values: Values, node: f.Since, times: Samples, most: bool, level: float) -> Reason:
    """Until, with time turned around."""
    end = values.size - 1
    left, right = (_good(values, side, most, level)[::-1] for side in (node.left, node.right))
    windows = values.behind(times, node.bounds)
    turned, backward = Windows(first=end - windows.last, last=end - windows.first), end - times
    if most:
        needed, guard, text = _never(backward, turned, left, right)
    else:
        found = next_true(right)[np.minimum(turned.first, end)]
        needed, guard, text = Windows(first=found, last=found), Windows(first=backward, last=found - 1), ""
    needed, guard = (Windows(first=end - each.last, last=end - each.first) for each in (needed, guard))
    return _sides(values, node, needed, guard, most, level, text)


def _never(times: Samples, windows: Windows, left: Mask, right: Mask) -> tuple[Windows, Windows, str]:
    """Nothing comes in the windows before the guard fails: where the right side is needed, and the left one."""
    failed = next_true(left)[times]
    some = windows.first <= windows.last
    needed = Windows(first=windows.first, last=np.minimum(windows.last, failed))
    at = failed[some & (failed < windows.last)]
    if not some.any():
        return needed, Windows(first=at, last=at), _empty(windows)
    if at.size == 0:
        text = "the right side does not come in the window"
    elif (needed.first > needed.last).all():
        text = "the guard fails before the window"
    else:
        text = "the guard fails before the right side comes"
    return needed, Windows(first=at, last=at), text


def _sides(
    values: Values, node: Until | f.Since, needed: Windows, guard: Windows, most: bool, level: float, text: str
) -> Reason:
    left, right = (values.clip(union(each, values.size)) for each in (guard, needed))
    return _reason(
        (
            Claim(node=node.left, times=left, most=most, level=level),
            Claim(node=node.right, times=right, most=most, level=level),
        ),
        text,
    )


def _at_least(values: Values, node: f.AtLeast, times: Samples, most: bool, level: float) -> Reason:
    """The samples of the window that held, or those that did not."""
    windows = values.last(times, node.window)
    counted = windows.last - windows.first + 1 >= node.need
    windows = Windows(first=windows.first[counted], last=windows.last[counted])
    inside = union(windows, values.size)
    chosen = inside[_good(values, node.operand, most, level)[inside]]
    text = "" if counted.any() else f"the window holds fewer than {node.need} samples"
    return _reason((Claim(node=node.operand, times=values.clip(chosen), most=most, level=level),), text)


def _good(values: Values, node: f.Formula, most: bool, level: float) -> Mask:
    """Where a claim may be made."""
    bound = values.bound(node, most)
    return bound <= level if most else bound >= level


def _empty(windows: Windows) -> str:
    return "the window holds no sample" if not (windows.first <= windows.last).any() else ""


def _reason(claims: tuple[Claim, ...], text: str) -> Reason:
    return Reason(claims=tuple(each for each in claims if each.times.size), text=text)
