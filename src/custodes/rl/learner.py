"""One iteration of the learner: collect, form targets, estimate the floor, update. It reads like the algorithm's box.

Algorithm 1 of Schulman et al. 2017 with generalised advantages (2016), for A agents over B lanes:

    repeat
        play T steps in B slots with the current policy                      (rollout.collect)
        form value targets and advantages from rewards and values            (returns.targets)
        for each of E passes, for each of M minibatches of sequences:
            clipped policy loss + value loss - entropy, one Adam step        (ppo.update)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from custodes.interface import VectorEnv
from custodes.rl.config import LearnerConfig
from custodes.rl.floor import value_loss_floor
from custodes.rl.mechanics import Mechanics
from custodes.rl.ppo import UpdateReport, update
from custodes.rl.returns import Estimator, Targets, targets
from custodes.rl.rollout import Rollout
from custodes.rl.state import LearnerState
from custodes.rl.statistics import explained_variance


class Teacher(Protocol):
    """Whoever wants more of a team than reward: it may change what a rollout pays and what its actions were worth."""

    def pay(self, rollout: Rollout) -> Rollout:
        """The rollout with what it pays; called once for each, before targets are formed."""
        ...

    def teach(
        self, state: LearnerState, rollout: Rollout, learnt: Targets, config: LearnerConfig
    ) -> tuple[Targets, LearnerConfig]:
        """Advantages to learn from, and the settings to do it by; called once for each, before the update."""
        ...


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What one iteration was made of, for whoever looks on."""

    rollout: Rollout
    """What was played, with what a teacher made it pay."""
    targets: Targets
    """What its reward taught; the costs of rules are no part of it."""
    report: UpdateReport
    """What the update did."""


def iterate(
    state: LearnerState,
    env: VectorEnv,
    config: LearnerConfig,
    progress: float,
    *,
    mechanics: Mechanics | None = None,
    observe: Callable[[Lesson], None] = lambda lesson: None,
    teacher: Teacher | None = None,
) -> dict[str, Any]:
    """Play one rollout and learn from it.

    Args:
        state: Changed in place.
        env: Stepped in place.
        config: Settings.
        progress: Share of the decision budget spent, 0 to 1, for the schedules.
        mechanics: The functions that the iteration is made of; None for the usual ones.
        observe: Called at the end; must change nothing.
        teacher: Constraints beside the reward; None for none.

    Returns:
        The iteration's metrics (docs/run-folder.md), all but evaluation and timing.
    """
    mechanics = mechanics or Mechanics()
    rollout, state.position = mechanics.collect(
        state.policy,
        env,
        state.position,
        state.norm,
        state.acting,
        steps=config.rollout,
        chunk=config.chunk,
        bootstrap=config.gamma > 0.0,
        actor=mechanics.actor,
        draw=mechanics.draw,
    )
    rollout = rollout if teacher is None else teacher.pay(rollout)
    learnt = form_targets(rollout, config, form=mechanics.targets)
    lesson, how = (learnt, config) if teacher is None else teacher.teach(state, rollout, learnt, config)
    rate, bonus = mechanics.learning_rate(config, progress), mechanics.entropy_coefficient(config, progress)
    report = update(
        state,
        rollout,
        lesson,
        how,
        learning_rate=rate,
        entropy_coefficient=bonus,
        losses=mechanics.losses,
        cut=mechanics.cut,
    )
    state.iteration += 1
    state.decisions += rollout.decision.numel()
    measured = _measured(state, rollout, learnt, config, mechanics)
    observe(Lesson(rollout=rollout, targets=learnt, report=report))
    return {
        "iteration": state.iteration,
        "decisions": state.decisions,
        "learning_rate": rate,
        "entropy_coefficient": bonus,
        **measured,
        **_reported(report),
        **mechanics.outcome(rollout, env.actions),
    }


def _measured(
    state: LearnerState, rollout: Rollout, learnt: Targets, config: LearnerConfig, mechanics: Mechanics
) -> dict[str, Any]:
    """How well the returns of a rollout can be told, and were, as metrics."""
    monte_carlo = form_targets(rollout, config, "mc", form=mechanics.targets)
    return {
        "value_loss_floor": _floor(state, rollout, learnt) if state.iteration % config.floor_every == 0 else None,
        "explained_variance": _explained(rollout, learnt, rollout.value),
        "explained_variance_mc": _explained(rollout, monte_carlo, rollout.value),
        "return_mean": float(learnt.returns.mean()),
        "return_std": float(learnt.returns.std(correction=0)),
    }


def _reported(report: UpdateReport) -> dict[str, Any]:
    """What an update says of itself, as metrics."""
    return {
        "value_loss": report.value_loss,
        "value_loss_update": report.value_loss_update,
        "ratio_error": report.ratio_error,
        "ratio_error_max": report.ratio_error_max,
        "value_error": report.value_error,
        "policy_loss": report.policy_loss,
        "entropy": sum(report.entropy) / len(report.entropy),
        "entropy_per_agent": report.entropy,
        "kl": report.kl,
        "clip_fraction": report.clip_fraction,
        "grad_norm": report.grad_norm,
        "epochs_run": report.epochs_run,
    }


def form_targets(
    rollout: Rollout,
    config: LearnerConfig,
    estimator: Estimator | None = None,
    *,
    form: Callable[..., Targets] = targets,
) -> Targets:
    """Value targets and advantages by an estimator; None is the configured one."""
    return form(
        estimator or config.returns,
        reward=rollout.reward,
        value=rollout.value,
        next_value=rollout.next_value,
        terminated=rollout.terminated[..., None],
        done=rollout.done[..., None],
        gamma=config.gamma,
        lam=config.lam,
    )


def _explained(rollout: Rollout, learnt: Targets, value: Tensor) -> float | None:
    """Explained variance of the values, over what the critics learn from."""
    if rollout.learns is None:
        return explained_variance(learnt.returns, value)
    return explained_variance(learnt.returns[rollout.learns], value[rollout.learns])


def _floor(state: LearnerState, rollout: Rollout, learnt: Targets) -> float | None:
    """Mean over agents of the floor, in the units of the logged value loss."""
    target, value = state.norm.normalise(learnt.returns), state.norm.normalise(rollout.value)
    lane = rollout.lane.flatten()
    floors = []
    for agent in range(target.shape[-1]):
        inputs = rollout.observation[agent] if rollout.central is None else rollout.central
        known = torch.cat((inputs, rollout.output[agent]), dim=-1).flatten(0, 1)
        learns = slice(None) if rollout.learns is None else rollout.learns[..., agent].flatten()
        mine, guess = target[..., agent].flatten(), value[..., agent].flatten()
        floors.append(value_loss_floor(mine[learns], guess[learns], known[learns], lane[learns]))
    found = [f for f in floors if f is not None]
    return sum(found) / len(found) if found else None
