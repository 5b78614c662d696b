"""The team: liars, votes that do not arrive, agents that change nothing, and votes that stand nobody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset_measured, some, worst
from custodes.doctor.signals import Signals

SURPRISE: Final = 8.0
"""Standard errors; with 10,000 agents x iterations an honest one reaches 4."""
LOST: Final = 1e-3
"""Share of decisions that are not the vote rule's."""
IDLE: Final = 20
"""Iterations without one decision that an agent changed."""


@detector("consensus-f0", needs=("facts.agents", "facts.tolerated"))
def consensus(signals: Signals) -> Iterable[Finding]:
    """A team that votes stands at least one liar."""
    agents, f = signals.facts.agents or 0, signals.facts.tolerated
    if agents > 1 and f == 0:
        shown = Evidence(
            metric="f", value=0, expectation="at least 1", source="n >= 3f + 1 (Pease, Shostak, Lamport 1980)"
        )
        yield found("consensus-f0", 0, shown, about=f"{agents} agents")


@detector("lying-agent", needs=("vote_surprise",))
def liar(signals: Signals) -> Iterable[Finding]:
    """Each agent's votes are drawn from its policy."""
    z = signals["vote_surprise"].reshape(len(signals), -1)
    # Rare draws that did not happen make votes look too certain; only improbable ones tell.
    far = z < -SURPRISE
    row = onset_measured(signals, "vote_surprise", some(far), 3)
    if row is not None:
        agents = ", ".join(str(agent) for agent in np.flatnonzero(far[row]))
        shown = Evidence(
            metric="vote_surprise",
            value=tuple(z[row]),
            expectation=f"above -{SURPRISE:g}",
            source="log p(a) + H has mean 0 over votes drawn from the policy (central limit theorem)",
        )
        yield found("lying-agent", signals.iterations[row], shown, about=f"agent {agents}")


@detector("votes-lost", needs=("decision_mismatch",))
def votes_lost(signals: Signals) -> Iterable[Finding]:
    """Decisions are what the vote rule makes of the votes."""
    off = signals["decision_mismatch"]
    row = onset_measured(signals, "decision_mismatch", off > LOST)
    if row is None:
        return
    without = signals.get("decision_mismatch_without")
    about = ""
    if without.ndim == 2:
        seen = np.nanmean(without[row:], axis=0)
        if np.nanmin(seen) < 0.1 * float(np.nanmean(off[row:])):
            about = f"agent {int(np.nanargmin(seen))} counts as silent"
    shown = Evidence(
        metric="decision_mismatch", value=float(off[row]), expectation="0", source="the vote rule (docs/bft.md)"
    )
    yield found("votes-lost", signals.iterations[row], shown, about=about)


@detector("idle-agent", needs=("pivotal",))
def idle(signals: Signals) -> Iterable[Finding]:
    """Every agent changes a decision now and then."""
    pivotal = signals["pivotal"].reshape(len(signals), -1)
    if pivotal.shape[1] < 2:
        return
    busy = worst(pivotal) > 0.01
    for agent in range(pivotal.shape[1]):
        row = onset_measured(signals, "pivotal", (pivotal[:, agent] == 0.0) & busy, IDLE)
        if row is not None:
            shown = Evidence(
                metric="pivotal",
                value=tuple(pivotal[row]),
                expectation="above 0 for each agent",
                source="the others change 1 % of the decisions and more",
            )
            yield found("idle-agent", signals.iterations[row], shown, about=f"agent {agent}")
            return
