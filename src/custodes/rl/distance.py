"""What a warm start by worth asks of the policies, and how far they are from it.

The logits of an agent are to differ as the actions' worths do, over a temperature; only differences between allowed
actions count. rl/warmstart.py takes gradient steps on this distance, rl/lastlayer.py solves for its least.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from custodes.errors import CustodesError
from custodes.rl.config import LearnerConfig
from custodes.rl.rollout import Rollout

CERTAIN: Final = 10.0
"""Largest preference between two actions that is asked for, nats."""


def wanted_logits(rollout: Rollout, config: LearnerConfig) -> Tensor:
    """Logits that are asked for at each step, up to a constant, float [T, B, actions].

    Raises:
        CustodesError: The environment does not tell what actions are worth.
    """
    if rollout.worth is None:
        raise CustodesError(
            "the environment does not tell what each action would have been worth",
            where="rl.warm_start_by",
            fix="use labels, and rl.warm_start_solve=0",
        )
    # Beyond this a preference is certain, and one huge worth must not outweigh thousands of small ones.
    return (rollout.worth / config.warm_start_temperature).clamp(-CERTAIN, CERTAIN)


def distance(logits: Tensor, wanted: Tensor, mask: Tensor | None) -> Tensor:
    """Squared distance of each step, [n]: both less their mean over what is allowed.

    Args:
        logits: [n, actions].
        wanted: [n, actions].
        mask: Bool [n, actions], what is allowed; None for all.
    """
    allowed = torch.ones_like(logits) if mask is None else mask.to(logits.dtype)
    error = (logits - wanted) * allowed
    error = (error - error.sum(-1, keepdim=True) / allowed.sum(-1, keepdim=True)) * allowed
    return error.square().sum(-1)
