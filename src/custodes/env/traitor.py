"""The game of a traitor: it sits in the chairs of some agents of a finished team, and earns what the team loses.

The honest agents act as they would in use: greedily, and deterministically, so their votes are known beforehand for
every event and state. A traitor knows the worst that it could know: all inputs of all agents, how every agent would
vote on a free entity, whether the entity is the attacker's, and who else lies. It heeds no mask.

Seats, not agents, are what learns: seat j plays the j-th liar of the lane. Lanes with fewer liars leave seats empty,
and `Step.learns` keeps those out of the loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from custodes.env.liars import draw_liars
from custodes.env.player import LaneGame, refuse_state
from custodes.interface import Observation, Step

_PREFIX = "traitor."


def seat_inputs(known: Tensor, seats: Tensor, agents: int) -> Tensor:
    """What each seat sees.

    Args:
        known: Float [B, D], what every liar knows.
        seats: Int64 [B, K], the agent that each seat plays; A where it is empty.
        agents: A.

    Returns:
        Float [B, K, D + 2 A]: that, who lies (A), and whom this seat plays (A).
    """
    plays = torch.nn.functional.one_hot(seats, agents + 1)[..., :agents].to(known.dtype)
    lies = plays.sum(1, keepdim=True)
    shape = (*seats.shape, -1)
    return torch.cat((known[:, None].expand(shape), lies.expand(shape), plays), dim=-1)


@final
class TraitorEnv:
    """Implements `custodes.interface.VectorEnv` with the seats as agents.

    Args:
        game: What is played, over a table of what a liar knows (its central view is that).
        votes: Int64 [N, A, S]: each agent's honest vote at each row of the table, in each state (`LaneGame.case`).
        seats: Liars in a lane at most, 1 to A; each lane draws 1 to so many.
        seed: Seeds who lies.
    """

    def __init__(self, game: LaneGame, votes: Tensor, seats: int, seed: int) -> None:
        self._game, self._votes, self._seats, self._seed = game, votes, seats, seed
        self._team = votes.shape[1]
        self._generator = torch.Generator()
        self._begin()

    @property
    def slots(self) -> int:
        """B."""
        return self._game.slots

    @property
    def agents(self) -> int:
        """K seats."""
        return self._seats

    @property
    def inputs(self) -> int:
        """D + 2 A."""
        return self._game.inputs + 2 * self._team

    @property
    def central_inputs(self) -> int:
        """D."""
        return self._game.central_inputs

    @property
    def actions(self) -> int:
        """As the game's."""
        return self._game.actions

    def reset(self) -> Observation:
        """Start every slot on a lane, as seeded at construction."""
        seen = self._game.reset()
        self._begin()
        return self._seen(seen, self._who)

    def step(self, actions: Tensor) -> Step:
        """Play int64 [B, K] votes of the seats, beside the honest agents'."""
        game, who = self._game, self._who
        case = game.case[:, None, None].expand(-1, self._team, 1)
        honest = self._votes.index_select(0, game.rows).gather(2, case).squeeze(2)
        # One column more takes the votes of empty seats, and is dropped.
        ballot = torch.cat((honest, honest[:, :1]), dim=1).scatter(1, who, actions)[:, : self._team]
        step = game.step(ballot)
        over = step.terminated | step.truncated
        if bool(over.any()):
            self._start(over.nonzero().squeeze(1).cpu())
        return replace(
            step,
            observation=self._seen(step.observation, self._who),
            successor=self._seen(step.successor, who),
            reward=-step.team_reward[:, None].expand(-1, self._seats),
            team_reward=-step.team_reward,
            learns=who < self._team,
            # What decisions are worth is told to the team, not to who is paid for the opposite; and lanes are drawn for
            # the practice, so they count as they are drawn.
            worth=None,
            weight=None,
        )

    def state(self) -> dict[str, Tensor]:
        """The game's state and who lies, as fresh copies on the CPU."""
        mine = {f"{_PREFIX}who": self._who.cpu().clone(), f"{_PREFIX}generator": self._generator.get_state()}
        return self._game.state() | mine

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`.

        Raises:
            CustodesError: The state belongs to another environment; nothing is changed then.
        """
        who, generator = (state.get(f"{_PREFIX}{name}") for name in ("who", "generator"))
        if who is None or generator is None or who.shape != (self.slots, self._seats) or who.dtype != torch.int64:
            raise refuse_state(f"'{_PREFIX}who' is not int64 {[self.slots, self._seats]}")
        seen = self._game.load_state({k: v for k, v in state.items() if not k.startswith(_PREFIX)})
        self._who = who.to(self._votes.device, copy=True)
        self._generator.set_state(generator.cpu().clone())
        return self._seen(seen, self._who)

    def _begin(self) -> None:
        self._generator.manual_seed(self._seed)
        self._who = torch.zeros(self.slots, self._seats, dtype=torch.int64, device=self._votes.device)
        self._start(torch.arange(self.slots))

    def _start(self, slots: Tensor) -> None:
        """Draw who lies in the lanes that begin in int64 [n] slots."""
        lies = draw_liars(len(slots), self._team, self._seats, self._generator)
        who = torch.where(lies, torch.arange(self._team), self._team).sort(1).values[:, : self._seats]
        device = self._votes.device
        self._who = self._who.index_copy(0, slots.to(device), who.to(device))

    def _seen(self, seen: Observation, who: Tensor) -> Observation:
        return Observation(agents=seat_inputs(seen.central, who, self._team), central=seen.central)
