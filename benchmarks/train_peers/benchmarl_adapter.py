"""BenchMARL's IPPO with its LSTM on the workload, through its own `Experiment.run`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import Any

import torch
from benchmarl.algorithms import IppoConfig
from benchmarl.environments import TaskClass
from benchmarl.experiment import Callback, Experiment, ExperimentConfig
from benchmarl.models import LstmConfig
from tensordict import TensorDict
from torch import nn
from torchrl.data import Binary, Categorical, Composite, Unbounded
from torchrl.envs import EnvBase

from benchmarks.train_peers.program import Boundary, count_parameters
from benchmarks.train_peers.workload import LanePlayer, Workload

GROUP = "agents"


class LaneTorchRL(EnvBase):  # type: ignore[misc]
    """The lane player as a batched TorchRL environment with one agent.

    The player takes the next lane by itself; TorchRL asks for it with a partial reset, which is then answered with what
    is seen already.
    """

    def __init__(self, player: LanePlayer) -> None:
        w = player.workload
        lanes = w.lanes
        super().__init__(device="cpu", batch_size=[lanes])
        self.player = player

        def grouped(**leaves: Any) -> Composite:
            return Composite({GROUP: Composite(leaves, shape=(lanes, 1))}, shape=(lanes,))

        self.observation_spec = grouped(observation=Unbounded(shape=(lanes, 1, w.inputs)))
        self.action_spec = grouped(action=Categorical(w.actions, shape=(lanes, 1)))
        self.reward_spec = grouped(reward=Unbounded(shape=(lanes, 1, 1)))
        flags = {key: Binary(1, shape=(lanes, 1), dtype=torch.bool) for key in ("done", "terminated")}
        self.done_spec = Composite(flags, shape=(lanes,))

    def _observation(self, observed: Any) -> TensorDict:
        lanes = self.player.workload.lanes
        return TensorDict({"observation": torch.from_numpy(observed).unsqueeze(1)}, batch_size=(lanes, 1))

    def _reset(self, tensordict: Any, **kwargs: Any) -> TensorDict:
        lanes = self.player.workload.lanes
        flags = {key: torch.zeros(lanes, 1, dtype=torch.bool) for key in ("done", "terminated")}
        return TensorDict({GROUP: self._observation(self.player.observe()), **flags}, batch_size=(lanes,))

    def _step(self, tensordict: Any) -> TensorDict:
        observed, rewards, ends = self.player.step(tensordict[GROUP, "action"][:, 0].numpy())
        agents = self._observation(observed)
        agents["reward"] = torch.from_numpy(rewards).view(-1, 1, 1)
        done = torch.from_numpy(ends).unsqueeze(-1)
        return TensorDict({GROUP: agents, "done": done, "terminated": done.clone()}, batch_size=(len(ends),))

    def _set_seed(self, seed: int | None) -> None:
        """The player was seeded when it was made."""


class LaneTask(TaskClass):  # type: ignore[misc]
    """The workload as a BenchMARL task."""

    def __init__(self, make: Callable[[int], LanePlayer]) -> None:
        super().__init__("lanes", {})
        self.make = make

    def get_env_fun(self, num_envs: int, continuous_actions: bool, seed: int | None, device: Any) -> Any:
        """A function that makes the environment."""
        return lambda: LaneTorchRL(self.make(num_envs))

    def supports_continuous_actions(self) -> bool:
        """No."""
        return False

    def supports_discrete_actions(self) -> bool:
        """Yes."""
        return True

    def max_steps(self, env: Any) -> int:
        """No evaluation is run."""
        return 1

    def has_render(self, env: Any) -> bool:
        """No."""
        return False

    def group_map(self, env: Any) -> dict[str, list[str]]:
        """One group of one agent."""
        return {GROUP: ["agent"]}

    def observation_spec(self, env: Any) -> Any:
        """As the environment's, without the batch."""
        return env.full_observation_spec_unbatched.clone()

    def action_spec(self, env: Any) -> Any:
        """As the environment's, without the batch."""
        return env.full_action_spec_unbatched

    def info_spec(self, env: Any) -> Any:
        """None."""
        return

    def state_spec(self, env: Any) -> Any:
        """None."""
        return

    def action_mask_spec(self, env: Any) -> Any:
        """None."""
        return

    @staticmethod
    def env_name() -> str:
        """Of the folder that a built-in task would have."""
        return "lanes"


class AfterTraining(Callback):  # type: ignore[misc]
    """Calls the boundary once per iteration, after the update."""

    boundary: Boundary

    def on_train_end(self, training_td: Any, group: str) -> None:
        """The only group has been updated."""
        self.boundary()


def experiment_config(w: Workload, folder: str) -> Any:
    """BenchMARL's defaults, with the workload's sizes and everything off that is not training."""
    config = ExperimentConfig.get_from_yaml()
    settings: dict[str, Any] = {
        "gamma": w.gamma,
        "lr": w.learning_rate,
        "clip_grad_norm": True,
        "clip_grad_val": w.max_grad_norm,
        "max_n_iters": None,
        "max_n_frames": w.samples * 10**6,
        "on_policy_collected_frames_per_batch": w.samples,
        "on_policy_n_envs_per_worker": w.lanes,
        "on_policy_n_minibatch_iters": w.epochs,
        "on_policy_minibatch_size": w.minibatch,
        "evaluation": False,
        "render": False,
        "evaluation_episodes": w.lanes,
        "prefer_continuous_actions": False,
        "loggers": [],
        "create_json": False,
        "save_folder": folder,
    }
    for name, value in settings.items():
        setattr(config, name, value)
    return config


class BenchmarlPeer:
    """IPPO with an LSTM each for actor and critic, which is the only way that BenchMARL builds it."""

    note = "separate LSTM 64 for the critic, no layers around the LSTMs; the update starts sequences from a zero state"

    def __init__(self, workload: Workload, seed: int) -> None:
        self.workload, self.seed = workload, seed
        self.players: list[LanePlayer] = []
        self.folder = tempfile.TemporaryDirectory(prefix="benchmarl-")
        self.after = AfterTraining()
        self.experiment = self._experiment()

    def _player(self, lanes: int) -> LanePlayer:
        if lanes != self.workload.lanes:
            raise ValueError(f"BenchMARL asked for {lanes} slots instead of {self.workload.lanes}")
        self.players.append(LanePlayer(self.workload, self.seed))
        return self.players[-1]

    def _experiment(self) -> Any:
        w = self.workload
        algorithm = IppoConfig.get_from_yaml()
        algorithm.clip_epsilon, algorithm.lmbda = w.clip, w.lam
        algorithm.entropy_coef, algorithm.critic_coef = w.entropy, w.value

        def model() -> Any:
            return LstmConfig(
                hidden_size=w.hidden,
                n_layers=1,
                bias=True,
                dropout=0.0,
                compile=False,
                mlp_num_cells=[],
                mlp_layer_class=nn.Linear,
                mlp_activation_class=nn.Tanh,
            )

        return Experiment(
            task=LaneTask(self._player),
            algorithm_config=algorithm,
            model_config=model(),
            critic_model_config=model(),
            seed=self.seed,
            config=experiment_config(w, self.folder.name),
            callbacks=[self.after],
        )

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        return count_parameters(p for loss in self.experiment.losses.values() for p in loss.parameters())

    def train(self, boundary: Boundary) -> None:
        """`run` without end: `boundary` raises first."""
        self.after.boundary = boundary
        self.experiment.run()
