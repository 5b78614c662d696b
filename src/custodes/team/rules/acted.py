"""What a decision does to a process, as signals: the same for votes in training and for events of a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.team.rules.signals import is_momentary


@final
@dataclass(frozen=True, kw_only=True)
class Met:
    """What decisions met, and what they were; tensors of one shape (broadcastable)."""

    open: Tensor
    """bool: an alert was open."""
    cleared: Tensor
    """bool: a benign verdict stood."""
    held: Tensor
    """bool: the process was withheld."""
    decision: Tensor
    """int64: severity 0 to 3 that was decided, or voted."""
    votes: Tensor
    """int64: agents that voted Alert or more."""
    malicious: Tensor
    """bool: the event is malicious."""


def acted_signals(met: Met) -> dict[str, Tensor]:
    """Signals of `ACTED` that a single process's decisions give (not those that count over all), bool or int64.

    Decisions that are not allowed in their state change nothing and show as Allow.
    """
    block = met.decision == BLOCK
    quarantine = (met.decision == QUARANTINE) & ~met.cleared & ~met.held
    alert = ((met.decision == ALERT) | (met.decision == QUARANTINE)) & ~met.cleared & ~met.open
    contained = block | quarantine | met.held
    took_effect = block | quarantine | alert
    return {
        "decision": torch.where(took_effect, met.decision, 0),
        "votes": met.votes,
        "alert": alert,
        "quarantine": quarantine,
        "block": block,
        "contain": block | quarantine,
        "contained": contained,
        "open": met.open,
        "cleared": met.cleared,
        "harm": met.malicious & ~contained,
    }


def after_all(name: str, values: Tensor, gone: Tensor) -> Tensor:
    """A signal with what it is at samples at which the process is gone: nothing happens any more, and it is contained.

    Args:
        name: Of the signal.
        values: Its samples.
        gone: Bool, broadcastable to them.
    """
    if name == "contained":
        return values.masked_fill(gone, 1.0)
    return values.masked_fill(gone, 0.0) if is_momentary(name) or name in ("open", "cleared") else values
