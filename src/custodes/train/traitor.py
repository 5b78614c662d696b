"""Training a traitor: PPO against a finished team, paid for what the team loses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from custodes.bft.votes import tolerated
from custodes.env.response.replay import MASKS
from custodes.env.table import EnvTable
from custodes.env.traitor import TraitorEnv
from custodes.errors import CustodesError
from custodes.rl.learner import iterate
from custodes.rl.state import create
from custodes.team.team import Play, Team
from custodes.team.traitor import knowledge
from custodes.team.workload import Workload
from custodes.train.loop import Watcher
from custodes.train.run_folder import RunFolder
from custodes.train.traitor_file import TraitorConfig, write_traitor


def train_traitor(
    run: RunFolder, workload: Workload, team: Team, config: TraitorConfig, *, seed: int, watcher: Watcher | None = None
) -> Path | None:
    """Train a traitor on the training part against a team that stands still.

    Args:
        run: The team's run, which keeps the traitor.
        workload: The run's data.
        team: Whom it betrays.
        config: Settings.
        seed: Of parameters, actions, lanes, and who lies.
        watcher: Progress and stopping; a stopped training keeps nothing.

    Returns:
        The file, or None where it was stopped.

    Raises:
        CustodesError: More liars than agents.
    """
    watcher = watcher or Watcher()
    env, inputs = traitor_game(workload, team, config, seed)
    settings = config.learner()
    learner = create(settings, env, seed, "cpu")
    total = max(1, -(-config.decisions // (settings.rollout * env.slots)))
    watcher.started(run, 0, total * settings.rollout * env.slots)
    while learner.iteration < total:
        watcher.iterated(iterate(learner, env, settings, learner.iteration / total))
        if watcher.stop() and learner.iteration < total:
            return None
    return write_traitor(run, learner.policy, config, team, inputs, seed, learner.decisions)


def traitor_game(workload: Workload, team: Team, config: TraitorConfig, seed: int) -> tuple[TraitorEnv, int]:
    """The traitor's game on the training part, and the width of what it knows."""
    agents = team.policy.agents
    seats = config.most or min(tolerated(agents) + 1, agents)
    if seats > agents:
        raise CustodesError(f"{seats} liars among {agents} agents", where="traitor.most", fix=f"use at most {agents}")
    responds = workload.env.task == "response"
    lanes = workload.training_lanes(seed)
    play = team.play(workload.table, lanes, MASKS if responds else None)
    seen = knowledge(workload, play)
    known = np.zeros((len(workload.dataset), seen.shape[1]), dtype=np.float32)
    known[play.rows] = seen
    table = EnvTable.from_numpy(known, workload.dataset.labels, agents=agents)
    # Both kinds of harm need practice: letting an attack pass, and containing the healthy, at the prices of the score.
    played = replace(workload.env, lane_share=config.lane_share if responds else 0.0, caution=1.0)
    game = replace(workload, table=table, env=played).training_game(team.f, seed)
    return TraitorEnv(game, _honest_votes(workload, play), seats, seed), seen.shape[1]


def _honest_votes(workload: Workload, play: Play) -> Tensor:
    """Int64 [N, A, S]: honest votes at each row in each state; 0 at rows that are not played."""
    by_state = play.votes[:, :, None] if play.votes_by_state is None else play.votes_by_state
    votes = torch.zeros(len(workload.dataset), *by_state.shape[1:], dtype=torch.int64)
    votes[torch.from_numpy(play.rows)] = torch.from_numpy(by_state).long()
    return votes
