"""Statistics of a rollout that say whether the critic and the policy learn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from custodes.bft.votes import QUARANTINE
from custodes.rl.rollout import Rollout


def explained_variance(target: Tensor, value: Tensor) -> float | None:
    """1 - Var(target - value) / Var(target); None where the target does not vary.

    Against the bootstrapped return it flatters the critic, which is part of that return; `explained_variance_mc` is the
    same against the Monte Carlo return.
    """
    variance = float(target.double().var(correction=0))
    if variance < 1e-12:
        return None
    return 1.0 - float((target - value).double().var(correction=0)) / variance


def counts(decision: Tensor, label: Tensor, contains: int) -> dict[str, int]:
    """tp, fp, tn, fn of decisions at or above severity `contains`; labels other than 0 and 1 are left out."""
    called, bad, good = decision >= contains, label == 1, label == 0
    return {
        "tp": int((called & bad).sum()),
        "fp": int((called & good).sum()),
        "tn": int((~called & good).sum()),
        "fn": int((~called & bad).sum()),
    }


def f1(tp: int, fp: int, fn: int) -> float | None:
    """Harmonic mean of precision and recall; None when there is neither a threat nor an alarm."""
    total = 2 * tp + fp + fn
    return 2 * tp / total if total else None


def action_shares(action: Tensor, actions: int) -> list[list[float]]:
    """[A][actions]: how often each agent chose each action, of [T, B, A] actions."""
    hot = torch.nn.functional.one_hot(action.reshape(-1, action.shape[-1]), actions)
    shares: list[list[float]] = hot.double().mean(0).tolist()
    return shares


def outcome(rollout: Rollout, actions: int) -> dict[str, Any]:
    """What the team did over the whole iteration, not over its last steps."""
    table = counts(rollout.decision, rollout.label, QUARANTINE)
    return {
        "reward_per_decision": float(rollout.team_reward.mean()),
        **table,
        "f1": f1(table["tp"], table["fp"], table["fn"]),
        "action_shares": action_shares(rollout.action, actions),
    }
