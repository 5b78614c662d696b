"""A sound little environment with action masks, to be broken one promise at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from custodes.interface import Observation, Step


class Counter:
    """Counts to 5 and ends, or to 3 and is cut in odd slots; pays random rewards. Implements VectorEnv."""

    actions = 3
    agents = 2
    inputs = 2
    central_inputs = 1

    def __init__(self, slots: int = 4) -> None:
        self.slots = slots
        self.generator = torch.Generator()
        self.count = torch.zeros(slots, dtype=torch.int64)

    def look(self, count: Tensor) -> Observation:
        central = count.to(torch.float32).unsqueeze(1)
        mask = torch.ones((self.slots, 2, 3), dtype=torch.bool)
        mask[:, :, 2] = (count % 2 == 1).unsqueeze(1)
        mask[:, :, 1] = (count % 2 == 0).unsqueeze(1)
        return Observation(agents=central.unsqueeze(1).repeat(1, 2, 2), central=central, mask=mask)

    def reset(self) -> Observation:
        self.generator.manual_seed(0)
        self.count = torch.zeros(self.slots, dtype=torch.int64)
        return self.look(self.count)

    def step(self, actions: Tensor) -> Step:
        following = self.count + 1
        odd = torch.arange(self.slots) % 2 == 1
        terminated, truncated = (following == 5) & ~odd, (following == 3) & odd
        successor = self.look(following)
        self.count = torch.where(terminated | truncated, 0, following)
        reward = torch.rand((self.slots, 2), generator=self.generator)
        return Step(
            observation=self.look(self.count),
            successor=successor,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            decision=actions.max(1).values,
            label=torch.full((self.slots,), -1),
            team_reward=reward.mean(1),
        )

    def state(self) -> dict[str, Tensor]:
        return {"count": self.count.clone(), "generator": self.generator.get_state()}

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        self.count = state["count"].clone()
        self.generator.set_state(state["generator"])
        return self.look(self.count)
