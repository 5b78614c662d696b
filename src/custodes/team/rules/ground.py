"""What a training's lanes say for rules before anybody acts: signals and times of each place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.data.features import Encoder
from custodes.env.response.env import ResponseEnv
from custodes.team.rules.book import RuleBook
from custodes.team.rules.signals import ACTED, event_signals


@final
@dataclass(frozen=True, kw_only=True)
class Ground:
    """For each of the M places of an environment's lanes; tensors on its device."""

    signals: Mapping[str, Tensor]
    """float32 [M] each: signals of the rules that need no team."""
    clock: Tensor
    """float64 [M]: seconds."""
    turns: Tensor
    """float64 [M]: seconds at which the place's process turns malicious in the part; inf for never."""
    malicious: Tensor
    """bool [M]: the event is malicious."""
    goes_on: Tensor
    """bool [M]: the last place of a lane that a window cut; the process goes on in another lane."""
    analyst_s: float
    """Seconds that an analyst takes."""

    @staticmethod
    def of(env: ResponseEnv, book: RuleBook, features: NDArray[np.float32], encoder: Encoder) -> Ground:
        """Work it out once.

        Args:
            env: What is played.
            book: The rules.
            features: float32 [N, D], all inputs of the data set.
            encoder: What the D inputs are.

        Raises:
            StlError: A rule names neither a signal nor an input.
        """
        lanes, recording = env.played, env.recording
        names = [name for name in book.signals if name not in ACTED]
        device = env.standing()[0].device
        part = np.full(1 + int(max(recording.source.max(), lanes.order.max())), -1, dtype=np.int64)
        part[recording.source] = np.arange(len(recording.source))
        at = part[lanes.order]
        rows = recording.rows[at]
        entity = recording.forest.entity[rows]
        bad = recording.phase[recording.rows] >= 0
        turns = np.full(recording.forest.entities, np.inf)
        np.minimum.at(turns, recording.forest.entity[recording.rows[bad]], recording.clock[recording.rows[bad]])
        last = lanes.start + lanes.length - 1
        goes_on = np.zeros(len(lanes.order), dtype=np.bool_)
        goes_on[last] = ~lanes.terminated & (lanes.successor != lanes.order[last])
        found = event_signals(recording, features, encoder, names)
        return Ground(
            signals={name: torch.from_numpy(values[at]).to(device) for name, values in found.items()},
            clock=torch.from_numpy(recording.clock[rows]).to(device),
            turns=torch.from_numpy(turns[entity]).to(device),
            malicious=torch.from_numpy(bad[at]).to(device),
            goes_on=torch.from_numpy(goes_on).to(device),
            analyst_s=env.costs.analyst_s,
        )
