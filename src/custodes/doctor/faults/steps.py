"""Faults of the optimiser's steps and of the settings that steer them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from custodes.doctor.faults.fault import Fault, in_mechanics
from custodes.rl.config import LearnerConfig
from custodes.rl.losses import Losses, ppo_losses
from custodes.rl.schedule import entropy_coefficient
from custodes.rl.state import LearnerState
from custodes.team.seams import Seams


def _summed(log_probability: Tensor, *rest: Any) -> Losses:
    """Sums over samples where means belong."""
    losses = ppo_losses(log_probability, *rest)
    count = len(log_probability)
    return losses._replace(policy=losses.policy * count, value=losses.value * count)


@torch.no_grad()
def _shut_gates(learner: LearnerState) -> None:
    """The first network's input gate is shut: nothing enters its cell, and no gradient leaves it."""
    core = learner.policy.networks()[0].core
    hidden = core.hidden_size
    bias = core.bias_ih_l0
    assert isinstance(bias, nn.Parameter)
    if isinstance(core, nn.LSTM):
        bias[:hidden] = -50.0  # i of i f g o
    else:
        bias[hidden : 2 * hidden] = 50.0  # z of r z n: the old state is kept, and it is zero


def _always(value: float) -> Callable[[LearnerConfig, float], float]:
    return lambda config, progress: value


def _wrong_sign(config: LearnerConfig, progress: float) -> float:
    """The bonus is taken for a cost, at a weight that was chosen for it."""
    return -30.0 * max(entropy_coefficient(config, progress), config.entropy_coefficient)


FAULTS: Final = (
    Fault(
        name="summed-loss",
        finds="gradient-explosion",
        what="losses are summed over samples, not averaged",
        seams=in_mechanics(losses=_summed),
    ),
    Fault(
        name="shut-gates",
        finds="gradient-vanishing",
        what="the input gates of one agent's cell start shut",
        seams=lambda: Seams(learner=_shut_gates),
    ),
    Fault(
        name="high-learning-rate",
        finds="update-too-large",
        what="the learning rate is a hundred times too high",
        seams=in_mechanics(learning_rate=_always(0.2)),
    ),
    Fault(
        name="tiny-learning-rate",
        finds="update-too-small",
        what="the learning rate is in other units, a million times too low",
        seams=in_mechanics(learning_rate=_always(2e-9)),
    ),
    Fault(
        name="entropy-sign",
        finds="entropy-collapse",
        what="the entropy bonus has the wrong sign",
        seams=in_mechanics(entropy_coefficient=_wrong_sign),
    ),
    Fault(
        name="entropy-bonus",
        finds="entropy-never-falls",
        what="the entropy bonus outweighs every advantage",
        seams=in_mechanics(entropy_coefficient=_always(5.0)),
    ),
    Fault(
        name="tiny-value-clip",
        finds="value-clip",
        what="the value clip is a thousandth of the targets' spread",
        settings=("rl.value_clip=0.001",),
    ),
    Fault(
        name="huge-rewards",
        finds="value-target-scale",
        what="rewards are a hundred thousand times larger, and values are not normalised",
        settings=(
            "rl.normalise_value=false",
            "env.tp=1e6",
            "env.tn=1e5",
            "env.fp=-8e5",
            "env.fn=-1e6",
            "env.containment=-1.5e5",
            "env.reward_scale=1e4",
        ),
    ),
)
