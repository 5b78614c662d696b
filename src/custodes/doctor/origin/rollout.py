"""Collecting 2,048 records: each agent plays them with its recurrent state carried on; the first agent decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from custodes.bft.votes import severity_decision, tolerated
from custodes.doctor.origin.defects import Repairs
from custodes.doctor.origin.network import OriginNetwork, State, stack_states
from custodes.doctor.origin.rules import Judged, judge
from custodes.doctor.origin.settings import OriginSettings
from custodes.env.triage import TriageConfig, reward_table
from custodes.rl.rollout import sample

WORTH: Final = reward_table(TriageConfig())
"""[3, 4]: TP +10, TN +1, FP -8, FN -10, and -1.5 for Quarantine or Block."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """A rollout of T records and A agents."""

    inputs: Tensor
    """[T, D]."""
    label: Tensor
    """int64 [T]."""
    action: Tensor
    """int64 [T, A]."""
    log_probability: Tensor
    """[T, A], of the action, when it was drawn."""
    value: Tensor
    """[T + 1, A], normalised units; the last is of the record that follows."""
    starts: tuple[State, ...]
    """By agent: the states before each chunk of steps, as those of sequences side by side."""
    decision: Tensor
    """int64 [T]."""
    worth: Tensor
    """[T]: reward of the decision by the table alone."""
    reward: Tensor
    """[T]: the same with the rules' penalty; every agent gets it."""
    judged: Judged
    """What the rules said."""


@torch.no_grad()
def collect(
    networks: list[OriginNetwork],
    inputs: Tensor,
    label: Tensor,
    settings: OriginSettings,
    repairs: Repairs,
    generator: torch.Generator,
) -> Played:
    """Play records one after the other.

    Actions change no later record, so that each agent's network sees them in a few long calls; the numbers are those of
    a loop over records.

    Args:
        networks: A of them.
        inputs: [T + 1, D].
        label: int64 [T + 1].
        settings: Chunk length and dropout.
        repairs: What is repaired.
        generator: Draws actions and the rules' random signals.
    """
    steps = len(inputs) - 1
    actions, chances, values, starts = [], [], [], []
    for network in networks:
        logits, value, before = play(network, inputs, settings.chunk, dropout=repairs.broken("dropout-mismatch"))
        action, chance = sample(logits[:steps, None], generator)
        actions.append(action[:, 0])
        chances.append(chance[:, 0])
        values.append(value)
        starts.append(before)
    action, truth = torch.stack(actions, -1), label[:steps]
    decision = decide(action, repairs)
    worth = WORTH[truth, decision]
    judged = judge(decision, truth, repairs, generator)
    return Played(
        inputs=inputs[:steps],
        label=truth,
        action=action,
        log_probability=torch.stack(chances, -1),
        value=torch.stack(values, -1),
        starts=tuple(starts),
        decision=decision,
        worth=worth,
        reward=worth + judged.penalty,
        judged=judged,
    )


def play(network: OriginNetwork, inputs: Tensor, chunk: int, *, dropout: bool) -> tuple[Tensor, Tensor, State]:
    """One agent over T records from the zero state.

    Args:
        network: The agent.
        inputs: [T, D].
        chunk: The state is kept every so many steps.
        dropout: Whether it is on.

    Returns:
        Logits [T, actions], values [T], and the states before each whole chunk, as of sequences side by side.
    """
    state, logits, values, starts = network.start(1), [], [], []
    for begin in range(0, len(inputs), chunk):
        piece = inputs[begin : begin + chunk]
        if len(piece) == chunk:
            starts.append(state)
        said = network(piece[:, None], state, dropout=dropout)
        logits.append(said.logits[:, 0])
        values.append(said.value[:, 0])
        state = said.state
    return torch.cat(logits), torch.cat(values), stack_states(starts)


def decide(action: Tensor, repairs: Repairs) -> Tensor:
    """The team's decision [T] of votes [T, A].

    With three agents f is 0 and a quorum is one: the consensus "succeeds" on the first proposal, agent 0's.
    """
    if repairs.broken("consensus-f0"):
        return action[:, 0]
    decision: Tensor = severity_decision(action, tolerated(action.shape[1]))
    return decision
