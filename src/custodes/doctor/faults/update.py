"""Faults between collection and update: shapes, recurrent states, order, noise, normalisers, units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch
from torch import Tensor

from custodes.doctor.faults.fault import Fault, Wrapped, after_collection, in_mechanics, other_losses
from custodes.interface import Observation, VectorEnv
from custodes.rl.acting import Acted, Actor, masked
from custodes.rl.losses import Losses, ppo_losses
from custodes.rl.mechanics import Mechanics
from custodes.rl.networks import Policy, PolicyState
from custodes.rl.returns import Targets, targets
from custodes.rl.rollout import Position, Rollout, collect
from custodes.rl.sequences import Sequences, cut
from custodes.team.seams import Seams


def _column(rollout: Rollout) -> Rollout:
    """Old log-probabilities as a column, (n, 1) to the new ones' (n,), as the original stored them."""
    return replace(rollout, log_probability=rollout.log_probability[:, :, None])


def _zero_starts(rollout: Rollout) -> Rollout:
    return replace(
        rollout,
        starts_actor=torch.zeros_like(rollout.starts_actor),
        starts_critic=torch.zeros_like(rollout.starts_critic),
    )


def _late_reset(rollout: Rollout) -> Rollout:
    """`done` of step t where `done` of step t - 1 belongs (JaxMARL #127)."""
    return replace(rollout, begins=rollout.done)


class _Dropping:
    """An actor whose cell outputs pass through dropout."""

    def __init__(self, policy: Policy) -> None:
        self._sound, self._policy = Actor(policy), policy
        self._generator = torch.Generator().manual_seed(0)

    def step(self, observation: Observation, state: PolicyState) -> Acted:
        """One step, as the sound actor takes it, with a fifth of the outputs dropped."""
        acted = self._sound.step(observation, state)
        keep = torch.rand(acted.state.actor[0].shape, generator=self._generator) > 0.2
        dropped = acted.state.actor[0] * keep / 0.8
        heads = [self._policy.actor(agent).policy_head for agent in range(self._policy.agents)]
        logits = torch.stack([head(y) for head, y in zip(heads, dropped, strict=True) if head is not None], dim=1)
        return acted._replace(logits=masked(logits, observation.mask))


def _interleaved_collect(*args: Any, **settings: Any) -> tuple[Rollout, Position]:
    """Keep the state before every step, and give each unit that of its own first step."""
    chunk = settings["chunk"] or settings["steps"]
    rollout, position = collect(*args, **(settings | {"chunk": 1}))
    units = -(-settings["steps"] // chunk)
    return replace(
        rollout, starts_actor=rollout.starts_actor[:units], starts_critic=rollout.starts_critic[:units]
    ), position


def _interleaved_cut(begins: Tensor, units: Tensor, chunk: int) -> Sequences:
    """Units of steps t, t + n, t + 2n, ...: reshaped (chunk, slots x n) where it is (n, chunk, slots) (Mava #938)."""
    T, B = begins.shape
    size = min(chunk or T, T)
    count = T // size
    order = (
        torch.arange(T).reshape(size, count).t().reshape(-1)
    )  # Place in time order to the step that is played there.
    wrong = cut(begins[order], units, chunk)

    def renumber(steps: Tensor) -> Tensor:
        return order[steps // B] * B + steps % B

    return replace(wrong, index=renumber(wrong.index), steps=renumber(wrong.steps))


class _RunningInputs(Wrapped):
    """Inputs in units of a running deviation that moves between collection and update."""

    def __init__(self, env: VectorEnv) -> None:
        super().__init__(env)
        self.scale = torch.ones(env.inputs)
        self._square, self._count = torch.ones(env.inputs), 1.0

    def observation(self, seen: Observation) -> Observation:
        """In today's units."""
        return replace(seen, agents=seen.agents * self.scale, central=seen.central * self.scale)

    def updated(self, rollout: Rollout) -> Rollout:
        """Take in a rollout, and give it in tomorrow's units."""
        raw = rollout.observation / self.scale
        rows = raw[0].numel() / raw.shape[-1]
        self._square = (self._count * self._square + rows * raw.square().mean((0, 1, 2))) / (self._count + rows)
        self._count += rows
        self.scale = self._square.clamp(min=1e-2).rsqrt()
        return replace(rollout, observation=raw * self.scale)


def _drift() -> Seams:
    envs: list[_RunningInputs] = []

    def wrap(env: VectorEnv) -> VectorEnv:
        envs.append(_RunningInputs(env))
        return envs[-1]

    return Seams(env=wrap, mechanics=Mechanics(collect=after_collection(lambda rollout: envs[-1].updated(rollout))))


def _normalised_values(policy: Policy, env: Any, position: Any, norm: Any, *rest: Any, **settings: Any) -> Any:
    """Values that nobody denormalised (on-policy #12)."""
    rollout, after = collect(policy, env, position, norm, *rest, **settings)
    return replace(rollout, value=norm.normalise(rollout.value), next_value=norm.normalise(rollout.next_value)), after


def _from_normalised_advantages(*args: Any, **settings: Any) -> Targets:
    right = targets(*args, **settings)
    advantages = (right.advantages - right.advantages.mean()) / (right.advantages.std() + 1e-8)
    return replace(right, advantages=advantages, returns=advantages + settings["value"])


def _frozen_critic(log_probability: Tensor, entropy: Tensor, value: Tensor, *rest: Any) -> Losses:
    return ppo_losses(log_probability, entropy, value.detach(), *rest)


_broadcast: Callable[[], Seams] = in_mechanics(
    collect=after_collection(_column), losses=other_losses(lambda x: x._replace(policy=x.policy.mean(0)))
)

FAULTS: Final = (
    Fault(
        name="ratio-broadcast",
        finds="ratio-broadcast",
        what="old log-probabilities are stored as a column, and the ratio becomes a matrix",
        seams=_broadcast,
    ),
    Fault(
        name="zero-start-state",
        finds="start-state-mismatch",
        what="the update starts every sequence from a zero state",
        seams=in_mechanics(collect=after_collection(_zero_starts)),
    ),
    Fault(
        name="late-reset",
        finds="reset-misaligned",
        what="the update resets the state one step too early, by done of the same step",
        seams=in_mechanics(collect=after_collection(_late_reset)),
    ),
    Fault(
        name="dropout",
        finds="dropout-mismatch",
        what="a fifth of the cells' outputs is dropped in collection",
        seams=in_mechanics(actor=_Dropping),
    ),
    Fault(
        name="interleaved-chunks",
        finds="sequence-order",
        what="sequences take every n-th step instead of consecutive ones",
        seams=in_mechanics(collect=_interleaved_collect, cut=_interleaved_cut),
    ),
    Fault(
        name="normaliser-drift",
        finds="normaliser-drift",
        what="inputs are in units of a running deviation that moves between collection and update",
        seams=_drift,
    ),
    Fault(
        name="normalised-values",
        finds="value-units",
        what="advantages are formed with values that were not denormalised",
        seams=in_mechanics(collect=_normalised_values),
    ),
    Fault(
        name="normalised-advantage-returns",
        finds="return-target",
        what="value targets are normalised advantages plus values",
        seams=in_mechanics(targets=_from_normalised_advantages),
    ),
    Fault(
        name="frozen-critic",
        finds="value-head-frozen",
        what="the critic's output is detached from its loss",
        seams=in_mechanics(losses=_frozen_critic),
    ),
)
