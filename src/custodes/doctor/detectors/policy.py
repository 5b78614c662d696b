"""The policies: collapsed, never settling, or others when they are greedy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset
from custodes.doctor.signals import Signals

COLLAPSED: Final = 0.01
"""Entropy over that of the first iteration."""
ALL: Final = 0.999
"""Share of one action from which it is the only one."""
UNIFORM: Final = 0.97
"""Entropy over that of the first iteration, above which nothing was decided."""
PATIENCE: Final = 20
"""Iterations that a policy gets to decide something."""
SIGNAL: Final = 10.0
"""Signal of the advantages, from which there is something to decide (1 is chance)."""
SETTLED: Final = 20
LOOK: Final = 10


@detector("entropy-collapse", needs=("entropy_per_agent",))
def collapse(signals: Signals) -> Iterable[Finding]:
    """No agent takes one action for everything, all but certain of it."""
    entropy = signals["entropy_per_agent"].reshape(len(signals), -1)
    weight = signals.get("entropy_coefficient")
    row = onset(weight < 0)
    if row is not None:
        shown = Evidence(
            metric="entropy_coefficient", value=float(weight[row]), expectation="0 or more", source="it is a bonus"
        )
        cause = "the entropy bonus has the wrong sign: the policy is paid for being certain"
        yield found("entropy-collapse", signals.iterations[row], shown, cause=cause)
        return
    low = entropy < COLLAPSED * np.maximum(np.nanmax(entropy[:1], axis=0), 1e-9)
    if signals.has("action_shares"):
        low &= signals["action_shares"].max(axis=2) > ALL
    row = onset(low.any(1), 5)
    if row is None:
        return
    agents = ", ".join(str(agent) for agent in np.flatnonzero(low[row]))
    shown = Evidence(
        metric="entropy_per_agent",
        value=tuple(entropy[row]),
        expectation=f"above {COLLAPSED} of the first iteration's",
        source="healthy runs: some events keep two actions open",
    )
    yield found("entropy-collapse", signals.iterations[row], shown, about=f"agent {agents}")


@detector("entropy-never-falls", needs=("entropy", "advantage_signal"))
def never_falls(signals: Signals) -> Iterable[Finding]:
    """The policy decides something where advantages favour some actions."""
    entropy = signals["entropy"]
    start = float(np.nanmax(entropy[:3])) if len(entropy) else np.nan
    row = onset((entropy > UNIFORM * start) & (np.arange(len(signals)) >= PATIENCE), 3)
    if row is None or start < 0.1:
        return
    strength = float(np.nanmean(signals["advantage_signal"]))
    if strength < SIGNAL:
        return
    shown = [
        Evidence(
            metric="entropy",
            value=float(entropy[row]),
            expectation=f"below {UNIFORM * start:.3g} after {PATIENCE} iterations",
            source="healthy runs' spread",
        ),
        Evidence(metric="advantage_signal", value=strength, expectation="1 if there were none", source="chance"),
    ]
    weight = signals.get("entropy_coefficient")[row]
    if not np.isnan(weight):
        shown.append(
            Evidence(metric="entropy_coefficient", value=float(weight), expectation="0.001 to 0.1", source="presets")
        )
    yield found("entropy-never-falls", signals.iterations[row], *shown)


@detector("greedy-unlike-sampled", needs=("greedy_contained", "contained", "f1"))
def greedy(signals: Signals) -> Iterable[Finding]:
    """The greedy team contains about as much as the sampled one, once that one knows something."""
    if len(signals) < SETTLED + LOOK:
        return
    last = slice(-LOOK, None)
    sampled, most = float(np.nanmean(signals["contained"][last])), float(np.nanmean(signals["greedy_contained"][last]))
    known = float(np.nanmean(np.nan_to_num(signals["f1"][last])))
    if known > 0.2 and sampled > 0.02 and most < 0.1 * sampled:
        shown = (
            Evidence(
                metric="greedy_contained",
                value=most,
                expectation=f"about that of the sampled team ({sampled:.3f})",
                source="a policy that is used greedily should be most sure of what it was paid for",
            ),
            Evidence(metric="f1", value=known, expectation="that of the greedy team", source="sampled decisions"),
        )
        yield found("greedy-unlike-sampled", signals.iterations[-LOOK], *shown)


@detector("one-sided-team", needs=("tp", "fp", "tn", "fn"))
def one_sided(signals: Signals) -> Iterable[Finding]:
    """The team contains some events and not others."""
    called, all_ = signals["tp"] + signals["fp"], signals["tp"] + signals["fp"] + signals["tn"] + signals["fn"]
    threats = signals["tp"] + signals["fn"]
    never = (called == 0) & (threats > 0)
    always = (called == all_) & (all_ > 0)
    for side, words in ((never, "contains nothing"), (always, "contains everything")):
        row = onset(side, LOOK)
        if row is not None:
            shown = Evidence(
                metric="tp + fp",
                value=int(called[row]),
                expectation=f"some of {int(all_[row])}, with {int(threats[row])} malicious",
                source="both classes are there",
            )
            yield found("one-sided-team", signals.iterations[row], shown, cause=f"the team {words}")
            return
