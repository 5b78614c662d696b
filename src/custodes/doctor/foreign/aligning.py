"""From tags and steps to signals by iteration and facts: one row for each update that the log knows of."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from custodes.doctor.facts import Facts
from custodes.doctor.foreign.names import CLEANRL, HYPERPARAMETERS, SB3, TRAINERS, Trainer
from custodes.doctor.foreign.scalars import Scalars
from custodes.doctor.signals import Signals, signals_of
from custodes.errors import CustodesError


@dataclass(frozen=True, kw_only=True)
class ForeignRun:
    """A run of another trainer, in the words of this one."""

    trainer: str
    """Whose log it is."""
    signals: Signals
    """What the detectors read; `decisions` is the trainer's own count of steps."""
    unknown: tuple[str, ...]
    """Tags of numbers whose meaning is not known here."""
    notes: tuple[str, ...]
    """What a reader must know, a sentence each."""


def align(scalars: Scalars, where: str) -> ForeignRun:
    """Name what is known and put it side by side.

    Args:
        scalars: What the log holds.
        where: The log, for the error.

    Raises:
        CustodesError: No trainer that is known writes such tags, or none of its updates is in the log.
    """
    trainer = next((one for one in TRAINERS if set(one.updates) & set(scalars.points)), None)
    if trainer is None:
        tags = ", ".join(sorted(scalars.points)[:6]) or "none at all"
        raise CustodesError(
            f"no log of a trainer that is known here (tags: {tags})",
            where=where,
            fix=f"one of {', '.join(tag for one in TRAINERS for tag in one.updates)} is needed",
        )
    steps = scalars.steps(trainer.updates)
    rows: list[dict[str, Any]] = [{"iteration": number, "decisions": step} for number, step in enumerate(steps, 1)]
    known = set(trainer.settings)
    for tag, meaning in trainer.tags.items():
        if tag in scalars.points:
            known.add(tag)
            for row, value in zip(rows, _on_rows(scalars.points[tag], steps), strict=True):
                row[meaning.signal] = None if value is None else meaning.factor * value
    for row in rows:
        # Both trainers have one agent.
        row["entropy_per_agent"] = [row.get("entropy")]
    return ForeignRun(
        trainer=trainer.name,
        signals=signals_of(rows, facts_of(trainer, scalars)),
        unknown=tuple(sorted(set(scalars.points) - known)),
        notes=tuple(scalars.notes),
    )


def _on_rows(points: dict[int, float], steps: list[int]) -> list[float | None]:
    """Mean of what was written after the last row's step and up to this one's; None where nothing was."""
    found: list[list[float]] = [[] for _ in steps]
    order = sorted(points)
    for step in order:
        row = bisect_right(steps, step - 1)
        if row < len(steps):
            found[row].append(points[step])
    return [sum(values) / len(values) if values else None for values in found]


def facts_of(trainer: Trainer, scalars: Scalars) -> Facts:
    """What the log says of the run as a whole; what it does not say stays unknown."""
    known: dict[str, Any] = {}
    for tag, fact in trainer.settings.items():
        if values := list(scalars.points.get(tag, {}).values()):
            known[fact] = max(values)
    if trainer is SB3 and "clip" in known:
        # It logs `clip_range_vf` where there is one.
        known.setdefault("value_clip", 0.0)
    if trainer is CLEANRL:
        known |= _hyperparameters(scalars)
    # Neither trainer's critic predicts normalised values.
    return Facts(normalise_value=False, **known)


def _hyperparameters(scalars: Scalars) -> dict[str, Any]:
    """CleanRL writes its arguments as a table in a text: |name|value|."""
    text = next((text for tag, text in scalars.texts.items() if tag.startswith("hyperparameters")), "")
    table = dict(cells for line in text.splitlines() if len(cells := line.strip("|").split("|")) == 2)
    found: dict[str, Any] = {}
    for name, fact in HYPERPARAMETERS.items():
        value = _number(table.get(name, ""))
        if value is not None:
            found[fact] = int(value) if fact in ("minibatches", "per_iteration") else value
    if found.get("per_iteration") and (total := _number(table.get("total_timesteps", ""))):
        found["planned_iterations"] = int(total) // found["per_iteration"]
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
