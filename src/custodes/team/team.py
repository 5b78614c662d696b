"""A team at work: n agents and the vote rule, playing lanes without learning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import QUARANTINE, severity_decision, tolerated
from custodes.env.lanes import Lanes
from custodes.env.table import EnvTable, Viewer
from custodes.rl.acting import masked
from custodes.rl.networks import Policy

Masks = Sequence[Sequence[bool]]
"""For each of K states: is each of the actions allowed?"""

PLACES = 65_536
"""Padded events that are held at once while playing; bounds memory."""


@dataclass(frozen=True, kw_only=True)
class Play:
    """What a team did with M events, in the order of `Lanes.order`."""

    rows: NDArray[np.int64]
    """[M]: row of the event table."""
    lanes: NDArray[np.int64]
    """[M]: lane of each event."""
    votes: NDArray[np.int8]
    """[M, A]: each agent's most probable action."""
    decisions: NDArray[np.int8]
    """[M]: what the vote rule made of the votes."""
    score: NDArray[np.float32]
    """[M]: the (f+1)-th largest of the agents' probabilities of Quarantine or Block, as the vote rule ranks votes."""
    votes_by_state: NDArray[np.int8] | None = None
    """[M, A, K]: votes under each of K action masks, where masks were given."""
    decisions_by_state: NDArray[np.int8] | None = None
    """[M, K]: what the vote rule made of them."""
    confidence: NDArray[np.float32] | None = None
    """[M, A, 1 + K]: probability of each vote, without and under each mask, where it was asked for. Decides nothing."""


@dataclass(frozen=True, kw_only=True)
class Team:
    """Agents and how many of them may lie."""

    policy: Policy
    """The agents' networks."""
    f: int
    """Liars that the vote rule stands, 0 <= f <= (A - 1) // 3."""

    @staticmethod
    def of(policy: Policy) -> Team:
        """A team that stands as many liars as its size allows."""
        return Team(policy=policy, f=tolerated(policy.agents))

    @torch.no_grad()
    def play(self, table: EnvTable, lanes: Lanes, masks: Masks | None = None, *, confident: bool = False) -> Play:
        """Play every lane from its start, greedily (each agent's most probable action).

        The whole lane goes through the fused core, piece by piece with the state carried over; that is the same
        arithmetic, to rounding, as deciding event by event.

        Args:
            table: Events and views.
            lanes: What is played.
            masks: K masks over the actions; the votes under each are told beside the unmasked ones, so that a replay
                in which acting changes what is allowed needs no second play. None for none.
            confident: Tell how probable each vote was, too.
        """
        count, agents = len(lanes.order), self.policy.agents
        states = torch.tensor(((True,) * self.policy.actions, *(masks or ())))
        votes = torch.zeros(count, agents, len(states), dtype=torch.int8)
        contained = torch.zeros(count, agents)
        sure = torch.zeros(count, agents, len(states)) if confident else None
        viewer = Viewer(table)
        for group in lane_groups(lanes):
            self._play_group(viewer, lanes, group, states, votes, contained, sure)
        score = contained.sort(dim=1, descending=True).values[:, self.f]
        decisions = severity_decision(votes.transpose(1, 2).long(), self.f).to(torch.int8).numpy()
        return Play(
            rows=lanes.order,
            lanes=np.repeat(np.arange(len(lanes.start)), lanes.length),
            votes=votes[:, :, 0].numpy(),
            decisions=decisions[:, 0],
            score=score.numpy(),
            votes_by_state=votes[:, :, 1:].numpy() if masks else None,
            decisions_by_state=decisions[:, 1:] if masks else None,
            confidence=None if sure is None else sure.numpy(),
        )

    def _play_group(
        self,
        viewer: Viewer,
        lanes: Lanes,
        group: NDArray[np.int64],
        states: Tensor,
        votes: Tensor,
        contained: Tensor,
        sure: Tensor | None,
    ) -> None:
        """Play lanes of about equal length side by side."""
        device = next(self.policy.parameters()).device
        start, length = torch.from_numpy(lanes.start[group]), torch.from_numpy(lanes.length[group])
        order = torch.from_numpy(lanes.order)
        state = self.policy.initial_state(len(group)).actor
        piece = max(1, PLACES // len(group))
        for first in range(0, int(length.max()), piece):
            offset = torch.arange(first, min(first + piece, int(length.max())))[:, None]
            inside = offset < length
            place = torch.where(inside, start + offset, start)
            seen = viewer(order[place.flatten()].to(device))
            views = seen.agents.reshape(*place.shape, self.policy.agents, -1)
            for agent in range(self.policy.agents):
                logits, state[:, agent] = self._logits(views[:, :, agent], state[:, agent], agent)
                if seen.mask is not None:
                    logits = masked(logits, seen.mask.reshape(*place.shape, *seen.mask.shape[1:])[:, :, agent])
                probability = logits.softmax(-1)[..., QUARANTINE:].sum(-1)
                for index, allowed in enumerate(states):
                    open_to_it = masked(logits, allowed.to(device))
                    votes[place[inside], agent, index] = open_to_it.argmax(-1).cpu()[inside].to(torch.int8)
                    if sure is not None:
                        sure[place[inside], agent, index] = open_to_it.softmax(-1).amax(-1).cpu()[inside]
                contained[place[inside], agent] = probability.cpu()[inside]

    def _logits(self, seen: Tensor, state: Tensor, agent: int) -> tuple[Tensor, Tensor]:
        network = self.policy.actor(agent)
        y, after = network(self.policy.identify(seen, agent), state)
        assert network.policy_head is not None
        return network.policy_head(y), after


def lane_groups(lanes: Lanes) -> Iterator[NDArray[np.int64]]:
    """Lanes in groups of falling length, so that little is padded and no group holds more than PLACES lanes."""
    order = np.argsort(-lanes.length, kind="stable")
    first = 0
    while first < len(order):
        longest = int(lanes.length[order[first]])
        size = max(1, PLACES // max(longest, 1))
        yield order[first : first + size]
        first += size
