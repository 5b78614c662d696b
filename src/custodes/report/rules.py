"""The rules section of the page: how rules held in an evaluation, and how they fared while the team learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from custodes.evaluate.evaluation import Evaluation
from custodes.evaluate.rules.schema import SpecEvidence, SpecRecord
from custodes.report.curves import Figure
from custodes.report.files import RunFiles
from custodes.report.rule_curves import multiplier_curves, rules_in, satisfaction_curves
from custodes.report.scale import number

RULE_HEADS: Final = ("windows", "processes", "satisfied", "share", "wanted", "least robustness", "feasible", "outcome")
NOT_SHOWN: Final = "not shown"
"""Of a rule that nothing triggered, whatever its counts seem to say."""

_FEASIBLE: Final = {True: "yes", False: "no", None: NOT_SHOWN}

Outcome = Literal["kept", "missed", "not shown"]


@dataclass(frozen=True, kw_only=True)
class RuleRow:
    """How one rule held."""

    name: str
    """The rule."""
    label: bool
    """It reads the true label."""
    cells: tuple[str, ...]
    """Texts under `RULE_HEADS`."""


@dataclass(frozen=True, kw_only=True)
class RuleTable:
    """How the rules held on one part."""

    split: str
    """The part."""
    sentence: str
    """What it comes to, in words."""
    rows: tuple[RuleRow, ...]
    """In the order of the rules' file."""
    infeasible: tuple[tuple[str, str], ...]
    """Rules that no policy tried keeps, and how each policy did."""


@dataclass(frozen=True, kw_only=True)
class RulesSection:
    """Everything about rules that the page shows."""

    tables: tuple[RuleTable, ...]
    """One for each evaluation that judged rules."""
    figures: tuple[Figure, ...]
    """The multipliers, then each rule with a window in training."""
    undrawn: tuple[str, ...]
    """Rules without a window in training."""
    unsteered: str
    """Why there are no multipliers; empty where there are, or nothing was trained."""


def rules_of(run: RunFiles) -> RulesSection | None:
    """The section; None for a run without rules."""
    judged = [evaluation for evaluation in run.evaluations if evaluation.stl is not None]
    names = rules_in(run.metrics)
    if not judged and not names:
        return None
    curves = satisfaction_curves(run.metrics, _allowed(run, names))
    multipliers = multiplier_curves(run.metrics)
    return RulesSection(
        tables=tuple(_table(evaluation) for evaluation in judged),
        figures=(*multipliers, *(figure for figure in curves if figure.chart is not None)),
        undrawn=tuple(figure.title for figure in curves if figure.chart is None),
        unsteered=_unsteered(run) if names and not multipliers else "",
    )


def outcome(record: SpecRecord) -> Outcome:
    """Whether the team kept a rule; without a window nothing was shown."""
    if record.satisfied_rate is None:
        return NOT_SHOWN
    return "kept" if record.satisfied_rate >= 1.0 - record.allowed else "missed"


def _allowed(run: RunFiles, names: tuple[str, ...]) -> dict[str, float]:
    """Share of windows that may be violated, by rule: as an evaluation says, else from what training aimed at."""
    tighten = run.setting("rules.tighten")
    found: dict[str, float] = {}
    for line in run.metrics if isinstance(tighten, float | int) and 0 < tighten <= 1 else ():
        for name, spec in (line.specs or {}).items():
            if isinstance(spec.target, float):
                found[name] = spec.target / tighten
    for evaluation in run.evaluations:
        found |= {name: record.allowed for name, record in (evaluation.stl or {}).items() if name in names}
    return found


def _unsteered(run: RunFiles) -> str:
    """Why no multiplier is drawn."""
    method = run.setting("rules.method")
    if method in ("penalty", "watch"):
        return f"There are no multipliers with rules.method = {method}."
    return "There are no multipliers: no rule was trained, as no policy tried keeps any on the training part."


def _table(evaluation: Evaluation) -> RuleTable:
    records = evaluation.stl or {}
    return RuleTable(
        split=evaluation.split,
        sentence=_sentence(records),
        rows=tuple(_row(name, record) for name, record in records.items()),
        infeasible=tuple(
            (name, _evidence(record.evidence)) for name, record in records.items() if record.can_be_kept() is False
        ),
    )


def _sentence(records: Mapping[str, SpecRecord]) -> str:
    by: dict[Outcome, list[str]] = {"kept": [], "missed": [], NOT_SHOWN: []}
    for name, record in records.items():
        by[outcome(record)].append(name)
    shown = len(records) - len(by[NOT_SHOWN])
    missed = f", and misses {', '.join(by['missed'])}" if by["missed"] else ""
    told = f"of {shown} rule{'s' * (shown != 1)} with windows the team keeps {len(by['kept'])}{missed}."
    if not shown:
        told = "no rule had a window."
    untold = f" Not shown, as no window came up: {', '.join(by[NOT_SHOWN])}." if by[NOT_SHOWN] else ""
    return told + untold


def _row(name: str, record: SpecRecord) -> RuleRow:
    share = NOT_SHOWN if record.satisfied_rate is None else f"{record.satisfied_rate:.3f}"
    return RuleRow(
        name=name,
        label=record.label,
        cells=(
            number(record.triggered),
            number(record.processes),
            number(record.satisfied),
            share,
            f"{1.0 - record.allowed:.3f}",
            number(record.robustness_min),
            _FEASIBLE[record.can_be_kept()],
            outcome(record),
        ),
    )


def _evidence(tried: Mapping[str, SpecEvidence]) -> str:
    """How each policy did, the best first."""
    ranked = sorted(tried, key=lambda name: -_rate(tried[name]))
    return ", ".join(_one(name, tried[name]) for name in ranked)


def _one(name: str, evidence: SpecEvidence) -> str:
    if evidence.satisfied_rate is None:
        return f"{name} has no window"
    return f"{name} {evidence.satisfied_rate:.3f} of {evidence.triggered:,}"


def _rate(evidence: SpecEvidence) -> float:
    return -1.0 if evidence.satisfied_rate is None else evidence.satisfied_rate
