"""custodes' learner on the workload, and on its own lane player with the same rows and lanes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmarks.train_peers.program import Boundary, count_parameters
from benchmarks.train_peers.workload import LanePlayer, Workload
from custodes.env.lanes import Lanes
from custodes.env.table import EnvTable
from custodes.env.triage import TriageConfig, TriageEnv
from custodes.interface import Observation, Step, VectorEnv
from custodes.rl.config import LearnerConfig
from custodes.rl.learner import iterate
from custodes.rl.state import create


class LaneEnv:
    """The lane player as a `custodes.interface.VectorEnv` with one agent; all lanes terminate.

    Args:
        player: Plays; several tensors share its memory.
    """

    def __init__(self, player: LanePlayer) -> None:
        self.player = player
        self.never = torch.zeros(self.slots, dtype=torch.bool)
        self.unlabelled = torch.full((self.slots,), -1, dtype=torch.int64)

    @property
    def slots(self) -> int:
        """B."""
        return self.player.workload.lanes

    @property
    def agents(self) -> int:
        """A = 1."""
        return 1

    @property
    def inputs(self) -> int:
        """D."""
        return self.player.workload.inputs

    @property
    def central_inputs(self) -> int:
        """S = D."""
        return self.inputs

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return self.player.workload.actions

    def reset(self) -> Observation:
        """What the slots see; the player was seeded and started when it was made."""
        return _observation(torch.from_numpy(self.player.observe()))

    def step(self, actions: Tensor) -> Step:
        """Play int64 [B, 1] actions."""
        acted = self.player.cursor.copy()
        observed, rewards, ends = self.player.step(actions[:, 0].numpy())
        observation = successor = _observation(torch.from_numpy(observed))
        if ends.any():
            # Nothing follows a lane that terminates: its last row stands for the successor, and no return reads it.
            followed = np.where(ends[:, None], self.player.rows.take(acted, axis=0), observed)
            successor = _observation(torch.from_numpy(followed))
        reward = torch.from_numpy(rewards)
        return Step(
            observation=observation,
            successor=successor,
            reward=reward.unsqueeze(1),
            terminated=torch.from_numpy(ends),
            truncated=self.never,
            decision=actions[:, 0],
            label=self.unlabelled,
            team_reward=reward,
        )

    def state(self) -> dict[str, Tensor]:
        """Rows played now and lanes taken so far."""
        return {"cursor": torch.from_numpy(self.player.cursor.copy()), "taken": torch.tensor([self.player.taken])}

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        """Continue exactly from `state()`."""
        self.player.cursor = state["cursor"].numpy().copy()
        self.player.taken = int(state["taken"])
        return self.reset()


def _observation(seen: Tensor) -> Observation:
    return Observation(agents=seen.unsqueeze(1), central=seen)


def learner_config(w: Workload, chunk: int) -> LearnerConfig:
    """The workload's sizes; custodes' defaults for what only it has (value normalisation, the value-loss floor).

    Args:
        w: Sizes.
        chunk: Longest sequence that gradients flow through, in steps; 0 is the whole rollout, as the other programs do.
    """
    return LearnerConfig(
        algorithm="ippo",
        encoder=w.hidden,
        hidden=w.hidden,
        rollout=w.rollout,
        chunk=chunk,
        epochs=w.epochs,
        minibatches=w.minibatches,
        gamma=w.gamma,
        lam=w.lam,
        returns="gae",
        learning_rate=w.learning_rate,
        learning_rate_end=w.learning_rate,
        clip=w.clip,
        value_coefficient=w.value,
        entropy_coefficient=w.entropy,
        entropy_coefficient_end=w.entropy,
        max_grad_norm=w.max_grad_norm,
    )


class Learner:
    """The learner on any vector environment, as `custodes train` iterates it.

    Args:
        workload: Sizes.
        seed: Of the learner.
        env: What is played.
        chunk: Longest sequence that gradients flow through, in steps.
    """

    def __init__(self, workload: Workload, seed: int, env: VectorEnv, chunk: int) -> None:
        self.env, self.config = env, learner_config(workload, chunk)
        self.state = create(self.config, env, seed)

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        return count_parameters(self.state.policy.parameters())

    def train(self, boundary: Boundary) -> None:
        """Iterate until `boundary` raises."""
        while True:
            iterate(self.state, self.env, self.config, 0.0)
            boundary()


class CustodesLanes(Learner):
    """On the workload itself."""

    def __init__(self, workload: Workload, seed: int, *, chunk: int) -> None:
        self.players = [LanePlayer(workload, seed)]
        reach = f"at most {chunk} steps" if chunk else "whole lanes"
        self.note = f"linear 16-64, LSTM 64; exact resets, gradients through {reach}"
        super().__init__(workload, seed, LaneEnv(self.players[0]), chunk)


class CustodesTriage(Learner):
    """On `TriageEnv`, same rows and lanes; the task is to contain rows whose right action is one of the upper two."""

    note = "as custodes, on its own lane player (triage) over the same rows and lanes; its rewards are others"
    players: tuple[LanePlayer, ...] = ()

    def __init__(self, workload: Workload, seed: int, *, chunk: int) -> None:
        player = LanePlayer(workload, seed)
        table = EnvTable.from_numpy(player.rows, player.answers >= workload.actions // 2)
        lengths = np.diff(np.append(player.starts, len(player.rows)))
        places = np.arange(len(player.rows))
        lanes = Lanes(
            order=places,
            start=player.starts,
            length=lengths,
            terminated=np.ones(len(lengths), dtype=np.bool_),
            successor=player.starts + lengths - 1,
        )
        super().__init__(workload, seed, TriageEnv(table, lanes, TriageConfig(slots=workload.lanes), seed=seed), chunk)
