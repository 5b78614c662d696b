"""Sizes and coefficients of the original's training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, kw_only=True)
class OriginSettings:
    """The training; the defaults show every finding soonest, `TABLE` and `PUBLISHED` say what differs."""

    iterations: int = 8
    """Iterations of `rollout` records each; the original ran 300."""
    rollout: int = 2048
    """Records per iteration, played one after the other."""
    hidden: int = 64
    """Width of both LSTM layers; published: 256."""
    layers: int = 2
    """LSTM layers."""
    dropout: float = 0.2
    """Dropout between the layers, where it is on."""
    epochs: int = 4
    """Passes of one full batch; published: 10."""
    learning_rate: float = 3e-4
    """Adam step size."""
    gamma: float = 0.99
    """Discount; 0 where `return-unpredictable` is repaired."""
    lam: float = 0.95
    """Lambda of GAE."""
    returns: Literal["gae", "mc"] = "gae"
    """Value targets: advantage + old value, or the author's own fix, Monte Carlo."""
    clip: float = 0.2
    """Clip range of the ratio."""
    value_coefficient: float = 5.0
    """Weight of the value loss."""
    entropy_coefficient: float = 0.05
    """Weight of the entropy bonus."""
    max_grad_norm: float = 0.5
    """Each network's gradient is scaled down to this norm."""
    episode: int = 1000
    """Steps after which an episode ends and the counters start again."""
    chunk: int = 64
    """Steps of a stored sequence, where the update plays sequences."""
    evaluated: int = 1600
    """Records of the validation part on which the greedy policy is scored."""
    seed: int = 0
    """Of networks, dropout, actions and the order of records."""


TABLE: Final = OriginSettings(iterations=15, epochs=10, learning_rate=1e-3)
"""For the table of fixes: a quarter of the width, and three times the step size, with which that learns as fast."""
PUBLISHED: Final = OriginSettings(iterations=25, hidden=256, epochs=10)
"""The original's network, passes and step size, over the iterations that research measured it on."""
LAGS: Final = 8
"""Earlier records beside each one, where `input-ceiling` is repaired."""
COLUMNS: Final = ("sequence", "src_port", "dst_port", "ip_protocol", "size", "process_pid", "process_ppid")
"""The original's inputs in the words of the event table (`size` is its `file_size`)."""
