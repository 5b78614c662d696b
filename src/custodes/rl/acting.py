"""Acting: one step of every agent at once, for collection.

Within a rollout the weights stand still, so the agents' weights are stacked once and each step is one batched product
for all agents instead of a Python loop over them. The arithmetic is that of torch.nn.LSTM and torch.nn.GRU, so that the
fused sequences of the update give the same numbers to rounding: the probability ratio is 1 before the first step.
"""

from __future__ import annotations

from typing import Final, NamedTuple, final

import torch
from torch import Tensor, nn

from custodes.interface import Observation
from custodes.rl.networks import Network, Policy, PolicyState

MASKED: Final = -1e9
"""Logit of an action that is not allowed: its probability is exactly zero, and no arithmetic turns it into NaN."""


def masked(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Logits with the actions that bool `mask` does not allow shut out; None allows all."""
    return logits if mask is None else logits.masked_fill(~mask, MASKED)


class Acted(NamedTuple):
    """What one step of the policy gives."""

    logits: Tensor
    """[B, A, actions], masked."""
    value: Tensor
    """[B, A], in the critic's (normalised) units."""
    state: PolicyState
    """State after the step."""


@final
class Stacked:
    """Weights of M networks of one shape, stacked for batched products."""

    def __init__(self, networks: list[Network]) -> None:
        first = networks[0]
        self.lstm = isinstance(first.core, nn.LSTM)
        self.encoder = _linear([n.encoder for n in networks])
        self.input = _stack([n.weights()[0] for n in networks])
        self.recurrent = _stack([n.weights()[1] for n in networks])
        if self.lstm:
            # One bias is enough: both are added before the gates.
            self.input = (self.input[0], self.input[1] + self.recurrent[1])
            self.input, self.recurrent = _tanh_gate_last(self.input), _tanh_gate_last(self.recurrent)
        self.policy = _linear([n.policy_head for n in networks])
        self.value = _linear([n.value_head for n in networks])

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        """One step of the cell.

        Args:
            x: [M, N, inputs].
            state: [S, M, N, H].

        Returns:
            The new state [S, M, N, H]; its first part is the cell's output.
        """
        if self.encoder is not None:
            x = torch.tanh(torch.baddbmm(self.encoder[1], x, self.encoder[0]))
        gates = torch.baddbmm(self.input[1], x, self.input[0])
        return self._lstm(gates, state) if self.lstm else self._gru(gates, state)

    def _lstm(self, gates: Tensor, state: Tensor) -> Tensor:
        gates.baddbmm_(state[0], self.recurrent[0])
        hidden = gates.shape[-1] // 4
        i, f, o = gates[..., : 3 * hidden].sigmoid_().chunk(3, dim=-1)
        g = gates[..., 3 * hidden :].tanh_()
        after = torch.empty_like(state)
        cell = torch.mul(f, state[1], out=after[1]).addcmul_(i, g)
        torch.tanh(cell, out=after[0]).mul_(o)
        return after

    def _gru(self, gates: Tensor, state: Tensor) -> Tensor:
        recurrent = torch.baddbmm(self.recurrent[1], state[0], self.recurrent[0])
        r, z, n = gates.chunk(3, dim=-1)
        hr, hz, hn = recurrent.chunk(3, dim=-1)
        reset, update = (r + hr).sigmoid(), (z + hz).sigmoid()
        new = (n + reset * hn).tanh()
        return ((1.0 - update) * new + update * state[0])[None]


@final
class Actor:
    """A policy frozen for one rollout: the same weights, one batched step for all agents."""

    @torch.no_grad()
    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.stacked = Stacked([policy.actor(a) for a in range(len(policy.actors))])
        self.critic = None if policy.critic is None else Stacked([policy.critic])

    @torch.no_grad()
    def step(self, observation: Observation, state: PolicyState) -> Acted:
        """Logits, values and the next state for one observation of every slot."""
        policy = self.policy
        x = observation.agents.transpose(0, 1)
        A, B = x.shape[:2]
        if policy.shared:
            identity = torch.eye(A, dtype=x.dtype, device=x.device)[:, None].expand(A, B, A)
            x = torch.cat((x, identity), dim=-1).reshape(1, A * B, -1)
        members = x.shape[0]
        before = state.actor.reshape(policy.state_parts, members, -1, policy.hidden)
        after = self.stacked.step(x, before)
        y = after[0]
        assert self.stacked.policy is not None
        logits = _apply(self.stacked.policy, y).reshape(A, B, -1).transpose(0, 1)
        logits = masked(logits, observation.mask)
        critic = state.critic
        if self.critic is None:
            value = _apply(self.stacked.value, y).reshape(A, B).t()
        else:
            critic = self.critic.step(observation.central[None], state.critic)
            value = _apply(self.critic.value, critic[0])[0]
        return Acted(logits, value, PolicyState(actor=after.reshape(state.actor.shape), critic=critic))


def _tanh_gate_last(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Torch's gate order i f g o as i f o g, so that the three sigmoids are one call."""
    weight, bias = (torch.cat([x.chunk(4, dim=-1)[k] for k in (0, 1, 3, 2)], dim=-1) for x in pair)
    return weight, bias


def _linear(heads: list[nn.Linear | None]) -> tuple[Tensor, Tensor] | None:
    pairs: list[tuple[Tensor, Tensor]] = [(head.weight, head.bias) for head in heads if head is not None]
    return _stack(pairs) if pairs else None


def _stack(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    weight = torch.stack([w.detach().t() for w, _ in pairs]).contiguous()
    bias = torch.stack([b.detach() for _, b in pairs])[:, None]
    return weight, bias


def _apply(head: tuple[Tensor, Tensor] | None, y: Tensor) -> Tensor:
    assert head is not None
    return torch.baddbmm(head[1], y, head[0])
