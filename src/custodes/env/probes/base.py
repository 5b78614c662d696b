"""What all probes share: slots over one small integer state, automatic restarts, exact save and load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from custodes.errors import CustodesError
from custodes.interface import Observation, Step


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one step of a probe does, before ended slots start anew."""

    reward: Tensor
    """float32 [B, A]."""
    state: Tensor
    """int64 [B, W]: the state that follows, also where the episode ended."""
    terminated: Tensor
    """bool [B]."""
    truncated: Tensor
    """bool [B]."""


class Probe(ABC):
    """A task small enough that the best return is known, to tell whether a learner learns what it should.

    Implements `custodes.interface.VectorEnv`. All agents see the same observation, and the central view is that
    observation; where the agents must agree on something, the most common action counts (the lowest of equals).

    Args:
        slots: B, at least 1.
        agents: A, at least 1.
        seed: Seeds every draw.
        inputs: D.
        actions: Number of actions.
        width: W, integers of state per slot.
    """

    discount: float
    """gamma that `optimum` and `uniform` are stated for, 0 to 1."""
    optimum: float
    """Best expected discounted return of an episode from its start; counts what would follow a truncation."""
    uniform: float
    """Expected discounted return of actions drawn uniformly."""
    tail: float = 0.0
    """True discounted value of what follows a truncation."""

    def __init__(self, slots: int, agents: int, seed: int, *, inputs: int, actions: int, width: int) -> None:
        if slots < 1 or agents < 1:
            raise CustodesError(f"{slots} slots and {agents} agents", where="probe", fix="use at least 1 of each")
        self._slots, self._agents, self._seed = slots, agents, seed
        self._inputs, self._actions, self._width = inputs, actions, width
        self._generator = torch.Generator()
        self._state = torch.zeros((slots, width), dtype=torch.int64)
        self._begun = False

    @property
    def slots(self) -> int:
        """B."""
        return self._slots

    @property
    def agents(self) -> int:
        """A."""
        return self._agents

    @property
    def inputs(self) -> int:
        """D."""
        return self._inputs

    @property
    def central_inputs(self) -> int:
        """S = D."""
        return self._inputs

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return self._actions

    @abstractmethod
    def _start(self, count: int) -> Tensor:
        """States of `count` new episodes, int64 [count, W]; may draw from the generator."""

    @abstractmethod
    def _look(self, state: Tensor) -> Tensor:
        """What is seen in each state, float32 [B, D]."""

    @abstractmethod
    def _play(self, state: Tensor, actions: Tensor, choice: Tensor) -> Outcome:
        """Play int64 [B, A] actions, whose most common one is `choice` int64 [B]; may draw from the generator."""

    @abstractmethod
    def _value(self, state: Tensor) -> Tensor:
        """True value of each state under the best policy, float32 [B]."""

    def values(self) -> Tensor:
        """True value of every slot's current state under the best policy from here on, float32 [B].

        Where the observation hides part of the state, a critic can only know its average over what it cannot see.
        """
        return self._value(self._state)

    def solved(self, mean_return: float) -> bool:
        """Whether a mean return (of `mean_return` in score.py) closes 95 % of the gap from uniform play to the optimum.

        Always true where no action is better than another: there, compare the critic with `values`.
        """
        if self.optimum == self.uniform:
            return True
        return mean_return >= self.optimum - 0.05 * (self.optimum - self.uniform) - 1e-6

    def reset(self) -> Observation:
        """Start every slot, as seeded at construction."""
        self._generator.manual_seed(self._seed)
        self._state = self._start(self._slots)
        self._begun = True
        return self._observe(self._state)

    def step(self, actions: Tensor) -> Step:
        """Play int64 [B, A] actions.

        Raises:
            CustodesError: Wrong shape or type, an unknown action, or no reset before.
        """
        self._check_actions(actions)
        choice = torch.nn.functional.one_hot(actions, self._actions).sum(1).argmax(1)
        outcome = self._play(self._state, actions, choice)
        which = (outcome.terminated | outcome.truncated).nonzero().squeeze(1)
        self._state = outcome.state.index_copy(0, which, self._start(len(which))) if len(which) else outcome.state
        observation = self._observe(self._state)
        return Step(
            observation=observation,
            successor=self._observe(outcome.state) if len(which) else observation,
            reward=outcome.reward,
            terminated=outcome.terminated,
            truncated=outcome.truncated,
            decision=choice,
            label=torch.full((self._slots,), -1),
            team_reward=outcome.reward.mean(1),
        )

    def state(self) -> dict[str, Tensor]:
        """State of the slots and of the generator, as fresh copies."""
        return {"slots": self._state.clone(), "generator": self._generator.get_state()}

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`; returns the observation that was current then.

        Raises:
            CustodesError: The state belongs to another probe or number of slots.
        """
        saved, generator = state.get("slots"), state.get("generator")
        if saved is None or generator is None or saved.shape != self._state.shape or saved.dtype != torch.int64:
            raise CustodesError("it belongs to another probe", where="environment state", fix="make the same probe")
        self._generator.set_state(generator.clone())
        self._state, self._begun = saved.clone(), True
        return self._observe(self._state)

    def _observe(self, state: Tensor) -> Observation:
        """The same view for every agent and for the central critic."""
        seen = self._look(state)
        return Observation(agents=seen.unsqueeze(1).expand(-1, self._agents, -1), central=seen)

    def _check_actions(self, actions: Tensor) -> None:
        """Refuse what cannot be played."""
        if not self._begun:
            raise CustodesError("nothing was started", where="probe.step", fix="call reset() first")
        if actions.shape != (self._slots, self._agents) or actions.dtype != torch.int64:
            raise CustodesError(f"actions are {actions.dtype} {list(actions.shape)}", where="probe.step")
        if int(actions.min()) < 0 or int(actions.max()) >= self._actions:
            raise CustodesError(f"an action is not within 0 to {self._actions - 1}", where="probe.step")


def series(discount: float, steps: int) -> float:
    """Sum of discount ** t for t = 0 to steps - 1."""
    return float(sum(discount**t for t in range(steps)))


def never(slots: int) -> Tensor:
    """False for every slot, bool [B]."""
    return torch.zeros(slots, dtype=torch.bool)
