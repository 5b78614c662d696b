"""PufferLib 3's PuffeRL on the workload, through its own `evaluate` and `train`."""

from __future__ import annotations

import tempfile
from typing import Any

import gymnasium
import numpy as np
import pufferlib
import pufferlib.models
from pufferlib import pufferl

from benchmarks.train_peers.program import Boundary, count_parameters
from benchmarks.train_peers.workload import LanePlayer, Workload


class LanePuffer(pufferlib.PufferEnv):  # type: ignore[misc]
    """The lane player as a native PufferLib environment, one agent per slot; it is its own vector environment."""

    def __init__(self, player: LanePlayer) -> None:
        w = player.workload
        self.single_observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (w.inputs,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(w.actions)
        self.num_agents = w.lanes
        super().__init__()
        self.player = player

    @property
    def agents_per_batch(self) -> int:
        """What the trainer asks a vector environment for."""
        return int(self.num_agents)

    def reset(self, seed: Any = None) -> Any:
        """First observations; the player was seeded when it was made."""
        self.observations[:] = self.player.observe()
        return self.observations, []

    def step(self, actions: Any) -> Any:
        """Play one action per slot."""
        self.observations[:], self.rewards[:], self.terminals[:] = self.player.step(actions)
        return self.observations, self.rewards, self.terminals, self.truncations, []

    def close(self) -> None:
        """Nothing is held."""


def trainer_config(w: Workload, seed: int, folder: str) -> dict[str, Any]:
    """The workload's sizes; PufferLib's defaults for what only it has (V-trace clips, prioritised segments)."""
    return {
        "env": "lanes",
        "seed": seed,
        "torch_deterministic": True,
        "device": "cpu",
        "precision": "float32",
        "cpu_offload": False,
        "compile": False,
        "compile_mode": "default",
        "compile_fullgraph": False,
        "optimizer": "adam",
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_eps": 1e-5,
        "learning_rate": w.learning_rate,
        "anneal_lr": False,
        "total_timesteps": w.samples * 10**6,
        "batch_size": w.samples,
        "bptt_horizon": w.rollout,
        "minibatch_size": w.minibatch,
        "max_minibatch_size": w.minibatch,
        "update_epochs": w.epochs,
        "use_rnn": True,
        "gamma": w.gamma,
        "gae_lambda": w.lam,
        "clip_coef": w.clip,
        "vf_clip_coef": w.clip,
        "vf_coef": w.value,
        "ent_coef": w.entropy,
        "max_grad_norm": w.max_grad_norm,
        "prio_alpha": 0.8,
        "prio_beta0": 0.2,
        "vtrace_rho_clip": 1.0,
        "vtrace_c_clip": 1.0,
        "checkpoint_interval": 10**9,
        "data_dir": folder,
    }


class PufferPeer:
    """PuffeRL with its default policy inside its LSTM wrapper."""

    note = "linear 16-64, LSTM 64; the LSTM's state is never reset at the end of a lane"

    def __init__(self, workload: Workload, seed: int) -> None:
        self.players = [LanePlayer(workload, seed)]
        self.folder = tempfile.TemporaryDirectory(prefix="pufferlib-")
        environment = LanePuffer(self.players[0])
        width = workload.hidden
        policy = pufferlib.models.Default(environment, hidden_size=width)
        policy = pufferlib.models.LSTMWrapper(environment, policy, input_size=width, hidden_size=width)
        self.trainer = pufferl.PuffeRL(trainer_config(workload, seed, self.folder.name), environment, policy)

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        return count_parameters(self.trainer.uncompiled_policy.parameters())

    def train(self, boundary: Boundary) -> None:
        """PufferLib's loop, as its `train` command runs it."""
        try:
            while True:
                self.trainer.evaluate()
                self.trainer.train()
                boundary()
        finally:
            self.trainer.utilization.stop()
