"""What the original's training recorded, in the words of docs/run-folder.md: all that the detectors get to see.

Everything here is measured on the run or read off its settings. Nothing says which case it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from custodes.bft.votes import ACTIONS, QUARANTINE
from custodes.data.audit.columns import label_columns
from custodes.data.config import DataConfig
from custodes.data.features import Encoder
from custodes.doctor import measure
from custodes.doctor.ceiling import ceiling_of, leak_of
from custodes.doctor.facts import Facts, LabelRule
from custodes.doctor.origin.defects import Repairs
from custodes.doctor.origin.material import Material
from custodes.doctor.origin.rollout import WORTH, decide
from custodes.doctor.origin.settings import COLUMNS, OriginSettings
from custodes.doctor.origin.training import Iteration, agents_of, gamma_of, tolerated_of
from custodes.doctor.sample import InputSample
from custodes.doctor.signals import Signals, signals_of

SAMPLED: Final = 16_384
"""Events from which it is told what the inputs carry, about."""
AUDITED: Final = 50_000
"""Records in which the column is sought that tells most about the label, about."""
_BY_NATURE: Final = ("entity", "phase")
"""Columns that follow the label by their nature."""


def signals_from(
    iterations: Sequence[Iteration], material: Material, settings: OriginSettings, repairs: Repairs
) -> Signals:
    """The recorded signals of a training.

    Args:
        iterations: At least one.
        material: What was played.
        settings: Of the training.
        repairs: What was repaired in it; tells settings such as the discount, nothing else.
    """
    lines = [line_of(iteration, settings, repairs) for iteration in iterations]
    return signals_of(lines, facts_of(iterations, material, settings, repairs))


def line_of(iteration: Iteration, settings: OriginSettings, repairs: Repairs) -> dict[str, Any]:
    """One iteration as one line of metrics and record."""
    played, reports = iteration.played, iteration.reports
    return {
        "iteration": iteration.number,
        "decisions": iteration.number * len(played.label),
        **{name: iteration.logged[name] for name in ("tp", "fp", "tn", "fn", "f1", "reward_per_decision")},
        **_update(iteration),
        **_start(iteration),
        **_rewards(iteration),
        **_votes(played.action, repairs),
        "eval_f1": iteration.greedy["f1"],
        "greedy_shares": iteration.greedy["action_shares"],
        "threats": int((played.label == 1).sum()),
        "unlabelled": 0,
        "learning_rate": settings.learning_rate,
        "entropy_coefficient": settings.entropy_coefficient,
        "epochs_run": settings.epochs,
        "gradient_steps": settings.epochs * len(reports),
        "spec_reachable": list(played.judged.reachable.values()) or None,
    }


def _update(iteration: Iteration) -> dict[str, Any]:
    """Losses and statistics of the update, means over agents."""
    reports, played = iteration.reports, iteration.played

    def mean(name: str) -> float:
        return float(np.mean([getattr(report, name) for report in reports]))

    told = [r.explained_variance for r in reports if r.explained_variance is not None]
    names = ("value_loss", "value_loss_update", "policy_loss", "kl", "clip_fraction", "entropy", "ratio_error")
    return {
        **{name: mean(name) for name in names},
        "explained_variance": float(np.mean(told)) if told else None,
        "entropy_per_agent": [report.entropy for report in reports],
        "grad_norm": [report.grad_norm for report in reports],
        "clipped_steps": mean("clipped_steps"),
        "return_mean": float(iteration.learnt.returns.mean()),
        "return_std": float(iteration.learnt.returns.std(correction=0)),
        "action_shares": measure.shares(played.action, len(ACTIONS)),
        "advantage_signal": measure.action_signal(iteration.learnt.advantages, played.action[:, None]),
    }


def _start(iteration: Iteration) -> dict[str, Any]:
    """Before the first step: how far the update's policy is from the one that acted, and through what."""
    reports, n = iteration.reports, len(iteration.played.label)
    elements = [float(np.prod(report.ratio_shape)) / n for report in reports]
    errors = torch.stack([report.state_errors for report in reports], -1).mean(-1)
    return {
        "ratio_elements": max(elements),
        "ratio_error_per_agent": [report.ratio_error for report in reports],
        "ratio_error_paired": float(np.mean([report.ratio_paired_error for report in reports])),
        "ratio_error_start": float(errors.mean()),
        # The rollout begins at the zero state. Everywhere else the update begins a sequence, or goes on with one.
        "ratio_error_reset": float(errors[0]),
        "ratio_error_chunk": float(errors[1:].median()),
        "repeat_error": max(report.repeat_error for report in reports),
        "value_error": max(report.value_error for report in reports),
    }


def _rewards(iteration: Iteration) -> dict[str, Any]:
    """Spread of the rewards, and how much of the returns' spread is of rewards that come after the action."""
    reward = iteration.played.reward
    low, high = float(reward.min()), float(reward.max())
    near = 1e-5 * (high - low)
    later = iteration.learnt.returns[:, 0] - reward[:, None]
    spread = float(iteration.learnt.returns.var(correction=0))
    return {
        "reward_min": low,
        "reward_max": high,
        "reward_std": float(reward.std(correction=0)),
        "reward_at_ends": float(((reward <= low + near) | (reward >= high - near)).float().mean()),
        "return_after": float(later.var(correction=0)) / spread if spread > 0 else None,
    }


def _votes(action: Tensor, repairs: Repairs) -> dict[str, Any]:
    """How often each agent's vote changes the decision from what it would be without it (Allow in its place)."""
    made = decide(action, repairs)
    pivotal = []
    for agent in range(action.shape[1]):
        kept = action.clone()
        kept[:, agent] = 0
        pivotal.append(float((decide(kept, repairs) != made).float().mean()))
    return {"pivotal": pivotal, "contained": float((made >= QUARANTINE).float().mean())}


def facts_of(iterations: Sequence[Iteration], material: Material, settings: OriginSettings, repairs: Repairs) -> Facts:
    """What the settings say, and what the data is found to hold."""
    labels = material.dataset.labels[material.split.rows("train")]
    table = tuple(tuple(float(x) for x in row) for row in WORTH[:2])
    sample = sample_of(iterations)
    return Facts(
        agents=agents_of(repairs),
        tolerated=tolerated_of(repairs),
        actions=len(ACTIONS),
        per_iteration=settings.rollout,
        planned_iterations=settings.iterations,
        minibatches=1,
        gamma=gamma_of(settings, repairs),
        influence=0.0,
        normalise_value=True,
        value_clip=0.0,
        clip=settings.clip,
        max_grad_norm=settings.max_grad_norm,
        base_rate=float((labels == 1).mean()),
        reward_table=(table[0], table[1]),
        ceiling=ceiling_of(sample, (table[0], table[1])),
        input_leak=leak_of(sample),
        label_rule=_label_rule(material),
        rows_shared=_rows_shared(material),
        specs=tuple(iterations[0].played.judged.satisfied) or None,
    )


def sample_of(iterations: Sequence[Iteration]) -> InputSample:
    """What the agents saw in the first iterations, in the order in which they saw it.

    Each record is a lane of its own: nothing ties it to the one before. The run is the rollout, over which the
    recurrent state is carried.
    """
    first = list(iterations[: max(1, SAMPLED // len(iterations[0].played.label))])
    inputs = torch.cat([iteration.played.inputs for iteration in first]).numpy()
    labels = torch.cat([iteration.played.label for iteration in first]).numpy()
    runs = [np.full(len(iteration.played.label), iteration.number) for iteration in first]
    return InputSample(
        inputs=inputs.astype(np.float16),
        labels=labels.astype(np.int8),
        lane=np.arange(len(labels)),
        run=np.concatenate(runs),
    )


def _label_rule(material: Material) -> LabelRule | None:
    """The column of the recording that tells most about the label."""
    events = material.dataset.events.gather_every(max(1, len(material.dataset) // AUDITED))
    encoder = Encoder.fit(
        material.dataset, material.split.rows("train"), DataConfig(groups=("numeric",), columns=COLUMNS)
    )
    shares: dict[str, float] = {}
    inputs: dict[str, bool] = {}
    for finding in label_columns(events, events["label"].to_numpy(), encoder):
        if finding.name == "label-determined":
            inputs[finding.evidence["column"]] = finding.evidence["input"]
        else:
            shares = finding.evidence["shares"]
    told = [(share, name) for name, share in shares.items() if name not in _BY_NATURE]
    if not told:
        return None
    share, name = max(told)
    return LabelRule(column=name, share=share, is_input=inputs.get(name, False))


def _rows_shared(material: Material) -> float:
    """Share of the validation records whose record before was trained on."""
    validation = material.split.rows("validation")
    before = validation[validation > 0] - 1
    return float((material.split.part[before] == 0).sum() / len(validation))
