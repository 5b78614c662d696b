"""Scoring a finished run on a part of the data, beside the baselines."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.bft.votes import tolerated
from custodes.data.dataset import codes
from custodes.data.split import PartName
from custodes.env.triage import TriageConfig, reward_table
from custodes.evaluate.baselines import BASELINES, BaselineInputs, BaselineScores, run_baselines
from custodes.evaluate.evaluation import Evaluation, Played, Scene, evaluate_play
from custodes.rl.networks import Policy
from custodes.rl.state import load_policy
from custodes.team.team import Team
from custodes.team.workload import Workload, prepare, with_data
from custodes.train import checkpoint
from custodes.train.config import RunConfig
from custodes.train.encoder_file import read_encoder
from custodes.train.run_folder import RunFolder


def team_warnings(config: RunConfig) -> tuple[str, ...]:
    """What must be known about the team itself, a sentence each."""
    notes = []
    if config.rl.sharing == "shared" and config.team.agents > 1:
        notes.append("the agents share parameters: f liars among them is a figure without meaning, they fail together")
    if tolerated(config.team.agents) == 0:
        notes.append(f"{config.team.agents} agents stand no liar (f = 0): four are needed for f = 1")
    return tuple(notes)


def data_warnings(run: RunFolder, workload: Workload) -> tuple[str, ...]:
    """What must be known about the recording that is played, a sentence each."""
    notes = []
    rejected = workload.dataset.rejected
    if rejected:
        notes.append(f"{rejected:,} malformed line{'' if rejected == 1 else 's'} of the recording left out")
    if workload.dataset.digest != run.digest:
        notes.append(
            "this is not the recording that the team was trained on; the baselines were fitted on the training part "
            "of this one"
        )
    return tuple(notes)


def reward_columns(env: TriageConfig) -> NDArray[np.float64]:
    """[4, 2]: what each action earns on a benign and on a malicious event."""
    return reward_table(env).double().numpy()[:2].T


def load_team(run: RunFolder, workload: Workload, file: Path) -> tuple[Team, checkpoint.Checkpoint]:
    """The team of one checkpoint file.

    Raises:
        CustodesError: The checkpoint is damaged, or of other settings.
    """
    saved = checkpoint.load_file(file)
    policy = Policy(
        run.config.rl,
        agents=workload.table.agents,
        inputs=workload.table.inputs,
        central_inputs=workload.table.inputs,
        actions=4,
    )
    load_policy(policy, dict(saved.tensors))
    return Team.of(policy.to(workload.table.features.device)), saved


def evaluate_run(
    run: RunFolder,
    workload: Workload,
    *,
    part: PartName = "test",
    baselines: tuple[str, ...] | None = None,
    which: str = "best",
) -> Evaluation:
    """Play a part greedily and score it beside the baselines.

    Args:
        run: The run.
        workload: Its data, from `workload_of`.
        part: Which part.
        baselines: Which baselines; None for all.
        which: `best` (on validation) or `last` checkpoint.

    Raises:
        CustodesError: A checkpoint that cannot be used, an unknown baseline.
    """
    file = run.checkpoints / f"{which}.safetensors"
    if which == "best" and not file.exists():
        file = run.checkpoints / checkpoint.LAST
    team, saved = load_team(run, workload, file)
    lanes = workload.lanes(part)
    begin = time.perf_counter()
    play = team.play(workload.table, lanes)
    seconds = time.perf_counter() - begin
    scene = Scene(
        dataset=workload.dataset.name,
        split=part,
        labels=workload.dataset.labels,
        split_rows=workload.split.rows(part),
        rewards=reward_columns(workload.env),
        f=team.f,
        split_summary=workload.split.summary(workload.dataset.labels),  # type: ignore[arg-type]
        split_method=workload.split.method,
        data_digest=workload.dataset.digest,
        checkpoint=str(file.relative_to(run.path)),
        iteration=int(saved.scalars["iteration"]),
        trained_decisions=int(saved.scalars["decisions"]),
        warnings=(*data_warnings(run, workload), *workload.warnings(), *team_warnings(run.config)),
    )
    played = Played(rows=play.rows, decisions=play.decisions, score=play.score, votes=play.votes)
    return evaluate_play(played, scene, score_baselines(workload, part, baselines, run.config.seed), seconds=seconds)


def score_baselines(
    workload: Workload, part: PartName, names: tuple[str, ...] | None, seed: int
) -> dict[str, BaselineScores]:
    """The baselines on the same rows, inputs and lanes as the team."""
    wanted = tuple(BASELINES) if names is None else names
    if not wanted:
        return {}
    inputs = BaselineInputs(
        features=workload.features,
        alone=records_alone(workload),
        labels=workload.dataset.labels,
        kinds=codes(workload.dataset.events, "kind"),
        part=workload.split.part,
        lanes=lane_of_rows(workload),
        rewards=reward_columns(workload.env),
        split=part,
    )
    return run_baselines(inputs, wanted, seed)


def records_alone(workload: Workload) -> NDArray[np.float32]:
    """[N, C]: the inputs of each record as if nothing had come before it.

    Inputs that then do not vary over the training part are left out, so C may be 0 (inputs of history alone). Every
    record is put into a stream of its own, so that no feature can hold any history.
    """
    events = workload.dataset.events
    row = pl.int_range(len(events)).cast(pl.String)
    alone = workload.encoder.transform(replace(workload.dataset, events=events.with_columns(stream=row)))
    train = alone[workload.split.rows("train")]
    varies = np.ptp(train, axis=0) > 0 if len(train) else np.zeros(alone.shape[1], dtype=np.bool_)
    kept: NDArray[np.float32] = np.ascontiguousarray(alone[:, varies])
    return kept


def lane_of_rows(workload: Workload) -> NDArray[np.int64]:
    """[N]: a number for the lane of each row, over all parts; -1 for rows in no part."""
    found = np.full(len(workload.dataset), -1, dtype=np.int64)
    first = 0
    for part in ("train", "validation", "test"):
        if not len(workload.split.rows(part)):
            continue
        lanes = workload.lanes(part)
        found[lanes.order] = first + np.repeat(np.arange(len(lanes.start)), lanes.length)
        first += len(lanes.start)
    return found


def workload_of(run: RunFolder, data: str = "") -> Workload:
    """The data of a run, or another file read the same way, encoded as the run was trained."""
    config = run.config
    return prepare(with_data(config.data, data), config.env, config.team, encoder=read_encoder(run.path, run.encoder))
