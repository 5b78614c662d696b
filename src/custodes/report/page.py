"""One self-contained page about a run: everything inline, nothing fetched, the same bytes for the same files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from custodes.bft.votes import ACTIONS, tolerated
from custodes.evaluate.evaluation import Evaluation
from custodes.report.checks import NO_RIVALS, floor_ratio, warnings_of
from custodes.report.curves import learning_curves
from custodes.report.files import RunFiles, read_run
from custodes.report.response import RESPONSE_HEADS, best_rival
from custodes.report.rules import RULE_HEADS, rules_of
from custodes.report.scale import number
from custodes.report.tables import SCORE_HEADS, result_of, settings_of
from custodes.report.timeline import summary, timeline_chart
from custodes.train.atomic import write_atomic

FILE = "report.html"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One headline number."""

    name: str
    """What it is."""
    value: str
    """As text."""
    about: str = ""
    """What to hold it against."""


def write_report(run_dir: Path) -> Path:
    """Write `report.html` into a run folder, all or nothing.

    Args:
        run_dir: A run folder with its `config.toml`; what else is missing is said to be missing in the page.

    Returns:
        The page.

    Raises:
        CustodesError: No run, a broken file, or the disk refused; an earlier page is then intact.
    """
    page = render(read_run(run_dir))
    path = run_dir / FILE
    write_atomic(path, page.encode("utf-8"))
    return path


def render(run: RunFiles) -> str:
    """The page as text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("custodes.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = learning_curves(run.metrics)
    return environment.get_template("page.html.jinja").render(
        run=run,
        subtitle=_subtitle(run),
        warnings=warnings_of(run),
        tiles=_tiles(run),
        results=[result_of(evaluation) for evaluation in run.evaluations],
        heads=SCORE_HEADS,
        response_heads=RESPONSE_HEADS,
        actions=ACTIONS,
        timelines=[
            {"record": each, "chart": timeline_chart(each, f"timeline-{each.split}"), "summary": summary(each)}
            for each in run.timelines
        ],
        figures=[figure for figure in figures if figure.chart is not None],
        undrawn=[figure.title for figure in figures if figure.chart is None],
        findings=run.findings,
        evidence=_evidence,
        rules=rules_of(run),
        rule_heads=RULE_HEADS,
        settings=settings_of(run.config),
        version=run.setting("versions.custodes"),
    )


def _subtitle(run: RunFiles) -> str:
    named = (("preset", run.setting("preset")), ("seed", run.setting("seed")))
    parts = [f"{name} {value}" for name, value in named if value not in (None, "")]
    agents = run.setting("team.agents")
    if isinstance(agents, int) and agents >= 1:
        parts.append(f"{agents} agents, f = {tolerated(agents)}")
    if run.metrics:
        last = run.metrics[-1]
        parts.append(f"{number(last.decisions)} decisions in {number(last.iteration)} iterations")
    return ", ".join(parts)


def _tiles(run: RunFiles) -> tuple[Tile, ...]:
    tiles: list[Tile] = []
    if run.evaluations:
        first = run.evaluations[0]
        tiles += _response_tiles(first)
        best = max(
            ((row.f1, name) for name, row in first.baselines.items() if row.f1 is not None and name not in NO_RIVALS),
            default=None,
        )
        beside = f"{best[1]}: {best[0]:.3f}" if best else ""
        tiles.append(Tile(name=f"F1 on {first.split}", value=_share(first.f1), about=beside))
        tiles.append(Tile(name="precision", value=_share(first.precision)))
        tiles.append(Tile(name="recall", value=_share(first.recall), about=f"of {number(first.threats)} threats"))
        if first.reward_per_decision is not None:
            allow = first.baselines.get("allow")
            beside = f"allowing everything: {number(allow.reward_per_decision, 3)}" if allow else ""
            tiles.append(Tile(name="reward per decision", value=number(first.reward_per_decision, 3), about=beside))
    ratio = floor_ratio(run.metrics)
    if ratio is not None:
        tiles.append(
            Tile(name="value loss over its floor", value=f"{ratio:.2f}", about="last tenth of training; 1 is best")
        )
    if run.metrics:
        last = run.metrics[-1]
        seconds = last.seconds if isinstance(last.seconds, float) else None
        about = f"{number(last.decisions)} decisions"
        tiles.append(Tile(name="training time", value=_duration(seconds), about=about))
    return tuple(tiles)


def _response_tiles(evaluation: Evaluation) -> tuple[Tile, ...]:
    if evaluation.response is None:
        return ()
    record, rival = evaluation.response, best_rival(evaluation)
    beside = f"{rival[0]}: {rival[1].score:.3f}" if rival else ""
    false = number(record.false_containments_per_1000, 3)
    return (
        Tile(name=f"response score on {evaluation.split}", value=_share(record.score), about=beside),
        Tile(name="false containments", value=number(record.false_containments), about=f"{false} per 1,000 processes"),
    )


def _share(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "n/a"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _evidence(evidence: dict[str, Any]) -> str:
    return ", ".join(
        f"{key}: {number(value) if isinstance(value, float) else value}" for key, value in evidence.items()
    )
