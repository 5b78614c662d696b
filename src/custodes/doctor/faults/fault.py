"""What a fault is: a defect that can be put into a training, by the mechanism that makes it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from custodes.interface import Observation, Step, VectorEnv
from custodes.rl.losses import Losses, ppo_losses
from custodes.rl.mechanics import Mechanics
from custodes.rl.rollout import Position, Rollout, collect
from custodes.team.seams import Seams

Change = Callable[[Rollout], Rollout]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One defect."""

    name: str
    """For `custodes train --inject`."""
    finds: str
    """The finding that names its cause."""
    what: str
    """What it does, a line."""
    settings: tuple[str, ...] = ()
    """Settings that it changes, as for `--set`."""
    seams: Callable[[], Seams] = Seams
    """What it puts in; made anew for each run, since it may hold state."""


class Wrapped:
    """An environment that passes everything on; faults change what they are about.

    Args:
        env: The sound one.
    """

    def __init__(self, env: VectorEnv) -> None:
        self.env = env
        self.slots, self.agents, self.inputs = env.slots, env.agents, env.inputs
        self.central_inputs, self.actions = env.central_inputs, env.actions

    def reset(self) -> Observation:
        """Pass on."""
        return self.observation(self.env.reset())

    def step(self, actions: Tensor) -> Step:
        """Pass on."""
        step = self.env.step(self.votes(actions))
        changed = self.after(step)
        same = step.successor is step.observation
        observation = self.observation(changed.observation)
        successor = observation if same else self.observation(changed.successor)
        return replace(changed, observation=observation, successor=successor)

    def state(self) -> dict[str, Tensor]:
        """Pass on."""
        return self.env.state()

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Pass on."""
        return self.observation(self.env.load_state(state))

    def votes(self, actions: Tensor) -> Tensor:
        """What the environment gets of the votes [B, A]."""
        return actions

    def after(self, step: Step) -> Step:
        """What the learner gets of a step, but for what it sees."""
        return step

    def observation(self, seen: Observation) -> Observation:
        """What the learner sees."""
        return seen


def in_env(wrapper: Callable[[VectorEnv], VectorEnv]) -> Callable[[], Seams]:
    """Seams with another environment."""
    return lambda: Seams(env=wrapper)


def in_mechanics(**parts: Any) -> Callable[[], Seams]:
    """Seams with other parts of an iteration."""
    return lambda: Seams(mechanics=Mechanics(**parts))


def after_collection(change: Change) -> Callable[..., tuple[Rollout, Position]]:
    """`collect` whose rollout is changed before anything is learned from it."""

    def collecting(*args: Any, **settings: Any) -> tuple[Rollout, Position]:
        rollout, position = collect(*args, **settings)
        return change(rollout), position

    return collecting


def other_losses(change: Callable[[Losses], Losses]) -> Callable[..., Losses]:
    """`ppo_losses` whose result is changed."""

    def forming(*args: Any) -> Losses:
        return change(ppo_losses(*args))

    return forming
