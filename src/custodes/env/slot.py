"""One slot of a vector environment, stepped by hand: what the PettingZoo and the Gymnasium view share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from custodes.errors import CustodesError
from custodes.interface import Observation, Step, VectorEnv

_SEEDS = 1 << 31


class Slot:
    """An environment with one slot that waits at the end of a lane until it is reset.

    A vector environment goes straight on with the next lane. Here the first observation of that lane is held back until
    `reset`; a reset in the middle of a lane starts a freshly seeded environment, since a lane cannot be given up.

    Args:
        make: Builds an environment with one slot from a seed.

    Raises:
        CustodesError: The environment has more than one slot.
    """

    def __init__(self, make: Callable[[int], VectorEnv]) -> None:
        self._make = make
        self.env = make(0)
        if self.env.slots != 1:
            raise CustodesError(f"a view shows one slot, not {self.env.slots}", where="env.slots", fix="use 1 slot")
        self._random = np.random.default_rng()
        self._next: Observation | None = None
        self._over = True
        self.observation = self.env.reset()

    def reset(self, seed: int | None) -> Observation:
        """Start over as seeded, or go on with the next lane where the last one has ended and no seed is given."""
        if seed is not None:
            self._random = np.random.default_rng(seed)
        if seed is not None or self._next is None:
            self.env = self._make(int(self._random.integers(_SEEDS)))
            self._next = self.env.reset()
        self.observation, self._next, self._over = self._next, None, False
        return self.observation

    def step(self, actions: Tensor) -> Step:
        """Play int64 [1, A]; the current observation becomes the lane's true next one.

        Raises:
            CustodesError: The lane is over, or none was started.
        """
        if self._over:
            raise CustodesError("the lane is over", where="env.step", fix="call reset() first")
        step = self.env.step(actions)
        self._over = bool(step.terminated | step.truncated)
        self._next = step.observation if self._over else None
        self.observation = step.successor
        return step


def finite_box(size: int) -> spaces.Box[np.float32]:
    """Space of `size` finite float32 numbers; encoders scale them to a few units but promise no bound."""
    limit = np.finfo(np.float32)
    return spaces.Box(low=limit.min, high=limit.max, shape=(size,), dtype=np.float32)


def action_masks(observation: Observation) -> NDArray[np.int8] | None:
    """Allowed actions in the first slot, int8 [A, actions] as `Discrete.sample` wants them; None when all are."""
    if observation.mask is None:
        return None
    masks: NDArray[np.int8] = observation.mask[0].cpu().numpy().astype(np.int8)
    return masks
