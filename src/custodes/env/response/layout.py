"""How the response environment lays out what a step needs: a row of numbers per place, and small tables of states."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import ACTIONS, ALERT, QUARANTINE
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.replay import CLEARED, FREE, MASKS, OPEN
from custodes.env.response.worth import Worth

HELD: Final = 3
"""State of an entity with an open alert that is withheld as well; FREE, OPEN and CLEARED are the replay's."""

STATES: Final = 4

# Columns of a place. What a slot keeps of its alert, and of its Quarantine, lies side by side.
SAVED: Final = slice(0, 4)
"""What each action saves if the entity is free."""
ALERT_COLUMNS: Final = slice(4, 10)
HELD_COLUMNS: Final = slice(9, 11)
_KNOWN, _BASE, _ALERTED, _VERDICT, _CLEAR_END, PLACE, OWN, DELAY, FALSE_QUARANTINE = range(4, 13)

# Columns of what is kept of an alert.
KNOWN: Final = 0
"""1 where the analyst will find that the entity is malicious, else 0."""
BASE: Final = 1
ALERTED: Final = 2
LAST_OPEN: Final = 3
"""Last place before the verdict."""
LAST_CLEARED: Final = 4
"""Last place at which a benign verdict stands."""
ALERT_PLACE: Final = 5

# Columns of what is kept of a Quarantine.
HELD_PLACE: Final = 0
HELD_OWN: Final = 1


def columns(worth: Worth, costs: ResponseCosts, scale: float) -> Tensor:
    """What a step gathers, a row for each place, float64 [M, 13]; costs are scaled.

    Args:
        worth: What actions are worth.
        costs: Cost of an alert.
        scale: Reward per cost saved.
    """
    known = worth.known.astype(np.float64)
    quarantine = np.where(worth.known, worth.own, worth.delay) - worth.base - worth.false_quarantine
    in_order: tuple[NDArray[np.floating], ...] = (
        np.zeros(len(known)),
        (worth.alerted - costs.alert) * scale,
        (quarantine - costs.alert) * scale,
        worth.block * scale,
        known,
        worth.base * scale,
        worth.alerted * scale,
        worth.verdict - 1.0,
        worth.clear_end - 1.0,
        np.arange(len(known), dtype=np.float64),
        worth.own * scale,
        worth.delay * scale,
        worth.false_quarantine * scale,
    )
    return torch.as_tensor(np.stack(in_order, axis=1).astype(np.float64))


def masks(device: torch.device) -> Tensor:
    """Allowed actions in each state, bool [4, 4]."""
    return torch.tensor([MASKS[FREE], MASKS[OPEN], MASKS[CLEARED], MASKS[OPEN]], device=device)


def gates(device: torch.device) -> Tensor:
    """For each state: which columns of SAVED hold as they are (4), is it OPEN, is it HELD; float64 [4, 6]."""
    only_block = [1.0, 0.0, 0.0, 1.0]
    rows = {
        FREE: [1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
        OPEN: [*only_block, 1.0, 0.0],
        CLEARED: [*only_block, 0.0, 0.0],
        HELD: [*only_block, 0.0, 1.0],
    }
    return torch.tensor([rows[state] for state in range(STATES)], dtype=torch.float64, device=device)


def transitions(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What decision d does in state s, at 4 s + d: the next state int64, alert raised bool, Quarantine begun bool."""
    following: list[int] = []
    raises: list[bool] = []
    withholds: list[bool] = []
    for state in range(STATES):
        for action in range(len(ACTIONS)):
            raised = state == FREE and action in (ALERT, QUARANTINE)
            held = state in (FREE, OPEN) and action == QUARANTINE
            following.append(HELD if held else OPEN if raised else state)
            raises.append(raised)
            withholds.append(held)
    raised_at, held_at = (torch.tensor(each, device=device) for each in (raises, withholds))
    return torch.tensor(following, device=device), raised_at, held_at
