"""Rules on whole traces: evaluated, shown and explained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from custodes.cli.output import print_line, print_table, say
from custodes.stl.errors import StlError

if TYPE_CHECKING:
    import torch

    from custodes.cli.stl_load import Case
    from custodes.stl.batched.result import Robustness
    from custodes.stl.explain import Explanation
    from custodes.stl.formula import Formula
    from custodes.stl.policy import End, Nan


def evaluate_case(case: Case, end: End) -> dict[str, dict[str, Any]]:
    """The robustness of every rule at every sample.

    Args:
        case: Rules and trace.
        end: End policy.

    Returns:
        By rule: satisfied (None where unknown samples leave it open), robustness, first_violation, broken_at, valid,
        severity; lower and upper too where they differ.
    """
    import torch

    signals = {name: torch.from_numpy(values) for name, values in case.trace.signals.items()}
    if not signals:
        # Rules without signals still hold or not at every sample.
        signals = {"": torch.zeros(case.trace.length, dtype=torch.float64)}
    results = {}
    for spec in case.file.specs:
        formula = case.formulas[spec.name]
        found, body = evaluate_rule(formula, signals, end, case.file.nan)
        lower, upper = found.lower.tolist(), found.upper.tolist()
        highest = lower if end == "pessimistic" else upper
        result: dict[str, Any] = {
            "satisfied": True if lower[0] >= 0 else False if highest[0] < 0 else None,
            "robustness": found.value.tolist(),
            "first_violation": _first_below(highest),
            "broken_at": first_broken(body, end),
            "valid": found.valid.tolist(),
            "severity": spec.severity,
        }
        if end == "interval" or highest != lower:
            result |= {"lower": lower, "upper": upper}
        results[spec.name] = result
    return results


def evaluate_rule(
    formula: Formula, signals: Mapping[str, torch.Tensor], end: End, nan: Nan
) -> tuple[Robustness, Robustness]:
    """The robustness of a rule, and of what it asks of each sample: of what stands under an outermost always."""
    from custodes.stl.batched import evaluate
    from custodes.stl.explain import per_sample

    body = per_sample(formula)
    found = evaluate(formula, signals, end=end, nan=nan)
    return found, found if body is formula else evaluate(body, signals, end=end, nan=nan)


def _first_below(values: list[float]) -> int | None:
    return next((index for index, value in enumerate(values) if value < 0), None)


def first_broken(body: Robustness, end: End) -> int | None:
    """The first sample at which what a rule asks of each sample is violated."""
    return _first_below((body.lower if end == "pessimistic" else body.upper).tolist())


def note_short_traces(case: Case, end: End) -> None:
    """Say, for people, that a trace ends before a rule's window does."""
    from custodes.cli.stl_load import counted
    from custodes.stl.analysis import horizon

    for name, formula in case.formulas.items():
        ahead = horizon(formula)
        if ahead is not None and ahead >= case.trace.length:
            say(
                f"Note: {name} looks {counted(ahead, 'sample')} ahead and the trace has {case.trace.length}; "
                f"what lies beyond its end is read as --end {end}."
            )


def show_results(case: Case, results: Mapping[str, Mapping[str, Any]], end: End) -> None:
    """Print a table, and two lines on every rule that is not satisfied."""
    from custodes.cli.stl_load import counted
    from custodes.stl.explain.text import number

    rows = (
        (
            name,
            verdict(result["satisfied"]),
            result["severity"],
            number(result["robustness"][0]),
            "-" if result["broken_at"] is None else str(result["broken_at"]),
        )
        for name, result in results.items()
    )
    title = f"{counted(case.trace.length, 'sample')}, end policy {end}:"
    print_table(title, ("rule", "verdict", "severity", "robustness", "broken at sample"), rows, names=3)
    for name, result in results.items():
        if result["satisfied"] is not True:
            try:
                lines = explain_case(case, name, 0, end).to_text().splitlines()
            except StlError as error:
                print_line(f"\n{name}: no explanation: {error}")
                continue
            why = next((line for line in lines if line.startswith("These samples")), lines[-1])
            print_line(f"\n{name}: {lines[0]}\n  {why}")


def verdict(satisfied: bool | None) -> str:
    """A verdict in a word."""
    return {True: "satisfied", False: "violated", None: "undetermined"}[satisfied]


def explain_case(case: Case, name: str, at: int | None, end: End) -> Explanation:
    """Explain one rule, at a sample or where it is violated first.

    Args:
        case: Rules and trace.
        name: Which rule.
        at: Sample; None for the first violation, or the first sample.
        end: End policy.
    """
    import numpy as np

    from custodes.stl.explain import explain

    signals = case.trace.signals or {"": np.zeros(case.trace.length)}
    if at is None:
        found = evaluate_case(case, end)[name]
        at = found["first_violation"] or 0
    return explain(
        case.formulas[name], signals, at=at, end=end, nan=case.file.nan, times=case.trace.times, unit=case.trace.unit
    )
