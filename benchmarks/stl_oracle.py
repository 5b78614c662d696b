"""The batched evaluator against sentil, rtamt and stlcg++: `python -m benchmarks.stl_oracle [--json]`.

Random formulas of the fragment that the engines share, random traces of several lengths in one ragged batch, float64.
sentil 0.3.1 and rtamt 0.4.10 (offline, discrete) have to agree bit by bit on every sample, ends included. stlcg++ 0.0.2
has other ends and an inclusive guard: it has to agree on samples with a whole future once `p U q` is
`p U (p and q)` here. Exits 1 on a mismatch, and 2 when a peer is not installed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch

from custodes.stl import formula as f
from custodes.stl.analysis import horizon
from custodes.stl.batched import evaluate
from custodes.stl.bench.environments import interpreter
from custodes.stl.bench.worker import Worker
from custodes.stl.printer import format_formula
from tests.stl.generate import Grammar, random_formula, random_trace

TRACES = 3
LONGEST = 40
SHARED = Grammar(plain=True, aggregates=False)
SHORTEST = {"sentil": 1, "rtamt": 2}
"""Samples. rtamt 0.4.10 fails on a trace of one ("local variable 'duration'")."""
INTERIOR = Grammar(plain=True, aggregates=False, past=False, unbounded=False, depth=3)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A formula, its traces, and what custodes makes of them."""

    formula: f.Formula
    """As drawn."""
    horizon: int | None
    """Of what custodes evaluates: an inclusive guard looks one sample further than a half-open one."""
    traces: list[dict[str, list[float]]]
    """Of different lengths."""
    values: list[list[float]]
    """Robustness at every sample of each."""


def ours(formula: f.Formula, traces: list[dict[str, list[float]]]) -> list[list[float]]:
    """One ragged batch; what lies after a trace's end is not compared."""
    lengths = [len(trace["x"]) for trace in traces]
    batch = {name: torch.zeros(len(traces), max(lengths), dtype=torch.float64) for name in traces[0]}
    for row, (trace, length) in enumerate(zip(traces, lengths, strict=True)):
        for name, values in trace.items():
            batch[name][row, :length] = torch.tensor(values, dtype=torch.float64)
    found = evaluate(formula, batch, lengths=torch.tensor(lengths)).value
    return [found[row, :length].tolist() for row, length in enumerate(lengths)]


def draw(
    count: int,
    grammar: Grammar,
    seed: int,
    *,
    shortest: int,
    meant: Callable[[f.Formula], f.Formula] = lambda same: same,
) -> list[Case]:
    """Random cases; custodes evaluates what `meant` makes of each formula."""
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        formula = random_formula(rng, grammar)
        lengths = rng.integers(shortest, LONGEST + 1, size=TRACES)
        traces = [
            {name: values.tolist() for name, values in random_trace(rng, int(length)).items()} for length in lengths
        ]
        same = meant(formula)
        cases.append(Case(formula=formula, horizon=horizon(same), traces=traces, values=ours(same, traces)))
    return cases


def inclusive(node: f.Formula) -> f.Formula:
    """`p U (p and q)` with a half-open guard is `p U q` with an inclusive one."""
    made = below(node, inclusive)
    return replace(made, right=f.And(left=made.left, right=made.right)) if isinstance(made, f.Until) else made


def below(node: f.Formula, change: Callable[[f.Formula], f.Formula]) -> f.Formula:
    """The node with every formula right below it changed."""
    if isinstance(node, f.Comparison):
        return node
    parts = {name: change(getattr(node, name)) for name in ("operand", "left", "right") if hasattr(node, name)}
    return cast(f.Formula, replace(node, **parts))  # type: ignore[arg-type]


def without_open_windows(node: f.Formula) -> f.Formula:
    """For rtamt, which has no `[a, without end]`: the same by operators with one bound.

    `G[a,inf] p` is `G[a,a] G p`; `p U[a,inf] q` is `G[0,a-1] p and F[a,a] (p U q)`; likewise the others.
    """
    made = below(node, without_open_windows)
    bounds = getattr(made, "bounds", None)
    if bounds is None or bounds.upper is not None or not bounds.lower.amount:
        return made
    start, plain = bounds.lower.amount, cast(f.Formula, replace(cast(Any, made), bounds=f.Bounds()))
    at = f.Bounds(lower=f.Duration(amount=start), upper=f.Duration(amount=start))
    before = f.Bounds(upper=f.Duration(amount=start - 1))
    match made:
        case f.Until(left=left):
            return f.And(left=f.Always(operand=left, bounds=before), right=f.Eventually(operand=plain, bounds=at))
        case f.Since(left=left):
            return f.And(left=f.Historically(operand=left, bounds=before), right=f.Once(operand=plain, bounds=at))
        case f.Always() | f.Eventually() | f.Historically() | f.Once():
            return replace(made, operand=plain, bounds=at)
        case _:
            raise ValueError(f"rtamt has no {type(made).__name__}")


def tree(node: f.Formula) -> list[Any]:
    """For stlcg++, which has no text form: operator, parts, interval."""
    match node:
        case f.Comparison(operator=operator, left=f.Signal(name=name), right=f.Number(value=value)):
            return ["LessThan" if operator in ("<", "<=") else "GreaterThan", name, value]
        case f.Next(operand=operand):
            return ["Eventually", tree(operand), [1, 1]]
        case f.Not(operand=operand):
            return ["Negation", tree(operand)]
        case f.And() | f.Or() | f.Implies():
            return [type(node).__name__, tree(node.left), tree(node.right)]
        case f.Always() | f.Eventually():
            return [type(node).__name__, tree(node.operand), interval(node.bounds)]
        case f.Until():
            return ["Until", tree(node.left), tree(node.right), interval(node.bounds)]
        case _:
            raise ValueError(f"stlcg++ has no {type(node).__name__}")


def interval(bounds: f.Bounds) -> list[int]:
    """Closed and bounded."""
    assert bounds.upper is not None
    return [bounds.lower.amount, bounds.upper.amount]


def comparable(node: f.Formula) -> bool:
    """Every comparison is of a signal with a number, as stlcg++ wants it."""
    leaves = [each for each in f.walk(node) if isinstance(each, f.Comparison)]
    return all(isinstance(leaf.left, f.Signal) and isinstance(leaf.right, f.Number) for leaf in leaves)


def answers(peer: str, jobs: list[tuple[Any, dict[str, list[float]]]]) -> list[list[float]]:
    """What a peer says, in pieces so that no line is huge.

    Raises:
        LookupError: It is not installed.
    """
    python, reason = interpreter(peer)
    if python is None:
        raise LookupError(f"{peer}: {reason}")
    found: list[list[float]] = []
    with Worker(peer, python) as worker:
        for start in range(0, len(jobs), 300):
            found += worker.ask("many", jobs=jobs[start : start + 300])["values"]
    return found


def exact(peer: str, formulas: int, seed: int) -> dict[str, Any]:
    """With sentil or rtamt: bit by bit, every sample."""
    cases = draw(formulas, SHARED, seed, shortest=SHORTEST[peer])
    jobs = [(text(peer, case.formula), trace) for case in cases for trace in case.traces]
    return compare(cases, answers(peer, jobs), [job[0] for job in jobs], tolerance=0.0, interior=False)


def text(peer: str, formula: f.Formula) -> str:
    """In the peer's spelling."""
    if peer == "rtamt":
        return format_formula(without_open_windows(formula), dialect="rtamt")
    return format_formula(formula, dialect="sentil")


def interior(formulas: int, seed: int) -> dict[str, Any]:
    """With stlcg++: samples with a whole future, inclusive guard, its arithmetic in float64 too."""
    cases = [each for each in draw(formulas, INTERIOR, seed, shortest=30, meant=inclusive) if comparable(each.formula)]
    jobs = [(tree(case.formula), trace) for case in cases for trace in case.traces]
    return compare(cases, answers("stlcgpp", jobs), [str(job[0]) for job in jobs], tolerance=0.0, interior=True)


def compare(
    cases: list[Case], found: list[list[float]], texts: list[str], *, tolerance: float, interior: bool
) -> dict[str, Any]:
    """Count samples that differ, and name the first formulas that have one."""
    wrong: list[dict[str, Any]] = []
    samples = number = 0
    for case in cases:
        for values in case.values:
            whole = len(values) - ((case.horizon or 0) if interior else 0)
            theirs = found[number]
            bad = [t for t in range(whole) if not (values[t] == theirs[t] or abs(values[t] - theirs[t]) <= tolerance)]
            samples += max(0, whole)
            if bad or len(theirs) != len(values):
                first = {"sample": bad[0], "custodes": values[bad[0]], "peer": theirs[bad[0]]} if bad else {}
                wrong.append({"formula": format_formula(case.formula), "peer_text": texts[number], **first})
            number += 1
    return {
        "formulas": len(cases),
        "traces": number,
        "samples": samples,
        "mismatches": len(wrong),
        "examples": json.loads(json.dumps(wrong[:5])),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare.

    Returns:
        0; 1 on a mismatch; 2 when a peer is not installed.
    """
    line = argparse.ArgumentParser(prog="python -m benchmarks.stl_oracle", description=__doc__)
    line.add_argument("--json", action="store_true", help="one JSON object in one line")
    line.add_argument("--formulas", type=int, default=2_000, help="for sentil and rtamt each (default: 2000)")
    line.add_argument("--stlcgpp", type=int, default=600, help="formulas for stlcg++ (default: 600; 0: leave it out)")
    line.add_argument("--seed", type=int, default=0, help="of formulas and traces (default: 0)")
    options = line.parse_args(arguments)
    if options.formulas < 1 or options.stlcgpp < 0:
        line.error("--formulas must be at least 1 and --stlcgpp at least 0")
    torch.set_num_threads(1)
    try:
        result = {peer: exact(peer, options.formulas, options.seed) for peer in SHORTEST}
        if options.stlcgpp:
            result["stlcgpp"] = interior(options.stlcgpp, options.seed)
    except LookupError as error:
        print(str(error).strip("'\""), file=sys.stderr)
        return 2
    print(json.dumps(result, indent=None if options.json else 2))
    return 1 if any(each["mismatches"] for each in result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
