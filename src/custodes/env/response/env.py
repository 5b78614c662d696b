"""Response: agents vote at every event of a process's life, and what they decide changes how that life goes on.

Reward is the cost that an action saves against doing nothing (`custodes.env.response.worth`), paid when it is taken.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import ACTIONS, ALERT, BLOCK, QUARANTINE, severity_decision
from custodes.env.lanes import Lanes
from custodes.env.player import (
    TERMINATED,
    TRUNCATED,
    LanePlayer,
    check_actions,
    check_entry,
    check_parts,
    refuse_state,
)
from custodes.env.response.config import ResponseConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.env.response.replay import CLEARED, FREE, MASKS, OPEN
from custodes.env.response.worth import Worth, worth_of
from custodes.env.table import EnvTable
from custodes.errors import CustodesError
from custodes.interface import Observation, Step

NONE: Final = -1
"""No place: no alert is open, nothing is withheld."""

# Columns of what is known of each place. The first five are also what a slot keeps of its open alert.
_KNOWN, _BASE, _ALERTED, _VERDICT, _CLEAR_END, _BLOCK, _OWN, _DELAY, _FALSE_QUARANTINE = range(9)
_KEPT: Final = 5


class ResponseEnv:
    """Plays processes' lives in B slots: tensors throughout, no loop over slots.

    A lane ends when its process is blocked, by the team or by the analyst's verdict on an alert, or with its last
    event. Actions that a mask does not allow change nothing and are worth nothing. Implements
    `custodes.interface.VectorEnv`.

    Args:
        table: Events, views and labels; its device is the environment's.
        lanes: Processes' lives (`build_lanes`, by_entity).
        recording: The part that the lanes play, with its process trees.
        costs: What acting costs, and how long an analyst takes.
        config: Slots, credit, scale and sampling.
        f: How many lying agents the vote rule stands, 0 <= f <= (A - 1) // 3.
        seed: Seeds the queue.
        shuffle: False plays the lanes in order, pass after pass.

    Raises:
        CustodesError: The parts do not fit each other.
    """

    def __init__(
        self,
        table: EnvTable,
        lanes: Lanes,
        recording: Recording,
        costs: ResponseCosts,
        config: ResponseConfig,
        *,
        f: int = 0,
        seed: int = 0,
        shuffle: bool = True,
    ) -> None:
        check_parts(table, lanes, config.slots, config.credit, f)
        worth = worth_of(recording, lanes, costs)
        device = table.features.device
        malicious = worth.malicious[lanes.start]
        favoured = _favoured(malicious, config.lane_share)
        self._player = LanePlayer(table, lanes, config.slots, seed, shuffle, favoured, config.lane_share)
        self._weight = None if favoured is None else _weights(malicious, config.lane_share).to(device)
        self._agents, self._inputs, self._slots = table.agents, table.inputs, config.slots
        self._team, self._f = config.credit == "team", f
        self._worth = _columns(worth, config.reward_scale).to(device)
        self._alert_cost = config.reward_scale * costs.alert
        self._masks = torch.tensor(MASKS, device=device)
        self._clear()

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

    def reset(self) -> Observation:
        """Start every slot on a lane, as seeded at construction."""
        self._player.begin()
        self._clear()
        return self._look()

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
        # One agent's vote is the decision.
        decision = actions[:, 0].clone() if self._agents == 1 else severity_decision(actions, self._f)
        row = self._worth.index_select(0, place)
        kept = torch.where((self._alert >= 0).unsqueeze(1), self._kept, row[:, :_KEPT])
        held = self._held_worth(row, kept)
        saved = self._saved(row, kept, held)
        team_reward = saved.gather(1, decision.unsqueeze(1))
        paid_together = self._team or self._agents == 1
        reward = team_reward.expand(-1, self._agents) if paid_together else saved.gather(1, actions)
        end = player.end.index_select(0, place)
        gone = self._act(decision, row, kept, held)
        terminated = gone | (end == TERMINATED)
        truncated = (end == TRUNCATED) & ~gone
        observation, successor = self._advance(terminated | truncated)
        lane = player.lane.index_select(0, place)
        return Step(
            observation=observation,
            successor=successor,
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            decision=decision,
            label=player.label.index_select(0, place),
            team_reward=team_reward.squeeze(1),
            lane=lane,
            weight=None if self._weight is None else self._weight.index_select(0, lane),
        )

    def state(self) -> dict[str, Tensor]:
        """Lane, position and interventions of every slot, queue, cursor and generator, as fresh copies on the CPU."""
        state = self._player.state()
        start = self._player.place.cpu() - state["position"]
        return state | {
            "alert": _relative(self._alert.cpu(), start),
            "quarantine": _relative(self._quarantine.cpu(), start),
            "cleared": _relative(self._cleared.cpu(), start),
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
        self._player.load_state(state)
        place = self._player.place
        start = place - state["position"].to(place.device)

        def absolute(name: str) -> Tensor:
            value = state[name].to(place.device)
            return torch.where(value < 0, NONE, value + start)

        self._alert, self._quarantine, self._cleared = map(absolute, ("alert", "quarantine", "cleared"))
        self._kept = self._worth.index_select(0, self._alert.clamp(min=0))[:, :_KEPT]
        withheld = self._worth.index_select(0, self._quarantine.clamp(min=0))
        held = self._quarantine >= 0
        self._held_own = torch.where(held, withheld[:, _OWN], 0.0)
        pending = torch.where(held, self._held_worth(withheld, self._kept), self._kept[:, _ALERTED])
        self._pending = torch.where(self._alert >= 0, pending, 0.0)
        return self._look()

    def _clear(self) -> None:
        """No intervention anywhere."""
        device = self._worth.device
        self._alert = torch.full((self._slots,), NONE, device=device)
        self._quarantine, self._cleared = self._alert, self._alert
        self._kept = torch.zeros((self._slots, _KEPT), dtype=torch.float64, device=device)
        self._held_own = torch.zeros(self._slots, dtype=torch.float64, device=device)
        self._pending = self._held_own

    @staticmethod
    def _held_worth(row: Tensor, kept: Tensor) -> Tensor:
        """Saved by the verdict on an alert if the entity is withheld from a place on, float64 [B]."""
        return torch.where(kept[:, _KNOWN] > 0, row[:, _OWN], row[:, _DELAY]) - kept[:, _BASE]

    def _saved(self, row: Tensor, kept: Tensor, held: Tensor) -> Tensor:
        """What each action saves now, float32 [B, 4].

        Args:
            row: Columns of the current place [B].
            kept: Columns of the open alert, or of one that would be raised now [B].
            held: What a Quarantine from now on would make of that alert [B].
        """
        free, contained = self._alert < 0, self._quarantine >= 0
        cleared = self._player.place < self._cleared
        raised = self._alert_cost * free
        # What the open alert had promised is taken back where another action overtakes it.
        quarantine = held - self._pending - row[:, _FALSE_QUARANTINE] - raised
        withheld = torch.where(contained, self._held_own - row[:, _OWN], 0.0)
        saved = torch.stack(
            (
                torch.zeros_like(quarantine),
                (kept[:, _ALERTED] - raised).masked_fill(cleared | ~free, 0.0),
                quarantine.masked_fill(cleared | contained, 0.0),
                row[:, _BLOCK] + withheld - self._pending,
            ),
            1,
        )
        return saved.to(torch.float32)

    def _act(self, decision: Tensor, row: Tensor, kept: Tensor, held: Tensor) -> Tensor:
        """Let decisions take effect and the clock run to the next event.

        Args:
            decision: Int64 [B].
            row: Columns of the current place [B].
            kept: Columns of the open alert, or of one that would be raised now [B].
            held: What a Quarantine from now on would make of that alert [B].

        Returns:
            Bool [B]: the process is blocked, by the team or by an analyst.
        """
        place = self._player.place
        was_open, acts = self._alert >= 0, place >= self._cleared
        withholds = acts & (self._quarantine < 0) & (decision == QUARANTINE)
        raises = (acts & ~was_open & (decision == ALERT)) | (withholds & ~was_open)
        is_open = was_open | raises
        answered = is_open & (place + 1 >= kept[:, _VERDICT])
        waits = is_open & ~answered
        self._kept = kept
        self._alert = torch.where(raises, place, self._alert).masked_fill_(~waits, NONE)
        self._quarantine = torch.where(withholds, place, self._quarantine).masked_fill_(~waits, NONE)
        self._held_own = torch.where(withholds, row[:, _OWN], self._held_own)
        pending = torch.where(withholds, held, torch.where(raises, kept[:, _ALERTED], self._pending))
        self._pending = pending.masked_fill_(~waits, 0.0)
        self._cleared = torch.where(answered, kept[:, _CLEAR_END].to(torch.int64), self._cleared)
        return (answered & (kept[:, _KNOWN] > 0)) | (decision == BLOCK)

    def _advance(self, over: Tensor) -> tuple[Observation, Observation]:
        """Move every slot to its next event; what is seen next, and what truly followed."""
        pattern = (self._alert >= 0) * OPEN + (self._player.place + 1 < self._cleared) * CLEARED
        observation, successor, which = self._player.advance(over)
        successor = self._with_mask(successor, pattern)
        if not len(which):
            return successor, successor
        self._alert = self._alert.index_fill_(0, which, NONE)
        self._quarantine = self._quarantine.index_fill_(0, which, NONE)
        self._cleared = self._cleared.index_fill_(0, which, NONE)
        self._pending = self._pending.index_fill_(0, which, 0.0)
        return self._with_mask(observation, pattern.index_fill(0, which, FREE)), successor

    def _look(self) -> Observation:
        """What is seen at the current places."""
        pattern = (self._alert >= 0) * OPEN + (self._player.place < self._cleared) * CLEARED
        return self._with_mask(self._player.look(), pattern)

    def _with_mask(self, seen: Observation, pattern: Tensor) -> Observation:
        """The same observation with what each slot's state allows; every agent is allowed the same."""
        mask = self._masks.index_select(0, pattern).unsqueeze(1).expand(-1, self._agents, -1)
        return Observation(agents=seen.agents, central=seen.central, mask=mask)

    def _check_state(self, state: dict[str, Tensor]) -> None:
        """Refuse a state of another environment before anything is changed."""
        self._player.check_state(state)
        for name in ("alert", "quarantine", "cleared"):
            check_entry(state, name, self._slots)
        alert, quarantine, position = (state[name].cpu() for name in ("alert", "quarantine", "position"))
        is_open, contained = alert != NONE, quarantine != NONE
        past = (alert >= 0) & (alert < position)
        held = past & (quarantine >= alert) & (quarantine < position)
        if bool((is_open & ~past).any()) or bool((contained & ~held).any()) or int(state["cleared"].min()) < NONE:
            raise refuse_state("its alerts and Quarantines are not of events that came before")


def _relative(place: Tensor, start: Tensor) -> Tensor:
    """Places counted from the start of their lane, int64 [B]; NONE stays."""
    return torch.where(place < 0, NONE, place - start)


def _columns(worth: Worth, scale: float) -> Tensor:
    """What a step gathers, one row for each place, float64 [M, 9]; costs are scaled."""
    columns: dict[int, NDArray[np.float64]] = {
        _KNOWN: worth.known.astype(np.float64),
        _BASE: worth.base * scale,
        _ALERTED: worth.alerted * scale,
        _VERDICT: worth.verdict.astype(np.float64),
        _CLEAR_END: worth.clear_end.astype(np.float64),
        _BLOCK: worth.block * scale,
        _OWN: worth.own * scale,
        _DELAY: worth.delay * scale,
        _FALSE_QUARANTINE: worth.false_quarantine * scale,
    }
    return torch.as_tensor(np.stack([columns[index] for index in range(len(columns))], axis=1))


def _favoured(malicious: NDArray[np.bool_], share: float) -> NDArray[np.bool_] | None:
    """Lanes that are drawn apart, bool [L]; None where all are drawn alike.

    Raises:
        CustodesError: There are only malicious lanes, or none.
    """
    if share == 0:
        return None
    if malicious.all() or not malicious.any():
        which = "benign" if malicious.all() else "malicious"
        fix = "use 0, or a part that holds both"
        raise CustodesError(f"no process of the part is {which}", where="env.lane_share", fix=fix)
    return malicious


def _weights(malicious: NDArray[np.bool_], share: float) -> Tensor:
    """How much rarer each lane is in the recording than among the started ones, float32 [L]."""
    recorded = malicious.mean()
    return torch.as_tensor(np.where(malicious, recorded / share, (1 - recorded) / (1 - share)).astype(np.float32))
