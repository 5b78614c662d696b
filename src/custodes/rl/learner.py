"""One iteration of the learner: collect, form targets, estimate the floor, update. It reads like the algorithm's box.

Algorithm 1 of Schulman et al. 2017 with generalised advantages (2016), for A agents over B lanes:

    repeat
        play T steps in B slots with the current policy                      (rollout.collect)
        form value targets and advantages from rewards and values            (returns.targets)
        for each of E passes, for each of M minibatches of sequences:
            clipped policy loss + value loss - entropy, one Adam step        (ppo.update)
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from custodes.bft.votes import QUARANTINE
from custodes.interface import VectorEnv
from custodes.rl.config import LearnerConfig
from custodes.rl.floor import value_loss_floor
from custodes.rl.ppo import update
from custodes.rl.returns import Estimator, Targets, targets
from custodes.rl.rollout import Rollout, collect
from custodes.rl.schedule import entropy_coefficient, learning_rate
from custodes.rl.state import LearnerState
from custodes.rl.statistics import action_shares, counts, explained_variance, f1


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


def iterate(
    state: LearnerState, env: VectorEnv, config: LearnerConfig, progress: float, teacher: Teacher | None = None
) -> dict[str, Any]:
    """Play one rollout and learn from it.

    Args:
        state: Changed in place.
        env: Stepped in place.
        config: Settings.
        progress: Share of the decision budget spent, 0 to 1, for the schedules.
        teacher: Constraints beside the reward; None for none.

    Returns:
        The iteration's metrics (docs/run-folder.md), all but evaluation and timing.
    """
    rollout, state.position = collect(
        state.policy,
        env,
        state.position,
        state.norm,
        state.acting,
        steps=config.rollout,
        chunk=config.chunk,
        bootstrap=config.gamma > 0.0,
    )
    rollout = rollout if teacher is None else teacher.pay(rollout)
    learnt = form_targets(rollout, config)
    lesson, how = (learnt, config) if teacher is None else teacher.teach(state, rollout, learnt, config)
    rate, bonus = learning_rate(config, progress), entropy_coefficient(config, progress)
    acting_value = rollout.value
    report = update(state, rollout, lesson, how, learning_rate=rate, entropy_coefficient=bonus)
    state.iteration += 1
    state.decisions += rollout.decision.numel()
    floor = _floor(state, rollout, learnt) if state.iteration % config.floor_every == 0 else None
    return {
        "iteration": state.iteration,
        "decisions": state.decisions,
        "value_loss": report.value_loss,
        "value_loss_update": report.value_loss_update,
        "value_loss_floor": floor,
        "explained_variance": explained_variance(learnt.returns, acting_value),
        "explained_variance_mc": explained_variance(form_targets(rollout, config, "mc").returns, acting_value),
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
        "learning_rate": rate,
        "entropy_coefficient": bonus,
        "return_mean": float(learnt.returns.mean()),
        "return_std": float(learnt.returns.std(correction=0)),
        **outcome(rollout, env.actions),
    }


def form_targets(rollout: Rollout, config: LearnerConfig, estimator: Estimator | None = None) -> Targets:
    """Value targets and advantages by an estimator; None is the configured one."""
    return targets(
        estimator or config.returns,
        reward=rollout.reward,
        value=rollout.value,
        next_value=rollout.next_value,
        terminated=rollout.terminated[..., None],
        done=rollout.done[..., None],
        gamma=config.gamma,
        lam=config.lam,
    )


def outcome(rollout: Rollout, actions: int) -> dict[str, Any]:
    """What the team did over the whole iteration, not over its last steps."""
    table = counts(rollout.decision, rollout.label, QUARANTINE)
    return {
        "reward_per_decision": float(rollout.team_reward.mean()),
        **table,
        "f1": f1(table["tp"], table["fp"], table["fn"]),
        "action_shares": action_shares(rollout.action, actions),
    }


def _floor(state: LearnerState, rollout: Rollout, learnt: Targets) -> float | None:
    """Mean over agents of the floor, in the units of the logged value loss."""
    target, value = state.norm.normalise(learnt.returns), state.norm.normalise(rollout.value)
    lane = rollout.lane.flatten()
    floors = []
    for agent in range(target.shape[-1]):
        inputs = rollout.observation[agent] if rollout.central is None else rollout.central
        known = torch.cat((inputs, rollout.output[agent]), dim=-1).flatten(0, 1)
        floors.append(value_loss_floor(target[..., agent].flatten(), value[..., agent].flatten(), known, lane))
    found = [f for f in floors if f is not None]
    return sum(found) / len(found) if found else None
