"""Learning curves of the rules that a team is held to, from `specs` in the lines of `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from custodes.evaluate.run_schema import MetricsLine, SpecLine
from custodes.report.curves import Figure, figure_of
from custodes.report.scale import Floats, number, to_floats
from custodes.report.svg import STYLES, Series

Number = float | str | None
_WANTED_STYLE = 5


def rules_in(metrics: Sequence[MetricsLine]) -> tuple[str, ...]:
    """Names of the rules that lines tell of, each once, in the order of their file."""
    return tuple(dict.fromkeys(name for line in metrics for name in line.specs or ()))


def satisfaction_curves(metrics: Sequence[MetricsLine], allowed: Mapping[str, float]) -> tuple[Figure, ...]:
    """One chart for each rule: the share of its windows that were satisfied, and the share that is wanted.

    Args:
        metrics: Lines in the order of iterations; may be empty.
        allowed: Share of windows that may be violated, by rule; a rule that is not in it has no line for it.

    Returns:
        In the order of the rules' file. A rule without a window in any iteration has no chart: nothing was shown.
    """
    x = to_floats(line.decisions for line in metrics)
    return tuple(
        _satisfaction(f"rule-{place}", name, x, _lines(metrics, name), allowed.get(name))
        for place, name in enumerate(rules_in(metrics))
    )


def multiplier_curves(metrics: Sequence[MetricsLine]) -> tuple[Figure, ...]:
    """The multipliers of the trained rules, as many to a chart as there are line styles.

    Returns:
        Empty where no rule is trained by a multiplier (`rules.method` is penalty or watch, or nobody can keep any).
    """
    x = to_floats(line.decisions for line in metrics)
    values = {name: _multipliers(_lines(metrics, name)) for name in rules_in(metrics)}
    trained = [(name, y) for name, y in values.items() if np.isfinite(y).any()]
    groups = [trained[start : start + STYLES] for start in range(0, len(trained), STYLES)]
    return tuple(_group(place, x, group) for place, group in enumerate(groups))


def _satisfaction(ident: str, name: str, x: Floats, lines: Sequence[SpecLine | None], allowed: float | None) -> Figure:
    sampled = _values(lines, lambda line: line.satisfied)
    greedy = _values(lines, lambda line: line.eval_satisfied)
    known = np.concatenate((sampled, greedy))
    known = known[np.isfinite(known)]
    if not known.size:
        return Figure(title=name, about="", chart=None)
    series = [
        Series(name="training, as sampled", y=sampled, style=0),
        Series(name="validation, greedy", y=greedy, style=1, dots=True),
    ]
    if allowed is not None:
        series.append(Series(name="wanted at least", y=np.full(len(x), 1.0 - allowed), style=_WANTED_STYLE))
    lowest = min(float(known.min()), 1.0 if allowed is None else 1.0 - allowed)
    wanted = "" if allowed is None else f"; at least {1.0 - allowed:.3f} is wanted"
    figure = figure_of(
        name,
        "share of windows satisfied",
        f"Share of its windows in which the rule was satisfied{wanted}.",
        x,
        series,
        log=False,
        zero=False,
        fixed=(min(0.9, float(np.floor(lowest * 10)) / 10), 1.0),
        ident=ident,
    )
    return replace(figure, note=_note(lines))


def _note(lines: Sequence[SpecLine | None]) -> str:
    """What the chart of a rule does not draw."""
    told = [line for line in lines if line is not None]
    robustness = [line.robustness for line in told if line.robustness is not None]
    parts = [f"{sum(line.triggered for line in told):,} windows in training"]
    if robustness:
        parts.append(f"mean robustness {number(robustness[0])} at first, {number(robustness[-1])} at the end")
    if not told[-1].trained:
        parts.append("measured, not trained")
    return "; ".join(parts)


def _multipliers(lines: Sequence[SpecLine | None]) -> Floats:
    """Floats [N]; NaN where the rule is not trained by a multiplier."""
    return _values(lines, lambda line: line.multiplier if line.trained else None)


def _group(place: int, x: Floats, group: Sequence[tuple[str, Floats]]) -> Figure:
    return figure_of(
        "Multipliers" if place == 0 else f"Multipliers, further {place}",
        "multiplier",
        "Weight of each rule's cost beside the reward: it rises while the rule is violated more than training aims at.",
        x,
        [Series(name=name, y=y, style=style) for style, (name, y) in enumerate(group)],
        log=False,
        zero=True,
        fixed=None,
        ident=f"multipliers-{place}",
        keyed=True,
    )


def _lines(metrics: Sequence[MetricsLine], name: str) -> list[SpecLine | None]:
    """One rule's entry of each line, [N]; None where there is none."""
    return [(line.specs or {}).get(name) for line in metrics]


def _values(lines: Sequence[SpecLine | None], pick: Callable[[SpecLine], Number]) -> Floats:
    """Floats [N] with NaN where a line does not tell."""
    return to_floats(None if line is None else pick(line) for line in lines)
