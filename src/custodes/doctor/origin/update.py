"""The original's PPO update, defects included, and what is measured before its first step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from custodes.doctor.origin.defects import Repairs
from custodes.doctor.origin.network import OriginNetwork, Said, State
from custodes.doctor.origin.rollout import Played
from custodes.doctor.origin.settings import OriginSettings
from custodes.rl.returns import Targets
from custodes.rl.statistics import explained_variance


@dataclass(kw_only=True)
class Report:
    """One agent's update. What is measured before the first step says so; the rest is a mean over the steps."""

    ratio_error: float
    """Mean |ratio - 1| before the first step, over the ratio as the loss forms it."""
    ratio_shape: tuple[int, ...]
    """Its shape; anything but (N,) is a broadcast."""
    ratio_paired_error: float
    """The same before the first step with each new probability beside its own old one, whatever the loss does."""
    state_errors: Tensor
    """|ratio - 1| of each record [N], before the first step, with dropout off on both sides: what the update's start
    states alone change."""
    repeat_error: float = 0.0
    """Largest difference between two passes of the update's own arithmetic: what it draws at random."""
    value_error: float = 0.0
    """Largest |value - acting value| before the first step, normalised units."""
    value_loss: float = 0.0
    """Squared error of the acting critic on this rollout's targets, normalised units, before the first step."""
    value_loss_update: float = 0.0
    """The same over the steps."""
    explained_variance: float | None = None
    """Of the targets by the acting critic; None where they do not vary."""
    policy_loss: float = 0.0
    """Clipped surrogate, negated."""
    entropy: float = 0.0
    """Nats; uniform is log 4 = 1.386."""
    kl: float = 0.0
    """Of the policy after the update from the acting one (k3), nats, over the rollout."""
    clip_fraction: float = 0.0
    """Share of ratios outside the clip range."""
    grad_norm: float = 0.0
    """Before clipping."""
    clipped_steps: float = 0.0
    """Share of the steps whose gradient was clipped."""


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """One agent's rollout of N records, in the shapes that the loss is given."""

    inputs: Tensor
    """[N, D]."""
    action: Tensor
    """int64 [N]."""
    old: Tensor
    """Old log-probabilities, [N]; [N, 1] with the defect."""
    advantage: Tensor
    """Mean 0, deviation 1; [N], or [N, 1] with the defect."""
    target: Tensor
    """[N], normalised."""
    starts: State
    """States before each chunk."""


def surrogate(new: Tensor, old: Tensor, advantage: Tensor, clip: float) -> tuple[Tensor, Tensor]:
    """Clipped surrogate loss and ratio, as written in the original.

    With `new` [N] and the others [N, 1], `new - old` is [N, N]: every new probability over every old one.

    Args:
        new: Log-probabilities under the present policy, [N].
        old: Log-probabilities when the actions were drawn, [N] or [N, 1].
        advantage: The same shape as `old`.
        clip: Clip range.
    """
    ratio = (new - old).exp()
    loss = -torch.min(ratio * advantage, ratio.clamp(1.0 - clip, 1.0 + clip) * advantage).mean()
    return loss, ratio


def update(
    network: OriginNetwork,
    optimiser: torch.optim.Adam,
    played: Played,
    agent: int,
    learnt: Targets,
    scale: tuple[float, float],
    settings: OriginSettings,
    repairs: Repairs,
) -> Report:
    """Take one agent's gradient steps; `network` is changed in place.

    Args:
        network: The agent's.
        optimiser: Over its parameters.
        played: The rollout.
        agent: Which of its agents.
        learnt: Targets and advantages [N, 1, A].
        scale: Mean and deviation of the targets.
        settings: Coefficients.
        repairs: What is repaired.
    """
    batch = _batch(played, agent, learnt, scale, repairs)
    report = _measured(network, batch, played.value[:-1, agent], settings, repairs)
    acting = played.value[:-1, agent]
    report.value_loss = float((acting - batch.target).square().mean())
    report.explained_variance = explained_variance(batch.target, acting)
    for _ in range(settings.epochs):
        said = _say(network, batch, settings, repairs)
        _step(network, optimiser, batch, said, settings, report)
    with torch.no_grad():
        new, _ = _chances(_say(network, batch, settings, repairs).logits, batch.action)
    drift = new - played.log_probability[:, agent]
    report.kl = float((drift.exp() - 1.0 - drift).mean())
    return report


def _batch(played: Played, agent: int, learnt: Targets, scale: tuple[float, float], repairs: Repairs) -> _Batch:
    advantage = learnt.advantages[:, 0, agent]
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    old, target = played.log_probability[:, agent], (learnt.returns[:, 0, agent] - scale[0]) / scale[1]
    if repairs.broken("ratio-broadcast"):
        # A list of tensors of one element each, stacked: (N, 1).
        old, advantage = old[:, None], advantage[:, None]
    return _Batch(
        inputs=played.inputs,
        action=played.action[:, agent],
        old=old,
        advantage=advantage,
        target=target,
        starts=played.starts[agent],
    )


def _say(
    network: OriginNetwork, batch: _Batch, settings: OriginSettings, repairs: Repairs, *, dropout: bool | None = None
) -> Said:
    """What the network says about the batch in the update; logits [N, actions], values [N]."""
    noisy = repairs.broken("dropout-mismatch") if dropout is None else dropout
    if repairs.broken("start-state-mismatch"):
        said = network(batch.inputs[None], network.start(len(batch.inputs)), dropout=noisy)
        return Said(said.logits[0], said.value[0], said.state)
    sequences = _sequences(batch.inputs, settings.chunk)
    said = network(sequences, batch.starts, dropout=noisy)
    return Said(said.logits.transpose(0, 1).flatten(0, 1), said.value.t().flatten(), said.state)


def _sequences(inputs: Tensor, chunk: int) -> Tensor:
    """Records [N, D] as sequences side by side [chunk, N / chunk, D]."""
    return inputs.reshape(-1, chunk, inputs.shape[-1]).transpose(0, 1)


def _chances(logits: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability of the actions [N] and entropy [N]."""
    every = logits.log_softmax(-1)
    return every.gather(-1, action[:, None])[:, 0], -(every.exp() * every).sum(-1)


def _step(
    network: OriginNetwork,
    optimiser: torch.optim.Adam,
    batch: _Batch,
    said: Said,
    settings: OriginSettings,
    report: Report,
) -> None:
    """One gradient step on the whole batch."""
    new, entropy = _chances(said.logits, batch.action)
    policy_loss, ratio = surrogate(new, batch.old, batch.advantage, settings.clip)
    value_loss = (said.value - batch.target).square().mean()
    loss = policy_loss + settings.value_coefficient * value_loss - settings.entropy_coefficient * entropy.mean()
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(network.parameters(), settings.max_grad_norm)
    optimiser.step()
    share = 1.0 / settings.epochs
    report.policy_loss += share * float(policy_loss.detach())
    report.value_loss_update += share * float(value_loss.detach())
    report.entropy += share * float(entropy.detach().mean())
    report.clip_fraction += share * float(((ratio.detach() - 1.0).abs() > settings.clip).float().mean())
    report.grad_norm += share * float(norm)
    report.clipped_steps += share * (float(norm) > settings.max_grad_norm)


@torch.no_grad()
def _measured(
    network: OriginNetwork, batch: _Batch, acting: Tensor, settings: OriginSettings, repairs: Repairs
) -> Report:
    """How far the update's view of the rollout is from the collection's, before the first step, and through what."""
    said = _say(network, batch, settings, repairs)
    new, _ = _chances(said.logits, batch.action)
    again, _ = _chances(_say(network, batch, settings, repairs).logits, batch.action)
    plain, _ = _chances(_say(network, batch, settings, repairs, dropout=False).logits, batch.action)
    sequences = _sequences(batch.inputs, settings.chunk)
    carried = network(sequences, batch.starts, dropout=False).logits.transpose(0, 1).flatten(0, 1)
    replayed, _ = _chances(carried, batch.action)
    _, ratio = surrogate(new, batch.old, batch.advantage, settings.clip)
    return Report(
        ratio_error=float((ratio - 1.0).abs().mean()),
        ratio_shape=tuple(ratio.shape),
        ratio_paired_error=float(((new - batch.old.flatten()).exp() - 1.0).abs().mean()),
        state_errors=((plain - replayed).exp() - 1.0).abs(),
        repeat_error=float((again - new).abs().max()),
        value_error=float((said.value - acting).abs().max()),
    )
