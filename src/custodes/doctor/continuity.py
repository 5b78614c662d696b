"""Whether an iteration goes on from where the last one ended, and draws from its own generators alone."""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from custodes.rl.state import LearnerState


class Continuity:
    """Marks of a learner's state before and after each iteration.

    Args:
        learner: Only read.
    """

    def __init__(self, learner: LearnerState) -> None:
        self._learner = learner
        # PopArt rescales the value heads whatever is learned, so their change says nothing about the steps.
        parts = [
            torch.full((p.numel(),), 0.0 if "value_head" in name else 1.0, device=p.device)
            for name, p in learner.policy.named_parameters()
        ]
        self._counted = torch.cat(parts)
        self._weights = _weights(len(self._counted), self._counted.device)

    def before(self) -> None:
        """An iteration is about to begin."""
        self._parameters = _parameters(self._learner)
        self._marks = marks_of(self._learner, self._parameters, self._weights)
        self._outside = _outside()

    def after(self, steps: int) -> dict[str, Any]:
        """The marks of the iteration that is over.

        Args:
            steps: Gradient steps that it took.
        """
        now = _parameters(self._learner)
        change, size = ((x * self._counted).norm() for x in (now - self._parameters, self._parameters))
        moved = float(change) / (float(size) + 1e-12)
        marks = marks_of(self._learner, now, self._weights)
        return {
            "gradient_steps": steps,
            **{f"{name}_before": value for name, value in self._marks.items()},
            **{f"{name}_after": value for name, value in marks.items()},
            "outside_draws": int(self._outside != _outside()),
            "parameter_step": moved,
        }


def marks_of(learner: LearnerState, parameters: Tensor, weights: Tensor) -> dict[str, float]:
    """Numbers that tell two states apart: equal states give equal numbers, to the last bit.

    Args:
        learner: The learner.
        parameters: Its parameters in a row, float32 [P].
        weights: Float64 [P], the same for every state of the learner.
    """
    drawn = zlib.crc32(learner.acting.get_state().numpy().tobytes())
    drawn = zlib.crc32(learner.batching.get_state().numpy().tobytes(), drawn)
    steps = [float(state["step"]) for state in learner.optimiser.state.values() if "step" in state]
    return {
        "parameters_mark": float(parameters.double() @ weights),
        "generators_mark": float(drawn),
        "optimiser_steps": max(steps, default=0.0),
    }


def _weights(count: int, device: torch.device) -> Tensor:
    """Float64 [count] that differ from place to place, so that no exchange of parameters goes unseen."""
    return torch.arange(count, dtype=torch.float64, device=device).cos()


def _parameters(learner: LearnerState) -> Tensor:
    """Every parameter in a row, float32 [P], a copy."""
    return torch.cat([p.detach().flatten() for p in learner.policy.parameters()])


def _outside() -> tuple[int, int, int]:
    """Marks of the generators that belong to nobody: a seeded run never draws from them."""
    keys: Any = np.random.get_state(legacy=True)  # noqa: NPY002  (this is the one that must stand still)
    return (
        zlib.crc32(torch.get_rng_state().numpy().tobytes()),
        zlib.crc32(np.asarray(keys[1]).tobytes(), int(keys[2])),
        hash(random.getstate()),
    )
