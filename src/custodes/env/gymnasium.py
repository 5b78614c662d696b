"""One slot as a single-agent Gymnasium `Env`: one decider stands for the whole team.

Source: Towers et al. 2024, "Gymnasium: A Standard Interface for Reinforcement Learning Environments".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from custodes.env.slot import Slot, action_masks, finite_box
from custodes.interface import Observation, VectorEnv


class SingleView(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Gymnasium view of an environment with one slot.

    The observation is the central view (all that any agent sees), the action is cast as every agent's vote, so that it
    is the decision under any vote rule that honours unanimity, and the reward is the team's.

    Args:
        make: Builds an environment with one slot from a seed.
        render_mode: None; there is nothing to draw.

    Raises:
        CustodesError: What `make` builds has more than one slot.
    """

    def __init__(self, make: Callable[[int], VectorEnv], render_mode: None = None) -> None:
        self._slot = Slot(make)
        self.metadata = {"render_modes": []}
        self.render_mode = render_mode
        self.observation_space = finite_box(self._slot.env.central_inputs)
        self.action_space = gymnasium.spaces.Discrete(self._slot.env.actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start a lane.

        Args:
            seed: Starts over as seeded; None goes on with the next lane.
            options: Ignored; there are none.

        Returns:
            Observation float32 [S] and info; `action_mask` (int8 [actions]) is in it where the environment masks.
        """
        super().reset(seed=seed)
        observation = self._slot.reset(seed)
        return _central(observation), _info(observation)

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Decide.

        Args:
            action: The decision, 0 to actions - 1.

        Returns:
            The lane's true next observation, the team's reward, terminated, truncated, and info with `decision` and
            `label` (the truth, for scores only; never part of an observation).
        """
        ballot = torch.full((1, self._slot.env.agents), int(action), dtype=torch.int64)
        step = self._slot.step(ballot)
        info = _info(step.successor) | {"decision": int(step.decision), "label": int(step.label)}
        return _central(step.successor), float(step.team_reward), bool(step.terminated), bool(step.truncated), info


def _central(observation: Observation) -> NDArray[np.float32]:
    """A copy of what all agents together see, float32 [S]."""
    central: NDArray[np.float32] = observation.central[0].cpu().numpy().copy()
    return central


def _info(observation: Observation) -> dict[str, Any]:
    """Actions that every agent may take, where the environment masks."""
    masks = action_masks(observation)
    return {} if masks is None else {"action_mask": masks.min(0)}
