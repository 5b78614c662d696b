"""One slot as a PettingZoo `ParallelEnv`: every agent votes, every agent is told its own reward.

Source: Terry et al. 2021, "PettingZoo: Gym for Multi-Agent Reinforcement Learning" (the parallel API).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from custodes.env.slot import Slot, action_masks, finite_box
from custodes.interface import Observation, VectorEnv

Views = dict[str, NDArray[np.float32]]
"""Agent name to its observation, float32 [D]."""


class ParallelView(ParallelEnv):  # type: ignore[misc]  # pettingzoo is skipped by the type checker, so its base is Any
    """PettingZoo view of an environment with one slot.

    Agents are called `agent_0` and so on; all of them live as long as the lane. `terminated` and `truncated` are told
    apart; the observations that come with them are the lane's true next ones, as PettingZoo expects.

    Args:
        make: Builds an environment with one slot from a seed.

    Raises:
        CustodesError: What `make` builds has more than one slot.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "custodes_v0", "render_modes": [], "is_parallelizable": True}

    def __init__(self, make: Callable[[int], VectorEnv]) -> None:
        self._slot = Slot(make)
        env = self._slot.env
        self.render_mode = None
        self.possible_agents = [f"agent_{index}" for index in range(env.agents)]
        self.agents: list[str] = []
        self.observation_spaces = {agent: finite_box(env.inputs) for agent in self.possible_agents}
        self.action_spaces = {agent: gymnasium.spaces.Discrete(env.actions) for agent in self.possible_agents}
        self.state_space = finite_box(env.central_inputs)

    def observation_space(self, agent: str) -> gymnasium.spaces.Box:
        """Box [D] of finite float32."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Discrete:
        """Discrete: 0 Allow, 1 Alert, 2 Quarantine, 3 Block where the environment is a recording."""
        return self.action_spaces[agent]

    def state(self) -> NDArray[np.float32]:
        """What all agents together see, float32 [S], for a central critic."""
        central: NDArray[np.float32] = self._slot.observation.central[0].cpu().numpy().copy()
        return central

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Views, dict[str, dict[str, Any]]]:
        """Start a lane.

        Args:
            seed: Starts over as seeded; None goes on with the next lane.
            options: Ignored; there are none.

        Returns:
            Observations and infos by agent; an info holds `action_mask` (int8 [actions]) where the environment masks.
        """
        observation = self._slot.reset(seed)
        self.agents = list(self.possible_agents)
        return self._views(observation), self._infos(observation)

    def step(
        self, actions: dict[str, int]
    ) -> tuple[Views, dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Play one vote per living agent.

        Args:
            actions: Agent name to action.

        Returns:
            Observations, rewards, terminated, truncated and infos by agent. Infos hold `decision`, `label`
            (the truth, for scores only; never part of an observation) and `team_reward`.
        """
        if not self.agents:
            return {}, {}, {}, {}, {}
        ballot = torch.tensor([[int(actions[agent]) for agent in self.agents]], dtype=torch.int64)
        step = self._slot.step(ballot)
        living = self.agents
        terminated, truncated = bool(step.terminated), bool(step.truncated)
        rewards = {agent: float(reward) for agent, reward in zip(living, step.reward[0], strict=True)}
        views, infos = self._views(step.successor), self._infos(step.successor)
        for info in infos.values():
            info.update(decision=int(step.decision), label=int(step.label), team_reward=float(step.team_reward))
        if terminated or truncated:
            self.agents = []
        return views, rewards, dict.fromkeys(living, terminated), dict.fromkeys(living, truncated), infos

    def render(self) -> None:
        """Nothing to draw."""

    def close(self) -> None:
        """Nothing to release."""

    def _views(self, observation: Observation) -> Views:
        """Each living agent's own copy of its view."""
        views = observation.agents[0].cpu().numpy()
        return {agent: views[index].copy() for index, agent in enumerate(self.agents)}

    def _infos(self, observation: Observation) -> dict[str, dict[str, Any]]:
        """Each living agent's action mask, if there is one."""
        masks = action_masks(observation)
        return {agent: {} if masks is None else {"action_mask": masks[i]} for i, agent in enumerate(self.agents)}
