"""The response section of the page: a replay's figures as rows of text, and the cost-sensitivity curve."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import Markup

from custodes.evaluate.evaluation import Evaluation
from custodes.evaluate.response.schema import BaselineResponse, ResponseFigures, ResponseRecord, Wait
from custodes.report.scale import Axis, linear_axis, number, to_floats
from custodes.report.svg import STYLES, Series, line_chart, line_key

RESPONSE_HEADS: Final = (
    "score",
    "95 % interval",
    "cost",
    "prevented",
    "false containments",
    "per 1,000",
    "suppressed",
    "delayed",
    "contained, p50",
    "p95",
    "alerts/h",
)
ENDS: Final = ("allow", "oracle")
"""Baselines whose score is 0 and 1 by definition."""
_NEITHER: Final = "neither is surely ahead"


@dataclass(frozen=True, kw_only=True)
class ResponseRow:
    """The team, one of its members, or a baseline."""

    name: str
    """As in the table."""
    own: bool
    """The team itself."""
    cells: tuple[str, ...]
    """Texts under `RESPONSE_HEADS`."""
    note: str = ""
    """What a reader must know; may be empty."""


@dataclass(frozen=True, kw_only=True)
class ResponseSection:
    """Everything of a response record that the page shows."""

    record: ResponseRecord
    """The record itself."""
    sentences: tuple[str, ...]
    """What it comes to, in words."""
    rows: tuple[ResponseRow, ...]
    """The team first, then its members, then the baselines."""
    phase_heads: tuple[str, ...]
    """Team and baselines, over the table of phases."""
    phases: tuple[tuple[str, tuple[str, ...]], ...]
    """Phase, and the malicious events in it and how many each of them prevented."""
    chart: Markup | None
    """The cost-sensitivity curve; None without an attack."""
    legend: tuple[tuple[Markup, str], ...]
    """Its keys."""
    undrawn: tuple[str, ...]
    """Policies that the curve leaves out."""


def response_of(evaluation: Evaluation) -> ResponseSection | None:
    """The section of one evaluation; None in a run of the triage task."""
    record = evaluation.response
    if record is None:
        return None
    beside = {name: row.response for name, row in evaluation.baselines.items() if row.response is not None}
    chart, legend, undrawn = _sensitivity(evaluation.split, record, beside)
    return ResponseSection(
        record=record,
        sentences=tuple(_sentences(record, beside)),
        rows=tuple(_rows(record, beside)),
        phase_heads=("team", *(name for name in beside if name not in ENDS)),
        phases=tuple(_phases(record, beside)),
        chart=chart,
        legend=legend,
        undrawn=undrawn,
    )


def best_rival(evaluation: Evaluation) -> tuple[str, BaselineResponse] | None:
    """The baseline with the highest response score, the oracle aside; None where none was scored."""
    rivals = [
        (name, row.response)
        for name, row in evaluation.baselines.items()
        if name != "oracle" and row.response is not None and row.response.score is not None
    ]
    return max(rivals, key=lambda rival: rival[1].score or 0.0, default=None)


def members_ahead(record: ResponseRecord) -> tuple[int, ...]:
    """Agents whose own votes alone would have scored at least as well as the team."""
    team = record.score
    if team is None:
        return ()
    return tuple(
        agent for agent, alone in enumerate(record.per_member) if alone.score is not None and alone.score >= team
    )


def _sentences(record: ResponseRecord, beside: dict[str, BaselineResponse]) -> Iterator[str]:
    if record.score is None:
        yield "The part holds no attack, so there is no score."
        return
    yield (
        f"Doing nothing costs {number(record.cost_allow)}, acting exactly at each first malicious event "
        f"{number(record.cost_oracle)}, the team {number(record.cost)}: a response score of {record.score:.3f}, where "
        f"0 is doing nothing and 1 is the oracle."
    )
    rivals = {name: row for name, row in beside.items() if name != "oracle" and row.score is not None}
    if rivals:
        name = max(rivals, key=lambda one: rivals[one].score or 0.0)
        yield _lead(record.score, name, rivals[name])
    if record.per_member:
        ahead = members_ahead(record)
        best = max(alone.score or 0.0 for alone in record.per_member)
        yield (
            f"Alone, the best of its {len(record.per_member)} members would score {best:.3f}; the team beats "
            + ("each of them." if not ahead else f"all but agent {', '.join(map(str, ahead))}.")
        )


def _lead(score: float, name: str, rival: BaselineResponse) -> str:
    lead = score - (rival.score or 0.0)
    told = f"The best baseline is {name} with {rival.score:.3f}, {abs(lead):.3f} {'behind' if lead >= 0 else 'ahead'}"
    if rival.behind_ci is None:
        return f"{told}."
    low, high = rival.behind_ci
    sure = "" if low > 0 or high < 0 else f", so {_NEITHER}"
    return f"{told}; the 95 % interval of the team's lead is {low:+.3f} to {high:+.3f}{sure}."


def _rows(record: ResponseRecord, beside: dict[str, BaselineResponse]) -> Iterator[ResponseRow]:
    yield ResponseRow(name="team", own=True, cells=_cells(record))
    for agent, alone in enumerate(record.per_member):
        yield ResponseRow(name=f"agent {agent} alone", own=False, cells=_cells(alone))
    for name, row in beside.items():
        yield ResponseRow(name=name, own=False, cells=_cells(row), note=row.note)
    for name in record.needs_names:
        note = "Needs executables' names, which are hidden from every method in this track."
        yield ResponseRow(name=name, own=False, cells=("needs names", *("",) * (len(RESPONSE_HEADS) - 1)), note=note)


def _cells(row: ResponseFigures) -> tuple[str, ...]:
    interval = "n/a" if row.score_ci is None else f"{row.score_ci[0]:.3f} to {row.score_ci[1]:.3f}"
    return (
        "n/a" if row.score is None else f"{row.score:.3f}",
        interval,
        number(row.cost),
        number(row.malicious_prevented),
        number(row.false_containments),
        f"{row.false_containments_per_1000:.2f}",
        number(row.benign_suppressed),
        number(row.benign_delayed),
        wait_text(row.time_to_contain_s.p50),
        wait_text(row.time_to_contain_s.p95),
        "n/a" if row.alerts_per_hour is None else f"{row.alerts_per_hour:.2f}",
    )


def wait_text(seconds: Wait) -> str:
    """Seconds as text."""
    if seconds is None:
        return "n/a"
    return "never" if isinstance(seconds, str) else f"{number(seconds, 3)} s"


def _phases(record: ResponseRecord, beside: dict[str, BaselineResponse]) -> Iterator[tuple[str, tuple[str, ...]]]:
    shown = [record, *(row for name, row in beside.items() if name not in ENDS)]
    for name, phase in record.per_phase.items():
        yield name, (number(phase.malicious), *(number(row.per_phase[name].prevented) for row in shown))


def _sensitivity(
    split: str, record: ResponseRecord, beside: dict[str, BaselineResponse]
) -> tuple[Markup | None, tuple[tuple[Markup, str], ...], tuple[str, ...]]:
    """The team and the best baselines under dearer and cheaper disruption."""
    if record.score is None:
        return None, (), ()
    others = {name: row for name, row in beside.items() if name not in ENDS}
    ranked = sorted(others, key=lambda name: -(others[name].score or 0.0))
    drawn: dict[str, ResponseFigures] = {"team": record, **{name: others[name] for name in ranked[: STYLES - 1]}}
    x = to_floats(point.multiplier for point in record.sensitivity)
    series = [
        Series(name=name, y=to_floats(point.score for point in row.sensitivity), style=style)
        for style, (name, row) in enumerate(drawn.items())
    ]
    values = np.concatenate([line.y for line in series])
    low = max(float(np.nanmin(values)), -1.0)
    chart = line_chart(
        ident=f"sensitivity-{split}",
        title=f"Response score against the cost of disruption, {split}",
        x=x,
        x_name="costs of disruption, times",
        y_name="response score",
        x_axis=Axis(low=float(x[0]), high=float(x[-1]), ticks=tuple(x.tolist()), log=True),
        y_axis=linear_axis(values, fixed=(min(0.0, np.floor(low * 5) / 5), 1.0)),
        series=series,
    )
    return chart, tuple((line_key(line.style), line.name) for line in series), tuple(ranked[STYLES - 1 :])
