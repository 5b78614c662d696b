"""Whether lanes end in training as they were recorded to: terminated or cut."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import BLOCK
from custodes.env.lanes import Lanes
from custodes.rl.rollout import Rollout

NAMES: Final = ("ends_cut", "ends_terminal", "ends_wrongly_terminated", "ends_wrongly_truncated")
"""What is counted: ends that were recorded as cut and as terminal, and those of them that were reported otherwise."""
_UNKNOWN: Final = -(2**40)
"""Age of a lane that was under way when the recorder began."""


class LaneEnds:
    """Follows every slot through its lanes.

    Args:
        lanes: What the environment plays; `Rollout.lane` numbers them.
        judged: Bool [L]: lanes whose end nothing but the recording and the team decides; None for all.
    """

    def __init__(self, lanes: Lanes, judged: NDArray[np.bool_] | None = None) -> None:
        self._judged = torch.ones(len(lanes.start), dtype=torch.bool) if judged is None else torch.as_tensor(judged)
        self._length = torch.as_tensor(lanes.length)
        self._terminated = torch.as_tensor(lanes.terminated)
        self._age: Tensor | None = None

    def forget(self) -> None:
        """A rollout is left out: what is under way is not known any more."""
        self._age = None

    def count(self, rollout: Rollout, begins: Tensor) -> dict[str, int]:
        """Count the ends of whole lanes, and those that were reported wrongly.

        An end that a Block brought about is left out, as is a lane that began before the recorder did.

        Args:
            rollout: The next one in order.
            begins: Bool [T, B]: the step is the first of a lane.
        """
        T, B = begins.shape
        time = torch.arange(T, device=begins.device)[:, None]
        first = torch.where(begins, time, -1).cummax(0).values
        carried = torch.full((B,), _UNKNOWN, device=begins.device) if self._age is None else self._age
        age = torch.where(first >= 0, time - first, carried + time)
        self._age = age[-1] + 1
        lane = rollout.lane
        if int(lane.max()) >= len(self._length):
            return dict.fromkeys(NAMES, 0)
        device = begins.device
        whole = (age + 1 == self._length.to(device)[lane]) & rollout.done & (rollout.decision != BLOCK)
        whole &= self._judged.to(device)[lane]
        ended = self._terminated.to(device)[lane]
        counts = (
            whole & ~ended,
            whole & ended,
            whole & ~ended & rollout.terminated,
            whole & ended & ~rollout.terminated,
        )
        return dict(zip(NAMES, torch.stack(counts).sum((1, 2)).tolist(), strict=True))
