"""The environment with somebody who writes down what happens in it, so that rules can be judged after a rollout.

What the learner steps is unchanged to the last bit; a step costs a few copies more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from custodes.bft.votes import BLOCK
from custodes.env.player import TERMINATED
from custodes.env.response.env import ResponseEnv
from custodes.interface import Observation, Step


@final
@dataclass(frozen=True, kw_only=True)
class Seen:
    """T steps of B slots."""

    place: Tensor
    """int64 [T, B]: where each slot was."""
    state: Tensor
    """int64 [T, B]: FREE, OPEN, CLEARED or HELD, before the decision."""
    votes: Tensor
    """int64 [T, B, A]: of the agents."""
    decision: Tensor
    """int64 [T, B]: of the team."""
    over: Tensor
    """bool [T, B]: the lane ended with the step."""
    verdict: Tensor
    """bool [T, B]: an analyst's verdict blocked the process after the step."""
    weight: Tensor
    """float32 [T, B]: importance of the lane."""

    @property
    def steps(self) -> int:
        """T."""
        return len(self.place)

    def first(self, count: int) -> Seen:
        """The first steps."""
        return Seen(**{name: getattr(self, name)[:count] for name in self.__dataclass_fields__})

    def after(self, count: int) -> Seen:
        """The steps after the first ones."""
        return Seen(**{name: getattr(self, name)[count:] for name in self.__dataclass_fields__})


@final
class Watch:
    """A response environment that is watched; a `custodes.env.player.Game` like it.

    Args:
        env: Stepped in place.
    """

    def __init__(self, env: ResponseEnv) -> None:
        self.env = env
        self._end = env.ends()
        self._rows: list[tuple[Tensor, ...]] = []

    @property
    def slots(self) -> int:
        """B."""
        return self.env.slots

    @property
    def lanes(self) -> int:
        """L."""
        return self.env.lanes

    @property
    def rows(self) -> Tensor:
        """int64 [B]: row of the table that each slot is at."""
        return self.env.rows

    @property
    def agents(self) -> int:
        """A."""
        return self.env.agents

    @property
    def inputs(self) -> int:
        """D."""
        return self.env.inputs

    @property
    def central_inputs(self) -> int:
        """S."""
        return self.env.central_inputs

    @property
    def actions(self) -> int:
        """4."""
        return self.env.actions

    def reset(self) -> Observation:
        """Start every slot on a lane; what was seen is forgotten."""
        self._rows = []
        return self.env.reset()

    def step(self, actions: Tensor) -> Step:
        """Play int64 [B, A] actions, and write it down."""
        place, state = self.env.standing()
        step = self.env.step(actions)
        gone = step.terminated & (step.decision != BLOCK) & (self._end.index_select(0, place) != TERMINATED)
        weight = torch.ones_like(step.team_reward) if step.weight is None else step.weight
        over = step.terminated | step.truncated
        self._rows.append((place, state, actions, step.decision, over, gone, weight))
        return step

    def state(self) -> dict[str, Tensor]:
        """That of the environment; what was seen is not part of it."""
        return self.env.state()

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`; what was seen is forgotten."""
        self._rows = []
        return self.env.load_state(state)

    def take(self) -> Seen | None:
        """What was seen since the last call; None where that is nothing."""
        if not self._rows:
            return None
        rows, self._rows = self._rows, []
        place, state, votes, decision, over, verdict, weight = (
            torch.stack(list(column)) for column in zip(*rows, strict=True)
        )
        return Seen(place=place, state=state, votes=votes, decision=decision, over=over, verdict=verdict, weight=weight)
