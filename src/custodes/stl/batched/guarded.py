"""Until and since, exactly, in O(log width) passes and memory linear in the trace.

One step of until is a clamp, z -> max(q, min(p, z)). Clamps compose to clamps: (q, p) after (q', p') is
(max(q, min(p, q')), min(p, p')). So windows of clamps double as windows of maxima do, and may overlap: the samples that
two pieces share are guarded by more than they need in the second piece, and so never exceed their part of the first.

    p U[a,b] q at t  =  min(min p over [t, t+a-1],  q or p-then-q within [t+a, t+b])

Since is the same with time reversed. Gradients: all of it goes to the one sample, of p or q, whose value the result is;
of tied ones the nearest to the present, and a guard before what it guards.
"""

from __future__ import annotations

import torch
from torch import Tensor

from custodes.stl.batched import windows


def guarded(p: Tensor, q: Tensor, lower: int, upper: int, *, ahead: bool) -> Tensor:
    """Until (ahead) or since (behind) over padded traces.

    Args:
        p: The guard, [traces, samples + upper]: window t is the columns t to t + upper.
        q: What has to come, like p.
        lower: Nearest distance, >= 0.
        upper: Farthest distance, >= lower.
        ahead: Until, not since.

    Returns:
        [traces, samples].
    """
    if upper == 0:
        return q
    if windows.wants_gradient(p, q):
        with torch.no_grad():
            place = _place(p.detach(), q.detach(), lower, upper, ahead=ahead)
        return torch.cat((p, q), dim=1).gather(1, place.long())
    samples, width = p.shape[1] - upper, upper - lower + 1
    start = lower if ahead else 0
    q = q.narrow(1, start, samples + width - 1)
    guard, held, size = p, 1, 1
    while size < width:
        step = min(size, width - size)
        columns = q.shape[1] - step
        near, far = (0, step) if ahead else (step, 0)
        reached = torch.minimum(p.narrow(1, start + near, columns), q.narrow(1, far, columns))
        q = torch.maximum(q.narrow(1, near, columns), reached)
        size += step
        if size < width or size <= lower:
            p = windows.grow(p, size - step, size, most=False)
            if size <= lower:
                guard, held = p, size
    if lower == 0:
        return q
    guard = windows.grow(guard, held, lower, most=False)
    return torch.minimum(guard.narrow(1, 0 if ahead else width, samples), q)


def _place(p: Tensor, q: Tensor, lower: int, upper: int, *, ahead: bool) -> Tensor:
    """Where each result of `guarded` comes from, as a column of p and q side by side."""
    samples, width = p.shape[1] - upper, upper - lower + 1
    start = lower if ahead else 0
    p_place, q_place = windows.places(p), windows.places(q, p.shape[1])
    guard, guard_place = windows.track(p, p_place, 1, max(lower, 1), most=False, ahead=ahead)
    p, p_place = (each.narrow(1, start, samples + width - 1) for each in (p, p_place))
    q, q_place = (each.narrow(1, start, samples + width - 1) for each in (q, q_place))
    size = 1
    while size < width:
        step = min(size, width - size)
        columns = q.shape[1] - step
        near, far = (0, step) if ahead else (step, 0)
        before, before_place = p.narrow(1, near, columns), p_place.narrow(1, near, columns)
        after, here = q.narrow(1, far, columns), q.narrow(1, near, columns)
        place = torch.where(after < before, q_place.narrow(1, far, columns), before_place)
        reached = torch.minimum(before, after)
        q_place = torch.where(reached > here, place, q_place.narrow(1, near, columns))
        q = torch.maximum(here, reached)
        p, p_place = windows.track(p, p_place, size, size + step, most=False, ahead=ahead)
        size += step
    if lower == 0:
        return q_place
    first = 0 if ahead else width
    guard, guard_place = (each.narrow(1, first, samples) for each in (guard, guard_place))
    return torch.where(q < guard, q_place, guard_place)
