"""Supervised warm start: before PPO, fit the policies to the training labels (optional, and named in the run's
settings).

Malicious events are answered with containment, benign ones with Allow; others are left out. Collection, sequences and
states are those of PPO, so the recurrent core is trained as it will be used.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from custodes.bft.votes import ALLOW, QUARANTINE
from custodes.interface import VectorEnv
from custodes.rl.acting import masked
from custodes.rl.config import LearnerConfig
from custodes.rl.ppo import clip_gradient, run_network
from custodes.rl.rollout import Rollout, collect
from custodes.rl.sequences import Sequences, chunk_starts, cut, start_states
from custodes.rl.state import LearnerState


def warm_start(
    state: LearnerState,
    env: VectorEnv,
    config: LearnerConfig,
    stop: Callable[[], bool] = lambda: False,
    *,
    answer: int = QUARANTINE,
) -> bool:
    """Take `config.warm_start_iterations` supervised rollouts; their decisions count. `state` changes in place.

    Args:
        state: The learner, before its first iteration.
        env: Stepped in place.
        config: Settings.
        stop: Asked before each rollout; True gives up, and `state` is then of no use.
        answer: The action that malicious events are answered with.

    Returns:
        Whether it was finished.
    """
    for _ in range(config.warm_start_iterations):
        if stop():
            return False
        rollout, state.position = collect(
            state.policy,
            env,
            state.position,
            state.norm,
            state.acting,
            steps=config.rollout,
            chunk=config.chunk,
            bootstrap=False,
        )
        state.decisions += rollout.decision.numel()
        T, B = rollout.begins.shape
        units = len(chunk_starts(T, config.chunk)) * B
        for _ in range(config.epochs):
            order = torch.randperm(units, generator=state.batching).to(rollout.begins.device)
            for part in order.tensor_split(min(config.minibatches, units)):
                _step(state, rollout, cut(rollout.begins, part, config.chunk), config, answer)
    # PPO starts with an optimiser of its own: moments of another loss would misjudge its first steps.
    state.optimiser.state.clear()
    return True


def _step(state: LearnerState, rollout: Rollout, sequences: Sequences, config: LearnerConfig, answer: int) -> None:
    label = rollout.label.flatten()[sequences.steps]
    known = (label == 0) | (label == 1)
    wanted = torch.where(label == 1, answer, ALLOW)[known]
    if not len(wanted):
        return
    losses: list[Tensor] = []
    for agent in range(state.policy.agents):
        network = state.policy.actor(agent)
        start = start_states(rollout.starts_actor, sequences, agent)
        x = state.policy.identify(rollout.observation[agent].flatten(0, 1)[sequences.index], agent)
        y = run_network(network, x, start, sequences)
        assert network.policy_head is not None
        mask = None if rollout.mask is None else rollout.mask.flatten(0, 1)[sequences.steps, agent]
        logits = masked(network.policy_head(y), mask)
        losses.append(torch.nn.functional.cross_entropy(logits[known], wanted))
    state.optimiser.zero_grad(set_to_none=True)
    torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
    for network in state.policy.networks():
        clip_gradient(network, config.max_grad_norm)
    state.optimiser.step()
