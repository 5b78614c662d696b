"""A training in progress: what it is made of, and how it is saved and restored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from custodes.env.lanes import Lanes
from custodes.errors import CustodesError
from custodes.interface import VectorEnv
from custodes.rl.state import LearnerState, pack, unpack
from custodes.team.rules.book import RuleBook
from custodes.team.rules.teacher import RuleTeacher
from custodes.team.seams import Seams
from custodes.team.workload import Workload
from custodes.train import checkpoint
from custodes.train.config import RunConfig
from custodes.train.rules import Check, check_rules
from custodes.train.run_folder import RunFolder

TAUGHT: Final = "rules."
"""Before the names of a teacher's tensors in a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is put in the place of parts of a training."""

    name: str | None = None
    """Its name; None for none."""
    seams: Seams = field(default_factory=Seams)
    """What is put in."""


@dataclass(kw_only=True)
class Session:
    """A training in progress."""

    run: RunFolder
    config: RunConfig
    workload: Workload
    env: VectorEnv
    learner: LearnerState
    experiment: Experiment
    lanes: Lanes
    """What training plays."""
    validation: Lanes
    next_evaluation: int
    """Evaluate when so many decisions are done."""
    best: float
    """Best validation score so far (F1, or the response score); -inf before the first evaluation."""
    seconds: float
    """Time spent in iterations so far."""
    warmed: bool
    """The supervised warm start, if there is one, is done."""
    teacher: RuleTeacher | None
    """Holds the team to its rules; None for a run without."""
    check: Check | None
    """The validation part, to judge rules on."""


def restore(session: Session, saved: checkpoint.Checkpoint, book: RuleBook | None) -> None:
    """Put a checkpoint into a fresh session."""
    check_rules(book, saved.scalars.get("rules"), session.run.path)
    if session.teacher is not None:
        kept = {k.removeprefix(TAUGHT): v for k, v in saved.tensors.items() if k.startswith(TAUGHT)}
        session.teacher.load_state(kept)
    unpack(session.learner, session.env, dict(saved.tensors), dict(saved.scalars))
    session.next_evaluation = int(saved.scalars["next_evaluation"])
    session.best = float(saved.scalars["best"])
    session.seconds = float(saved.scalars["seconds"])
    session.warmed = bool(saved.scalars["warmed"])


def packed(session: Session) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Everything that the training depends on: tensors and scalars of a checkpoint."""
    tensors, scalars = pack(session.learner, session.env)
    extra: dict[str, Any] = {
        "next_evaluation": session.next_evaluation,
        "best": session.best,
        "seconds": session.seconds,
        "warmed": session.warmed,
    }
    if session.teacher is not None:
        tensors |= {f"{TAUGHT}{name}": value for name, value in session.teacher.state().items()}
        extra["rules"] = session.teacher.book.digest
    return tensors, scalars | extra


def save(session: Session) -> None:
    """Write the latest checkpoint."""
    checkpoint.save(session.run.checkpoints, *packed(session))


def check_finite(line: Mapping[str, Any], session: Session) -> None:
    """A number that is none would be learned from for ever: stop before it is saved, and say so."""
    values = {name: line[name] for name in ("value_loss", "policy_loss", "kl")}
    values |= {f"grad_norm of network {i}": norm for i, norm in enumerate(line["grad_norm"])}
    values |= {name: float(p.detach().sum()) for name, p in session.learner.policy.named_parameters()}
    for name, value in values.items():
        if not math.isfinite(value):
            raise CustodesError(
                f"{name} is {value} at iteration {line['iteration']}",
                where=str(session.run.path),
                fix="train a new run with a lower rl.learning_rate or rl.max_grad_norm (this one would end here again)",
            )


def use_threads(config: RunConfig) -> None:
    """Let torch use as many threads as the settings say."""
    torch.set_num_threads(config.train.threads)


def device_of(config: RunConfig) -> torch.device:
    """The device that the settings name.

    Raises:
        CustodesError: It is not there.
    """
    wanted = config.train.device
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise CustodesError("no CUDA device here", where="train.device", fix="use cpu or auto")
    return torch.device(wanted)
