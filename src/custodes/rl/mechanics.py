"""The functions that an iteration is made of, as values: another one in place of each, and no branch anywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from custodes.rl.acting import Actor
from custodes.rl.config import LearnerConfig
from custodes.rl.losses import LossForm, ppo_losses
from custodes.rl.returns import Targets, targets
from custodes.rl.rollout import Draw, MakeActor, Position, Rollout, collect, sample
from custodes.rl.schedule import entropy_coefficient, learning_rate
from custodes.rl.sequences import Cut, cut
from custodes.rl.statistics import outcome

Schedule = Callable[[LearnerConfig, float], float]
"""Settings and the share of the budget spent to a number."""


@dataclass(frozen=True, kw_only=True)
class Mechanics:
    """One function for each line of the algorithm's box (`custodes.rl.learner`), with the arguments of its default."""

    collect: Callable[..., tuple[Rollout, Position]] = collect
    """Plays."""
    actor: MakeActor = Actor
    """Makes of the policy what acts in it."""
    draw: Draw = sample
    """Draws the actions."""
    targets: Callable[..., Targets] = targets
    """Forms value targets and advantages."""
    cut: Cut = cut
    """Cuts a rollout into sequences."""
    losses: LossForm = ppo_losses
    """Forms the losses."""
    learning_rate: Schedule = learning_rate
    """Adam's step size."""
    entropy_coefficient: Schedule = entropy_coefficient
    """Weight of the entropy bonus."""
    outcome: Callable[[Rollout, int], dict[str, Any]] = outcome
    """Counts what the team did."""
