"""Robustness of many traces at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from custodes.stl import formula as f
from custodes.stl.analysis import check_causal, horizon, warmup
from custodes.stl.analysis import signals as names_of
from custodes.stl.batched import extension
from custodes.stl.batched.algebra import Algebra, Exact, Smooth
from custodes.stl.batched.formulas import formula as evaluate_formula
from custodes.stl.batched.inputs import Traces, checked
from custodes.stl.batched.pairs import Pair, point, unknown_where
from custodes.stl.batched.passes import Block
from custodes.stl.batched.program import Program, UnknownError
from custodes.stl.batched.result import Robustness
from custodes.stl.batched.scope import Scope, place_of
from custodes.stl.batched.shelf import Shelf
from custodes.stl.batched.windows import wants_gradient
from custodes.stl.errors import StlError
from custodes.stl.policy import ENDS, NANS, End, Nan

BLOCK_BYTES = 2**18
"""Size of one signal in a block of traces: with a handful of intermediates a block stays in a core's L2 cache."""
PROGRAMS = Shelf(limit=2**26)
"""Compiled formulas of this process."""


def evaluate(
    formula: f.Formula,
    signals: Mapping[str, Tensor],
    *,
    lengths: Tensor | None = None,
    end: End = "truncate",
    nan: Nan = "reject",
    smooth: float | None = None,
) -> Robustness:
    """Robustness of a formula at every sample of every trace.

    Differentiable with respect to the signals. Tied operands of `and`, `or`, `->`, `<->` share a gradient by halves; of
    the tied samples of a window, of until and of since, the one nearest to the present takes it all (a guard before
    what it guards). `abs` and `==` have gradient zero at a tie; `count` and `rate` everywhere (they are piecewise
    constant); `at least k of w` passes it to the one sample of that rank.

    With `smooth` and something unknown, the unknown shares in every smooth extreme that it stands in, so that fewer
    samples are valid than without. Second derivatives exist too (zero but for `smooth` and arithmetic).

    On an accelerator the checks read back one number per signal and per computed term, and a few more for lengths,
    divisions and masks; the evaluation itself waits for none.

    Memory is linear in the trace for every operator, whatever its window (for "hold", "interval" and "pessimistic",
    linear in the trace and the bounds). float32 and float64; with one float64 signal all are evaluated in float64.

    Args:
        formula: With bounds in samples (`custodes.stl.in_samples`).
        signals: By name, [traces, samples] or, for one trace, [samples]. Those that the formula doesn't read are
            ignored.
        lengths: Samples of each trace, int [traces]; the end policy applies where each trace ends, and what a tensor
            holds behind that is ignored. None: all are full.
        end: What stands after the last sample.
        nan: What a NaN in a signal means. A computed term that is not finite (x / 0) is unknown under either.
        smooth: Sharpness beta of log-sum-exp in place of every minimum and maximum of formulas (terms, `at least` and
            what is counted stay exact), > 0; None for exact. `smooth_error` bounds the difference.

    Returns:
        Tensors shaped like the signals.

    Raises:
        StlError: For a signal that is missing, empty, of another shape, type or device, infinite, or NaN where that is
            refused; for impossible lengths; for bounds with units.
    """
    _check_choices(end, nan, smooth)
    facts = _facts(formula, end)
    traces = checked(signals, facts.names, lengths)
    algebra = Exact() if smooth is None else Smooth(smooth)
    outside = None if traces.lengths is None else extension.behind_the_end(traces.lengths, traces.samples)
    compiled = smooth is None and (end == "hold" or facts.extra == 0) and _plain(traces)
    # A program has fewer buffers, and they stay where they are.
    rows = max(1, (2 if compiled else 1) * BLOCK_BYTES // (traces.samples * traces.dtype.itemsize))
    if traces.device.type != "cpu":
        rows = traces.traces
    value = torch.empty((traces.traces, traces.samples + facts.extra), dtype=traces.dtype) if compiled else None
    parts = []
    for first in range(0, traces.traces, rows):
        block = _block(traces, first, rows)
        behind = None if outside is None else outside[first : first + rows]
        scope = _scope(block, behind, None if traces.single else first, facts.extra, end, nan, algebra)
        place = None if value is None else value[first : first + rows]
        parts.append(_bounds(formula, facts, scope, place))
    if value is not None and all(part.known for part in parts):
        return _result(point(value), traces, outside, facts)
    return _result(_joined(parts), traces, outside, facts)


@final
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Facts:
    """What a formula asks of its traces; one object per formula and end policy, as long as it is remembered."""

    names: tuple[str, ...]
    """Signals that it reads."""
    ready: int
    """First sample past the warm-up."""
    ahead: int | None
    """So many samples after a valid one belong to the trace; None: no sample is valid."""
    extra: int
    """Samples behind the end to be evaluated."""


@lru_cache(maxsize=1024)
def _facts(formula: f.Formula, end: End) -> _Facts:
    """Read once per formula: for a short trace it would cost as much as the evaluation."""
    check_causal(formula)
    return _Facts(
        names=names_of(formula),
        ready=warmup(formula),
        ahead=horizon(formula) if end in ("truncate", "hold") else 0,
        extra=extension.extra_samples(formula, end),
    )


def _plain(traces: Traces) -> bool:
    """Whether the samples are numbers in memory and nothing else: no gradient, tangent or transform goes with them."""
    if traces.device.type != "cpu" or wants_gradient(*traces.signals.values()):
        return False
    try:
        for x in traces.signals.values():
            x.detach().numpy()
            if forward_ad.unpack_dual(x).tangent is not None:  # type: ignore[no-untyped-call]
                return False
    except RuntimeError:  # inside torch.func
        return False
    return True


def _bounds(formula: f.Formula, facts: _Facts, scope: Scope, place: Tensor | None) -> Pair:
    """Robustness of a block, [traces, samples and more]: by a program where that is enough.

    Args:
        formula: The formula.
        facts: That it stands for among compiled ones: quicker to look up.
        scope: The block.
        place: Where to put it if it is known; None where programs are not wanted.
    """
    if place is not None and all(pair.known for pair in scope.signals.values()) and _ran(formula, facts, scope, place):
        return point(place)
    bounds = evaluate_formula(formula, scope)
    if place is not None and bounds.known:
        place.copy_(bounds.low)
    return bounds


def _ran(formula: f.Formula, facts: _Facts, scope: Scope, place: Tensor) -> bool:
    """Run the formula's program; False where a computed term turns out to be unknown."""
    block = Block(
        scope=scope,
        signals={name: pair.low.detach().numpy() for name, pair in scope.signals.items()},
        outside=None if scope.outside is None else scope.outside.numpy(),
    )
    out = place.numpy()
    key = (facts, *scope.shape, scope.held, scope.dtype)
    try:
        PROGRAMS.run(key, lambda: Program(formula, *scope.shape, held=scope.held, dtype=out.dtype), block, out)
    except UnknownError:
        return False
    return True


def _joined(parts: Sequence[Pair]) -> Pair:
    """Blocks of traces put together, in order."""
    if len(parts) == 1:
        return parts[0]
    low = torch.cat([part.low for part in parts])
    return point(low) if all(part.known for part in parts) else Pair(low, torch.cat([part.high for part in parts]))


def _check_choices(end: str, nan: str, smooth: float | None) -> None:
    for what, choice, choices in (("end", end, ENDS), ("nan", nan, NANS)):
        if choice not in choices:
            raise StlError(f"{what}={choice!r} is no policy", fix=f"use one of {', '.join(choices)}")
    if smooth is not None and not (smooth > 0 and math.isfinite(smooth)):
        raise StlError(f"smooth={smooth!r} is no sharpness", fix="give a finite number above 0, or None for exact")


def _block(traces: Traces, first: int, rows: int) -> Traces:
    """Some of the traces."""
    if rows >= traces.traces:
        return traces
    return replace(
        traces,
        signals={name: x[first : first + rows] for name, x in traces.signals.items()},
        lengths=None if traces.lengths is None else traces.lengths[first : first + rows],
        traces=min(rows, traces.traces - first),
    )


def _scope(
    block: Traces, outside: Tensor | None, first: int | None, extra: int, end: End, nan: Nan, algebra: Algebra
) -> Scope:
    """Lay a block out to where the formula looks."""
    pairs = {}
    for name, x in block.signals.items():
        if outside is not None and block.lengths is not None:
            x = extension.filled(x, block.lengths, outside)
        pairs[name] = extension.continued(_known(name, x, first, nan), extra, end, outside)
    return Scope(
        signals=pairs,
        shape=(block.traces, block.samples + extra),
        outside=outside if end == "truncate" else None,
        held=end != "truncate",
        algebra=algebra,
        dtype=block.dtype,
        device=block.device,
    )


def _known(name: str, x: Tensor, first: int | None, nan: Nan) -> Pair:
    """Bounds of a signal: infinities are refused, and NaN refused or masked; a finite sum needs no closer look."""
    if math.isfinite(x.detach().sum().item()):
        return point(x)
    bad = x.isinf() if nan == "mask" else ~x.isfinite()
    if bool(bad.any()):
        place = place_of(bad, first)
        infinite = bool(x.detach()[bad][0].isinf())
        raise StlError(
            "the sample is infinite" if infinite else "the sample is NaN",
            where=f"signal {name!r}, {place}",
            fix="leave it out or replace it" if infinite else 'replace it, or evaluate with nan="mask"',
        )
    missing = x.isnan()
    return unknown_where(missing, point(x)) if bool(missing.any()) else point(x)


def _result(bounds: Pair, traces: Traces, outside: Tensor | None, facts: _Facts) -> Robustness:
    """Cut the continuation off, and say which samples are sure.

    Args:
        bounds: Robustness, [traces, samples and more].
        traces: What it was evaluated on.
        outside: Behind the ends of ragged traces.
        facts: What the formula asks for.
    """
    samples, ready, ahead = traces.samples, facts.ready, facts.ahead
    low, high = (x[:, :samples] for x in bounds)
    valid = torch.zeros(low.shape, dtype=torch.bool, device=low.device)
    last = samples if ahead is None else samples - ahead
    if ahead is not None and ready < last:
        sure = low[:, ready:last].detach()
        # On a CPU a sum is much cheaper than a test of every sample; elsewhere it would wait for the device.
        whole = sure.device.type == "cpu" and math.isfinite(sure.sum().item())
        valid[:, ready:last] = True if whole else sure.isfinite()
        if not bounds.known:
            valid &= low == high
        if traces.lengths is not None:
            valid &= ~extension.behind_the_end(traces.lengths - ahead, samples)
    if outside is not None:
        low, high = low.masked_fill(outside, 0.0), high.masked_fill(outside, 0.0)
    lower = low.contiguous()
    upper = lower if bounds.known else high.contiguous()
    if traces.single:
        lower, valid = lower[0], valid[0]
        upper = lower if bounds.known else upper[0]
    return Robustness(value=lower, lower=lower, upper=upper, valid=valid)
