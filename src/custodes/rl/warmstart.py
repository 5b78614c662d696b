"""Supervised warm start: before PPO, fit the policies to what training knows (optional, named in the run's settings).

By `labels`: malicious events are answered with containment, benign ones with Allow; others are left out.

By `worth`, where the environment tells what each action would have been worth (`Step.worth`): the differences between
an agent's logits are fitted to the differences between the actions' worths over a temperature, by least squares. What
fits best is softmax(E[worth | what the agent has seen] / temperature), the policy that maximises reward plus
temperature times entropy (Haarnoja et al. 2017, eq. 2, at discount 0); its most probable action is the one with the
best expected worth, whatever errors cost. The policy gradient would get there too, but for rare events only in
theory: it weighs an action by its probability, and where acting is wrong nearly everywhere that is gone before the
inputs that tell are found (docs/experiments.md).

Collection, sequences and states are those of PPO, so the recurrent core is trained as it will be used. Last, the
policies' last layers may be solved for (rl/lastlayer.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from custodes.bft.votes import ALLOW, QUARANTINE
from custodes.interface import VectorEnv
from custodes.rl.acting import masked
from custodes.rl.config import LearnerConfig
from custodes.rl.distance import distance, wanted_logits
from custodes.rl.lastlayer import LastLayer
from custodes.rl.networks import Network
from custodes.rl.ppo import clip_gradient, run_network
from custodes.rl.rollout import Rollout, collect
from custodes.rl.sequences import Sequences, chunk_starts, cut, start_states
from custodes.rl.state import LearnerState

DECAY: Final = 0.9
"""Share of the step size that is gone by the end of the warm start; linear."""


def warm_start(
    state: LearnerState,
    env: VectorEnv,
    config: LearnerConfig,
    stop: Callable[[], bool] = lambda: False,
    *,
    answer: int = QUARANTINE,
) -> bool:
    """Take `config.warm_start_iterations` supervised rollouts, then solve for the last layers if asked to.

    All their decisions count. `state` changes in place.

    Args:
        state: The learner, before its first iteration.
        env: Stepped in place.
        config: Settings.
        stop: Asked before each rollout; True gives up, and `state` is then of no use.
        answer: The action that malicious events are answered with.

    Returns:
        Whether it was finished.
    """
    first = config.warm_start_learning_rate or config.learning_rate
    for iteration in range(config.warm_start_iterations):
        if stop():
            return False
        for group in state.optimiser.param_groups:
            group["lr"] = first * (1.0 - DECAY * iteration / config.warm_start_iterations)
        rollout = _play(state, env, config)
        T, B = rollout.begins.shape
        units = len(chunk_starts(T, config.chunk)) * B
        for _ in range(config.epochs):
            order = torch.randperm(units, generator=state.batching).to(rollout.begins.device)
            for part in order.tensor_split(min(config.minibatches, units)):
                _step(state, rollout, cut(rollout.begins, part, config.chunk), config, answer)
    if config.warm_start_solve and not _solve(state, env, config, stop):
        return False
    # PPO starts with an optimiser of its own: moments of another loss would misjudge its first steps.
    state.optimiser.state.clear()
    return True


def _step(state: LearnerState, rollout: Rollout, sequences: Sequences, config: LearnerConfig, answer: int) -> None:
    """One gradient step of every agent."""
    known = _known(rollout, sequences)
    if not bool(known.any()):
        return
    weight = _weights(rollout, sequences, config)
    if rollout.weight is not None and config.weigh_lanes:
        weight = weight / rollout.weight.mean()
    by_worth = config.warm_start_by == "worth"
    fit = _by_worth(rollout, sequences, config) if by_worth else _by_label(rollout, sequences, answer)
    losses: list[Tensor] = []
    for agent in range(state.policy.agents):
        y, mask = _features(state, rollout, sequences, agent)
        losses.append((weight * fit(_head(state.policy.actor(agent))(y), mask))[known].mean())
    state.optimiser.zero_grad(set_to_none=True)
    torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
    for network in state.policy.networks():
        clip_gradient(network, config.max_grad_norm)
    state.optimiser.step()


_Fit = Callable[[Tensor, Tensor | None], Tensor]
"""From logits [n, actions] and what is allowed, bool of the same shape or None for all, to a loss for each step [n]."""


def _by_label(rollout: Rollout, sequences: Sequences, answer: int) -> _Fit:
    """Cross-entropy of the answer to each label [n]."""
    wanted = torch.where(rollout.label.flatten()[sequences.steps] == 1, answer, ALLOW)
    return lambda logits, mask: torch.nn.functional.cross_entropy(masked(logits, mask), wanted, reduction="none")


def _by_worth(rollout: Rollout, sequences: Sequences, config: LearnerConfig) -> _Fit:
    """Distance from the logits that the actions' worths ask for."""
    wanted = wanted_logits(rollout, config).flatten(0, 1)[sequences.steps]
    return lambda logits, mask: distance(logits, wanted, mask)


def _solve(state: LearnerState, env: VectorEnv, config: LearnerConfig, stop: Callable[[], bool]) -> bool:
    """Play `config.warm_start_solve` rollouts and solve for the last layers on all of them; whether it was finished."""
    policy = state.policy
    layers = [LastLayer(_head(policy.actor(index))) for index in range(len(policy.actors))]
    for _ in range(config.warm_start_solve):
        if stop():
            return False
        rollout = _play(state, env, config)
        T, B = rollout.begins.shape
        units = torch.arange(len(chunk_starts(T, config.chunk)) * B, device=rollout.begins.device)
        sequences = cut(rollout.begins, units, config.chunk)
        # Weights as they are, so that all rollouts count alike; a gradient step knows its own rollout only.
        known, weight = _known(rollout, sequences), _weights(rollout, sequences, config)
        wanted = wanted_logits(rollout, config).flatten(0, 1)[sequences.steps]
        for agent in range(policy.agents):
            with torch.no_grad():
                y, mask = _features(state, rollout, sequences, agent)
            layers[0 if policy.shared else agent].add(y, wanted, mask, weight * known)
    for layer in layers:
        layer.solve()
    return True


def _play(state: LearnerState, env: VectorEnv, config: LearnerConfig) -> Rollout:
    """One rollout of the policies as they are; its decisions count."""
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
    return rollout


def _known(rollout: Rollout, sequences: Sequences) -> Tensor:
    """Whose label is known, bool [n]."""
    label = rollout.label.flatten()[sequences.steps]
    return (label == 0) | (label == 1)


def _weights(rollout: Rollout, sequences: Sequences, config: LearnerConfig) -> Tensor:
    """How much each step counts, float [n]."""
    if rollout.weight is None or not config.weigh_lanes:
        return torch.ones(len(sequences.steps), device=rollout.begins.device)
    return rollout.weight.flatten()[sequences.steps]


def _features(state: LearnerState, rollout: Rollout, sequences: Sequences, agent: int) -> tuple[Tensor, Tensor | None]:
    """What an agent's network makes of what it saw, float [n, H], and which actions it was allowed."""
    network = state.policy.actor(agent)
    start = start_states(rollout.starts_actor, sequences, agent)
    x = state.policy.identify(rollout.observation[agent].flatten(0, 1)[sequences.index], agent)
    mask = None if rollout.mask is None else rollout.mask.flatten(0, 1)[sequences.steps, agent]
    return run_network(network, x, start, sequences), mask


def _head(network: Network) -> nn.Linear:
    """The layer that makes logits of features."""
    assert network.policy_head is not None
    return network.policy_head
