"""Actor-critic networks: an encoder, a recurrent cell, a policy head and a value head.

One `Network` per agent (or one for all, told by a one-hot which agent it plays), and with MAPPO one central critic.
`Policy` holds them and knows which agent uses which. Recurrent state is one tensor [S, A, B, H] with S = 2 for an LSTM
(output and cell) and 1 for a GRU, so that it can be reset, stored and saved without knowing the cell.
"""

from __future__ import annotations

import math
import warnings
from typing import Final, final

import torch
from torch import Tensor, nn

from custodes.rl.config import LearnerConfig

POLICY_GAIN: Final = 0.01
"""Orthogonal gain of the policy head: the first policy is close to uniform (Andrychowicz et al. 2021, section 3.2)."""

SHUT: Final = -1e4
"""Weight that shuts a gate: its sigmoid is exactly 0 in float32, float64 and bfloat16."""


# A weight column is added for each call (`Network.forward`), so that cuDNN gathers them anew; a small cell's are few.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")


@final
class Network(nn.Module):
    """Encoder, cell and heads; works on sequences [K, P, inputs].

    Args:
        inputs: Width of the observation.
        encoder: Width of the layer before the cell; 0 for none.
        hidden: Width of the cell.
        core: `lstm` or `gru`.
        actions: Outputs of the policy head; 0 for a network that only values.
        values: Outputs of the value head; 0 for a network that only acts.
    """

    def __init__(self, *, inputs: int, encoder: int, hidden: int, core: str, actions: int, values: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, encoder) if encoder else None
        cell = nn.LSTM if core == "lstm" else nn.GRU
        self.core = cell(encoder or inputs, hidden)
        self.is_lstm = core == "lstm"
        self.policy_head = nn.Linear(hidden, actions) if actions else None
        self.value_head = nn.Linear(hidden, values) if values else None
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        if self.encoder is not None:
            nn.init.orthogonal_(self.encoder.weight, math.sqrt(2.0))
            nn.init.zeros_(self.encoder.bias)
        for name, parameter in self.core.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
            else:
                for gate in parameter.chunk(parameter.shape[0] // self.core.hidden_size):
                    nn.init.orthogonal_(gate, 1.0)
        for head, gain in ((self.policy_head, POLICY_GAIN), (self.value_head, 1.0)):
            if head is not None:
                nn.init.orthogonal_(head.weight, gain)
                nn.init.zeros_(head.bias)

    def weights(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """The cell's (weight, bias) for its input and for its previous output."""
        named = dict(self.core.named_parameters())
        return (named["weight_ih_l0"], named["bias_ih_l0"]), (named["weight_hh_l0"], named["bias_hh_l0"])

    def forward(self, inputs: Tensor, state: Tensor, separator: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run whole sequences.

        At a separator the gates are forced shut: one more input, 1 there and 0 elsewhere, drives them to exactly 0, and
        with them the state, and cuts every gradient. One fused call thus plays several lanes, each from a zero state.

        Args:
            inputs: Float [K, P, inputs]; at separators any finite values.
            state: Float [S, P, H], the state before each sequence's first step.
            separator: Bool [K, P], or None where there is none.

        Returns:
            The cell's outputs [K, P, H] and the state after the last step [S, P, H].
        """
        x = inputs if self.encoder is None else torch.tanh(self.encoder(inputs))
        parameters = [p for pair in zip(*self.weights(), strict=True) for p in pair]
        if separator is not None:
            shut = separator[..., None].to(x.dtype)
            x = torch.cat((x if self.is_lstm else x * (1.0 - shut), shut), dim=-1)
            parameters[0] = torch.cat((parameters[0], self._shut(parameters[2])), dim=1)
        if self.is_lstm:
            start = (state[0:1].contiguous(), state[1:2].contiguous())
            y, h, c = torch.lstm(x, start, parameters, True, 1, 0.0, self.training, False, False)
            return y, torch.cat((h, c))
        y, h = torch.gru(x, state.contiguous(), parameters, True, 1, 0.0, self.training, False, False)
        return y, h

    def _shut(self, bias: Tensor) -> Tensor:
        """Weights [gates * H, 1] of the separator's input: they drive the next state to exactly zero."""
        hidden = self.core.hidden_size
        closed = bias.new_full((hidden,), SHUT)
        if self.is_lstm:  # i f g o: nothing enters, nothing is kept, nothing is shown.
            return torch.cat((closed, closed, torch.zeros_like(closed), closed))[:, None]
        # r z n: the state becomes n = tanh(b - b) = 0; not detached, so that the bias gets no gradient from here.
        return torch.cat((closed, closed, -bias[2 * hidden :]))[:, None]


@final
class Policy(nn.Module):
    """The networks of a team of A agents.

    Args:
        config: Settings of the learner.
        agents: A.
        inputs: Width of each agent's observation.
        central_inputs: Width of the central critic's observation (used by MAPPO).
        actions: How many actions each agent chooses from.
    """

    def __init__(self, config: LearnerConfig, *, agents: int, inputs: int, central_inputs: int, actions: int) -> None:
        super().__init__()
        self.agents, self.actions, self.hidden = agents, actions, config.hidden
        self.shared = config.sharing == "shared"
        self.central = config.algorithm == "mappo"
        self.state_parts = 2 if config.core == "lstm" else 1
        size = {"encoder": config.encoder, "hidden": config.hidden, "core": config.core}
        self.actors = nn.ModuleList(
            Network(
                inputs=inputs + (agents if self.shared else 0),
                actions=actions,
                values=0 if self.central else 1,
                **size,  # type: ignore[arg-type]
            )
            for _ in range(1 if self.shared else agents)
        )
        self.critic = (
            Network(inputs=central_inputs, actions=0, values=agents, **size)  # type: ignore[arg-type]
            if self.central
            else None
        )

    @property
    def value_groups(self) -> int:
        """How many value outputs there are: one per agent, or one for all where they share a network."""
        return 1 if self.shared and not self.central else self.agents

    def actor(self, agent: int) -> Network:
        """The network that plays `agent`."""
        network = self.actors[0 if self.shared else agent]
        assert isinstance(network, Network)
        return network

    def identify(self, observation: Tensor, agent: int) -> Tensor:
        """Append which agent it is (one-hot) to [..., inputs] where parameters are shared."""
        if not self.shared:
            return observation
        identity = observation.new_zeros(*observation.shape[:-1], self.agents)
        identity[..., agent] = 1.0
        return torch.cat((observation, identity), dim=-1)

    def networks(self) -> list[Network]:
        """Every distinct network: actors in agent order, then the central critic if there is one."""
        actors = [self.actor(a) for a in range(len(self.actors))]
        return actors if self.critic is None else [*actors, self.critic]

    def initial_state(self, slots: int) -> PolicyState:
        """Zero state for `slots` lanes at their start."""
        parameter = next(self.parameters())
        actor = parameter.new_zeros(self.state_parts, self.agents, slots, self.hidden)
        critic = parameter.new_zeros(self.state_parts, 1 if self.central else 0, slots, self.hidden)
        return PolicyState(actor=actor, critic=critic)


@final
class PolicyState:
    """Recurrent state of a team over B slots."""

    __slots__ = ("actor", "critic")

    def __init__(self, *, actor: Tensor, critic: Tensor) -> None:
        self.actor = actor
        """Float [S, A, B, H]."""
        self.critic = critic
        """Float [S, 1, B, H] with a central critic, else [S, 0, B, H]."""

    def reset(self, where: Tensor) -> PolicyState:
        """Zero the slots where bool [B] `where` is True: their next step begins a lane."""
        keep = (~where)[None, None, :, None].to(self.actor.dtype)
        return PolicyState(actor=self.actor * keep, critic=self.critic * keep)

    def select(self, slots: Tensor) -> PolicyState:
        """The state of int64 [n] `slots` only."""
        return PolicyState(actor=self.actor[:, :, slots], critic=self.critic[:, :, slots])
