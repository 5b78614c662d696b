"""Liars in training: in some lanes some agents say what an attack makes them say, and the team learns to stand it.

A lane is an episode: who lies, and how, is drawn when it begins and holds until it ends. Only the vote is replaced.
What a liar would have voted honestly is still sampled, and `Step.learns` keeps it out of that agent's loss, since
neither what happened nor its reward is of its own doing. The central observation ends with who lies, which a central
critic may know and no actor sees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, final

import torch
from torch import Tensor

from custodes.bft.attacks import ATTACKS, Situation, lie
from custodes.bft.votes import tolerated
from custodes.env.player import Game, refuse_state
from custodes.errors import CustodesError
from custodes.interface import Observation, Step

LEARNED: Final = "traitor"
"""The one attack that training does not play: it is trained against a finished team."""
_PREFIX: Final = "liars."


@dataclass(frozen=True, kw_only=True)
class LiarsConfig:
    """How many lie in training, and how."""

    share: float = 0.0
    """Share of lanes with liars among the voters, 0 (none) to 1."""
    most: int = 0
    """Liars in such a lane: 1 to so many, all equally likely; 0 stands for f."""
    attacks: tuple[str, ...] = tuple(name for name in ATTACKS if name != LEARNED)
    """What they do: one attack for each lane with liars."""
    weights: tuple[float, ...] = ()
    """How often each of `attacks` is drawn, in proportion; empty for all alike."""
    wake: int = 32
    """Events of a lane that `sleeper` stays honest for, 0 or more."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}, outside 0 to 1")
        if self.most < 0 or self.wake < 0:
            name = "most" if self.most < 0 else "wake"
            raise ValueError(f"{name} is {getattr(self, name)}, below 0")
        unknown = [name for name in self.attacks if name not in ATTACKS or name == LEARNED]
        if unknown:
            known = ", ".join(name for name in ATTACKS if name != LEARNED)
            raise ValueError(f"attacks holds {unknown[0]}, which training does not play (known: {known})")
        if not self.attacks:
            raise ValueError("attacks is empty; set share to 0 for no liars")
        if self.weights and len(self.weights) != len(self.attacks):
            raise ValueError(f"weights holds {len(self.weights)} numbers for {len(self.attacks)} attacks")
        if self.weights and (min(self.weights) < 0 or not 0 < sum(self.weights) < math.inf):
            raise ValueError("weights are not finite numbers of 0 or more, one of them above 0")


def draw_liars(count: int, agents: int, most: int, generator: torch.Generator) -> Tensor:
    """Who lies in each of `count` lanes: 1 to `most` agents, every number and every choice equally likely.

    Returns:
        bool [count, A], on the CPU.
    """
    number = torch.randint(1, most + 1, (count, 1), generator=generator)
    rank = torch.rand(count, agents, generator=generator, dtype=torch.float64).argsort(1).argsort(1)
    return rank < number


@final
class LiarsEnv:
    """A game in which some agents lie. Implements `custodes.interface.VectorEnv`.

    Args:
        game: What is played; it decides by the votes that reach it.
        config: With a share above 0.
        protected: bool [N], rows of the table whose process does something malicious; `target` protects these.
        seed: Seeds who lies, and how; independent of the game's own chance.

    Raises:
        CustodesError: More liars than agents.
    """

    def __init__(self, game: Game, config: LiarsConfig, protected: Tensor, seed: int) -> None:
        self._game, self._config, self._seed = game, config, seed
        self._most = config.most or tolerated(game.agents)
        if not 1 <= self._most <= game.agents:
            raise CustodesError(
                f"{self._most} liars among {game.agents} agents",
                where="liars.most",
                fix=f"use 1 to {game.agents}, or liars.share=0 for none",
            )
        self._protected = protected.long()
        weights = config.weights or (1.0,) * len(config.attacks)
        self._weights = torch.tensor(weights, dtype=torch.float64)
        self._generator = torch.Generator()
        self._lies: Tensor
        self._attack: Tensor
        self._age: Tensor
        self._begin()

    @property
    def slots(self) -> int:
        """B."""
        return self._game.slots

    @property
    def lanes(self) -> int:
        """How many lanes there are to play."""
        return self._game.lanes

    @property
    def agents(self) -> int:
        """A."""
        return self._game.agents

    @property
    def inputs(self) -> int:
        """D: as the game's; no actor is told who lies."""
        return self._game.inputs

    @property
    def central_inputs(self) -> int:
        """S + A: the game's, and who lies."""
        return self._game.central_inputs + self._game.agents

    @property
    def actions(self) -> int:
        """As the game's."""
        return self._game.actions

    def reset(self) -> Observation:
        """Start every slot on a lane, as seeded at construction."""
        observation = self._game.reset()
        self._begin()
        return self._told(observation, self._lies)

    def step(self, actions: Tensor) -> Step:
        """Play int64 [B, A] votes, of which the liars' are replaced; rewards are of the votes that were counted."""
        lies = self._lies
        step = self._game.step(self._counted(actions))
        over = step.terminated | step.truncated
        successor = self._told(step.successor, lies)
        self._age = self._age + 1
        if bool(over.any()):
            self._start(over.nonzero().squeeze(1).cpu())
        same = step.observation is step.successor
        observation = successor if same else self._told(step.observation, self._lies)
        return replace(step, observation=observation, successor=successor, learns=~lies)

    def state(self) -> dict[str, Tensor]:
        """The game's state, with who lies, how, and for how long already, as fresh copies on the CPU."""
        own = {"lies": self._lies, "attack": self._attack, "age": self._age}
        mine = {f"{_PREFIX}{name}": value.cpu().clone() for name, value in own.items()}
        return self._game.state() | mine | {f"{_PREFIX}generator": self._generator.get_state()}

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`.

        Raises:
            CustodesError: The state belongs to another environment; nothing is changed then.
        """
        own = {name.removeprefix(_PREFIX): value for name, value in state.items() if name.startswith(_PREFIX)}
        self._check_state(own)
        observation = self._game.load_state({k: v for k, v in state.items() if not k.startswith(_PREFIX)})
        device = self._protected.device
        self._lies, self._attack, self._age = (own[name].to(device, copy=True) for name in ("lies", "attack", "age"))
        self._generator.set_state(own["generator"].cpu().clone())
        return self._told(observation, self._lies)

    def _begin(self) -> None:
        """Seed, and draw for every slot."""
        device = self._protected.device
        self._generator.manual_seed(self._seed)
        self._lies = torch.zeros(self.slots, self.agents, dtype=torch.bool, device=device)
        self._attack, self._age = (torch.zeros(self.slots, dtype=torch.int64, device=device) for _ in range(2))
        self._start(torch.arange(self.slots))

    def _start(self, slots: Tensor) -> None:
        """Draw who lies, and how, in the lanes that begin in int64 [K] slots."""
        count, generator = len(slots), self._generator
        some = torch.rand(count, 1, generator=generator, dtype=torch.float64) < self._config.share
        lies = draw_liars(count, self.agents, self._most, generator) & some
        attack = torch.multinomial(self._weights, count, replacement=True, generator=generator)
        device = self._protected.device
        where = slots.to(device)
        # New tensors: what was handed out (`learns`, the central view) keeps its values.
        self._lies = self._lies.index_copy(0, where, lies.to(device))
        self._attack = self._attack.index_copy(0, where, attack.to(device))
        self._age = self._age.index_fill(0, where, 0)

    def _counted(self, actions: Tensor) -> Tensor:
        """The votes that reach the rule: each lane's liars say what its attack makes them say."""
        votes = actions
        entity = self._protected.index_select(0, self._game.rows)
        noise = torch.rand(actions.shape, generator=self._generator).to(actions.device)
        lying = self._lies.any(1)
        for index, name in enumerate(self._config.attacks):
            where = (lying & (self._attack == index)).nonzero().squeeze(1)
            if not len(where):
                continue
            situation = Situation(
                votes=actions.index_select(0, where),
                liars=self._lies.index_select(0, where),
                noise=noise.index_select(0, where),
                entity=entity.index_select(0, where),
                step=self._age.index_select(0, where),
                targets=(1,),
                wake=self._config.wake,
            )
            votes = votes.index_copy(0, where, lie(name, situation))
        return votes

    def _told(self, seen: Observation, lies: Tensor) -> Observation:
        """The same observation, the central one with who lies."""
        return replace(seen, central=torch.cat((seen.central, lies.to(seen.central.dtype)), dim=1))

    def _check_state(self, own: dict[str, Tensor]) -> None:
        """Refuse what was saved by another environment, or by none with liars."""
        wanted = {
            "lies": ((self.slots, self.agents), torch.bool),
            "attack": ((self.slots,), torch.int64),
            "age": ((self.slots,), torch.int64),
            "generator": (tuple(self._generator.get_state().shape), torch.uint8),
        }
        for name, (shape, dtype) in wanted.items():
            value = own.get(name)
            if value is None or tuple(value.shape) != shape or value.dtype != dtype:
                raise refuse_state(f"'{_PREFIX}{name}' is not {dtype} {list(shape)}")
        attack, age = own["attack"], own["age"]
        if bool(((attack < 0) | (attack >= len(self._config.attacks)) | (age < 0)).any()):
            raise refuse_state("a slot's attack is none of liars.attacks")
