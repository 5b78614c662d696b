"""The plain way to train a recurrent PPO, as single-file implementations teach it: the yardstick for cleverer ways.

Written from the description (Huang et al., "The 37 Implementation Details of PPO", ICLR Blog Track 2022, the details on
LSTMs): the state at the start of a rollout is kept, minibatches are whole slots, and a Python loop over time multiplies
the state by `1 - done`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional

from benchmarks.train_peers.program import Boundary, count_parameters
from benchmarks.train_peers.workload import LanePlayer, Workload

State = tuple[Tensor, Tensor]


def orthogonal(layer: nn.Linear, gain: float) -> nn.Linear:
    """The usual start of a PPO layer."""
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def distribution(logits: Tensor) -> Any:
    """Over actions; torch declares no types for its distributions."""
    return Categorical(logits=logits)


class RecurrentNet(nn.Module):
    """Linear, LSTM, and a head each for policy and value."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        hidden = workload.hidden
        self.encoder = orthogonal(nn.Linear(workload.inputs, hidden), 2**0.5)
        self.lstm = nn.LSTM(hidden, hidden)
        self.policy = orthogonal(nn.Linear(hidden, workload.actions), 0.01)
        self.value = orthogonal(nn.Linear(hidden, 1), 1.0)

    def forward(self, inputs: Tensor, state: State, resets: Tensor) -> tuple[Tensor, Tensor, State]:
        """Unroll over time.

        Args:
            inputs: float32 [T, B, inputs].
            state: h and c before the first step, each [1, B, hidden].
            resets: float32 [T, B]; 1 where a step is the first of its lane.

        Returns:
            Logits [T, B, actions], values [T, B], and the last state.
        """
        features = torch.tanh(self.encoder(inputs))
        outputs = []
        for feature, reset in zip(features, resets, strict=True):
            keep = (1.0 - reset).view(1, -1, 1)
            output, state = self.lstm(feature.unsqueeze(0), (keep * state[0], keep * state[1]))
            outputs.append(output)
        hidden = torch.cat(outputs)
        return self.policy(hidden), self.value(hidden).squeeze(-1), state


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """T steps of B slots; all but `state` are [T, B, ...]."""

    inputs: Tensor
    """float32."""
    resets: Tensor
    """float32; 1 where a step is the first of its lane."""
    actions: Tensor
    """int64."""
    log_probs: Tensor
    """float32, of the actions when they were chosen."""
    advantages: Tensor
    """float32."""
    returns: Tensor
    """float32."""
    state: State
    """Before the first step."""


def advantages_of(rewards: Tensor, values: Tensor, resets: Tensor, gamma: float, lam: float) -> Tensor:
    """Generalised advantage estimation (Schulman et al. 2016).

    Args:
        rewards: [T, B].
        values: [T + 1, B].
        resets: [T + 1, B]; 1 where the step before was the last of its lane.
        gamma: Discount.
        lam: Decay.
    """
    advantages = torch.zeros_like(rewards)
    running = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        goes_on = 1.0 - resets[t + 1]
        error = rewards[t] + gamma * values[t + 1] * goes_on - values[t]
        running = error + gamma * lam * goes_on * running
        advantages[t] = running
    return advantages


class LstmLoop:
    """The trainer."""

    note = "linear 16-64, LSTM 64, Python loop over time in the update"

    def __init__(self, workload: Workload, seed: int) -> None:
        self.workload = workload
        self.players = [LanePlayer(workload, seed)]
        self.net = RecurrentNet(workload)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=workload.learning_rate, eps=1e-5)
        zeros = torch.zeros(1, workload.lanes, workload.hidden)
        self.state: State = (zeros, zeros)
        self.inputs = torch.from_numpy(self.players[0].observe())
        self.reset = torch.ones(workload.lanes)

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        return count_parameters(self.net.parameters())

    def train(self, boundary: Boundary) -> None:
        """Iterate until `boundary` raises."""
        while True:
            self.update(self.collect())
            boundary()

    @torch.no_grad()
    def collect(self) -> Rollout:
        """Play one rollout."""
        w = self.workload
        inputs = torch.zeros(w.rollout, w.lanes, w.inputs)
        actions = torch.zeros(w.rollout, w.lanes, dtype=torch.int64)
        log_probs, rewards = torch.zeros(w.rollout, w.lanes), torch.zeros(w.rollout, w.lanes)
        values, resets = torch.zeros(w.rollout + 1, w.lanes), torch.zeros(w.rollout + 1, w.lanes)
        start = self.state
        for t in range(w.rollout):
            inputs[t], resets[t] = self.inputs, self.reset
            logits, value, self.state = self.net(self.inputs.unsqueeze(0), self.state, self.reset.unsqueeze(0))
            policy = distribution(logits[0])
            action = policy.sample()
            actions[t], log_probs[t], values[t] = action, policy.log_prob(action), value[0]
            observed, reward, ends = self.players[0].step(action.numpy())
            rewards[t] = torch.from_numpy(reward)
            self.inputs, self.reset = torch.from_numpy(observed), torch.from_numpy(ends).float()
        resets[-1] = self.reset
        values[-1] = self.net(self.inputs.unsqueeze(0), self.state, self.reset.unsqueeze(0))[1][0]
        advantages = advantages_of(rewards, values, resets, w.gamma, w.lam)
        return Rollout(
            inputs=inputs,
            resets=resets[:-1],
            actions=actions,
            log_probs=log_probs,
            advantages=advantages,
            returns=advantages + values[:-1],
            state=start,
        )

    def update(self, rollout: Rollout) -> None:
        """Every epoch visits every slot once, in minibatches of whole slots."""
        w = self.workload
        for _ in range(w.epochs):
            for slots in torch.randperm(w.lanes).chunk(w.minibatches):
                self.optimizer.zero_grad()
                self.loss(rollout, slots).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.net.parameters(), w.max_grad_norm)
                self.optimizer.step()

    def loss(self, rollout: Rollout, slots: Tensor) -> Tensor:
        """PPO's clipped loss (Schulman et al. 2017) over whole slots."""
        w = self.workload
        h, c = rollout.state
        logits, values, _ = self.net(rollout.inputs[:, slots], (h[:, slots], c[:, slots]), rollout.resets[:, slots])
        policy = distribution(logits)
        ratio = (policy.log_prob(rollout.actions[:, slots]) - rollout.log_probs[:, slots]).exp()
        advantages = rollout.advantages[:, slots]
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clipped = ratio.clamp(1.0 - w.clip, 1.0 + w.clip)
        policy_loss = -torch.min(advantages * ratio, advantages * clipped).mean()
        value_loss = functional.mse_loss(values, rollout.returns[:, slots])
        loss: Tensor = policy_loss + w.value * value_loss - w.entropy * policy.entropy().mean()
        return loss
