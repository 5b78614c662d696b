"""How a team does on the validation part while it is trained; the state that did best is kept."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from custodes.evaluate.baselines import rewards_of
from custodes.evaluate.metrics import binary_metrics, contains
from custodes.evaluate.rules.record import shortfall
from custodes.team.team import Play, Team
from custodes.train import checkpoint
from custodes.train.scoring import response_of, reward_columns
from custodes.train.session import Session, packed

EVALUATED: Final = ("eval_f1", "eval_precision", "eval_recall", "eval_reward_per_decision", "eval_response")


def validate(session: Session, line: dict[str, Any]) -> dict[str, Any]:
    """Play the validation part greedily; keep the state that did best. Rules' figures are put into the line's specs."""
    learner, workload = session.learner, session.workload
    play, flagged, response = response_of(Team.of(learner.policy), workload, session.validation)
    labels, decisions = workload.dataset.labels[np.asarray(flagged.rows)], np.asarray(flagged.decisions)
    metrics = binary_metrics(
        labels=labels,
        predictions=contains(decisions),
        scores=flagged.score,
        rewards=None if response is not None else rewards_of(decisions, labels, reward_columns(workload.env)),
    )
    session.next_evaluation = learner.decisions + session.config.train.eval_every
    # A team that was trained on the validation part too is not chosen by it: the last one stands.
    score = (metrics["f1"] or 0.0) if response is None else response
    score -= _missed(session, play, line)
    if score > session.best or workload.refit:
        session.best = score
        checkpoint.save_best(session.run.checkpoints, *packed(session))
    return {
        "eval_f1": metrics["f1"],
        "eval_precision": metrics["precision"],
        "eval_recall": metrics["recall"],
        "eval_reward_per_decision": metrics["reward_per_decision"],
        "eval_response": response,
    }


def _missed(session: Session, play: Play, line: dict[str, Any]) -> float:
    """How far rules that are trained are missed on validation, in all; a team that keeps them is the better one."""
    teacher, check = session.teacher, session.check
    if teacher is None or check is None:
        return 0.0
    held = check.held(play)
    for name, each in held.items():
        line["specs"][name]["eval_satisfied"] = each.rate
    return shortfall(check.book, held, {name: line["specs"][name]["trained"] for name in held})
