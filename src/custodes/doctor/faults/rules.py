"""Faults of rules in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from custodes.doctor.faults.fault import Fault
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import Teacher
from custodes.rl.returns import Targets
from custodes.rl.rollout import Rollout
from custodes.rl.state import LearnerState
from custodes.team.rules.book import RuleBook, book_of
from custodes.team.seams import Seams

IMPOSSIBLE: Final = """
[[spec]]
name = "answered"
formula = "always (decision >= 4)"
description = "Every event is answered as severely as can be, by somebody who counts severities from 1."
"""
ASKED: Final = """
[[spec]]
name = "all-asked-about"
formula = "always (first -> alert)"
description = "An analyst is asked about every process at its first event."
"""
_RULED: Final = ("env.task=response", "rules.file=default")
"""Rules need the response task; which rules, the fault says."""


def _impossible(_: RuleBook) -> RuleBook:
    return book_of(IMPOSSIBLE)


def _asked(_: RuleBook) -> RuleBook:
    return book_of(ASKED)


def _all(trained: Sequence[bool]) -> Sequence[bool]:
    """Trained whether they can be kept or not."""
    return [True] * len(trained)


class _Deaf:
    """Its costs never reach what the policy learns from.

    Args:
        teacher: The sound one.
    """

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    def pay(self, rollout: Rollout) -> Rollout:
        """Pass on."""
        return self._teacher.pay(rollout)

    def teach(
        self, state: LearnerState, rollout: Rollout, learnt: Targets, config: LearnerConfig
    ) -> tuple[Targets, LearnerConfig]:
        """Measured, and forgotten."""
        self._teacher.teach(state, rollout, learnt, config)
        return learnt, config


FAULTS: Final = (
    Fault(
        name="impossible-rule",
        finds="spec-always-violated",
        what="the team is trained under a rule that no policy can keep",
        settings=_RULED,
        seams=lambda: Seams(rules=_impossible, trained=_all),
    ),
    Fault(
        name="lost-costs",
        finds="multiplier-windup",
        what="a rule's costs raise its multiplier and never reach the advantages",
        settings=(*_RULED, "train.iterations=20"),
        seams=lambda: Seams(rules=_asked, teacher=_Deaf),
    ),
)
