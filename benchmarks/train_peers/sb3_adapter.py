"""sb3-contrib's RecurrentPPO on the workload, through its own `learn`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from benchmarks.train_peers.program import Boundary, count_parameters
from benchmarks.train_peers.workload import LanePlayer, Workload


class LaneVecEnv(VecEnv):  # type: ignore[misc]
    """The lane player as Stable-Baselines3's vector environment."""

    def __init__(self, player: LanePlayer) -> None:
        w = player.workload
        box = gymnasium.spaces.Box(-np.inf, np.inf, (w.inputs,), np.float32)
        super().__init__(w.lanes, box, gymnasium.spaces.Discrete(w.actions))
        self.player = player
        # Nothing reads an info at a terminated lane, so one list of empty dicts serves every step.
        self.infos: list[dict[str, Any]] = [{} for _ in range(w.lanes)]

    def reset(self) -> Any:
        """First observations."""
        return self.player.observe()

    def step_async(self, actions: Any) -> None:
        """Remember the actions."""
        self.chosen = actions

    def step_wait(self) -> Any:
        """Play them."""
        observed, rewards, ends = self.player.step(self.chosen)
        return observed, rewards, ends, self.infos

    def close(self) -> None:
        """Nothing is held."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for every slot."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: the slots share one player."""
        raise NotImplementedError(attr_name)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Refused: there is one player, not one environment per slot."""
        raise NotImplementedError(method_name)

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No slot is."""
        return [False] * self.num_envs


class LinearFeatures(BaseFeaturesExtractor):  # type: ignore[misc]
    """The linear layer before the LSTM that the other programs have."""

    def __init__(self, observation_space: Any, width: int) -> None:
        super().__init__(observation_space, width)
        self.layer = nn.Linear(observation_space.shape[0], width)

    def forward(self, observations: Tensor) -> Tensor:
        """[B, inputs] to [B, width]."""
        return torch.tanh(self.layer(observations))


class AtRolloutStart(BaseCallback):  # type: ignore[misc]
    """Calls the boundary between an update and the next rollout."""

    def __init__(self, boundary: Boundary) -> None:
        super().__init__()
        self.boundary, self.first = boundary, True

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.first:
            self.first = False
        else:
            self.boundary()


class RecurrentPeer:
    """RecurrentPPO.

    Args:
        workload: Sizes.
        seed: Of everything.
        shared: One LSTM for policy and value behind a linear layer: the very network of `lstm-loop`, though the value
            loss does not reach the LSTM. Otherwise sb3-contrib's default, a critic LSTM of its own; without a linear
            layer then, since two LSTMs of 64 are above the others' size already.
    """

    def __init__(self, workload: Workload, seed: int, *, shared: bool) -> None:
        self.players = [LanePlayer(workload, seed)]
        self.note = (
            "linear 16-64, shared LSTM 64 that the value loss does not reach"
            if shared
            else "default: separate LSTM 64 for the critic; no layers before or after the LSTMs"
        )
        policy: dict[str, Any] = {"lstm_hidden_size": workload.hidden, "net_arch": []}
        if shared:
            policy |= {
                "shared_lstm": True,
                "enable_critic_lstm": False,
                "features_extractor_class": LinearFeatures,
                "features_extractor_kwargs": {"width": workload.hidden},
            }
        self.model = RecurrentPPO(
            "MlpLstmPolicy",
            LaneVecEnv(self.players[0]),
            n_steps=workload.rollout,
            batch_size=workload.minibatch,
            n_epochs=workload.epochs,
            learning_rate=workload.learning_rate,
            gamma=workload.gamma,
            gae_lambda=workload.lam,
            clip_range=workload.clip,
            ent_coef=workload.entropy,
            vf_coef=workload.value,
            max_grad_norm=workload.max_grad_norm,
            policy_kwargs=policy,
            device="cpu",
            seed=seed,
        )

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        trained: Sequence[Any] = list(self.model.policy.parameters())
        return count_parameters(trained)

    def train(self, boundary: Boundary) -> None:
        """`learn` without end: `boundary` raises first."""
        self.model.learn(total_timesteps=10**12, callback=AtRolloutStart(boundary), log_interval=None)
