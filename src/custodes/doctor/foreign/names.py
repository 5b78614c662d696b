"""What the tags of other trainers mean in the words of docs/run-folder.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What one tag is here."""

    signal: str
    """Name of the series."""
    factor: float = 1.0
    """Multiplied in, where the trainer logs another multiple."""


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """A trainer whose logs are understood."""

    name: str
    """As its makers write it."""
    updates: tuple[str, ...]
    """Tags that are written once per update: their steps are the iterations. One of them is in every log."""
    tags: Mapping[str, Meaning]
    """Meaning by tag."""
    settings: Mapping[str, str]
    """Tags of settings that are logged like numbers, to the fact that they are."""


def _tags(**meanings: tuple[str, ...]) -> dict[str, Meaning]:
    return {tag: Meaning(signal=signal) for signal, tags in meanings.items() for tag in tags}


SB3: Final = Trainer(
    name="Stable-Baselines3",
    updates=("train/value_loss", "train/loss", "train/policy_gradient_loss", "train/policy_loss"),
    tags=MappingProxyType(
        {
            **_tags(
                # A mean over the gradient steps; custodes logs that of critics that have not seen the targets yet.
                value_loss=("train/value_loss",),
                policy_loss=("train/policy_gradient_loss", "train/policy_loss"),
                kl=("train/approx_kl",),
                clip_fraction=("train/clip_fraction",),
                explained_variance=("train/explained_variance",),
                learning_rate=("train/learning_rate",),
                loss=("train/loss",),
                action_deviation=("train/std",),
                episode_reward=("rollout/ep_rew_mean",),
                episode_length=("rollout/ep_len_mean",),
                steps_per_second=("time/fps",),
            ),
            "train/entropy_loss": Meaning(signal="entropy", factor=-1.0),
        }
    ),
    settings=MappingProxyType({"train/clip_range": "clip", "train/clip_range_vf": "value_clip"}),
)
CLEANRL: Final = Trainer(
    name="CleanRL",
    updates=("losses/value_loss", "losses/policy_loss"),
    tags=MappingProxyType(
        {
            **_tags(
                policy_loss=("losses/policy_loss",),
                entropy=("losses/entropy",),
                kl=("losses/approx_kl",),
                clip_fraction=("losses/clipfrac",),
                explained_variance=("losses/explained_variance",),
                learning_rate=("charts/learning_rate",),
                episode_reward=("charts/episodic_return",),
                episode_length=("charts/episodic_length",),
                steps_per_second=("charts/SPS",),
            ),
            # Half the squared error, of the last minibatch.
            "losses/value_loss": Meaning(signal="value_loss", factor=2.0),
        }
    ),
    settings=MappingProxyType({}),
)
TRAINERS: Final = (SB3, CLEANRL)
"""In the order in which a log is held against them."""
HYPERPARAMETERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "gamma": "gamma",
        "clip_coef": "clip",
        "max_grad_norm": "max_grad_norm",
        "num_minibatches": "minibatches",
        "batch_size": "per_iteration",
    }
)
"""Facts in CleanRL's table of hyperparameters."""
