"""Causes that were each measured by itself, so that several at once are told apart, and what thinner logs show.

`custodes.doctor.detectors.start` reads one ratio, which names one cause. Where a trainer also records what the start
states alone change (`ratio_error_start`, networks without their noise), or what two passes differ by, a second cause is
not hidden behind the first. The same holds for a discount beside its horizon, and for a rule beside the truth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from custodes.doctor.detector import detector, found
from custodes.doctor.detectors.rules import NEVER
from custodes.doctor.detectors.start import RATIO, ratio
from custodes.doctor.detectors.steps import CLIPPED, too_large
from custodes.doctor.finding import Evidence, Finding
from custodes.doctor.onset import onset_measured
from custodes.doctor.signals import Signals

NOISE: Final = 1e-6
"""Largest difference between two passes over the same inputs."""
JUMP: Final = 2.0
"""KL of one iteration, nats, behind which nothing is left of the policy: e^2 is a factor of 7 in probability."""
FOLLOWS: Final = 0.5
"""Share of the returns' variance from rewards after the action, above which a needless discount is most of it."""


@detector("start-state-mismatch", needs=("ratio_error_start",))
def start_states(signals: Signals) -> Iterable[Finding]:
    """The update's start states change no probability."""
    error = signals["ratio_error_start"]
    row = onset_measured(signals, "ratio_error_start", error > RATIO)
    if row is not None and not _told(signals, "start-state-mismatch"):
        shown = Evidence(
            metric="ratio_error_start",
            value=float(error[row]),
            expectation="below 1e-4",
            source="the same network without noise on the same records; float32 rounding leaves 1e-6",
        )
        yield found("start-state-mismatch", signals.iterations[row], shown)


@detector("dropout-mismatch", needs=("repeat_error", "ratio_error_paired"))
def noise(signals: Signals) -> Iterable[Finding]:
    """Two passes of the update over the same records give the same probabilities."""
    repeat, paired = signals["repeat_error"], signals["ratio_error_paired"]
    row = onset_measured(signals, "repeat_error", (repeat > NOISE) & (paired > RATIO))
    if row is not None and not _told(signals, "dropout-mismatch"):
        shown = (
            Evidence(
                metric="repeat_error",
                value=float(repeat[row]),
                expectation="0",
                source="two passes over the same inputs give the same numbers",
            ),
            Evidence(
                metric="ratio_error_paired",
                value=float(paired[row]),
                expectation="below 1e-4",
                source="the ratio of equal policies is 1, each sample beside itself",
            ),
        )
        yield found("dropout-mismatch", signals.iterations[row], *shown)


def _told(signals: Signals, name: str) -> bool:
    """Whether the one ratio names the same cause already."""
    return not signals.missing(("ratio_error",)) and any(finding.name == name for finding in ratio(signals))


@detector("update-too-large", needs=("kl", "clip_fraction"))
def jump(signals: Signals) -> Iterable[Finding]:
    """No single update throws the policy away, where the parameters' own change was not recorded."""
    kl, clipped = signals["kl"], signals["clip_fraction"]
    row = onset_measured(signals, "kl", (kl > JUMP) & (clipped > CLIPPED))
    if row is None or signals.has("parameter_step") or any(True for _ in too_large(signals)):
        return
    shown = (
        Evidence(
            metric="kl", value=float(kl[row]), expectation=f"below {JUMP:g}", source="a factor of e^2 in probability"
        ),
        Evidence(
            metric="clip_fraction",
            value=float(clipped[row]),
            expectation=f"below {CLIPPED}",
            source="half of the samples teach nothing beyond the clip",
        ),
    )
    yield found("update-too-large", signals.iterations[row], *shown)


@detector("return-unpredictable", needs=("return_after", "facts.gamma", "facts.influence"))
def discount(signals: Signals) -> Iterable[Finding]:
    """A discount sums no rewards that no action influences: known from the settings, measured on the returns."""
    gamma, influence = signals.facts.gamma or 0.0, signals.facts.influence
    after = float(np.nanmedian(signals["return_after"]))
    # Where the floor was recorded, `custodes.doctor.detectors.returns` says the same from what inputs tell.
    if gamma == 0.0 or influence != 0.0 or after < FOLLOWS or signals.has("value_loss_floor"):
        return
    shown = (
        Evidence(
            metric="gamma",
            value=gamma,
            expectation="0",
            source="an action changes nothing that follows it",
        ),
        Evidence(
            metric="return_after",
            value=after,
            expectation=f"below {FOLLOWS}",
            source="share of the returns' variance from rewards after the action; 0 under discount 0",
        ),
        Evidence(
            metric="explained_variance",
            value=float(np.nanmax(signals.get("explained_variance"))) if signals.has("explained_variance") else None,
            expectation=f"at most {max(0.0, 1.0 - after):.3g}: the rest is of other records",
            source="law of total variance, with rewards that are independent of what came before",
        ),
    )
    yield found("return-unpredictable", 0, *shown)


@detector("spec-always-violated", needs=("spec_reachable",))
def unreachable(signals: Signals) -> Iterable[Finding]:
    """Some policy satisfies each rule: the own one, a constant one, or the truth itself."""
    reached = signals["spec_reachable"].reshape(len(signals), -1)
    best = np.nanmax(reached, axis=0)
    names = signals.facts.specs or tuple(str(spec) for spec in range(len(best)))
    never = [spec for spec, share in enumerate(best) if share < NEVER]
    if never:
        shown = tuple(
            Evidence(
                metric=f"spec_reachable of rule {names[spec]}",
                value=float(best[spec]),
                expectation=f"above {NEVER}",
                source="the best of the run's own policy, one action for all, and containing exactly the threats",
            )
            for spec in never
        )
        about = "rule " + ", ".join(names[spec] for spec in never)
        yield found("spec-always-violated", signals.iterations[0], *shown, about=about)
