"""Results of an evaluation as rows of text, ready for the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from custodes.bft.votes import ACTIONS
from custodes.evaluate.evaluation import Evaluation, Scores
from custodes.report.byzantine import ByzantineSection, byzantine_of
from custodes.report.response import ResponseSection, response_of
from custodes.report.scale import number, to_floats
from custodes.report.svg import Marker, marker_key, pr_chart


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """The team or a baseline."""

    name: str
    """As in the record."""
    own: bool
    """The team itself."""
    cells: tuple[str, ...]
    """Texts under `SCORE_HEADS`."""
    note: str
    """What a reader must know; may be empty."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A share with its length."""

    text: str
    """In percent."""
    width: float
    """0 to 100."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One evaluation, ready for the page."""

    record: Evaluation
    """What was evaluated."""
    scores: tuple[ScoreRow, ...]
    """The team first."""
    curve: Markup | None
    """Precision-recall plane; None without threats."""
    legend: tuple[tuple[Markup, str], ...]
    """Keys of the plane."""
    unplaced: tuple[str, ...]
    """Names that have no point in the plane, as they contained nothing."""
    actions: tuple[tuple[str, str, str], ...]
    """Action, its count on benign and on malicious events."""
    votes: tuple[tuple[Bar, ...], ...]
    """Each agent's shares of the actions."""
    parts: tuple[tuple[str, str, str, str], ...]
    """Part, records, threats, rate."""
    response: ResponseSection | None
    """The response section; None in a run of the triage task."""
    byzantine: ByzantineSection | None
    """What liars achieve; None where it was not asked."""


SCORE_HEADS = ("F1", "precision", "recall", "PR-AUC", "AUROC", "reward per decision", "TP", "FP", "FN")


def result_of(evaluation: Evaluation) -> Result:
    """Everything of one evaluation that the page shows."""
    named: dict[str, Scores] = {"team": evaluation, **evaluation.baselines}
    points = [(name, row) for name, row in named.items() if row.precision is not None and row.recall is not None]
    shapes = {name: None if name == "team" else index for index, name in enumerate(evaluation.baselines)}
    curve, legend = _plane(evaluation, points, shapes)
    return Result(
        record=evaluation,
        scores=tuple(_score_row(name, row) for name, row in named.items()),
        curve=curve,
        legend=legend,
        unplaced=tuple(name for name in named if name not in dict(points)),
        actions=tuple(
            (action, number(benign), number(malicious))
            for action, benign, malicious in zip(
                ACTIONS, evaluation.decision_counts.benign, evaluation.decision_counts.malicious, strict=True
            )
        ),
        votes=tuple(tuple(_bar(share) for share in shares) for shares in evaluation.action_shares),
        parts=tuple(
            (name, number(part.records), number(part.threats), "n/a" if part.rate is None else f"{part.rate:.2%}")
            for name, part in evaluation.split_summary.items()
        ),
        response=response_of(evaluation),
        byzantine=byzantine_of(evaluation),
    )


def settings_of(config: Mapping[str, Any]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Settings as groups (the tables of the first level; "run" for what stands outside any) of dotted key and text."""
    loose = tuple((key, _text(value)) for key, value in config.items() if not isinstance(value, Mapping))
    tables = [(key, tuple(_flat(value))) for key, value in config.items() if isinstance(value, Mapping)]
    return (*((("run", loose),) if loose else ()), *tables)


def _score_row(name: str, row: Scores) -> ScoreRow:
    shares = (row.f1, row.precision, row.recall, row.pr_auc, row.auroc)
    cells = [f"{share:.3f}" if share is not None else "n/a" for share in shares]
    cells += ["n/a" if row.reward_per_decision is None else f"{row.reward_per_decision:+.3f}"]
    cells += [number(count) for count in (row.tp, row.fp, row.fn)]
    return ScoreRow(name=name, own=name == "team", cells=tuple(cells), note=getattr(row, "note", ""))


def _plane(
    evaluation: Evaluation, points: list[tuple[str, Scores]], shapes: Mapping[str, int | None]
) -> tuple[Markup | None, tuple[tuple[Markup, str], ...]]:
    if evaluation.pr_curve is None:
        return None, ()
    markers = {
        name: Marker(name=name, recall=row.recall or 0.0, precision=row.precision or 0.0, shape=shapes.get(name) or 0)
        for name, row in points
    }
    team = markers.pop("team", None)
    chart = pr_chart(
        ident=f"pr-{evaluation.split}",
        title=f"Precision against recall, {evaluation.split}",
        recall=to_floats(evaluation.pr_curve.recall),
        precision=to_floats(evaluation.pr_curve.precision),
        team=team,
        markers=list(markers.values()),
    )
    own = [(marker_key(None), "team, as it decides")] if team else []
    return chart, (*own, *((marker_key(marker.shape), marker.name) for marker in markers.values()))


def _bar(share: float) -> Bar:
    return Bar(text=f"{share:.1%}", width=round(100 * share, 2))


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value) or "(none)"
    return str(value) if value != "" else "(empty)"
