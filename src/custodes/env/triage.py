"""Triage: agents vote on every event of a recording; their votes change the reward and nothing that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import ACTIONS, QUARANTINE, severity_decision, tolerated
from custodes.env.lanes import LaneMode, Lanes
from custodes.env.table import EnvTable, Viewer
from custodes.errors import CustodesError
from custodes.interface import Observation, Step

LEFT_OUT: Final = 2
"""Class of events whose truth is unknown or contaminated: row 2 of the reward table."""
TERMINATED: Final = 1
TRUNCATED: Final = 2
"""How a place ends its lane; 0 where it does not."""


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
    credit: Literal["individual", "team"] = "individual"
    """individual: each agent is paid for its own vote; team: every agent is paid for the decision."""
    reward_scale: float = 0.1
    """Reward per unit of cost saved (response), above 0."""
    lane_share: float = 0.0
    """Share of lanes drawn from processes that do something malicious (response), 0 (as recorded) to below 1."""


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


class TriageEnv:
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
        _check(table, lanes, config, f)
        device = table.features.device

        def tensor(values: NDArray[np.int64] | NDArray[np.bool_]) -> Tensor:
            return torch.as_tensor(values).to(device)

        self._view = Viewer(table)
        self._agents, self._inputs, self._slots = table.agents, table.inputs, config.slots
        self._start, self._length = tensor(lanes.start), tensor(lanes.length)
        # What a step needs is laid out by place, so that it is one gather each and the place is all that a slot holds.
        self._row = tensor(lanes.order)
        self._lane = torch.repeat_interleave(torch.arange(len(self._start), device=device), self._length)
        last = self._start + self._length - 1
        self._following_row = self._row.roll(-1).index_copy(0, last, tensor(lanes.successor))
        ends = torch.where(tensor(lanes.terminated), TERMINATED, TRUNCATED).to(torch.uint8)
        self._end = torch.zeros(len(self._row), dtype=torch.uint8, device=device).index_copy(0, last, ends)
        self._label = table.labels.index_select(0, self._row)
        known = (self._label == 0) | (self._label == 1)
        self._worth = reward_table(config).to(device).index_select(0, torch.where(known, self._label, LEFT_OUT))
        self._team, self._f = config.credit == "team", f
        self._seed, self._shuffle = seed, shuffle
        self._generator = torch.Generator()
        self._begin()

    @property
    def slots(self) -> int:
        """B."""
        return self._slots

    @property
    def lanes(self) -> int:
        """How many lanes there are to play."""
        return len(self._start)

    @property
    def agents(self) -> int:
        """A."""
        return self._agents

    @property
    def inputs(self) -> int:
        """D: features per agent."""
        return self._inputs

    @property
    def central_inputs(self) -> int:
        """S = D: the central view is the same features, under the union of the agents' masks."""
        return self._inputs

    @property
    def actions(self) -> int:
        """4: Allow, Alert, Quarantine, Block."""
        return len(ACTIONS)

    def reset(self) -> Observation:
        """Start every slot on a lane, as seeded at construction."""
        self._begin()
        return self._view(self._row.index_select(0, self._place))

    def step(self, actions: Tensor) -> Step:
        """Play one event in every slot.

        Args:
            actions: Int64 [B, A], each agent's vote 0 to 3.

        Returns:
            Rewards and label of the event that was observed, and what to act on next.

        Raises:
            CustodesError: Wrong shape or type, or an action outside 0 to 3.
        """
        self._check_actions(actions)
        place = self._place
        worth = self._worth.index_select(0, place)
        # One agent's vote is the decision.
        decision = actions[:, 0].clone() if self._agents == 1 else severity_decision(actions, self._f)
        team_reward = worth.gather(1, decision.unsqueeze(1))
        paid_together = self._team or self._agents == 1
        reward = team_reward.expand(-1, self._agents) if paid_together else worth.gather(1, actions)
        end = self._end.index_select(0, place)
        observation, successor = self._advance(end)
        return Step(
            observation=observation,
            successor=successor,
            reward=reward,
            terminated=end == TERMINATED,
            truncated=end == TRUNCATED,
            decision=decision,
            label=self._label.index_select(0, place),
            team_reward=team_reward.squeeze(1),
            lane=self._lane.index_select(0, place),
        )

    def state(self) -> dict[str, Tensor]:
        """Lane and position of every slot, queue, cursor and generator, as fresh copies on the CPU."""
        lane = self._lane.index_select(0, self._place)
        return {
            "lane": lane.cpu(),
            "position": (self._place - self._start.index_select(0, lane)).cpu(),
            "queue": self._queue.cpu().clone(),
            "cursor": torch.tensor([self._cursor], dtype=torch.int64),
            "generator": self._generator.get_state(),
        }

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`.

        Args:
            state: What `state()` of an environment over the same lanes returned.

        Returns:
            The observation that was current then.

        Raises:
            CustodesError: The state belongs to other lanes or another number of slots; nothing is changed then.
        """
        self._check_state(state)
        device = self._row.device
        self._generator.set_state(state["generator"].cpu().clone())
        self._queue = state["queue"].to(device, copy=True)
        self._cursor = int(state["cursor"])
        self._place = self._start.index_select(0, state["lane"].to(device)) + state["position"].to(device)
        return self._view(self._row.index_select(0, self._place))

    def _begin(self) -> None:
        """Seed the queue and put every slot at the start of a lane."""
        self._generator.manual_seed(self._seed)
        self._queue, self._cursor = self._new_queue(), 0
        self._place = self._start.index_select(0, self._take(self._slots))

    def _advance(self, end: Tensor) -> tuple[Observation, Observation]:
        """Move every slot to its next event.

        Args:
            end: How the current place ends its lane, uint8 [B].

        Returns:
            What is seen next, and what truly followed; one object where no lane ended.
        """
        rows = self._following_row.index_select(0, self._place)
        which = end.nonzero().squeeze(1)
        successor = self._view(rows)
        self._place = self._place + 1
        if not len(which):
            return successor, successor
        start = self._start.index_select(0, self._take(len(which)))
        self._place.index_copy_(0, which, start)
        return self._view.replace(successor, which, self._row.index_select(0, start)), successor

    def _take(self, count: int) -> Tensor:
        """The next `count` lanes of the queue, int64 [count]; the loop is over passes, not over slots."""
        taken = [self._queue[self._cursor : self._cursor + count]]
        self._cursor += len(taken[0])
        missing = count - len(taken[0])
        while missing:
            self._queue = self._new_queue()
            taken.append(self._queue[:missing])
            self._cursor = len(taken[-1])
            missing -= self._cursor
        return torch.cat(taken)

    def _new_queue(self) -> Tensor:
        """Every lane once, int64 [L]."""
        lanes = len(self._start)
        queue = torch.randperm(lanes, generator=self._generator) if self._shuffle else torch.arange(lanes)
        return queue.to(self._row.device)

    def _check_actions(self, actions: Tensor) -> None:
        """Refuse what is not a ballot."""
        if actions.shape != (self._slots, self._agents) or actions.dtype != torch.int64:
            raise CustodesError(
                f"actions are {actions.dtype} {list(actions.shape)}, not int64 {[self._slots, self._agents]}",
                where="env.step",
            )
        lowest, highest = torch.aminmax(actions)
        if lowest < 0 or highest >= len(ACTIONS):
            raise CustodesError(f"actions {int(lowest)} to {int(highest)} are not within 0 to 3", where="env.step")

    def _check_state(self, state: dict[str, Tensor]) -> None:
        """Refuse a state of another environment before anything is changed."""
        lanes = len(self._start)
        sizes = {"lane": self._slots, "position": self._slots, "queue": lanes, "cursor": 1}
        fix = "resume with the data, split and slots of the run"
        for name, size in sizes.items():
            value = state.get(name)
            if value is None or value.shape != (size,) or value.dtype != torch.int64:
                raise CustodesError(f"'{name}' is not int64 [{size}]", where="environment state", fix=fix)
        generator, own = state.get("generator"), self._generator.get_state()
        if generator is None or generator.shape != own.shape or generator.dtype != own.dtype:
            raise CustodesError("'generator' is not a generator's state", where="environment state", fix=fix)
        lane, position, cursor = state["lane"].cpu(), state["position"].cpu(), int(state["cursor"])
        if bool(((lane < 0) | (lane >= lanes)).any()) or not 0 <= cursor <= lanes:
            raise CustodesError("it points outside the lanes", where="environment state", fix=fix)
        length = self._length.cpu().index_select(0, lane)
        if bool(((position < 0) | (position >= length)).any()):
            raise CustodesError("it points outside its lane", where="environment state", fix=fix)
        if not torch.equal(state["queue"].cpu().sort().values, torch.arange(lanes)):
            raise CustodesError("the queue is not a permutation of the lanes", where="environment state", fix=fix)


def _check(table: EnvTable, lanes: Lanes, config: TriageConfig, f: int) -> None:
    """Refuse parts that do not fit each other."""
    if config.slots < 1:
        raise CustodesError(f"{config.slots} slots", where="env.slots", fix="use at least 1")
    if config.credit not in ("individual", "team"):
        raise CustodesError(f"unknown credit '{config.credit}'", where="env.credit", fix="use individual or team")
    if not 0 <= f <= tolerated(table.agents):
        fix = f"use at most {tolerated(table.agents)} or more agents"
        raise CustodesError(f"{table.agents} agents cannot stand {f} liars", where="team.f", fix=fix)
    highest = max(int(lanes.order.max()), int(lanes.successor.max()))
    if highest >= len(table.labels):
        raise CustodesError(f"lanes play row {highest} of a table of {len(table.labels)}", where="env")
