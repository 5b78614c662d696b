"""Watched environments with rules over them, from small recordings."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from custodes.data.features import Column, Encoder
from custodes.env.credit import Credit
from custodes.env.response.config import ResponseConfig
from custodes.env.response.env import ResponseEnv
from custodes.team.rules.book import RuleBook, book_of
from custodes.team.rules.ground import Ground
from custodes.team.rules.ledger import Ledger
from custodes.team.rules.watch import Seen, Watch
from tests.env.response.games import environment
from tests.env.response.worlds import World

TEXT = """
[[spec]]
name = "spared"
formula = "always (first and innocent -> always (not contain))"
tags = ["label"]
[[spec]]
name = "in time"
formula = "always (turned -> eventually[0:3] contained)"
tags = ["label"]
[[spec]]
name = "known before"
formula = "always (contain -> once (evidence >= 0.5))"
[[spec]]
name = "few alerts"
formula = "always (alert -> count(alert, 4) <= 1)"
[[spec]]
name = "together"
formula = "always (contain -> votes >= 3)"
[[spec]]
name = "calm"
formula = "always (event > 1 and prev contained -> always[1:2] (not alert))"
"""
"""A rule of every shape: a duty without end, one that looks ahead, past only, a count, a joint one, a bounded duty."""


def encoder() -> Encoder:
    """Two inputs, of which the second is evidence."""
    columns = (Column(name="row", group="numeric"), Column(name="reputation:lineage", group="reputation"))
    return Encoder(groups=("numeric", "reputation"), numeric=(), vocabulary={}, columns=columns)


def features(world: World, seed: int = 0) -> NDArray[np.float32]:
    """float32 [N, 2]: evidence at about every third row."""
    draw = np.random.default_rng(seed)
    evidence = draw.choice((0.0, 0.0, 0.9), len(world.events))
    return np.stack((np.arange(len(world.events)), evidence), axis=1).astype(np.float32)


def book(text: str = TEXT) -> RuleBook:
    """The rules above."""
    return book_of(text)


class Stage:
    """An environment, watched, with its ledger."""

    def __init__(
        self,
        world: World,
        *,
        rules: RuleBook | None = None,
        slots: int = 3,
        agents: int = 4,
        seed: int = 0,
        window: int = 0,
        individual: bool = True,
        lane_share: float = 0.0,
    ) -> None:
        credit: Credit = "individual" if individual else "team"
        config = ResponseConfig(slots=slots, credit=credit, lane_share=lane_share)
        self.env: ResponseEnv = environment(world, config, agents=agents, seed=seed, window=window)
        self.watch = Watch(self.env)
        self.book = rules or book()
        self.ground = Ground.of(self.env, self.book, features(world), encoder())
        self.ledger = Ledger(
            self.ground,
            self.book,
            slots=slots,
            agents=agents,
            individual=individual and agents > 1,
            longest=int(self.env.played.length.max()),
        )
        self.watch.reset()

    def play(self, steps: int, generator: torch.Generator) -> Seen:
        """Random votes, most of them Allow; agents often agree."""
        chances = torch.tensor([0.7, 0.12, 0.1, 0.08])
        slots, agents = self.env.slots, self.env.agents
        for _ in range(steps):
            own, common = (
                torch.multinomial(chances.expand(size, 4), 1, generator=generator) for size in (slots * agents, slots)
            )
            follows = torch.rand(slots, agents, generator=generator) < 0.6
            self.watch.step(torch.where(follows, common, own.reshape(slots, agents)))
        seen = self.watch.take()
        assert seen is not None
        return seen
