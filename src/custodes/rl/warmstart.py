"""Supervised warm start: before PPO, fit the policies to what training knows (optional, named in the run's settings).

By `labels`: malicious events are answered with containment, benign ones with Allow; others are left out.

By `worth`, where the environment tells what each action would have been worth (`Step.worth`): the differences between
an agent's logits are fitted to the differences between the actions' worths over a temperature, by least squares. What
fits best is softmax(E[worth | what the agent has seen] / temperature), the policy that maximises reward plus
temperature times entropy (Haarnoja et al. 2017, eq. 2, at discount 0); its most probable action is the one with the
best expected worth, whatever errors cost. The policy gradient would get there too, but for rare events only in
theory: it weighs an action by its probability, and where acting is wrong nearly everywhere that is gone before the
inputs that tell are found (docs/experiments.md).

Collection, sequences and states are those of PPO, so the recurrent core is trained as it will be used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from custodes.bft.votes import ALLOW, QUARANTINE
from custodes.errors import CustodesError
from custodes.interface import VectorEnv
from custodes.rl.acting import masked
from custodes.rl.config import LearnerConfig
from custodes.rl.ppo import clip_gradient, run_network
from custodes.rl.rollout import Rollout, collect
from custodes.rl.sequences import Sequences, chunk_starts, cut, start_states
from custodes.rl.state import LearnerState

DECAY: Final = 0.9
"""Share of the step size that is gone by the end of the warm start; linear."""
CERTAIN: Final = 10.0
"""Largest preference between two actions that a warm start by worth asks for, nats."""


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
    first = config.warm_start_learning_rate or config.learning_rate
    for iteration in range(config.warm_start_iterations):
        if stop():
            return False
        for group in state.optimiser.param_groups:
            group["lr"] = first * (1.0 - DECAY * iteration / config.warm_start_iterations)
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
    if not bool(known.any()):
        return
    weight = torch.ones_like(label, dtype=torch.float32)
    if rollout.weight is not None and config.weigh_lanes:
        weight = rollout.weight.flatten()[sequences.steps] / rollout.weight.mean()
    fit = _by_worth(rollout, sequences, config) if config.warm_start_by == "worth" else _by_label(label, answer)
    losses: list[Tensor] = []
    for agent in range(state.policy.agents):
        network = state.policy.actor(agent)
        start = start_states(rollout.starts_actor, sequences, agent)
        x = state.policy.identify(rollout.observation[agent].flatten(0, 1)[sequences.index], agent)
        y = run_network(network, x, start, sequences)
        assert network.policy_head is not None
        mask = None if rollout.mask is None else rollout.mask.flatten(0, 1)[sequences.steps, agent]
        losses.append((weight * fit(network.policy_head(y), mask))[known].mean())
    state.optimiser.zero_grad(set_to_none=True)
    torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
    for network in state.policy.networks():
        clip_gradient(network, config.max_grad_norm)
    state.optimiser.step()


_Fit = Callable[[Tensor, Tensor | None], Tensor]
"""From logits [n, actions] and what is allowed, bool of the same shape or None for all, to a loss for each step [n]."""


def _by_label(label: Tensor, answer: int) -> _Fit:
    """Cross-entropy of the answer to each label [n]."""
    wanted = torch.where(label == 1, answer, ALLOW)
    return lambda logits, mask: torch.nn.functional.cross_entropy(masked(logits, mask), wanted, reduction="none")


def _by_worth(rollout: Rollout, sequences: Sequences, config: LearnerConfig) -> _Fit:
    """Squared distance of logits from worths over the temperature, both less their mean over what is allowed."""
    if rollout.worth is None:
        raise CustodesError(
            "the environment does not tell what each action would have been worth",
            where="rl.warm_start_by",
            fix="use labels",
        )
    steps = sequences.steps
    # Beyond this a preference is certain, and one huge worth must not outweigh thousands of small ones.
    wanted = (rollout.worth.flatten(0, 1)[steps] / config.warm_start_temperature).clamp(-CERTAIN, CERTAIN)

    def loss(logits: Tensor, mask: Tensor | None) -> Tensor:
        allowed = torch.ones_like(logits) if mask is None else mask.to(logits.dtype)
        error = (logits - wanted) * allowed
        error = (error - error.sum(-1, keepdim=True) / allowed.sum(-1, keepdim=True)) * allowed
        return error.square().sum(-1)

    return loss
