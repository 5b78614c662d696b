"""The learner as one value: all that the next iteration depends on, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from custodes.errors import CustodesError
from custodes.interface import VectorEnv
from custodes.rl.config import LearnerConfig
from custodes.rl.networks import Policy, PolicyState
from custodes.rl.normalise import ValueNorm
from custodes.rl.rollout import Position, begin


@dataclass(kw_only=True)
class LearnerState:
    """Parameters, optimiser, normaliser, generators, place in the environment and recurrent state."""

    policy: Policy
    """The networks; the update changes their parameters in place."""
    optimiser: torch.optim.Adam
    """Over every parameter of the policy."""
    norm: ValueNorm
    """Statistics of the value targets."""
    acting: torch.Generator
    """Draws the actions."""
    batching: torch.Generator
    """Shuffles the minibatches."""
    position: Position
    """Observation, recurrent state and lane starts between two rollouts."""
    iteration: int = 0
    """Iterations done."""
    decisions: int = 0
    """Decisions taken: one per event and team, not per agent."""


def create(config: LearnerConfig, env: VectorEnv, seed: int, device: torch.device | str = "cpu") -> LearnerState:
    """A fresh learner at the start of every slot's first lane; the same seed gives the same bits."""
    # Streams of their own for parameters, actions and minibatches: seed and seed + 1 share nothing.
    parameters, actions, batches = (int(s) >> 1 for s in np.random.SeedSequence(seed).generate_state(3, np.uint64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(parameters)
        policy = Policy(
            config,
            agents=env.agents,
            inputs=env.inputs,
            central_inputs=env.central_inputs,
            actions=env.actions,
        ).to(device)
    optimiser = torch.optim.Adam(policy.parameters(), lr=config.learning_rate, eps=config.adam_epsilon, fused=True)
    return LearnerState(
        policy=policy,
        optimiser=optimiser,
        norm=ValueNorm.start(policy.value_groups, torch.device(device)),
        acting=torch.Generator(device).manual_seed(actions),
        batching=torch.Generator().manual_seed(batches),
        position=begin(policy, env),
    )


def pack(state: LearnerState, env: VectorEnv) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Everything, environment included, as named tensors and plain numbers for a checkpoint."""
    tensors = {f"policy.{k}": v for k, v in state.policy.state_dict().items()}
    names = [name for name, _ in state.policy.named_parameters()]
    slots = state.optimiser.state_dict()["state"]
    for i, values in slots.items():
        tensors |= {f"optimiser.{names[i]}.{key}": value for key, value in values.items()}
    tensors |= {"norm.mean": state.norm.mean, "norm.square": state.norm.square, "norm.weight": state.norm.weight}
    tensors |= {"generator.acting": state.acting.get_state(), "generator.batching": state.batching.get_state()}
    position = state.position
    tensors |= {
        "position.actor": position.state.actor,
        "position.critic": position.state.critic,
        "position.begins": position.begins,
    }
    tensors |= {f"env.{k}": v for k, v in env.state().items()}
    scalars = {
        "iteration": state.iteration,
        "decisions": state.decisions,
        "device": state.acting.device.type,
    }
    return {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, scalars


def unpack(state: LearnerState, env: VectorEnv, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> LearnerState:
    """Continue exactly from `pack`: `state` is a fresh learner of the same settings, and is changed in place.

    Raises:
        CustodesError: The checkpoint is of a learner of another shape.
    """
    device = next(state.policy.parameters()).device
    if scalars["device"] != device.type:
        raise CustodesError(
            f"the run was trained on {scalars['device']}, and generators of {device.type} cannot continue it exactly",
            where="train.device",
            fix=f"resume with train.device={scalars['device']}, or train a new run",
        )
    load_policy(state.policy, tensors)
    names = [name for name, _ in state.policy.named_parameters()]
    slots: dict[int, dict[str, Tensor]] = {}
    for i, name in enumerate(names):
        prefix = f"optimiser.{name}."
        values = {k.removeprefix(prefix): v.clone() for k, v in tensors.items() if k.startswith(prefix)}
        if values:
            slots[i] = values
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": slots, "param_groups": groups})
    state.norm = ValueNorm(**{k: tensors[f"norm.{k}"].to(device) for k in ("mean", "square", "weight")})
    state.acting.set_state(tensors["generator.acting"])
    state.batching.set_state(tensors["generator.batching"])
    observation = env.load_state({k.removeprefix("env."): v for k, v in tensors.items() if k.startswith("env.")})
    recurrent = PolicyState(actor=tensors["position.actor"].to(device), critic=tensors["position.critic"].to(device))
    begins = tensors["position.begins"].to(device)
    state.position = Position(observation=observation, state=recurrent, begins=begins)
    state.iteration, state.decisions = int(scalars["iteration"]), int(scalars["decisions"])
    return state


def load_policy(policy: Policy, tensors: dict[str, Tensor]) -> None:
    """Put the parameters of a checkpoint into `policy`.

    Raises:
        CustodesError: A parameter is missing or of another shape.
    """
    wanted = policy.state_dict()
    found = {k.removeprefix("policy."): v for k, v in tensors.items() if k.startswith("policy.")}
    for name, value in wanted.items():
        if name not in found or found[name].shape != value.shape:
            got = "missing" if name not in found else f"of shape {list(found[name].shape)}"
            raise CustodesError(
                f"parameter {name} is {got}, not of shape {list(value.shape)}",
                where="checkpoint",
                fix="it belongs to a run of other settings or other data; use the run's own config.toml and data",
            )
    policy.load_state_dict(found)
