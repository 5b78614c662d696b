"""From a verdict down to the samples that make it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from custodes.stl import formula as f
from custodes.stl.analysis import signals as signals_of
from custodes.stl.errors import StlError
from custodes.stl.explain.claims import Claim, reason
from custodes.stl.explain.explanation import Explanation, Range, Runs, Step, Verdict
from custodes.stl.explain.terms import comparison_claims, term_claims
from custodes.stl.explain.values import Values
from custodes.stl.explain.windows import Floats, Interval, Mask, Samples, intervals
from custodes.stl.policy import ENDS, End, Nan
from custodes.stl.printer import format_formula, format_term

_TERMS: Final = (f.Number, f.Signal, f.Negative, f.Absolute, f.Arithmetic, f.Count, f.Fold)


def explain(
    formula: f.Formula,
    signals: Mapping[str, npt.ArrayLike],
    *,
    at: int = 0,
    end: End = "truncate",
    nan: Nan = "reject",
    times: npt.ArrayLike | None = None,
    unit: str = "",
) -> Explanation:
    """Say which samples and sub-formulas make a formula violated, or satisfied, at one sample of a trace.

    Args:
        formula: Bounds in samples.
        signals: One trace: at least the formula's signals, [samples] each.
        at: The sample that is asked about.
        end: What stands after the last sample.
        nan: Refuse a NaN, or take the signal as unknown there.
        times: Time of every sample, for text and plots only.
        unit: Unit of the times.

    Returns:
        The explanation. Its `responsible` samples imply the verdict: whatever the other samples are changed to, the
        robustness stays on the same side of zero, and as far from it.

    Raises:
        StlError: A signal is missing, the trace is empty, ragged, infinite, or NaN where that is refused, `at` lies
            outside it, the end policy does not exist, or a bound carries a unit.
    """
    trace = _checked(formula, signals, at, end, nan)
    values = Values(formula, trace, end)
    _, lower, upper = values.pair(formula)
    low, high = float(lower[at]), float(upper[at])
    verdict: Verdict = "satisfied" if low >= 0 else "violated" if high < 0 or end == "pessimistic" else "undetermined"
    certain = low >= 0 or high < 0
    if not certain:
        # No claim holds for certain: ask what keeps the lower bound down.
        values = Values(formula, trace, end, certain=False)
    level = high if certain and verdict == "violated" else low
    top = Claim(node=formula, times=np.array([at]), most=verdict != "satisfied", level=level)
    blame = {name: np.zeros(values.size, dtype=bool) for name in signals_of(formula)}
    steps = tuple(_steps(values, top, blame))
    return Explanation(
        formula=formula,
        text=format_formula(formula),
        at=at,
        length=values.length,
        end=end,
        verdict=verdict,
        certain=certain,
        lower=low,
        upper=high,
        steps=steps,
        responsible=_named(blame, trace, end, _known),
        unknown=_named(blame, trace, end, _unknown),
        runs=_runs(values, formula, end),
        signals=trace,
        times=None if times is None else np.asarray(times, dtype=np.float64),
        unit=unit,
    )


def per_sample(formula: f.Formula) -> f.Formula:
    """What a rule asks of each sample: the formula without an `always` over all the future at its top."""
    while isinstance(formula, f.Always) and formula.bounds == f.Bounds():
        formula = formula.operand
    return formula


def _checked(
    formula: f.Formula, signals: Mapping[str, npt.ArrayLike], at: int, end: End, nan: Nan
) -> dict[str, Floats]:
    """The formula's signals as arrays, or what is wrong with them."""
    if end not in ENDS:
        raise StlError(f"there is no end policy {end!r}", fix=f"one of {', '.join(ENDS)}")
    for node in f.walk(formula):
        if any(each.unit and each.amount for each in _durations(node)):
            raise StlError("a bound has a unit", fix="turn it into samples first, with in_samples(formula, period_ns)")
    # A formula without signals still has a trace's length.
    names = signals_of(formula) or tuple(signals)[:1]
    for name in names:
        if name not in signals:
            near = difflib.get_close_matches(name, signals, n=1)
            raise StlError(f"there is no signal {name!r}", fix=f"did you mean {near[0]!r}?" if near else "")
    trace = {name: np.array(signals[name], dtype=np.float64) for name in names}
    lengths = {name: values.shape for name, values in trace.items()}
    if not trace or any(len(shape) != 1 or shape != next(iter(lengths.values())) for shape in lengths.values()):
        raise StlError("the signals are not arrays of one length", fix=f"their shapes are {lengths}")
    length = next(iter(trace.values())).size
    if not 0 <= at < length:
        raise StlError(f"there is no sample {at}", where=f"a trace of {length} samples")
    for name, values in trace.items():
        bad = np.flatnonzero(np.isinf(values) | (np.isnan(values) & (nan == "reject")))
        if bad.size:
            what = "is not a number" if np.isnan(values[bad[0]]) else "is infinite"
            fix = "with the NaN policy 'mask' it counts as unknown" if np.isnan(values[bad[0]]) else ""
            raise StlError(what, where=f"signal {name}, sample {bad[0]}", fix=fix)
    return trace


def _durations(node: Any) -> Iterator[f.Duration]:
    bounds, window = getattr(node, "bounds", None), getattr(node, "window", None)
    yield from (each for each in (bounds and bounds.lower, bounds and bounds.upper, window) if each)


def _steps(values: Values, top: Claim, blame: dict[str, Mask]) -> Iterator[Step]:
    """Parents before children, left before right; claims of one kind about one node are made as one."""
    pending = {id(top.node): [top]}
    todo: list[tuple[f.Term | f.Formula, int]] = [(top.node, 0)]
    while todo:
        node, depth = todo.pop()
        for claim in _merged(pending.pop(id(node), [])):
            if isinstance(node, f.Signal):
                blame[node.name][claim.times] = True
                continue
            below, text = _below(values, claim)
            for each in below:
                pending.setdefault(id(each.node), []).append(each)
            if not isinstance(node, _TERMS) or isinstance(node, f.Count | f.Fold):
                yield _step(values, claim, depth, text)
        todo.extend((child, depth + 1) for child in reversed(f.children(node)) if id(child) in pending)


def _below(values: Values, claim: Claim) -> tuple[tuple[Claim, ...], str]:
    """The claims about the children, and a word on them."""
    if isinstance(claim.node, f.Comparison):
        return tuple(each for each in comparison_claims(values, claim) if each.times.size), ""
    if isinstance(claim.node, _TERMS):
        return tuple(each for each in term_claims(values, claim) if each.times.size), ""
    made = reason(values, claim)
    return made.claims, made.text


def _merged(claims: list[Claim]) -> Iterator[Claim]:
    kinds: dict[tuple[bool, float | None], list[Samples]] = {}
    for claim in claims:
        kinds.setdefault((claim.most, claim.level), []).append(claim.times)
    for (most, level), times in kinds.items():
        yield Claim(node=claims[0].node, times=np.unique(np.concatenate(times)), most=most, level=level)


def _step(values: Values, claim: Claim, depth: int, text: str) -> Step:
    node, times = claim.node, claim.times
    _, lower, upper = values.pair(node)
    low, high = lower[times], upper[times]
    term = isinstance(node, _TERMS)
    holds = None if term else True if (low >= 0).all() else False if (high < 0).all() else None
    nearest = np.argmax(high) if claim.most else np.argmin(low)
    sides = (node.left, node.right) if isinstance(node, f.Comparison) else ()
    return Step(
        node=node,
        text=_text(node),
        span=node.span,
        depth=depth,
        samples=intervals(times),
        count=int(times.size),
        holds=holds,
        least=float(low.min()),
        most=float(high.max()),
        nearest=int(times[nearest]),
        reason=text,
        sides=tuple(_range(values, side, times) for side in sides),
    )


def _range(values: Values, term: f.Term, times: Samples) -> Range:
    _, lower, upper = values.pair(term)
    return Range(text=_text(term), least=float(lower[times].min()), most=float(upper[times].max()))


def _text(node: f.Term | f.Formula) -> str:
    return format_term(node) if isinstance(node, _TERMS) else format_formula(node)


def _runs(values: Values, formula: f.Formula, end: End) -> Runs:
    """Where the rule is broken, sample by sample."""
    _, lower, upper = values.pair(per_sample(formula))
    low, high = lower[: values.length], upper[: values.length]
    highest = low if end == "pessimistic" else high
    return Runs(
        lower=low,
        upper=high,
        violated=intervals(np.flatnonzero(highest < 0)),
        open=intervals(np.flatnonzero((low < 0) & (highest >= 0))),
    )


def _named(
    blame: Mapping[str, Mask],
    trace: Mapping[str, Floats],
    end: End,
    which: Callable[[Mask, Floats, End], tuple[Interval, ...]],
) -> dict[str, tuple[Interval, ...]]:
    """The samples of one sort, of the signals that have any."""
    found = {name: which(mask, trace[name], end) for name, mask in blame.items()}
    return {name: parts for name, parts in found.items() if parts}


def _known(mask: Mask, signal: Floats, end: End) -> tuple[Interval, ...]:
    """Samples of the trace; what is held after its end is its last sample."""
    inside = mask[: signal.size].copy()
    if end == "hold":
        inside[-1] |= mask[signal.size :].any()
    return intervals(np.flatnonzero(inside & ~np.isnan(signal)))


def _unknown(mask: Mask, signal: Floats, end: End) -> tuple[Interval, ...]:
    """Masked samples, and those after the end where nothing is held."""
    after = mask.copy()
    after[: signal.size] &= np.isnan(signal)
    after[signal.size :] &= end != "hold"
    return intervals(np.flatnonzero(after))
