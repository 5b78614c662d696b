"""Scoring a finished run on a part of the data, beside the baselines."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from custodes.data.dataset import codes
from custodes.data.features import Encoder
from custodes.data.split import PartName
from custodes.env.lanes import Lanes
from custodes.env.response.recording import Recording
from custodes.env.response.replay import MASKS
from custodes.env.triage import TriageConfig, reward_table
from custodes.evaluate.baselines import BASELINES, BaselineInputs, BaselineScores, run_baselines
from custodes.evaluate.byzantine.record import LEARNED, Siege, bft_record
from custodes.evaluate.byzantine.schema import ByzantineRecord
from custodes.evaluate.evaluation import Evaluation, Played, Scene, evaluate_play
from custodes.evaluate.response.detection import highest_so_far
from custodes.evaluate.response.inputs import lane_of_rows, records_alone
from custodes.evaluate.response.outcome import outcome, reference_of, response_score
from custodes.evaluate.response.policy import score_response
from custodes.evaluate.response.record import in_order
from custodes.evaluate.response.schema import ResponseRecord
from custodes.evaluate.response.shielded import IN_THE_TABLE, Guard, enforcer, in_words, shielded
from custodes.evaluate.rules.schema import SpecRecord
from custodes.rl.networks import Policy
from custodes.rl.state import load_policy
from custodes.team.team import Play, Team
from custodes.team.traitor import learned_votes
from custodes.team.workload import Workload, prepare, with_data
from custodes.train import checkpoint
from custodes.train.config import RunConfig
from custodes.train.encoder_file import read_encoder
from custodes.train.rules import Check, check_rules, run_rules
from custodes.train.run_folder import RunFolder
from custodes.train.traitor_file import read_traitor
from custodes.train.warnings import data_warnings, refit_warnings, team_warnings


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
        central_inputs=workload.central_inputs,
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
    siege: Siege | None = None,
    guard: Guard | None = None,
) -> Evaluation:
    """Play a part greedily and score it beside the baselines.

    Args:
        run: The run.
        workload: Its data, from `workload_of`.
        part: Which part.
        baselines: Which baselines; None for all.
        which: `best` (on validation) or `last` checkpoint.
        siege: What is asked about lying agents (`siege_of`); None for the honest team alone.
        guard: Rules that overrule the votes (`guard_of`); None for the votes as they are.

    Raises:
        CustodesError: A checkpoint that cannot be used, an unknown baseline.
        ValueError: A guard for a run that does not act (a defect of the caller: `guard_of` refuses it).
    """
    file = checkpoint.file_of(run.checkpoints, which)
    team, saved = load_team(run, workload, file)
    responds = workload.env.task == "response"
    lanes = workload.lanes(part)
    begin = time.perf_counter()
    play = team.play(workload.table, lanes, MASKS if responds else None, confident=siege is not None)
    seconds = time.perf_counter() - begin
    scene = _scene(run, workload, part, team, saved, str(file.relative_to(run.path)))
    if not responds:
        if guard is not None:
            raise ValueError("a shield needs a run that acts")
        beside = score_baselines(workload, part, baselines, run.config.seed)
        bft = _bft(run, workload, part, play, team, siege)
        return evaluate_play(_as_played(play), scene, beside, seconds=seconds, bft=bft)
    book = run_rules(run)
    check_rules(book, saved.scalars.get("rules"), run.path)
    check = None if book is None else Check.of(book, workload, lanes.order)
    acted, shield = (play, None) if guard is None else shielded(workload, part, play, guard)
    record, others, held = _acted_on(run, workload, part, baselines, play, acted, check)
    return evaluate_play(
        flagged(play, workload.recording(workload.split.rows(part))),
        scene if shield is None else replace(scene, warnings=(*scene.warnings, in_words(shield))),
        others,
        seconds=seconds,
        response=record,
        stl=held,
        bft=_bft(run, workload, part, play, team, siege, record, check, guard),
        shield=shield,
    )


def _acted_on(
    run: RunFolder,
    workload: Workload,
    part: PartName,
    baselines: tuple[str, ...] | None,
    play: Play,
    acted: Play,
    check: Check | None,
) -> tuple[ResponseRecord, dict[str, dict[str, Any]], dict[str, SpecRecord] | None]:
    """What the decisions that were carried out came to, the baselines beside them, and how rules held."""
    assert acted.decisions_by_state is not None
    beside_it: dict[str, NDArray[np.int8]] = {}
    scores = score_response(
        workload,
        part,
        rows=play.rows,
        decisions=acted.decisions_by_state,
        votes=play.votes_by_state,
        baselines=baselines,
        seed=run.config.seed,
        heard=beside_it.__setitem__,
    )
    return scores.record, scores.baselines, None if check is None else check.records(acted, beside_it)


def _bft(
    run: RunFolder,
    workload: Workload,
    part: PartName,
    play: Play,
    team: Team,
    siege: Siege | None,
    response: ResponseRecord | None = None,
    check: Check | None = None,
    guard: Guard | None = None,
) -> ByzantineRecord:
    """How far the agents agree and what liars among them achieve, with the run's traitor where it is asked for."""
    traitor = read_traitor(run, team) if siege is not None and LEARNED in siege.attacks else None
    return bft_record(
        workload,
        part,
        play,
        f=team.f,
        siege=siege,
        response=response,
        judge=None if check is None else check.shares,
        learned=None if traitor is None else learned_votes(traitor, workload, part, play),
        enforced=None if guard is None or siege is None else enforcer(workload, part, play, guard),
        notes=(*(() if traitor is None else traitor.notes), *(() if guard is None else (IN_THE_TABLE,))),
        seed=run.config.seed,
    )


def _as_played(play: Play) -> Played:
    return Played(rows=play.rows, decisions=play.decisions, score=play.score, votes=play.votes)


def flagged(play: Play, recording: Recording) -> Played:
    """A play of the response task for detection: what is said of each event's process by then."""
    decisions, score = (
        highest_so_far(recording, in_order(recording, play.rows, said)) for said in (play.decisions, play.score)
    )
    votes = in_order(recording, play.rows, play.votes)
    return Played(rows=recording.source, decisions=decisions, score=score, votes=votes)


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
            *refit_warnings(workload, part),
        ),
    )


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
        liars=config.liars,
        refit=config.train.refit,
        encoder=encoder,
        rejects=rejects,
        device=device,
    )


def response_of(team: Team, workload: Workload, lanes: Lanes) -> tuple[Play, Played, float | None]:
    """Play lanes greedily, and replay the decisions where actions intervene.

    Returns:
        The play; the same for detection; and its response score, None in triage, and where the lanes hold no attack.
    """
    if workload.env.task == "triage":
        play = team.play(workload.table, lanes)
        return play, _as_played(play), None
    play = team.play(workload.table, lanes, MASKS)
    assert play.decisions_by_state is not None
    recording, costs = workload.recording(np.sort(lanes.order)), workload.costs
    spent = outcome(recording, in_order(recording, play.rows, play.decisions_by_state), costs).cost
    ends = reference_of(recording, costs)
    return play, flagged(play, recording), response_score(spent, ends.allow.cost, ends.oracle.cost)
