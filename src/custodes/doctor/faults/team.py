"""Faults of the team, of what is counted, and of runs that are continued."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from custodes.doctor.faults.fault import Fault, Wrapped, in_env, in_mechanics
from custodes.rl.acting import MASKED
from custodes.rl.rollout import Rollout, sample
from custodes.rl.state import LearnerState
from custodes.rl.statistics import outcome
from custodes.team.seams import Seams

AT: Final = 8
"""Iterations after which a run is continued wrongly."""


def _lying(logits: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Agent 0 sends the opposite of what its policy drew, where that is allowed."""
    action, _ = sample(logits, generator)
    opposite = logits.shape[-1] - 1 - action[:, :1]
    allowed = logits[:, :1].gather(-1, opposite[..., None])[..., 0] > MASKED
    action = torch.cat((torch.where(allowed, opposite, action[:, :1]), action[:, 1:]), dim=1)
    return action, logits.log_softmax(-1).gather(-1, action[..., None])[..., 0]


class _Lost(Wrapped):
    """The votes of one agent do not arrive, and count as Allow."""

    def votes(self, actions: Tensor) -> Tensor:
        """Without the last agent's."""
        arrived = actions.clone()
        arrived[:, -1] = 0
        return arrived


def _last_steps(rollout: Rollout, actions: int) -> dict[str, Any]:
    """Counters that were reset on the way: only the last steps are in them."""
    last = slice(-3, None)
    return outcome(
        replace(
            rollout,
            decision=rollout.decision[last],
            label=rollout.label[last],
            team_reward=rollout.team_reward[last],
            action=rollout.action[last],
        ),
        actions,
    )


def _at(change: Callable[[LearnerState], None]) -> Callable[[], Seams]:
    """Seams that change the learner once, between two iterations."""

    def before(learner: LearnerState) -> None:
        if learner.iteration == AT:
            change(learner)

    return lambda: Seams(before=before)


def _forget_optimiser(learner: LearnerState) -> None:
    """A checkpoint without the optimiser (BenchMARL)."""
    learner.optimiser.state.clear()


def _reseed(learner: LearnerState) -> None:
    """A checkpoint without the generators (SB3)."""
    learner.acting.manual_seed(7)
    learner.batching.manual_seed(7)


@torch.no_grad()
def _older_weights(learner: LearnerState) -> None:
    """The weights of another checkpoint."""
    for parameter in learner.policy.parameters():
        parameter.mul_(0.9)


FAULTS: Final = (
    Fault(
        name="lying-agent",
        finds="lying-agent",
        what="one agent sends the opposite of what its policy drew",
        seams=in_mechanics(draw=_lying),
    ),
    Fault(
        name="lost-votes",
        finds="votes-lost",
        what="the votes of one agent do not arrive",
        seams=in_env(_Lost),
    ),
    Fault(
        name="three-agents",
        finds="consensus-f0",
        what="a team of three votes",
        settings=("team.agents=3",),
    ),
    Fault(
        name="metric-window",
        finds="metric-window",
        what="counts and reward are of the last three steps of each iteration",
        seams=in_mechanics(outcome=_last_steps),
    ),
    Fault(
        name="lost-optimiser",
        finds="resume-mismatch",
        what=f"after {AT} iterations the run goes on without the optimiser's memory",
        seams=_at(_forget_optimiser),
    ),
    Fault(
        name="reseeded",
        finds="resume-mismatch",
        what=f"after {AT} iterations the run goes on with generators that were seeded anew",
        seams=_at(_reseed),
    ),
    Fault(
        name="other-weights",
        finds="resume-mismatch",
        what=f"after {AT} iterations the run goes on with other weights",
        seams=_at(_older_weights),
    ),
)
