"""Training: iterate the learner, evaluate on validation, keep the best, save, log; stop and resume exactly."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from custodes.bft.votes import BLOCK, QUARANTINE, tolerated
from custodes.data.rejects import left_out_note
from custodes.doctor.finding import Finding
from custodes.errors import CustodesError
from custodes.interface import VectorEnv
from custodes.rl.learner import iterate
from custodes.rl.state import LearnerState, create
from custodes.rl.warmstart import warm_start
from custodes.team.rules.book import RuleBook
from custodes.team.rules.teacher import RuleTeacher
from custodes.team.workload import Workload
from custodes.train import checkpoint
from custodes.train.config import RunConfig
from custodes.train.diagnostics import Diagnostics
from custodes.train.encoder_file import encoder_digest, read_encoder, write_encoder
from custodes.train.rejected import REJECTS, move_into_run, rejects_aside
from custodes.train.rules import Check, rules_of, run_rules, teacher_of, watched, write_rules
from custodes.train.run_folder import RunFolder, check_new, create_run, current_versions, open_run
from custodes.train.scoring import workload_for
from custodes.train.session import Experiment, Session, check_finite, device_of, restore, save, use_threads
from custodes.train.tensorboard import EventLog
from custodes.train.validating import EVALUATED, validate
from custodes.train.warnings import team_warnings

Line = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Who is told what happens, and who may ask to stop."""

    started: Callable[[RunFolder, int, int], None] = lambda run, done, budget: None
    """Called once with the run, the decisions done so far and the budget in decisions."""
    iterated: Callable[[Line], None] = lambda line: None
    """Called after each iteration with its metrics."""
    stop: Callable[[], bool] = lambda: False
    """Asked after each iteration; True saves and ends."""
    warn: Callable[[str], None] = lambda line: None
    """Gets a line that the user must read."""
    found: Callable[[Finding], None] = lambda finding: None
    """Gets each thing that is found to be wrong with the training, once."""


def train(
    config: RunConfig, out: Path, watcher: Watcher | None = None, experiment: Experiment | None = None
) -> RunFolder:
    """Train a team from the start.

    Args:
        config: All settings.
        out: The new run folder.
        watcher: Progress, stopping, warnings.
        experiment: What is put in the place of parts of it; None for nothing.

    Raises:
        CustodesError: Bad settings or data, or a folder that is taken; nothing of an earlier run is touched.
    """
    watcher, experiment = watcher or Watcher(), experiment or Experiment()
    check_new(out)
    book = rules_of(config)
    book = None if book is None else experiment.seams.rules(book)
    use_threads(config)
    device = device_of(config)
    with rejects_aside(out) as rejects:
        workload = experiment.seams.workload(workload_for(config, rejects=rejects, device=device))
        # Before the folder is made: it refuses what does not fit.
        player = _player(config, workload, device, experiment, book, watcher)
        run = create_run(out, config, workload.dataset.digest, encoder=encoder_digest(workload.encoder))
        move_into_run(rejects, out)
    with run.lock():
        write_encoder(out, workload.encoder)
        write_rules(out, book)
        session = _session(run, workload, player, experiment)
        save(session)
        _say_warnings(session, watcher)
        _loop(session, watcher)
    return run


def resume(out: Path, watcher: Watcher | None = None, experiment: Experiment | None = None) -> RunFolder:
    """Continue a run from its last checkpoint, to the last bit as if it had not been interrupted.

    Args:
        out: The run folder.
        watcher: Progress, stopping, warnings.
        experiment: What is put in the place of parts of it; None for nothing.

    Raises:
        CustodesError: No run, one of another version, other data, or no checkpoint that is whole.
    """
    watcher, experiment = watcher or Watcher(), experiment or Experiment()
    run = open_run(out)
    config = run.config
    use_threads(config)
    device = device_of(config)
    with run.lock():
        workload = workload_for(config, encoder=read_encoder(out, run.encoder), device=device)
        check_digest(run, workload)
        workload, book = experiment.seams.workload(workload), run_rules(run)
        session = _session(run, workload, _player(config, workload, device, experiment, book, watcher), experiment)
        if any((run.checkpoints / name).exists() for name in (checkpoint.LAST, checkpoint.PREVIOUS)):
            restore(session, checkpoint.load(run.checkpoints, watcher.warn), book)
        # Else it was cut before its first checkpoint: the settings and the seed make that one again.
        run.keep_metrics(session.learner.iteration)
        _say_changes(run, watcher)
        _say_warnings(session, watcher)
        _loop(session, watcher)
    return run


def _say_changes(run: RunFolder, watcher: Watcher) -> None:
    """Name programs of another version than the run began with: they may compute other bits."""
    now = current_versions()
    changed = [f"{name} {then} -> {now.get(name)}" for name, then in run.versions.items() if now.get(name) != then]
    if changed:
        watcher.warn(f"{run.path}: resumed with other versions ({', '.join(changed)}); it may not continue bit by bit")


def _say_warnings(session: Session, watcher: Watcher) -> None:
    """Say what a reader of this run's scores must know."""
    kept = session.run.path / REJECTS
    left_out = left_out_note(session.workload.dataset.rejected, kept if kept.exists() else None)
    for line in (*filter(None, [left_out]), *session.workload.warnings(), *team_warnings(session.config)):
        watcher.warn(f"Note: {line}")
    lanes, slots = len(session.lanes.start), session.config.env.slots
    if lanes < slots:
        watcher.warn(f"Note: the training part has {lanes} lanes for {slots} slots: several play the same one at once")


def check_digest(run: RunFolder, workload: Workload) -> None:
    """Refuse to continue a run on other data than it was trained on."""
    if workload.dataset.digest != run.digest:
        raise CustodesError(
            f"not the data that the run was trained on (digest {workload.dataset.digest[:12]}, run {run.digest[:12]})",
            where=run.config.data.path or workload.dataset.name,
            fix="give the original file, or train a new run",
        )


_Player = tuple[VectorEnv, LearnerState, RuleTeacher | None]
"""What is stepped, who learns, and who holds it to rules; None without rules."""


def _player(
    config: RunConfig,
    workload: Workload,
    device: torch.device,
    experiment: Experiment,
    book: RuleBook | None,
    watcher: Watcher,
) -> _Player:
    game = workload.training_game(tolerated(config.team.agents), config.seed)
    # What the game itself is told and decides is judged: the votes that count, a liar's too.
    watch = None if book is None else watched(game)
    env = experiment.seams.env(workload.among_liars(game if watch is None else watch, config.seed))
    learner = create(config.rl, env, config.seed, device)
    experiment.seams.learner(learner)
    if book is None or watch is None:
        return env, learner, None
    teacher = teacher_of(config, book, workload, watch, learner.policy, watcher.warn, experiment.seams.trained)
    return env, learner, teacher


def _session(run: RunFolder, workload: Workload, player: _Player, experiment: Experiment) -> Session:
    env, learner, teacher = player
    validation = workload.lanes("validation")
    return Session(
        run=run,
        config=run.config,
        workload=workload,
        env=env,
        learner=learner,
        experiment=experiment,
        lanes=workload.training_lanes(run.config.seed),
        validation=validation,
        next_evaluation=0,
        best=-math.inf,
        seconds=0.0,
        warmed=not run.config.rl.warm_start,
        teacher=teacher,
        check=None if teacher is None else Check.of(teacher.book, workload, validation.order),
    )


def _loop(session: Session, watcher: Watcher) -> None:
    config, learner = session.config, session.learner
    per_iteration = config.rl.rollout * config.env.slots
    warm = config.rl.warm_rollouts
    total = config.train.iterations or max(1, -(-config.train.decisions // per_iteration) - warm)
    watcher.started(session.run, learner.decisions, (total + warm) * per_iteration)
    if not session.warmed:
        answer, begin = BLOCK if config.env.task == "response" else QUARANTINE, time.perf_counter()
        if not warm_start(learner, session.env, config.rl, watcher.stop, answer=answer):
            return  # The checkpoint from before it stands; a resumed run warms up anew, to the same bits.
        session.warmed = True
        session.seconds += time.perf_counter() - begin
        save(session)
    log = EventLog(session.run.path, learner.iteration, enabled=config.train.tensorboard, warn=watcher.warn)
    with log as events, _diagnosed(session, total) as diagnostics:
        while learner.iteration < total:
            begin = time.perf_counter()
            line = _iterate(session, diagnostics, learner.iteration / total)
            seconds = time.perf_counter() - begin
            session.seconds += seconds
            line |= {"stl_satisfied": None} if session.teacher is None else session.teacher.metrics()
            last = learner.iteration == total
            for finding in diagnostics.look(line, last=last) if diagnostics is not None else ():
                watcher.found(finding)
            check_finite(line, session)
            # The next iteration must not overstep the interval between two evaluations.
            due = learner.decisions + per_iteration > session.next_evaluation
            line |= validate(session, line) if due or last else dict.fromkeys(EVALUATED)
            line |= {"steps_per_second": per_iteration / seconds, "seconds": session.seconds}
            session.run.append_metrics(line)
            events.write(line)
            watcher.iterated(line)
            stop = watcher.stop()
            if last or stop or learner.iteration % config.train.checkpoint_every == 0:
                save(session)
            if stop:
                return


@contextlib.contextmanager
def _diagnosed(session: Session, planned: int) -> Iterator[Diagnostics | None]:
    """The doctor at the training's side; None where the settings want none."""
    if not session.config.train.diagnostics:
        yield None
        return
    diagnostics = Diagnostics(
        session.run,
        session.workload,
        session.lanes,
        session.learner,
        planned=planned,
        mechanics=session.experiment.seams.mechanics,
        injected=session.experiment.name,
    )
    try:
        yield diagnostics
    finally:
        diagnostics.close()


def _iterate(session: Session, diagnostics: Diagnostics | None, progress: float) -> dict[str, Any]:
    """One iteration with whoever teaches or looks on."""
    seams, learner = session.experiment.seams, session.learner
    seams.before(learner)
    teacher = None if session.teacher is None else seams.teacher(session.teacher)
    usual: dict[str, Any] = {"mechanics": seams.mechanics, "teacher": teacher}
    if diagnostics is None:
        return iterate(learner, session.env, session.config.rl, progress, **usual)
    diagnostics.before()
    return iterate(learner, session.env, session.config.rl, progress, observe=diagnostics.observe, **usual)
