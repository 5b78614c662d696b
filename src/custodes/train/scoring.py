"""Scoring a finished run on a part of the data, beside the baselines."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from custodes.bft.votes import tolerated
from custodes.data.dataset import codes
from custodes.data.features import Encoder
from custodes.data.split import PartName
from custodes.env.lanes import Lanes
from custodes.env.response.replay import MASKS
from custodes.env.triage import TriageConfig, reward_table
from custodes.evaluate.baselines import BASELINES, BaselineInputs, BaselineScores, run_baselines
from custodes.evaluate.evaluation import Evaluation, Played, Scene, evaluate_play
from custodes.evaluate.response.inputs import lane_of_rows, records_alone
from custodes.evaluate.response.outcome import outcome, reference_of, response_score
from custodes.evaluate.response.policy import score_response
from custodes.evaluate.response.record import in_order
from custodes.rl.networks import Policy
from custodes.rl.state import load_policy
from custodes.team.team import Play, Team
from custodes.team.workload import Workload, prepare, with_data
from custodes.train import checkpoint
from custodes.train.config import RunConfig
from custodes.train.encoder_file import read_encoder
from custodes.train.rules import Check, check_rules, run_rules
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
    responds = workload.env.task == "response"
    lanes = workload.lanes(part)
    begin = time.perf_counter()
    play = team.play(workload.table, lanes, MASKS if responds else None)
    seconds = time.perf_counter() - begin
    scene = _scene(run, workload, part, team, saved, str(file.relative_to(run.path)))
    played = Played(rows=play.rows, decisions=play.decisions, score=play.score, votes=play.votes)
    if not responds:
        beside = score_baselines(workload, part, baselines, run.config.seed)
        return evaluate_play(played, scene, beside, seconds=seconds)
    assert play.decisions_by_state is not None
    book = run_rules(run)
    check_rules(book, saved.scalars.get("rules"), run.path)
    beside_it: dict[str, NDArray[np.int8]] = {}
    scores = score_response(
        workload,
        part,
        rows=play.rows,
        decisions=play.decisions_by_state,
        votes=play.votes_by_state,
        baselines=baselines,
        seed=run.config.seed,
        heard=beside_it.__setitem__,
    )
    stl = None if book is None else Check.of(book, workload, lanes.order).records(play, beside_it)
    return evaluate_play(played, scene, scores.baselines, seconds=seconds, response=scores.record, stl=stl)


def _scene(
    run: RunFolder, workload: Workload, part: PartName, team: Team, saved: checkpoint.Checkpoint, file: str
) -> Scene:
    """What is known about a play of a part by the team of one checkpoint file."""
    return Scene(
        dataset=workload.dataset.name,
        split=part,
        labels=workload.dataset.labels,
        split_rows=workload.split.rows(part),
        rewards=None if workload.env.task == "response" else reward_columns(workload.env),
        f=team.f,
        split_summary=workload.split.summary(workload.dataset.labels),  # type: ignore[arg-type]
        split_method=workload.split.method,
        data_digest=workload.dataset.digest,
        checkpoint=file,
        iteration=int(saved.scalars["iteration"]),
        trained_decisions=int(saved.scalars["decisions"]),
        warnings=(
            *data_warnings(run, workload),
            *workload.warnings(),
            *team_warnings(run.config),
            *_refit_warnings(workload, part),
        ),
    )


def _refit_warnings(workload: Workload, part: PartName) -> tuple[str, ...]:
    """That a team was trained on what it is scored on."""
    if part == "validation" and workload.refit:
        return ("the team was trained on the validation part too (train.refit)",)
    return ()


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


def workload_of(run: RunFolder, data: str = "") -> Workload:
    """The data of a run, or another file read the same way, encoded as the run was trained."""
    return workload_for(run.config, data=data, encoder=read_encoder(run.path, run.encoder))


def workload_for(
    config: RunConfig,
    *,
    data: str = "",
    encoder: Encoder | None = None,
    rejects: Path | None = None,
    device: torch.device | str = "cpu",
) -> Workload:
    """What the settings of a run say is played.

    Args:
        config: The settings.
        data: Another file to read the same way; empty for the run's own.
        encoder: A fitted one; None fits one on the training rows.
        rejects: File for malformed lines.
        device: Where the table lives.

    Raises:
        CustodesError: Data that cannot be used.
    """
    return prepare(
        with_data(config.data, data),
        config.env,
        config.team,
        costs=config.response,
        refit=config.train.refit,
        encoder=encoder,
        rejects=rejects,
        device=device,
    )


def response_of(team: Team, workload: Workload, lanes: Lanes) -> tuple[Play, float | None]:
    """Play lanes greedily, and replay the decisions where actions intervene.

    Returns:
        The play, and its response score; None in triage, and where the lanes hold no attack.
    """
    if workload.env.task == "triage":
        return team.play(workload.table, lanes), None
    play = team.play(workload.table, lanes, MASKS)
    assert play.decisions_by_state is not None
    recording, costs = workload.recording(np.sort(lanes.order)), workload.costs
    spent = outcome(recording, in_order(recording, play.rows, play.decisions_by_state), costs).cost
    ends = reference_of(recording, costs)
    return play, response_score(spent, ends.allow.cost, ends.oracle.cost)
