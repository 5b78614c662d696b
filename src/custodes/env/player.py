"""What every game over lanes shares: which event each slot is at, and which lane it takes next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import ACTIONS, tolerated
from custodes.env.credit import check_credit
from custodes.env.lanes import Lanes
from custodes.env.table import EnvTable, Viewer
from custodes.errors import CustodesError
from custodes.interface import Observation, Step, VectorEnv

TERMINATED: Final = 1
TRUNCATED: Final = 2
"""How a place ends its lane; 0 where it does not."""

_WHERE: Final = "environment state"
_FIX: Final = "resume with the data, split and slots of the run"


@final
class LanePlayer:
    """Plays lanes in B slots: tensors throughout, no loop over slots.

    Every slot plays the events of its lane in order; a slot whose lane ended takes the next lane of a seeded queue,
    which is shuffled anew whenever it runs out.

    Args:
        table: Events and views; its device is the player's.
        lanes: Which rows are played together.
        slots: B.
        seed: Seeds the queue.
        shuffle: False plays the lanes in order, pass after pass.
        favoured: bool [L]: lanes that are drawn apart from the others; None draws all alike.
        share: Probability that a lane that is started is one of `favoured`, above 0 and below 1; not read without.
    """

    def __init__(
        self,
        table: EnvTable,
        lanes: Lanes,
        slots: int,
        seed: int,
        shuffle: bool,
        favoured: NDArray[np.bool_] | None = None,
        share: float = 0.0,
    ) -> None:
        device = table.features.device

        def tensor(values: NDArray[np.int64] | NDArray[np.bool_]) -> Tensor:
            return torch.as_tensor(values).to(device)

        self._slots = slots
        self._start, self._length = tensor(lanes.start), tensor(lanes.length)
        # What a step needs is laid out by place, so that it is one gather each and the place is all that a slot holds;
        # the events too, as a lane's lie side by side then. What follows the ends of lanes comes behind all places.
        self._row = tensor(lanes.order)
        self._view = Viewer(table.take(torch.cat((self._row, tensor(lanes.successor)))))
        self.lane = torch.repeat_interleave(torch.arange(len(self._start), device=device), self._length)
        """int64 [M]: lane of each place."""
        last = self._start + self._length - 1
        places, ends_of_lanes = len(self._row), torch.arange(len(self._start), device=device)
        self._following = torch.arange(1, places + 1, device=device).index_copy(0, last, places + ends_of_lanes)
        ends = torch.where(tensor(lanes.terminated), TERMINATED, TRUNCATED).to(torch.uint8)
        self.end = torch.zeros(len(self._row), dtype=torch.uint8, device=device).index_copy(0, last, ends)
        """uint8 [M]: how each place ends its lane."""
        self.label = table.labels.index_select(0, self._row)
        """int64 [M]: label of the event at each place."""
        self._groups = _groups(len(lanes.start), favoured)
        self._share = share
        self._seed, self._shuffle = seed, shuffle
        self._generator = torch.Generator()
        self.begin()

    @property
    def lanes(self) -> int:
        """L."""
        return len(self._start)

    def begin(self) -> None:
        """Seed the queue and put every slot at the start of a lane."""
        self._generator.manual_seed(self._seed)
        self._queues, self._cursors = [self._new_queue(group) for group in self._groups], [0] * len(self._groups)
        self.place = self._start.index_select(0, self._take(self._slots))
        """int64 [B]: where each slot is; never written in place."""

    @property
    def rows(self) -> Tensor:
        """int64 [B]: row of the table that each slot is at."""
        return self._row.index_select(0, self.place)

    def look(self) -> Observation:
        """What is seen at the current places."""
        return self._view(self.place)

    def advance(self, over: Tensor) -> tuple[Observation, Observation, Tensor]:
        """Move every slot to its next event.

        Args:
            over: Where the lane ends here, bool or uint8 [B].

        Returns:
            What is seen next, what truly followed (one object where no lane ended), and the slots that took a new
            lane, int64 [K].
        """
        successor = self._view(self._following.index_select(0, self.place))
        which = over.nonzero().squeeze(1)
        place = self.place + 1
        if not len(which):
            self.place = place
            return successor, successor, which
        start = self._start.index_select(0, self._take(len(which)))
        self.place = place.index_copy_(0, which, start)
        return self._view.replace(successor, which, self.place), successor, which

    def state(self) -> dict[str, Tensor]:
        """Lane and position of every slot, queue, cursors and generator, as fresh copies on the CPU."""
        lane = self.lane.index_select(0, self.place)
        return {
            "lane": lane.cpu(),
            "position": (self.place - self._start.index_select(0, lane)).cpu(),
            "queue": torch.cat(self._queues).cpu().clone(),
            "cursor": torch.tensor(self._cursors, dtype=torch.int64),
            "generator": self._generator.get_state(),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Continue exactly from `state()`, which `check_state` has found sound."""
        device = self._row.device
        self._generator.set_state(state["generator"].cpu().clone())
        self._queues = self._by_group(state["queue"].to(device, copy=True))
        self._cursors = [int(cursor) for cursor in state["cursor"]]
        self.place = self.places(state)

    def places(self, state: dict[str, Tensor]) -> Tensor:
        """The slots' places in a sound state, int64 [B]."""
        device = self._row.device
        return self._start.index_select(0, state["lane"].to(device)) + state["position"].to(device)

    def check_state(self, state: dict[str, Tensor]) -> None:
        """Refuse a state of another environment before anything is changed.

        Raises:
            CustodesError: It belongs to other lanes or another number of slots.
        """
        lanes, groups = self.lanes, len(self._groups)
        for name, size in {"lane": self._slots, "position": self._slots, "queue": lanes, "cursor": groups}.items():
            check_entry(state, name, size)
        generator, own = state.get("generator"), self._generator.get_state()
        if generator is None or generator.shape != own.shape or generator.dtype != own.dtype:
            raise CustodesError("'generator' is not a generator's state", where=_WHERE, fix=_FIX)
        lane, position = state["lane"].cpu(), state["position"].cpu()
        sizes = torch.tensor([len(group) for group in self._groups])
        cursor = state["cursor"].cpu()
        if bool(((lane < 0) | (lane >= lanes)).any()) or bool(((cursor < 0) | (cursor > sizes)).any()):
            raise CustodesError("it points outside the lanes", where=_WHERE, fix=_FIX)
        length = self._length.cpu().index_select(0, lane)
        if bool(((position < 0) | (position >= length)).any()):
            raise CustodesError("it points outside its lane", where=_WHERE, fix=_FIX)
        for queue, group in zip(self._by_group(state["queue"].cpu()), self._groups, strict=True):
            if not torch.equal(queue.sort().values, group):
                raise CustodesError("the queue is not a permutation of the lanes", where=_WHERE, fix=_FIX)

    def _by_group(self, queue: Tensor) -> list[Tensor]:
        """One queue for each group, from all of them in a row."""
        ends = np.cumsum([len(group) for group in self._groups]).tolist()
        return [queue[end - len(group) : end] for end, group in zip(ends, self._groups, strict=True)]

    def _take(self, count: int) -> Tensor:
        """The next `count` lanes to play, int64 [count]."""
        if len(self._groups) == 1:
            return self._next(0, count)
        favoured = torch.rand(count, generator=self._generator, dtype=torch.float64) < self._share
        many = int(favoured.sum())
        taken = torch.empty(count, dtype=torch.int64, device=self._row.device)
        favoured = favoured.to(self._row.device)
        taken[favoured], taken[~favoured] = self._next(0, many), self._next(1, count - many)
        return taken

    def _next(self, group: int, count: int) -> Tensor:
        """The next `count` lanes of one queue, int64 [count]; the loop is over passes, not over slots."""
        taken = [self._queues[group][self._cursors[group] : self._cursors[group] + count]]
        self._cursors[group] += len(taken[0])
        missing = count - len(taken[0])
        while missing:
            self._queues[group] = self._new_queue(self._groups[group])
            taken.append(self._queues[group][:missing])
            self._cursors[group] = len(taken[-1])
            missing -= self._cursors[group]
        return torch.cat(taken)

    def _new_queue(self, group: Tensor) -> Tensor:
        """Every lane of a group once, int64."""
        queue = group[torch.randperm(len(group), generator=self._generator)] if self._shuffle else group
        return queue.to(self._row.device)


def _groups(lanes: int, favoured: NDArray[np.bool_] | None) -> list[Tensor]:
    """Lanes that are drawn from one queue each, on the CPU: all; or the favoured and the others."""
    if favoured is None:
        return [torch.arange(lanes)]
    return [torch.as_tensor(np.flatnonzero(mine)) for mine in (favoured, ~favoured)]


def check_entry(state: dict[str, Tensor], name: str, size: int) -> None:
    """Refuse a state in which one entry is missing or is not int64 [size]."""
    value = state.get(name)
    if value is None or value.shape != (size,) or value.dtype != torch.int64:
        raise CustodesError(f"'{name}' is not int64 [{size}]", where=_WHERE, fix=_FIX)


def refuse_state(problem: str) -> CustodesError:
    """The error of a state that cannot be continued from."""
    return CustodesError(problem, where=_WHERE, fix=_FIX)


def check_actions(actions: Tensor, slots: int, agents: int) -> None:
    """Refuse what is not a ballot of int64 [slots, agents], 0 to 3."""
    if actions.shape != (slots, agents) or actions.dtype != torch.int64:
        raise CustodesError(
            f"actions are {actions.dtype} {list(actions.shape)}, not int64 {[slots, agents]}", where="env.step"
        )
    lowest, highest = torch.aminmax(actions)
    if lowest < 0 or highest >= len(ACTIONS):
        raise CustodesError(f"actions {int(lowest)} to {int(highest)} are not within 0 to 3", where="env.step")


def check_parts(table: EnvTable, lanes: Lanes, slots: int, credit: str, f: int) -> None:
    """Refuse parts that do not fit each other."""
    if slots < 1:
        raise CustodesError(f"{slots} slots", where="env.slots", fix="use at least 1")
    check_credit(credit)
    if not 0 <= f <= tolerated(table.agents):
        fix = f"use at most {tolerated(table.agents)} or more agents"
        raise CustodesError(f"{table.agents} agents cannot stand {f} liars", where="team.f", fix=fix)
    highest = max(int(lanes.order.max()), int(lanes.successor.max()))
    if highest >= len(table.labels):
        raise CustodesError(f"lanes play row {highest} of a table of {len(table.labels)}", where="env")


class Game(VectorEnv, Protocol):
    """A game over lanes of a table, as those who stand between it and the learner see it."""

    @property
    def lanes(self) -> int:
        """How many lanes there are to play."""
        ...

    @property
    def rows(self) -> Tensor:
        """int64 [B]: row of the table that each slot is at."""
        ...


class LaneGame(ABC):
    """A game over lanes for teams of A agents: what `custodes.interface.VectorEnv` asks, but for how a step is paid.

    Args:
        player: Plays the lanes.
        table: Events, views and labels.
        slots: B.
    """

    def __init__(self, player: LanePlayer, table: EnvTable, slots: int) -> None:
        self._player = player
        self._agents, self._inputs, self._slots = table.agents, table.inputs, slots

    @property
    def slots(self) -> int:
        """B."""
        return self._slots

    @property
    def lanes(self) -> int:
        """How many lanes there are to play."""
        return self._player.lanes

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

    @property
    def rows(self) -> Tensor:
        """int64 [B]: row of the table that each slot is at."""
        return self._player.rows

    @property
    def case(self) -> Tensor:
        """int64 [B]: which of the states with masks of their own each slot's entity is in; 0 where there is but one."""
        return torch.zeros_like(self._player.place)

    @abstractmethod
    def reset(self) -> Observation:
        """Start every slot on a lane, as seeded at construction."""

    @abstractmethod
    def step(self, actions: Tensor) -> Step:
        """Play int64 [B, A] votes, one event in every slot."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on, as fresh copies on the CPU."""

    @abstractmethod
    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`; what was current then."""
