"""The agents' networks on events as they come: one step for many processes, each with a memory of its own."""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import QUARANTINE, severity_decision
from custodes.data.views import View
from custodes.rl.acting import MASKED, Stacked
from custodes.rl.networks import Policy
from custodes.serve.lives import SCRATCH

ROWS: Final = 16
"""Events of one step. A step always has so many, the missing ones padded: matrix products of one shape give each row
the same bits whatever stands in the others, so a vote does not depend on what else arrived with its event."""


@final
class Agents:
    """A policy at work.

    Args:
        policy: The networks.
        columns: Inputs that each agent sees, bool [A, D].
        views: Channels that each agent sees, A of them.
    """

    @torch.no_grad()
    def __init__(self, policy: Policy, columns: NDArray[np.bool_], views: tuple[View, ...]) -> None:
        self.policy = policy.to("cpu")
        self._stacked = Stacked([policy.actor(agent) for agent in range(len(policy.actors))])
        heads = [policy.actor(agent).policy_head for agent in range(len(policy.actors))]
        pairs = [(head.weight.detach().t(), head.bias.detach()) for head in heads if head is not None]
        self._head = torch.stack([w for w, _ in pairs]).contiguous(), torch.stack([b for _, b in pairs])[:, None]
        self._columns = torch.from_numpy(columns.astype(np.float32))[:, None]
        self._views = views
        self._sees: dict[str, list[float]] = {}
        self._identity = torch.eye(policy.agents)[:, None].expand(policy.agents, ROWS, policy.agents)
        self.memory = torch.zeros(policy.state_parts, policy.agents, ROWS, policy.hidden)
        """Recurrent state by place, float32 [S, A, places, H]."""

    @torch.no_grad()
    def vote(
        self, inputs: NDArray[np.float32], channels: list[str], places: list[int], fresh: list[bool]
    ) -> NDArray[np.float32]:
        """Logits of every agent on K events, in their order where they share a place, float32 [K, A, 4].

        Args:
            inputs: [K, D].
            channels: Channel of each event [K].
            places: Place in the memory of each event's lane [K].
            fresh: Whether the lane begins with the event [K].
        """
        self._grow(max(places, default=0) + 1)
        seen, shown = torch.from_numpy(inputs), torch.tensor([self._shown(channel) for channel in channels])
        place, begins = torch.tensor(places), torch.tensor(fresh)
        logits = torch.empty(len(places), self.policy.agents, self.policy.actions)
        for chosen in _rounds(places):
            for start in range(0, len(chosen), ROWS):
                rows = torch.tensor(chosen[start : start + ROWS])
                logits[rows] = self._step(seen[rows], shown[rows], place[rows], begins[rows])
        return logits.numpy()

    def restore(self, memory: Tensor) -> None:
        """Take up a recurrent state, [S, A, places, H]."""
        wanted = (self.memory.shape[0], self.memory.shape[1], memory.shape[2], self.memory.shape[3])
        if tuple(memory.shape) != wanted:
            raise ValueError(f"recurrent state {list(memory.shape)}, not {list(wanted)}")
        self.memory = memory.clone()

    def _step(self, seen: Tensor, shown: Tensor, place: Tensor, begins: Tensor) -> Tensor:
        """One step of up to ROWS events at different places."""
        policy, count = self.policy, len(seen)
        x = torch.zeros(policy.agents, ROWS, seen.shape[1])
        x[:, :count] = seen * self._columns * shown.T[..., None]
        where = torch.full((ROWS,), SCRATCH)
        where[:count] = place
        before = self.memory.index_select(2, where)
        before[:, :, :count] *= (~begins)[:, None]
        before[:, :, count:] = 0
        if policy.shared:
            x = torch.cat((x, self._identity), dim=-1).reshape(1, policy.agents * ROWS, -1)
        members = x.shape[0]
        after = self._stacked.step(x, before.reshape(policy.state_parts, members, -1, policy.hidden))
        logits = torch.baddbmm(self._head[1], after[0], self._head[0]).reshape(policy.agents, ROWS, -1)
        self.memory[:, :, place] = after.reshape(before.shape)[:, :, :count]
        return logits[:, :count].transpose(0, 1)

    def _shown(self, channel: str) -> list[float]:
        known = self._sees.get(channel)
        if known is None:
            known = [float(not view.channels or channel in view.channels) for view in self._views]
            self._sees[channel] = known
        return known

    def _grow(self, places: int) -> None:
        """Make room by doubling, so that each place is copied a bounded number of times."""
        held = self.memory.shape[2]
        if places > held:
            wider = self.memory.new_zeros(*self.memory.shape[:2], max(places, 2 * held), self.memory.shape[3])
            wider[:, :, :held] = self.memory
            self.memory = wider


def _rounds(places: list[int]) -> list[list[int]]:
    """Events in rounds, so that those of one place follow each other and no round holds a place twice."""
    rounds: list[list[int]] = []
    ahead: dict[int, int] = {}
    for event, place in enumerate(places):
        turn = 0 if place == SCRATCH else ahead.get(place, 0)
        ahead[place] = turn + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(event)
    return rounds


def votes_of(
    logits: NDArray[np.float32], masks: NDArray[np.bool_], f: int
) -> tuple[list[list[list[int]]], list[list[int]]]:
    """Votes [K][M][A] and decisions [K][M] under each of M masks."""
    allowed = np.where(masks[:, None], logits[:, None], np.float32(MASKED))
    votes = allowed.argmax(-1)
    return votes.tolist(), np.asarray(severity_decision(votes, f)).tolist()


def contained_of(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each agent's probability of Quarantine or Block, [K, A]."""
    contained: NDArray[np.float32] = torch.from_numpy(logits).softmax(-1)[..., QUARANTINE:].sum(-1).numpy()
    return contained
