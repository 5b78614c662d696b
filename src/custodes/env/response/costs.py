"""What harm and disruption cost, and how long containment and the analyst take."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from custodes.data.dataset import Dataset
from custodes.data.schema import MALICIOUS

PHASE_HARM = 100.0
"""Harm of all malicious events of one attack phase together, so that one noisy process does not decide the score."""


@dataclass(frozen=True, kw_only=True)
class ResponseCosts:
    """Costs and times of acting; docs/response.md argues the defaults."""

    phase_harm: float = PHASE_HARM
    """Cost of the malicious events of one attack phase, all executed together; above 0."""
    false_block: float = 5.0
    """Cost of one Block of a process that never does anything malicious, 0 or more."""
    false_quarantine: float = 1.0
    """Cost of one Quarantine of such a process, 0 or more; a renewal costs nothing more."""
    delayed: float = 0.01
    """Cost of one benign event that was withheld and executed late, 0 or more."""
    suppressed: float = 0.02
    """Cost of one benign event that never executed, 0 or more."""
    alert: float = 0.1
    """Analyst's time for one alert, 0 or more; an alert that the full queue loses costs the same."""
    quarantine_s: float = 900.0
    """Seconds until a Quarantine that is not renewed releases what it withheld, above 0."""
    analyst_s: float = 600.0
    """Seconds that an analyst takes for one alert, above 0."""
    analysts: int = 2
    """Alerts that are looked into at the same time, 1 or more."""
    queue: int = 8
    """Alerts that wait for an analyst at most, 0 or more; one that comes when the queue is full is lost."""
    cleared_s: float = 3600.0
    """Seconds for which a process that the analyst found benign is neither alerted on nor quarantined, 0 or more."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        above = ("phase_harm", "quarantine_s", "analyst_s")
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0 or (field.name in above and value == 0):
                wanted = "above 0" if field.name in above else "of 0 or more"
                raise ValueError(f"{field.name} is {value}, not a finite number {wanted}")
        if self.analysts < 1:
            raise ValueError(f"analysts is {self.analysts}, below 1")


def phase_codes(dataset: Dataset) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Attack phase of each malicious event.

    A recording that names no phases has one, called `attack`.

    Args:
        dataset: N events.

    Returns:
        int64 [N], -1 at events that are not malicious; names of the P phases, sorted.
    """
    malicious = dataset.labels == MALICIOUS
    names = np.where(dataset.events["phase"].to_numpy() == "", "attack", dataset.events["phase"].to_numpy())
    found = sorted(set(names[malicious].tolist()))
    place = {name: index for index, name in enumerate(found)}
    codes_of = np.full(len(dataset), -1, dtype=np.int64)
    codes_of[malicious] = [place[name] for name in names[malicious].tolist()]
    return codes_of, tuple(found)


def harm_of_rows(phase: NDArray[np.int64], rows: NDArray[np.int64], phase_harm: float) -> NDArray[np.float64]:
    """Harm of each event if it executes, float64 [N]: `phase_harm` over the phase's malicious events among `rows`.

    Args:
        phase: Phase of each event [N], -1 where it is not malicious.
        rows: The part's rows; events outside do no harm in it.
        phase_harm: Cost of a whole phase.
    """
    harm = np.zeros(len(phase))
    mine = rows[phase[rows] >= 0]
    if len(mine):
        counts = np.bincount(phase[mine])
        harm[mine] = phase_harm / counts[phase[mine]]
    return harm
