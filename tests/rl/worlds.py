"""A small environment for the learner's tests: exact, seeded, with staggered ends of both kinds."""

from __future__ import annotations

import torch
from torch import Tensor

from custodes.bft.votes import severity_decision, tolerated
from custodes.interface import Observation, Step


class Staggered:
    """Random inputs; lanes end at random, in both ways; the reward is for saying whether input 0 > 0."""

    def __init__(self, *, slots: int = 6, agents: int = 2, inputs: int = 3, end: float = 0.15, seed: int = 0) -> None:
        self.slots, self.agents, self.inputs, self.central_inputs, self.actions = slots, agents, inputs, inputs, 4
        self.end, self.seed = end, seed
        self.generator = torch.Generator()

    def _draw(self) -> Observation:
        x = torch.randn(self.slots, self.inputs, generator=self.generator)
        return Observation(agents=x[:, None].expand(-1, self.agents, -1).clone(), central=x)

    def reset(self) -> Observation:
        self.generator.manual_seed(self.seed)
        self.now = self._draw()
        return self.now

    def step(self, actions: Tensor) -> Step:
        bad = self.now.central[:, 0] > 0
        reward = torch.where((actions >= 2) == bad[:, None], 1.0, -1.0)
        chance = torch.rand(self.slots, generator=self.generator)
        terminated, truncated = chance < self.end / 2, (chance >= self.end / 2) & (chance < self.end)
        successor = self._draw()
        ended = (terminated | truncated)[:, None]
        fresh = self._draw()
        self.now = Observation(
            agents=torch.where(ended[..., None], fresh.agents, successor.agents),
            central=torch.where(ended, fresh.central, successor.central),
        )
        decision = severity_decision(actions, tolerated(self.agents))
        return Step(
            observation=self.now,
            successor=successor,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            decision=decision,
            label=bad.long(),
            team_reward=torch.where((decision >= 2) == bad, 1.0, -1.0),
        )

    def state(self) -> dict[str, Tensor]:
        return {
            "generator": self.generator.get_state(),
            "agents": self.now.agents.clone(),
            "central": self.now.central.clone(),
        }

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        self.generator.set_state(state["generator"])
        self.now = Observation(agents=state["agents"].clone(), central=state["central"].clone())
        return self.now
