"""All settings of a run: what its `config.toml` holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from custodes.bft.votes import tolerated
from custodes.data.config import DataConfig
from custodes.env.liars import LiarsConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.triage import TriageConfig
from custodes.rl.config import LearnerConfig
from custodes.team.config import TeamConfig
from custodes.team.rules.config import RulesConfig


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How long to train, and what to do on the way."""

    decisions: int = 1_000_000
    """Decision budget, 1 or more: one decision per event and team. Schedules run over it."""
    iterations: int = 0
    """When above 0, the number of iterations, in place of the decision budget."""
    eval_every: int = 50_000
    """Evaluate on validation at least every so many decisions, 1 or more."""
    checkpoint_every: int = 10
    """Save the state every so many iterations, 1 or more."""
    threads: int = 1
    """Torch threads, 1 or more. More than one is seldom faster for networks of this size."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """Where to compute; `auto` takes a GPU when there is one."""
    refit: bool = False
    """Train on the training and the validation part together, with settings that were chosen by training on the first
    alone. Validation figures are then of data that was learned from, and the last checkpoint is the one to use."""
    tensorboard: bool = True
    """Write TensorBoard events to the run folder."""
    diagnostics: bool = True
    """Keep the record that `custodes doctor` reads, and look for what is wrong as training goes."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name in ("decisions", "eval_every", "checkpoint_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, below 1")
        if self.iterations < 0:
            raise ValueError(f"iterations is {self.iterations}, below 0")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that a run depends on but the program and the data itself."""

    preset: str = ""
    """Preset that the settings began from; empty for none."""
    seed: int = 0
    """Seed of parameters, sampling and lane order, 0 or more."""
    data: DataConfig = field(default_factory=DataConfig)
    """What to load, and how to split it."""
    env: TriageConfig = field(default_factory=TriageConfig)
    """The game that is played on it."""
    response: ResponseCosts = field(default_factory=ResponseCosts)
    """What harm and disruption cost where the game is `response`."""
    team: TeamConfig = field(default_factory=TeamConfig)
    """Who plays."""
    liars: LiarsConfig = field(default_factory=LiarsConfig)
    """Who lies while they learn."""
    rl: LearnerConfig = field(default_factory=LearnerConfig)
    """How they learn."""
    rules: RulesConfig = field(default_factory=RulesConfig)
    """Rules that they are held to."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """For how long."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed}, outside 0 to 2**63 - 1")
        # The game is set up long after the settings are read; what it would refuse then is refused now.
        for name, value, low in (
            ("env.slots", self.env.slots, 1),
            ("env.window", self.env.window, 0),
            ("env.windows", self.env.windows, 0),
        ):
            if value < low:
                raise ValueError(f"{name} is {value}, below {low}")
        if self.liars.share and not 1 <= (self.liars.most or tolerated(self.team.agents)) <= self.team.agents:
            most = self.liars.most or tolerated(self.team.agents)
            raise ValueError(f"liars.most is {most} (0 stands for f), and the team has {self.team.agents} agents")
        if not 0 <= self.env.credit_mix <= 1:
            raise ValueError(f"env.credit_mix is {self.env.credit_mix}, outside 0 to 1")
        if not 0 <= self.env.lane_share < 1:
            raise ValueError(f"env.lane_share is {self.env.lane_share}, outside 0 to below 1")
        if not 0 < self.env.reward_scale < math.inf:
            raise ValueError(f"env.reward_scale is {self.env.reward_scale}, not a finite number above 0")
        if not 0 < self.env.caution < math.inf:
            raise ValueError(f"env.caution is {self.env.caution}, not a finite number above 0")
        if self.env.task == "response" and self.env.lanes != "by_entity":
            raise ValueError(f"env.lanes is {self.env.lanes}, and response plays whole processes: use by_entity")
        if self.rules.file and self.env.task != "response":
            raise ValueError("rules.file is set, and rules speak of what is done to processes: use env.task=response")
