"""The PPO update (Schulman et al. 2017), for every agent of a team over one rollout."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from custodes.rl.acting import masked
from custodes.rl.config import LearnerConfig
from custodes.rl.losses import Losses, LossForm, compiled_losses, mean_of, ppo_losses
from custodes.rl.networks import Network
from custodes.rl.normalise import rescale_heads
from custodes.rl.returns import Targets
from custodes.rl.rollout import Rollout
from custodes.rl.sequences import Cut, Sequences, chunk_starts, cut, start_states
from custodes.rl.shares import of_lanes, shares, standardised
from custodes.rl.state import LearnerState


@dataclass(frozen=True, kw_only=True)
class Start:
    """The first minibatch of an update before its first step, when nothing has changed yet."""

    steps: Tensor
    """int64 [n]: which steps of the rollout, numbered t * B + slot."""
    log_probability: Tensor
    """Float [n, A], of the actions taken, as the update's networks say."""
    log_ratio: Tensor
    """Float [n, A]: the same less the acting one's, as the loss subtracts them; more elements show a broadcast."""
    entropy: Tensor
    """Float [n, A], nats."""


@dataclass(kw_only=True)
class UpdateReport:
    """What happened in one update; means over its gradient steps unless said otherwise."""

    value_loss: float = 0.0
    """Mean squared error of the acting critics on this rollout's targets, before the first step: critics that have not
    seen these targets, so that it can be held against the floor. Normalised units, mean over agents."""
    value_loss_update: float = 0.0
    """The same over the gradient steps, as most trainers log it; lower, since later passes see targets again."""
    policy_loss: float = 0.0
    """Clipped surrogate loss, mean over agents."""
    entropy: list[float] = field(default_factory=list)
    """Mean entropy of each agent's policy, nats."""
    kl: float = 0.0
    """KL divergence of the new policy from the acting one over the last pass (Schulman's k3 estimator), nats."""
    clip_fraction: float = 0.0
    """Share of samples whose ratio left the clip range."""
    ratio_error: float = 0.0
    """Mean |ratio - 1| over the first minibatch, before the first step; above rounding it is a defect."""
    ratio_error_max: float = 0.0
    """The largest of them. Recurrent cells amplify float32 rounding: single samples of a trained team reach 1e-4, in
    collection and update alike when held against float64, while the mean stays below 1e-6."""
    value_error: float = 0.0
    """Largest |value - acting value| over the first minibatch, before the first step, normalised units."""
    grad_norm: list[float] = field(default_factory=list)
    """Gradient norm of each network before clipping."""
    epochs_run: int = 0
    """Passes done; fewer than set when the KL stop fired."""
    steps: int = 0
    """Gradient steps done."""
    clipped_steps: float = 0.0
    """Share of steps, over all networks, whose gradient was above `max_grad_norm`; 0 without that."""
    start: Start | None = None
    """The first minibatch; None before there is one."""


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """The rollout flattened to steps [n = T * B], as the losses index it."""

    observation: Tensor
    """[A, n, D]."""
    central: Tensor | None
    """[n, S]."""
    mask: Tensor | None
    """[n, A, actions]."""
    action: Tensor
    """[n, A]."""
    old_log_probability: Tensor
    """[n, A]."""
    old_value: Tensor
    """[n, A], normalised."""
    advantage: Tensor
    """[n, A], normalised where configured."""
    target: Tensor
    """[n, A], normalised."""
    learns: Tensor | None
    """Bool [n, A]: what counts in the losses; None for all."""


@dataclass(frozen=True, kw_only=True)
class _Outputs:
    """What the networks say about the n steps of a minibatch."""

    log_probability: Tensor
    """[n, A], of the actions taken."""
    entropy: Tensor
    """[n, A]."""
    value: Tensor
    """[n, A], normalised."""


def update(
    state: LearnerState,
    rollout: Rollout,
    targets: Targets,
    config: LearnerConfig,
    *,
    learning_rate: float,
    entropy_coefficient: float,
    losses: LossForm = ppo_losses,
    cut: Cut = cut,
) -> UpdateReport:
    """Take the gradient steps of one iteration; `state` is changed in place.

    The value statistics take in the new targets first, with the heads rescaled so that no prediction changes.

    Args:
        state: The learner.
        rollout: What was collected.
        targets: What it teaches.
        config: Settings.
        learning_rate: Adam's step size.
        entropy_coefficient: Weight of the entropy bonus.
        losses: Forms the losses.
        cut: Cuts the rollout into sequences.
    """
    losses = compiled_losses(losses) if config.compile else losses
    if config.normalise_value:
        norm = state.norm.updated(targets.returns, config.value_norm_decay, rollout.learns)
        rescale_heads(state.policy, state.norm, norm)
        state.norm = norm
    batch = _flatten(state, rollout, targets, config)
    if config.autocast:
        batch = _in_reduced_precision(state, rollout, batch, config)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate
    sums = _Sums()
    error = (batch.old_value - batch.target).square()
    report = UpdateReport(value_loss=float(error.mean() if batch.learns is None else mean_of(error, batch.learns)))
    T, B = rollout.begins.shape
    units = len(chunk_starts(T, config.chunk)) * B
    for _ in range(config.epochs):
        sums.new_pass()
        order = torch.randperm(units, generator=state.batching).to(rollout.begins.device)
        for part in order.tensor_split(min(config.minibatches, units)):
            sequences = cut(rollout.begins, part, config.chunk)
            outputs = run_networks(state, rollout, batch, sequences, config)
            if not report.steps:
                _check_start(report, outputs, batch, sequences.steps)
            _step(state, outputs, batch, sequences.steps, config, entropy_coefficient, losses, sums)
            report.steps += 1
        report.epochs_run += 1
        if config.target_kl and sums.pass_kl() > 1.5 * config.target_kl:
            break
    sums.fill(report, config.max_grad_norm)
    return report


def run_networks(
    state: LearnerState, rollout: Rollout, batch: _Batch, sequences: Sequences, config: LearnerConfig
) -> _Outputs:
    """Run every network over the sequences, from the states that it acted from."""
    policy = state.policy
    device = rollout.begins.device.type
    log_probabilities, entropies, values = [], [], []
    with torch.autocast(device, dtype=torch.bfloat16, enabled=config.autocast):
        for agent in range(policy.agents):
            network = policy.actor(agent)
            start = start_states(rollout.starts_actor, sequences, agent)
            x = policy.identify(batch.observation[agent][sequences.index], agent)
            y = run_network(network, x, start, sequences)
            assert network.policy_head is not None
            mask = None if batch.mask is None else batch.mask[sequences.steps, agent]
            log_all = masked(network.policy_head(y).float(), mask).log_softmax(-1)
            action = batch.action[sequences.steps, agent]
            log_probabilities.append(log_all.gather(-1, action[:, None])[:, 0])
            entropies.append(-(log_all.exp() * log_all).sum(-1))
            if network.value_head is not None:
                values.append(network.value_head(y).float()[:, 0])
        value = torch.stack(values, dim=1) if values else _central(rollout, batch, sequences, state)
    return _Outputs(
        log_probability=torch.stack(log_probabilities, dim=1),
        entropy=torch.stack(entropies, dim=1),
        value=value,
    )


def _central(rollout: Rollout, batch: _Batch, sequences: Sequences, state: LearnerState) -> Tensor:
    critic = state.policy.critic
    assert critic is not None
    assert batch.central is not None
    assert critic.value_head is not None
    start = start_states(rollout.starts_critic, sequences, 0)
    value: Tensor = critic.value_head(run_network(critic, batch.central[sequences.index], start, sequences)).float()
    return value


def run_network(network: Network, x: Tensor, start: Tensor, sequences: Sequences) -> Tensor:
    """The cell's outputs at the minibatch's steps, [n, H]: one fused call, separators and padding left out."""
    y, _ = network(x, start, sequences.separator)
    outputs: Tensor = y.flatten(0, 1)[sequences.place]
    return outputs


def _in_reduced_precision(state: LearnerState, rollout: Rollout, batch: _Batch, config: LearnerConfig) -> _Batch:
    """The same batch with the acting policy's log-probabilities and values as the update's own arithmetic gives them.

    Collection runs in float32; in bfloat16 the same policy gives slightly other numbers, whose ratio would not be 1.
    """
    T, B = rollout.begins.shape
    units = torch.arange(len(chunk_starts(T, config.chunk)) * B, device=rollout.begins.device)
    sequences = cut(rollout.begins, units, config.chunk)
    with torch.no_grad():
        outputs = run_networks(state, rollout, batch, sequences, config)
    order = sequences.steps.argsort()
    return replace(batch, old_log_probability=outputs.log_probability[order], old_value=outputs.value[order])


def _flatten(state: LearnerState, rollout: Rollout, targets: Targets, config: LearnerConfig) -> _Batch:
    advantage = targets.advantages.flatten(0, 1)
    learns = None if rollout.learns is None else rollout.learns.flatten(0, 1)
    weight = None if rollout.weight is None or not config.weigh_lanes else rollout.weight.flatten()
    if weight is not None or learns is not None:
        advantage = _weighted(advantage, weight, learns, normalise=config.normalise_advantage)
    elif config.normalise_advantage:
        advantage = (advantage - advantage.mean(0)) / (advantage.std(0, correction=0) + 1e-8)
    return _Batch(
        observation=rollout.observation.flatten(1, 2),
        central=None if rollout.central is None else rollout.central.flatten(0, 1),
        mask=None if rollout.mask is None else rollout.mask.flatten(0, 1),
        action=rollout.action.flatten(0, 1),
        old_log_probability=rollout.log_probability.flatten(0, 1),
        old_value=state.norm.normalise(rollout.value.flatten(0, 1)),
        advantage=advantage,
        target=state.norm.normalise(targets.returns.flatten(0, 1)),
        learns=learns,
    )


def _weighted(advantage: Tensor, weight: Tensor | None, learns: Tensor | None, *, normalise: bool) -> Tensor:
    """Advantages [n, A] times the importance of their lanes, so that the policy learns for lanes as recorded.

    The clipped surrogate is linear in the advantage for weights above 0, so weighing the advantage weighs it. The
    moments are those of the recording too, over what agents did themselves. The critic, a baseline, and the entropy
    bonus, which is for trying things out, take the lanes as they are played.

    Args:
        advantage: Not normalised, [n, A].
        weight: Importance of each step's lane [n]; None where all weigh 1.
        learns: Whose action was its own, bool [n, A]; None where all were.
        normalise: To mean 0 and deviation 1.
    """
    if normalise:
        advantage = standardised(advantage, shares(advantage, weight, learns))
    return of_lanes(advantage, weight) * advantage


def _step(
    state: LearnerState,
    outputs: _Outputs,
    batch: _Batch,
    steps: Tensor,
    config: LearnerConfig,
    entropy_coefficient: float,
    form: LossForm,
    sums: _Sums,
) -> None:
    """One gradient step; each agent's losses are means over steps, and agents' losses are summed."""
    losses = form(
        outputs.log_probability,
        outputs.entropy,
        outputs.value,
        batch.old_log_probability[steps],
        batch.old_value[steps],
        batch.advantage[steps],
        batch.target[steps],
        config.clip,
        config.value_clip,
        None if batch.learns is None else batch.learns[steps],
    )
    loss = losses.policy + config.value_coefficient * losses.value - entropy_coefficient * losses.entropy
    state.optimiser.zero_grad(set_to_none=True)
    loss.sum().backward()  # type: ignore[no-untyped-call]
    norms = [clip_gradient(network, config.max_grad_norm) for network in state.policy.networks()]
    state.optimiser.step()
    sums.add(losses, torch.stack(norms))


def clip_gradient(network: nn.Module, limit: float) -> Tensor:
    """Scale one network's gradient down to norm `limit` (0: leave it); returns the norm before."""
    parameters = [p for p in network.parameters() if p.grad is not None]
    return torch.nn.utils.clip_grad_norm_(parameters, limit or float("inf"))


def _check_start(report: UpdateReport, outputs: _Outputs, batch: _Batch, steps: Tensor) -> None:
    """Before the first step nothing has changed, so the ratio is 1 and the value is the value that acted."""
    with torch.no_grad():
        log_ratio = outputs.log_probability - batch.old_log_probability[steps]
        ratio = log_ratio.exp()
        report.ratio_error = float((ratio - 1.0).abs().mean())
        report.ratio_error_max = float((ratio - 1.0).abs().max())
        report.value_error = float((outputs.value - batch.old_value[steps]).abs().max())
        report.start = Start(
            steps=steps,
            log_probability=outputs.log_probability.detach(),
            log_ratio=log_ratio,
            entropy=outputs.entropy.detach(),
        )


class _Sums:
    """Statistics of the steps, kept as tensors so that no step waits for the device."""

    def __init__(self) -> None:
        self.losses: list[Losses] = []
        self.norms: list[Tensor] = []
        self.pass_start = 0

    def new_pass(self) -> None:
        self.pass_start = len(self.losses)

    def add(self, losses: Losses, norms: Tensor) -> None:
        self.losses.append(Losses(*(part.detach() for part in losses)))
        self.norms.append(norms.detach())

    def pass_kl(self) -> float:
        return float(torch.stack([losses.kl for losses in self.losses[self.pass_start :]]).mean())

    def fill(self, report: UpdateReport, limit: float) -> None:
        mean = Losses(*(torch.stack(parts).mean(0) for parts in zip(*self.losses, strict=True)))
        report.value_loss_update, report.policy_loss = float(mean.value.mean()), float(mean.policy.mean())
        norms = torch.stack(self.norms)
        report.entropy, report.grad_norm = mean.entropy.tolist(), norms.mean(0).tolist()
        report.clipped_steps = float((norms > limit).float().mean()) if limit else 0.0
        report.kl, report.clip_fraction = self.pass_kl(), float(mean.clip_fraction)
