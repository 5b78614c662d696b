"""Triage: agents vote on every event of a recording; their votes change the reward and nothing that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, final

import torch
from torch import Tensor

from custodes.bft.votes import ACTIONS, QUARANTINE
from custodes.env.ballots import VoteRule
from custodes.env.credit import Credit, Payment
from custodes.env.lanes import LaneMode, Lanes
from custodes.env.player import TERMINATED, TRUNCATED, LaneGame, LanePlayer, check_actions, check_parts
from custodes.env.table import EnvTable
from custodes.interface import Observation, Step

LEFT_OUT: Final = 2
"""Class of events whose truth is unknown or contaminated: row 2 of the reward table."""


@dataclass(frozen=True, kw_only=True)
class TriageConfig:
    """How recorded events are played and what each answer is worth."""

    task: Literal["triage", "response"] = "triage"
    """triage: an action changes nothing that follows. response: actions intervene, and cost what `[response]` says."""
    lanes: LaneMode = "by_stream"
    """How events are grouped into lanes."""
    window: int = 256
    """Longest lane, events; 0 for no limit. A longer run is cut and truncated."""
    slots: int = 64
    """Lanes played in parallel, at least 1."""
    tp: float = 10.0
    """Reward for Quarantine or Block of a malicious event."""
    tn: float = 1.0
    """Reward for Allow or Alert of a benign event."""
    fp: float = -8.0
    """Reward for Quarantine or Block of a benign event."""
    fn: float = -10.0
    """Reward for Allow or Alert of a malicious event."""
    containment: float = -1.5
    """Added for Quarantine or Block of a labelled event, whatever the truth."""
    credit: Credit = "individual"
    """individual: each agent is paid for its own vote; team: every agent is paid for the decision; pivotal: for what
    its vote changed about the decision, mixed with individual."""
    credit_mix: float = 0.5
    """Share of the pivotal reward in `credit = "pivotal"`, 0 (individual) to 1; not read without."""
    reward_scale: float = 0.1
    """Reward per unit of cost saved (response), above 0."""
    windows: int = 0
    """Windows of one process that training plays at most (response): its first, and others drawn by the seed; 0 is all.
    A few processes that never end would else fill most of the training."""
    lane_share: float = 0.0
    """Share of lanes drawn from processes that do something malicious (response), 0 (as recorded) to below 1."""
    caution: float = 1.0
    """How many times dearer than scored disruption and alerts are in training (response), above 0. The few attacks of a
    training part look alike and its innocent processes do not, so what is just worth it there is not elsewhere."""


def reward_table(config: TriageConfig) -> Tensor:
    """Reward of each action for each class of event.

    Args:
        config: The five reward terms.

    Returns:
        float32 [3, 4]: classes benign, malicious, left out (always 0) by actions Allow, Alert, Quarantine, Block.
    """
    contains = [action >= QUARANTINE for action in range(len(ACTIONS))]
    benign = [config.fp + config.containment if yes else config.tn for yes in contains]
    malicious = [config.tp + config.containment if yes else config.fn for yes in contains]
    return torch.tensor([benign, malicious, [0.0] * len(ACTIONS)], dtype=torch.float32)


@final
class TriageEnv(LaneGame):
    """Plays lanes in B slots: tensors throughout, no loop over slots.

    Every slot plays the events of its lane in order; a slot whose lane ended takes the next lane of a seeded queue,
    which is shuffled anew whenever it runs out. Implements `custodes.interface.VectorEnv`.

    Args:
        table: Events, views and labels; its device is the environment's.
        lanes: Which rows are played together.
        config: Rewards, credit and number of slots.
        f: How many lying agents the vote rule stands, 0 <= f <= (A - 1) // 3.
        seed: Seeds the queue.
        shuffle: False plays the lanes in order, pass after pass.

    Raises:
        CustodesError: The parts do not fit each other.
    """

    def __init__(
        self, table: EnvTable, lanes: Lanes, config: TriageConfig, f: int = 0, seed: int = 0, shuffle: bool = True
    ) -> None:
        check_parts(table, lanes, config.slots, config.credit, f)
        super().__init__(LanePlayer(table, lanes, config.slots, seed, shuffle), table, config.slots)
        label = self._player.label
        known = (label == 0) | (label == 1)
        self._worth = reward_table(config).to(label.device).index_select(0, torch.where(known, label, LEFT_OUT))
        self._payment = Payment(credit=config.credit, mix=config.credit_mix, f=f)
        self._decide = VoteRule(table.agents, f, table.features.device)

    def reset(self) -> Observation:
        """Start every slot on a lane, as seeded at construction."""
        self._player.begin()
        return self._player.look()

    def step(self, actions: Tensor) -> Step:
        """Play one event in every slot.

        Args:
            actions: Int64 [B, A], each agent's vote 0 to 3.

        Returns:
            Rewards and label of the event that was observed, and what to act on next.

        Raises:
            CustodesError: Wrong shape or type, or an action outside 0 to 3.
        """
        check_actions(actions, self._slots, self._agents)
        player, place = self._player, self._player.place
        worth = self._worth.index_select(0, place)
        decision = self._decide(actions)
        team_reward = worth.gather(1, decision.unsqueeze(1))
        reward = self._payment(worth, actions, team_reward)
        end = player.end.index_select(0, place)
        observation, successor, _ = player.advance(end)
        return Step(
            observation=observation,
            successor=successor,
            reward=reward,
            terminated=end == TERMINATED,
            truncated=end == TRUNCATED,
            decision=decision,
            label=player.label.index_select(0, place),
            team_reward=team_reward.squeeze(1),
            lane=player.lane.index_select(0, place),
            worth=worth,
        )

    def state(self) -> dict[str, Tensor]:
        """Lane and position of every slot, queue, cursor and generator, as fresh copies on the CPU."""
        return self._player.state()

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`.

        Args:
            state: What `state()` of an environment over the same lanes returned.

        Returns:
            The observation that was current then.

        Raises:
            CustodesError: The state belongs to other lanes or another number of slots; nothing is changed then.
        """
        self._player.check_state(state)
        self._player.load_state(state)
        return self._player.look()
