"""Response: agents vote at every event of a process's life, and what they decide changes how that life goes on.

Reward is the cost that an action saves against doing nothing (`custodes.env.response.worth`), paid when it is taken.
"""

from __future__ import annotations

from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import ACTIONS, BLOCK
from custodes.env.ballots import VoteRule
from custodes.env.credit import Payment
from custodes.env.lanes import Lanes
from custodes.env.player import (
    TERMINATED,
    TRUNCATED,
    LaneGame,
    LanePlayer,
    check_actions,
    check_entry,
    check_parts,
    refuse_state,
)
from custodes.env.response import layout
from custodes.env.response.config import ResponseConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.layout import HELD
from custodes.env.response.recording import Recording
from custodes.env.response.replay import CLEARED, FREE, OPEN
from custodes.env.response.worth import worth_of
from custodes.env.table import EnvTable
from custodes.errors import CustodesError
from custodes.interface import Observation, Step

NONE: Final = -1
"""No place: no alert was raised, nothing is withheld."""


@final
class ResponseEnv(LaneGame):
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
        player = LanePlayer(table, lanes, config.slots, seed, shuffle, favoured, config.lane_share)
        super().__init__(player, table, config.slots)
        self._weight = None if favoured is None else _weights(malicious, config.lane_share).to(device)
        self._payment = Payment(credit=config.credit, mix=config.credit_mix, f=f)
        self._decide = VoteRule(table.agents, f, device)
        self.played, self.recording, self.costs, self.config = lanes, recording, costs, config
        self._worth = layout.columns(worth, costs, config.reward_scale).to(device)
        self._masks, self._gates = layout.masks(device), layout.gates(device)
        self._following, self._raises, self._withholds = layout.transitions(device)
        self._clear()

    @property
    def case(self) -> Tensor:
        """int64 [B]: FREE, OPEN or CLEARED, whose masks differ; who is withheld has an alert open as well."""
        return torch.where(self._status == HELD, OPEN, self._status)

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
        decision = self._decide(actions)
        row = self._worth.index_select(0, place)
        kept = torch.where((self._status != FREE).unsqueeze(1), self._kept, row[:, layout.ALERT_COLUMNS])
        held = _held_worth(row, kept)
        saved = self._saved(row, held)
        team_reward = saved.gather(1, decision.unsqueeze(1))
        reward = self._payment(saved, actions, team_reward)
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
            worth=saved,
        )

    def standing(self) -> tuple[Tensor, Tensor]:
        """Where every slot is: its place in `played`, and its state FREE, OPEN, CLEARED or HELD; int64 [B] copies."""
        return self._player.place.clone(), self._status.clone()

    def ends(self) -> Tensor:
        """How each place of `played` ends its lane, uint8 [M]: TERMINATED, TRUNCATED, or 0 where it does not."""
        return self._player.end

    def state(self) -> dict[str, Tensor]:
        """Lane, position and interventions of every slot, queue, cursor and generator, as fresh copies on the CPU."""
        state = self._player.state()
        start = self._player.place.cpu() - state["position"]
        status = self._status.cpu().clone()

        def position(kept: Tensor, where: Tensor) -> Tensor:
            return torch.where(where, kept.cpu().to(torch.int64) - start, NONE)

        return state | {
            "status": status,
            "alert": position(self._kept[:, layout.ALERT_PLACE], status != FREE),
            "quarantine": position(self._hold[:, layout.HELD_PLACE], status == HELD),
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
        device = self._worth.device
        start = self._player.place - state["position"].to(device)

        def rows(name: str) -> Tensor:
            return self._worth.index_select(0, start + state[name].to(device).clamp(min=0))

        self._status = state["status"].to(device, copy=True)
        self._kept = rows("alert")[:, layout.ALERT_COLUMNS]
        withheld = rows("quarantine")
        self._hold = withheld[:, layout.HELD_COLUMNS]
        self._pending = torch.where(self._status == OPEN, self._kept[:, layout.ALERTED], 0.0)
        self._pending = torch.where(self._status == HELD, _held_worth(withheld, self._kept), self._pending)
        return self._look()

    def _clear(self) -> None:
        """No intervention anywhere."""
        self._status = torch.zeros(self._slots, dtype=torch.int64, device=self._worth.device)
        self._kept = self._worth[:1, layout.ALERT_COLUMNS].expand(self._slots, -1)
        self._hold = self._worth[:1, layout.HELD_COLUMNS].expand(self._slots, -1)
        self._pending = torch.zeros(self._slots, dtype=torch.float64, device=self._worth.device)

    def _saved(self, row: Tensor, held: Tensor) -> Tensor:
        """What each action saves now, float32 [B, 4].

        Args:
            row: Columns of the current place [B].
            held: What a Quarantine from now on would make of the alert [B].
        """
        gate = self._gates.index_select(0, self._status)
        saved = row[:, layout.SAVED] * gate[:, :4]
        # What the open alert had promised is taken back where another action overtakes it.
        quarantine = held - self._pending - row[:, layout.FALSE_QUARANTINE]
        saved[:, 2].addcmul_(quarantine, gate[:, 4])
        withheld = self._hold[:, layout.HELD_OWN] - row[:, layout.OWN]
        saved[:, 3].addcmul_(withheld, gate[:, 5]).sub_(self._pending)
        return saved.to(torch.float32)

    def _act(self, decision: Tensor, row: Tensor, kept: Tensor, held: Tensor) -> Tensor:
        """Let decisions take effect and the clock run to the next event.

        Args:
            decision: Int64 [B].
            row: Columns of the current place [B].
            kept: Columns of the latest alert, or of one that would be raised now [B].
            held: What a Quarantine from now on would make of that alert [B].

        Returns:
            Bool [B]: the process is blocked, by the team or by an analyst.
        """
        case = torch.add(decision, self._status, alpha=len(ACTIONS))
        status = self._following.index_select(0, case)
        raises, withholds = self._raises.index_select(0, case), self._withholds.index_select(0, case)
        pending = torch.where(raises, kept[:, layout.ALERTED], self._pending)
        place = row[:, layout.PLACE]
        # OPEN and HELD are the odd ones.
        answered = (place >= kept[:, layout.LAST_OPEN]) & status.bitwise_and(1).to(torch.bool)
        status = status.masked_fill_(answered, CLEARED)
        forgotten = (status == CLEARED) & (place >= kept[:, layout.LAST_CLEARED])
        self._status = status.masked_fill_(forgotten, FREE)
        self._pending = torch.where(withholds, held, pending).masked_fill_(answered, 0.0)
        self._kept = kept
        self._hold = torch.where(withholds.unsqueeze(1), row[:, layout.HELD_COLUMNS], self._hold)
        return (answered & (kept[:, layout.KNOWN] > 0)) | (decision == BLOCK)

    def _advance(self, over: Tensor) -> tuple[Observation, Observation]:
        """Move every slot to its next event; what is seen next, and what truly followed."""
        observation, successor, which = self._player.advance(over)
        successor = self._with_mask(successor)
        if not len(which):
            return successor, successor
        self._status = self._status.index_fill_(0, which, FREE)
        self._pending = self._pending.index_fill_(0, which, 0.0)
        return self._with_mask(observation), successor

    def _look(self) -> Observation:
        """What is seen at the current places."""
        return self._with_mask(self._player.look())

    def _with_mask(self, seen: Observation) -> Observation:
        """The same observation with what each slot's state allows; every agent is allowed the same."""
        mask = self._masks.index_select(0, self._status).unsqueeze(1).expand(-1, self._agents, -1)
        return Observation(agents=seen.agents, central=seen.central, mask=mask)

    def _check_state(self, state: dict[str, Tensor]) -> None:
        """Refuse a state of another environment before anything is changed."""
        self._player.check_state(state)
        for name in ("status", "alert", "quarantine"):
            check_entry(state, name, self._slots)
        status, alert, quarantine, position = (
            state[name].cpu() for name in ("status", "alert", "quarantine", "position")
        )
        if bool(((status < 0) | (status >= layout.STATES)).any()):
            raise refuse_state("a slot's status is none of the four")
        asked = torch.where(status == FREE, alert == NONE, (alert >= 0) & (alert < position))
        within = (quarantine >= alert) & (quarantine >= 0) & (quarantine < position)
        if not bool((asked & torch.where(status == HELD, within, quarantine == NONE)).all()):
            raise refuse_state("its alerts and Quarantines are not of events that came before")


def _held_worth(row: Tensor, kept: Tensor) -> Tensor:
    """Saved by the verdict on an alert if the entity is withheld from a place on, float64 [B].

    Args:
        row: Columns of the place from which on it is withheld [B].
        kept: Columns of the alert [B].
    """
    return torch.where(kept[:, layout.KNOWN] > 0, row[:, layout.OWN], row[:, layout.DELAY]) - kept[:, layout.BASE]


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
