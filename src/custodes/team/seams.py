"""Where an experiment may put something else in the place of a part of a training, without a branch in that part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from custodes.interface import VectorEnv
from custodes.rl.learner import Teacher
from custodes.rl.mechanics import Mechanics
from custodes.rl.state import LearnerState
from custodes.team.rules.book import RuleBook
from custodes.team.workload import Workload


def _nothing(learner: LearnerState) -> None:
    """Leave it as it is."""


@dataclass(frozen=True, kw_only=True)
class Seams:
    """What is put in; the defaults put in nothing."""

    workload: Callable[[Workload], Workload] = lambda workload: workload
    """What is played, after it was prepared."""
    env: Callable[[VectorEnv], VectorEnv] = lambda env: env
    """What the learner steps, before it is reset."""
    rules: Callable[[RuleBook], RuleBook] = lambda book: book
    """What the team is held to, where it is held to rules."""
    trained: Callable[[Sequence[bool]], Sequence[bool]] = lambda trained: trained
    """Which rules are trained, after it was tried whether each can be kept."""
    teacher: Callable[[Teacher], Teacher] = lambda teacher: teacher
    """Whoever holds the team to them."""
    learner: Callable[[LearnerState], None] = _nothing
    """Called with a fresh learner."""
    before: Callable[[LearnerState], None] = _nothing
    """Called before each iteration, and before whoever looks on looks."""
    mechanics: Mechanics = field(default_factory=Mechanics)
    """What an iteration is made of."""
