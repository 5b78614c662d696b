"""Which learning curves a page shows, from the lines of `metrics.jsonl`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from custodes.evaluate.run_schema import MetricsLine
from custodes.report.scale import Axis, Floats, linear_axis, log_axis, to_floats
from custodes.report.svg import Series, line_chart, line_key

X_NAME = "decisions trained on"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One chart with what stands around it."""

    title: str
    """Heading."""
    about: str
    """What it shows and how to read it, one sentence."""
    chart: Markup | None
    """The drawing; None where the run has no such values, which is then said."""
    legend: tuple[tuple[Markup, str], ...] = ()
    """Keys and names; empty for a single line."""
    note: str = ""
    """What is not in the drawing."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """One chart to draw."""

    title: str
    unit: str
    about: str
    keys: tuple[tuple[str, str], ...]
    """Key of the metrics line, name in the legend."""
    dots: frozenset[str] = frozenset()
    """Keys that are there only in some iterations."""
    zero: bool = False
    log: bool = False
    fixed: tuple[float, float] | None = None


_PLANS = (
    _Plan(
        title="Value loss",
        unit="squared target units",
        about="Error of the critics, and the floor that the returns' own noise sets: no critic gets below it.",
        keys=(("value_loss", "value loss"), ("value_loss_floor", "its floor")),
        zero=True,
    ),
    _Plan(
        title="Explained variance",
        unit="share",
        about="How much of the returns the critics foresee: 1 is all, 0 is no better than their mean.",
        keys=(("explained_variance", "of bootstrapped targets"), ("explained_variance_mc", "of Monte Carlo returns")),
        fixed=(-0.5, 1.0),
    ),
    _Plan(
        title="Reward per decision",
        unit="reward",
        about="Mean over all decisions of an iteration; on validation the greedy team.",
        keys=(("reward_per_decision", "training, as sampled"), ("eval_reward_per_decision", "validation, greedy")),
        dots=frozenset({"eval_reward_per_decision"}),
    ),
    _Plan(
        title="F1",
        unit="share",
        about="Of containing malicious events: harmonic mean of precision and recall.",
        keys=(("f1", "training, as sampled"), ("eval_f1", "validation, greedy")),
        dots=frozenset({"eval_f1"}),
        fixed=(0.0, 1.0),
    ),
    _Plan(
        title="Precision and recall on validation",
        unit="share",
        about="Of the greedy team.",
        keys=(("eval_precision", "precision"), ("eval_recall", "recall")),
        dots=frozenset({"eval_precision", "eval_recall"}),
        fixed=(0.0, 1.0),
    ),
    _Plan(
        title="KL divergence",
        unit="nats",
        about="How far an update moved the policies.",
        keys=(("kl", "KL"),),
        zero=True,
    ),
    _Plan(
        title="Clip fraction",
        unit="share",
        about="Samples whose probability ratio was clipped.",
        keys=(("clip_fraction", "clipped"),),
        zero=True,
    ),
    _Plan(
        title="Ratio error before the first step",
        unit="ratio",
        about="Must be rounding only (under 1e-5): else collection and update see different states.",
        keys=(("ratio_error", "mean |ratio - 1|"),),
        log=True,
    ),
    _Plan(
        title="Policy loss",
        unit="advantage units",
        about="Clipped objective, mean of the update; its level says little, jumps say something.",
        keys=(("policy_loss", "policy loss"),),
    ),
    _Plan(
        title="Returns",
        unit="reward",
        about="Mean and standard deviation of what the critics are fitted to.",
        keys=(("return_mean", "mean"), ("return_std", "standard deviation")),
    ),
    _Plan(
        title="Rules satisfied",
        unit="share",
        about="Triggered windows in which the temporal rules held.",
        keys=(("stl_satisfied", "satisfied"),),
        fixed=(0.0, 1.0),
    ),
    _Plan(
        title="Speed",
        unit="steps per second",
        about="Environment steps per second, updates included.",
        keys=(("steps_per_second", "steps per second"),),
        zero=True,
    ),
    _Plan(
        title="Schedules",
        unit="number",
        about="Step size and weight of the entropy bonus.",
        keys=(("learning_rate", "learning rate"), ("entropy_coefficient", "entropy coefficient")),
        log=True,
    ),
)


def learning_curves(metrics: Sequence[MetricsLine]) -> tuple[Figure, ...]:
    """Every chart of the training, in the order of the page; one without values says so instead of being drawn.

    Args:
        metrics: Lines in the order of iterations; may be empty.
    """
    x = to_floats(line.decisions for line in metrics)
    figures = [_planned(plan, x, metrics) for plan in _PLANS]
    entropy = _per_agent(
        x, metrics, lambda line: line.entropy_per_agent, "Entropy per agent", "nats",
        "How undecided each policy is: ln 4 = 1.386 is uniform over the four actions.",
        log=False,
    )  # fmt: skip
    norms = _per_agent(
        x, metrics, lambda line: line.grad_norm, "Gradient norm per agent", "norm",
        "Before clipping, mean over the update's steps.",
        log=True,
    )  # fmt: skip
    return (*figures[:5], entropy, *figures[5:8], norms, *figures[8:])


def _planned(plan: _Plan, x: Floats, metrics: Sequence[MetricsLine]) -> Figure:
    series = [
        Series(
            name=name,
            y=to_floats(getattr(line, key) for line in metrics),
            style=style,
            dots=key in plan.dots,
        )
        for style, (key, name) in enumerate(plan.keys)
    ]
    return figure_of(plan.title, plan.unit, plan.about, x, series, log=plan.log, zero=plan.zero, fixed=plan.fixed)


def _per_agent(
    x: Floats,
    metrics: Sequence[MetricsLine],
    pick: Callable[[MetricsLine], Sequence[float | str | None] | None],
    title: str,
    unit: str,
    about: str,
    *,
    log: bool,
) -> Figure:
    rows = [pick(line) or () for line in metrics]
    agents = max((len(row) for row in rows), default=0)
    series = [
        Series(
            name=f"agent {agent}",
            y=to_floats(row[agent] if agent < len(row) else None for row in rows),
            style=agent,
        )
        for agent in range(agents)
    ]
    return figure_of(title, unit, about, x, series, log=log, zero=not log, fixed=None)


def figure_of(
    title: str,
    unit: str,
    about: str,
    x: Floats,
    series: Iterable[Series],
    *,
    log: bool,
    zero: bool,
    fixed: tuple[float, float] | None,
    ident: str = "",
    keyed: bool = False,
) -> Figure:
    """One chart.

    Args:
        title: Heading.
        unit: Label of the y axis.
        about: How to read it.
        x: Decisions trained on, floats [N], rising; N is 1 or more where a line has values.
        series: Lines [N]; those without a finite value are left out.
        log: A logarithmic y axis.
        zero: Include 0 in the y axis.
        fixed: Limits of the y axis.
        ident: Unique in the page; made from the title where empty.
        keyed: Name a single line too.
    """
    lines = [line for line in series if np.isfinite(line.y).any()]
    if not lines:
        return Figure(title=title, about=about, chart=None)
    values = np.concatenate([line.y for line in lines])
    y_axis = log_axis(values) if log else linear_axis(values, zero=zero, fixed=fixed)
    x_axis = linear_axis(x, fixed=(_begin(x), float(x[-1])) if x[-1] > 0 else None)
    chart = line_chart(
        ident="c-" + (ident or "".join(letter if letter.isalnum() else "-" for letter in title.lower())),
        title=title,
        x=x,
        x_name=X_NAME,
        y_name=unit,
        x_axis=x_axis,
        y_axis=y_axis,
        series=lines,
    )
    legend = tuple((line_key(line.style), line.name) for line in lines) if keyed or len(lines) > 1 else ()
    return Figure(title=title, about=about, chart=chart, legend=legend, note=_left_out(values, y_axis))


def _left_out(values: Floats, axis: Axis) -> str:
    """What the drawing cannot show, said in words."""
    infinite = int(np.isinf(values).sum())
    known = values[np.isfinite(values)]
    slack = 1e-9 * (axis.high - axis.low)
    off = int(((known > axis.high + slack) | (known < axis.low - slack)).sum()) if not axis.log else 0
    zeros = int((known <= 0).sum()) if axis.log else 0
    parts = [
        f"{off} value{'s' * (off > 1)} beyond the axis" if off else "",
        f"{infinite} infinite value{'s' * (infinite > 1)} not drawn" if infinite else "",
        f"{zeros} value{'s' * (zeros > 1)} of 0 drawn at the foot" if zeros else "",
    ]
    return "; ".join(part for part in parts if part)


def _begin(x: Floats) -> float:
    """Where the axis begins: at 0, or where the curves do if a warm start took most of the decisions."""
    return float(x[0]) if x[-1] / 2 < x[0] < x[-1] else 0.0
