"""The one task that every program learns, and the sizes that all of them train with.

A lane player in numpy: 64 slots walk along lanes of 40 to 60 rows; a row holds 16 numbers, and the right one of 4
actions is a hidden linear function of this row and of the one before it in the same lane, so that a memory of one step
is needed and the state of the lane before must be forgotten. Rows do not depend on actions. All lanes terminate (none
is truncated), since PufferLib does not bootstrap at truncations and Stable-Baselines3 does so one slot at a time:
neither is what is measured.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Sizes and hyperparameters, the same for every program that can be told them."""

    lanes: int = 64
    """Slots stepped at once."""
    inputs: int = 16
    """Numbers in an observation."""
    actions: int = 4
    """Discrete actions."""
    hidden: int = 64
    """Units of the LSTM, and of the linear layer before it where there is one."""
    rollout: int = 128
    """Steps per slot and iteration."""
    epochs: int = 4
    """Passes over a rollout."""
    minibatches: int = 4
    """Parts that a rollout is updated in, per pass."""
    shortest: int = 40
    """Steps of the shortest lane."""
    longest: int = 60
    """Steps of the longest lane; with the shortest this makes lanes / 50 = 1.28 resets per step."""
    distinct: int = 512
    """Different lanes that there are to play."""
    memory: float = 0.7
    """Weight of the row before, against 1 for the present row."""
    learning_rate: float = 1e-3
    """Adam's step."""
    gamma: float = 0.99
    """Discount."""
    lam: float = 0.95
    """Decay of generalised advantage estimation."""
    clip: float = 0.2
    """PPO's clip range of the probability ratio."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    value: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Norm that gradients are clipped to."""

    @property
    def samples(self) -> int:
        """Environment steps in one iteration."""
        return self.lanes * self.rollout

    @property
    def minibatch(self) -> int:
        """Environment steps in one minibatch."""
        return self.samples // self.minibatches


class LanePlayer:
    """Plays the workload; a slot whose lane ends takes the next lane in the same step.

    Args:
        workload: Sizes.
        seed: Of the rows, the hidden function and the start.
    """

    def __init__(self, workload: Workload, seed: int) -> None:
        rng = np.random.default_rng(seed)
        lengths = rng.integers(workload.shortest, workload.longest + 1, size=workload.distinct)
        self.workload = workload
        self.starts: Integers = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype(np.int64)
        self.rows: Floats = rng.standard_normal((int(lengths.sum()), workload.inputs), dtype=np.float32)
        self.last: Flags = np.zeros(len(self.rows), dtype=np.bool_)
        self.last[self.starts - 1] = True
        self.answers: Integers = self._answers(rng)
        self.order: Integers = rng.permutation(workload.distinct)
        self.taken = 0
        self.cursor: Integers = rng.integers(0, len(self.rows), size=workload.lanes)
        self.played = 0
        self.rewarded = 0.0

    def _answers(self, rng: np.random.Generator) -> Integers:
        """Right action per row, [rows]."""
        before = np.roll(self.rows, 1, axis=0)
        before[self.starts] = 0.0
        shape = (self.workload.inputs, self.workload.actions)
        present, past = rng.standard_normal(shape), rng.standard_normal(shape)
        scores = self.rows @ present + self.workload.memory * (before @ past)
        answers: Integers = scores.argmax(axis=1)
        return answers

    def observe(self) -> Floats:
        """What the slots see now: [lanes, inputs], a fresh array."""
        return self.rows.take(self.cursor, axis=0)

    def step(self, actions: Integers) -> tuple[Floats, Floats, Flags]:
        """Play one action per slot.

        Args:
            actions: [lanes], each from 0 to `actions` - 1.

        Returns:
            The next observations (of the next lane where one ended) [lanes, inputs], rewards (1 where right) [lanes],
            and ends [lanes].
        """
        rewards = (actions == self.answers[self.cursor]).astype(np.float32)
        ends = self.last[self.cursor]
        self.cursor += 1
        ended = ends.nonzero()[0]
        if ended.size:
            turns = np.arange(self.taken, self.taken + ended.size) % self.order.size
            self.cursor[ended] = self.starts[self.order[turns]]
            self.taken += ended.size
        self.played += len(ends)
        self.rewarded += float(rewards.sum())
        return self.rows.take(self.cursor, axis=0), rewards, ends


def environment_speed(workload: Workload, seed: int, seconds: float = 0.5) -> float:
    """Environment steps per second of the lane player alone, in this process."""
    player = LanePlayer(workload, seed)
    actions = np.random.default_rng(seed).integers(0, workload.actions, size=(256, workload.lanes))
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for chosen in actions:
            player.step(chosen)
        steps += actions.size
    return steps / (time.perf_counter() - start)
