"""The original's network: two LSTM layers with dropout between them, a policy head and a value head."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from custodes.bft.votes import ACTIONS
from custodes.doctor.origin.settings import OriginSettings

State: TypeAlias = tuple[tuple[Tensor, Tensor], ...]
"""Hidden and cell state [1, B, H] of each layer."""


class Said(NamedTuple):
    """What the network says about T steps of B sequences."""

    logits: Tensor
    """[T, B, actions]."""
    value: Tensor
    """[T, B], normalised units."""
    state: State
    """After the last step."""


@final
class OriginNetwork(nn.Module):
    """One agent.

    Args:
        inputs: D.
        settings: Width, layers, dropout.
    """

    def __init__(self, inputs: int, settings: OriginSettings) -> None:
        super().__init__()
        widths = [inputs, *[settings.hidden] * (settings.layers - 1)]
        # Layers of their own, so that each is one fused call; torch's stacked LSTM with dropout does the same.
        self.layers = nn.ModuleList([nn.LSTM(width, settings.hidden) for width in widths])
        self.policy = nn.Linear(settings.hidden, len(ACTIONS))
        self.value = nn.Linear(settings.hidden, 1)
        self.hidden, self.dropout = settings.hidden, settings.dropout

    def start(self, sequences: int) -> State:
        """Zero state of B sequences."""
        zero = torch.zeros(1, sequences, self.hidden)
        return tuple((zero, zero) for _ in self.layers)

    def forward(self, inputs: Tensor, state: State, *, dropout: bool) -> Said:
        """Play sequences.

        Args:
            inputs: [T, B, D].
            state: Before the first step.
            dropout: Whether it is on; drawn anew for every step.
        """
        after = []
        for layer, (core, before) in enumerate(zip(self.layers, state, strict=True)):
            if layer and dropout:
                inputs = functional.dropout(inputs, self.dropout)
            inputs, behind = core(inputs, before)
            after.append(behind)
        return Said(self.policy(inputs), self.value(inputs)[..., 0], tuple(after))


def stack_states(states: list[State]) -> State:
    """States of C single sequences as those of C sequences played side by side."""
    return tuple(
        (torch.cat([state[layer][0] for state in states], 1), torch.cat([state[layer][1] for state in states], 1))
        for layer in range(len(states[0]))
    )
