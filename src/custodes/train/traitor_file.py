"""`RUN/traitor.safetensors`: the traitor that was trained against a run's team, and against which team that was."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from custodes.bft.votes import ACTIONS
from custodes.errors import CustodesError
from custodes.rl.config import LearnerConfig
from custodes.rl.networks import Policy
from custodes.rl.state import load_policy
from custodes.team.team import Team
from custodes.team.traitor import Traitor
from custodes.train import checkpoint
from custodes.train.atomic import write_atomic
from custodes.train.run_folder import RunFolder
from custodes.train.settings import apply_overrides, from_table, to_table

FILE: Final = "traitor.safetensors"
_FIX: Final = "train another one: custodes train --traitor RUN"


@dataclass(frozen=True, kw_only=True)
class TraitorConfig:
    """How a traitor is trained."""

    decisions: int = 300_000
    """Decision budget, 1 or more."""
    most: int = 0
    """Liars in a lane at most, 1 to so many at a time; 0 stands for f + 1."""
    lane_share: float = 0.1
    """Share of lanes of malicious processes (response), 0 (as recorded) to below 1."""
    gamma: float = 0.9
    """Discount per event, 0 to 1."""
    hidden: int = 64
    """Width of the cell."""
    learning_rate: float = 2e-3
    """Adam step size at the start, above 0."""
    entropy_coefficient: float = 0.001
    """Weight of the entropy bonus at the start, 0 or more."""

    def __post_init__(self) -> None:
        """Refuse values out of range; the learner's own ranges hold for what it is told."""
        if self.decisions < 1:
            raise ValueError(f"decisions is {self.decisions}, below 1")
        if self.most < 0:
            raise ValueError(f"most is {self.most}, below 0")
        if not 0 <= self.lane_share < 1:
            raise ValueError(f"lane_share is {self.lane_share}, outside 0 to below 1")
        self.learner()

    def learner(self) -> LearnerConfig:
        """Settings of the learner: one network for all seats, which is told whom it plays."""
        return LearnerConfig(
            sharing="shared",
            encoder=self.hidden,
            hidden=self.hidden,
            gamma=self.gamma,
            learning_rate=self.learning_rate,
            entropy_coefficient=self.entropy_coefficient,
            # The floor says how well a critic could do; nobody reads it here.
            floor_every=1_000_000,
        )


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """What `--set` may change while a traitor is trained."""

    traitor: TraitorConfig = field(default_factory=TraitorConfig)


def traitor_config(changes: Sequence[str]) -> TraitorConfig:
    """The settings of a traitor.

    Args:
        changes: `traitor.a=value` each.

    Raises:
        CustodesError: Another setting, a wrong type, or a value out of range.
    """
    return from_table(apply_overrides({}, changes), _Settings).traitor


def new_policy(config: TraitorConfig, inputs: int, agents: int, seats: int) -> Policy:
    """A fresh network over `inputs` of knowledge about a team of `agents`."""
    return Policy(
        config.learner(),
        agents=seats,
        inputs=inputs + 2 * agents,
        central_inputs=inputs,
        actions=len(ACTIONS),
    )


def team_digest(policy: Policy) -> str:
    """SHA-256 of a team's parameters in hexadecimal: which team a traitor was trained against."""
    total = hashlib.sha256()
    for name, tensor in sorted(policy.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def has_traitor(run: RunFolder) -> bool:
    """Whether a traitor has been trained against the run's team."""
    return (run.path / FILE).exists()


def traitor_seats(run: RunFolder) -> int:
    """Liars that the run's traitor plays at most; 0 where none has been trained.

    Raises:
        CustodesError: Its file is damaged.
    """
    return _read(run.path / FILE).seats if has_traitor(run) else 0


def write_traitor(
    run: RunFolder, policy: Policy, config: TraitorConfig, team: Team, inputs: int, seed: int, decisions: int
) -> Path:
    """Keep a traitor, all or nothing, in place of an earlier one.

    Args:
        run: The run of its team.
        policy: The traitor's networks.
        config: How it was trained.
        team: Against whom.
        inputs: D, width of what it knows.
        seed: Of its training.
        decisions: Done.

    Returns:
        The file.

    Raises:
        CustodesError: The disk refused.
    """
    scalars: dict[str, Any] = {
        "config": to_table(config),
        "agents": team.policy.agents,
        "seats": policy.agents,
        "inputs": inputs,
        "team": team_digest(team.policy),
        "seed": seed,
        "decisions": decisions,
    }
    path = run.path / FILE
    write_atomic(path, checkpoint.encode({f"policy.{k}": v for k, v in policy.state_dict().items()}, scalars))
    return path


def read_traitor(run: RunFolder, team: Team) -> Traitor:
    """The traitor of a run.

    Args:
        run: The run.
        team: The team that it shall be set on.

    Raises:
        CustodesError: None has been trained, the file is damaged, or it is of a team of another size.
    """
    path = run.path / FILE
    kept = _read(path)
    if kept.agents != team.policy.agents:
        raise CustodesError(f"this traitor is of a team of {kept.agents} agents", where=str(path), fix=_FIX)
    policy = new_policy(kept.config, kept.inputs, kept.agents, kept.seats)
    load_policy(policy, dict(kept.tensors))
    notes = [f"the traitor was trained for {kept.decisions:,} decisions, with 1 to {kept.seats} liars at a time"]
    if kept.team != team_digest(team.policy):
        notes.append("the traitor was trained against another checkpoint of this team")
    return Traitor(policy=policy, agents=kept.agents, notes=tuple(notes))


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What the file holds."""

    config: TraitorConfig
    agents: int
    seats: int
    inputs: int
    decisions: int
    team: str | None
    """Digest of the team that it was trained against."""
    tensors: Mapping[str, Tensor]


def _read(path: Path) -> _Kept:
    saved = checkpoint.load_file(path)
    scalars = saved.scalars
    try:
        return _Kept(
            config=from_table(scalars["config"], TraitorConfig, where=str(path)),
            agents=int(scalars["agents"]),
            seats=int(scalars["seats"]),
            inputs=int(scalars["inputs"]),
            decisions=int(scalars["decisions"]),
            team=scalars.get("team"),
            tensors=saved.tensors,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CustodesError(f"no traitor: {error}", where=str(path), fix=_FIX) from None
