"""Numbers that are none, runs that do not go on where they were left, and counts that leave decisions out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.facts import LearningSession
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset
from custodes.doctor.signals import Signals

_LOSSES: Final = ("value_loss", "policy_loss", "kl", "grad_norm", "entropy", "explained_variance")
_MARKS: Final = {
    "parameters_mark": "parameters are not those that the last iteration left",
    "optimiser_steps": "the optimiser's memory is not what the last iteration left",
    "generators_mark": "the random generators are not where the last iteration left them",
}
_THEORY: Final = "a run continues from its whole state"


@detector("non-finite", needs=("value_loss",))
def finite(signals: Signals) -> Iterable[Finding]:
    """Losses and gradients are numbers."""
    facts = signals.facts.non_finite
    if facts is not None:
        shown = Evidence(metric="first tensor", value=facts.tensor, expectation="finite", source="arithmetic")
        yield found("non-finite", facts.iteration, shown, about=facts.tensor)
        return
    for name in _LOSSES:
        values = signals.get(name).reshape(len(signals), -1)
        # A number that was there and is gone was NaN when it was written; an infinity is kept as such.
        gone = (
            np.isnan(values).any(1) & np.isfinite(values).all(1).cumsum().astype(bool) & (name != "explained_variance")
        )
        row = onset(np.isinf(values).any(1) | gone)
        if row is not None:
            shown = Evidence(metric=name, value=str(values[row].max()), expectation="finite", source="arithmetic")
            yield found("non-finite", signals.iterations[row], shown, about=name)
            return


@detector("resume-mismatch", needs=("parameters_mark_before", "parameters_mark_after"))
def continuity(signals: Signals) -> Iterable[Finding]:
    """Each iteration begins with the state that the one before ended with."""
    follows = np.diff(np.array(signals.iterations)) == 1
    for name, words in _MARKS.items():
        before, after = signals.get(f"{name}_before"), signals.get(f"{name}_after")
        broken = follows & ~np.isnan(before[1:]) & ~np.isnan(after[:-1]) & (before[1:] != after[:-1])
        row = onset(broken)
        if row is not None:
            at = signals.iterations[row + 1]
            shown = Evidence(
                metric=f"{name}_before", value=float(before[row + 1]), expectation=f"{after[row]:.0f}", source=_THEORY
            )
            yield found("resume-mismatch", at, shown, cause=words)
            return


@detector("resume-mismatch", needs=("facts.sessions",))
def sessions(signals: Signals) -> Iterable[Finding]:
    """Every process that trained the run had the same seed, data, code and libraries."""
    for first, then in zip(signals.facts.sessions or (), (signals.facts.sessions or ())[1:], strict=False):
        changed = _changed(first, then)
        if changed:
            shown = tuple(
                Evidence(metric=name, value=new, expectation=str(old), source=_THEORY) for name, old, new in changed
            )
            names = ", ".join(name for name, _, _ in changed)
            cause = f"the run was continued with another {names}"
            yield found("resume-mismatch", then.iteration + 1, *shown, cause=cause)
            return


def _changed(first: LearningSession, then: LearningSession) -> list[tuple[str, str, str]]:
    names = ("seed", "data", "code", "versions")
    pairs = [(name, getattr(first, name), getattr(then, name)) for name in names]
    return [(name, str(old), str(new)) for name, old, new in pairs if None not in (old, new) and old != new]


@detector("unreproducible", needs=("outside_draws",))
def outside_draws(signals: Signals) -> Iterable[Finding]:
    """Nothing draws from generators that no run saves (torch's, NumPy's and Python's global ones)."""
    row = onset(signals["outside_draws"] > 0)
    if row is not None:
        shown = Evidence(
            metric="outside_draws", value=1, expectation="0", source="only seeded generators of the run are drawn from"
        )
        yield found("unreproducible", signals.iterations[row], shown)


@detector("metric-window", needs=("tp", "fp", "tn", "fn", "facts.per_iteration"))
def metric_window(signals: Signals) -> Iterable[Finding]:
    """Counts cover every labelled decision of the iteration."""
    counted = signals["tp"] + signals["fp"] + signals["tn"] + signals["fn"]
    unlabelled = np.nan_to_num(signals.get("unlabelled"))
    per_iteration = signals.facts.per_iteration or 1
    covered = (counted + unlabelled) / per_iteration
    if np.isnan(signals.get("unlabelled")).all() and "threats" not in signals.series:
        covered = np.where(covered > 0.5, 1.0, covered)  # Events without a label may account for the rest.
    row = onset(covered < 0.999, 2)
    if row is not None:
        shown = Evidence(
            metric="counted decisions",
            value=int(counted[row]),
            expectation=f"{per_iteration - int(unlabelled[row])}",
            source="decisions of one iteration",
        )
        yield found("metric-window", signals.iterations[row], shown)
