"""A sample of what the agents saw in the first iterations, with the truth, kept to ask what the inputs carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.rl.rollout import Rollout

ROWS: Final = 16_384
"""Events that are kept, about."""
ITERATIONS: Final = 8
"""The first so many iterations at most."""


@dataclass(frozen=True, kw_only=True)
class InputSample:
    """N events in runs of consecutive ones."""

    inputs: NDArray[np.float16]
    """[N, D]: what at least one agent saw; half precision, finite or not as it was."""
    labels: NDArray[np.int8]
    """[N]: 1 malicious, 0 benign, anything else unknown."""
    lane: NDArray[np.int64]
    """[N]: the recorded lane."""
    run: NDArray[np.int64]
    """[N]: number of the run of consecutive events; rows of a run stand together in order."""

    def __len__(self) -> int:
        """N."""
        return len(self.labels)


class Sampler:
    """Takes the sample while training begins."""

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._rows = 0

    @property
    def complete(self) -> bool:
        """Whether enough was taken."""
        return self._rows >= ROWS or len(self._parts) >= ITERATIONS

    def take(self, rollout: Rollout) -> None:
        """Keep one rollout; consecutive calls take consecutive ones."""
        steps, slots = rollout.label.shape
        kept = max(1, min(slots, ROWS // steps))
        seen = _seen(rollout.observation[:, :, :kept])
        label, lane, done = (x[:, :kept].cpu() for x in (rollout.label, rollout.lane, rollout.done))
        self._parts.append((seen, label, lane, done))
        self._rows += steps * kept

    def sample(self) -> InputSample | None:
        """What was taken so far; None before the first rollout."""
        if not self._parts:
            return None
        inputs, labels, lane, done = (torch.cat(x).transpose(0, 1) for x in zip(*self._parts, strict=True))
        # A run is numbered by its slot and by how many ended in it before; slots stand one after the other.
        before = torch.cat((torch.zeros_like(done[:, :1]), done[:, :-1]), dim=1)
        run = before.long().cumsum(1) + torch.arange(len(done))[:, None] * done.shape[1]
        return InputSample(
            inputs=inputs.flatten(0, 1).numpy(),
            labels=labels.flatten().to(torch.int8).numpy(),
            lane=lane.flatten().numpy(),
            run=run.flatten().numpy(),
        )


def _seen(observation: Tensor) -> Tensor:
    """What at least one agent saw, float16 [T, B, D] of [A, T, B, D]: the entry furthest from zero."""
    best = observation.abs().argmax(0, keepdim=True)
    limit = torch.finfo(torch.float16).max
    return observation.gather(0, best)[0].clamp(-limit, limit).to(torch.float16).cpu()
