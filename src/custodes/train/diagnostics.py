"""What a run keeps for the doctor, and the doctor at its side as it trains."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import custodes
from custodes.bft.votes import ACTIONS, tolerated
from custodes.data.audit.columns import label_columns
from custodes.data.dataset import codes
from custodes.doctor.facts import Facts
from custodes.doctor.finding import Finding
from custodes.doctor.live import Live
from custodes.doctor.read import read_lines, session_facts
from custodes.doctor.record import Recorder, Scene
from custodes.doctor.sample import Sampler
from custodes.doctor.sample_file import encode_sample
from custodes.doctor.schema import DIAGNOSTICS, SAMPLE, SESSIONS
from custodes.env.lanes import Lanes
from custodes.env.triage import reward_table
from custodes.rl.learner import Lesson
from custodes.rl.mechanics import Mechanics
from custodes.rl.state import LearnerState
from custodes.team.workload import Workload
from custodes.train.atomic import disk_error, write_atomic
from custodes.train.config import RunConfig
from custodes.train.jsontext import json_line
from custodes.train.run_folder import METRICS, RunFolder, current_versions

AUDITED: Final = 50_000
"""Events in which the column is sought that tells most about the label, at most."""
_BY_NATURE: Final = ("entity", "phase")
"""Columns that follow the label by their nature."""


class Diagnostics:
    """Writes the record of a run, and looks at it as it grows.

    Args:
        run: The run; its folder is written to.
        workload: What it plays.
        lanes: Its training lanes.
        learner: Who learns; only read.
        planned: Iterations of the whole training.
        mechanics: What iterations are made of.
        injected: Name of the fault that was put in, kept in the folder and never read by the doctor.
    """

    def __init__(
        self,
        run: RunFolder,
        workload: Workload,
        lanes: Lanes,
        learner: LearnerState,
        *,
        planned: int,
        mechanics: Mechanics,
        injected: str | None,
    ) -> None:
        self._run, self._learner = run, learner
        config = run.config
        self._path = run.path / DIAGNOSTICS
        keep_lines(self._path, learner.iteration)
        self._begin_session(workload, planned, injected)
        scene = Scene(
            f=tolerated(config.team.agents),
            lanes=lanes,
            judged=_judged(workload, lanes) if config.env.task == "response" else None,
            reward_table=_table(config),
            pays_decision=config.env.credit == "team" or config.team.agents == 1,
        )
        self._recorder = Recorder(learner, config.rl, scene, mechanics)
        self._sampler = Sampler() if learner.iteration == 0 else None
        earlier = [*read_lines(run.path / METRICS), *read_lines(self._path)] if learner.iteration else []
        facts = session_facts(read_lines(run.path / SESSIONS)) or Facts()
        self._live = Live(facts, earlier)

    def _begin_session(self, workload: Workload, planned: int, injected: str | None) -> None:
        run, config = self._run, self._run.config
        keep_lines(self._run.path / SESSIONS, self._learner.iteration - 1)
        line = {
            "iteration": self._learner.iteration,
            "seed": config.seed,
            "data": workload.dataset.digest,
            "code": code_digest(),
            "versions": ", ".join(f"{name} {version}" for name, version in current_versions().items()),
            "injected": injected,
            "facts": facts_of(config, workload, planned),
        }
        _append(run.path / SESSIONS, line)

    def before(self) -> None:
        """An iteration is about to begin."""
        self._recorder.before()

    def observe(self, lesson: Lesson) -> None:
        """An iteration is over: write its record."""
        self._recorder.observe(lesson)
        _append(self._path, self._recorder.line)
        if self._sampler is not None:
            self._sampler.take(lesson.rollout)
            if self._sampler.complete:
                self._keep_sample()

    def look(self, line: Mapping[str, Any], *, last: bool = False) -> list[Finding]:
        """New root causes, with the metrics of the iteration that is over."""
        return self._live.add(line, self._recorder.line, last=last)

    def close(self) -> None:
        """Keep what was sampled so far, where the training was shorter than the sample."""
        if self._sampler is not None and self._learner.iteration:
            self._keep_sample()

    def _keep_sample(self) -> None:
        assert self._sampler is not None
        sample = self._sampler.sample()
        if sample is not None:
            write_atomic(self._run.path / SAMPLE, encode_sample(sample))
        self._sampler = None


def _table(config: RunConfig) -> Tensor | None:
    """What each action is paid, [3, K]; None where that hangs on more than action and label (response, other votes)."""
    told = config.env.task == "triage" and config.env.credit != "pivotal"
    return reward_table(config.env) if told else None


def facts_of_config(config: RunConfig) -> dict[str, Any]:
    """What the settings alone say about a run (fields of `custodes.doctor.Facts`)."""
    responds = config.env.task == "response"
    paid = _table(config)
    table = None if paid is None else paid[:2].double().tolist()
    return {
        "agents": config.team.agents,
        "tolerated": tolerated(config.team.agents),
        "actions": len(ACTIONS),
        "per_iteration": config.rl.rollout * config.env.slots,
        "minibatches": config.rl.minibatches,
        "gamma": config.rl.gamma,
        "influence": None if responds else 0.0,
        "normalise_value": config.rl.normalise_value,
        "value_clip": config.rl.value_clip,
        "clip": config.rl.clip,
        "max_grad_norm": config.rl.max_grad_norm,
        "reward_table": table,
    }


def facts_of(config: RunConfig, workload: Workload, planned: int) -> dict[str, Any]:
    """The same with what its data says (`custodes.doctor.schema.SessionFacts`)."""
    labels = workload.dataset.labels[workload.training_rows()]
    known = np.isin(labels, (0, 1))
    return facts_of_config(config) | {
        "planned_iterations": planned,
        "base_rate": float((labels[known] == 1).mean()) if known.any() else None,
        "label_rule": _label_rule(workload),
        "rows_shared": _rows_shared(workload),
    }


def _label_rule(workload: Workload) -> tuple[str, float, bool] | None:
    """The column that tells most about the label, its share of the label's entropy, and whether it is an input."""
    every = max(1, len(workload.dataset) // AUDITED)
    events = workload.dataset.events.gather_every(every)
    labels = events["label"].to_numpy()
    shares: dict[str, float] = {}
    inputs: dict[str, bool] = {}
    for finding in label_columns(events, labels, workload.encoder):
        if finding.name == "label-determined":
            inputs[finding.evidence["column"]] = finding.evidence["input"]
        else:
            shares = finding.evidence["shares"]
    told = [(share, name) for name, share in shares.items() if name not in _BY_NATURE]
    if not told:
        return None
    share, name = max(told)
    return name, share, inputs.get(name, False)


def _rows_shared(workload: Workload) -> float | None:
    """Share of validation events whose event before, in the same process or stream, is in the training part."""
    by = ("stream",) if workload.env.lanes == "by_stream" else ("stream", "entity")
    if workload.env.lanes == "rows" or workload.refit:
        return None
    group, part = codes(workload.dataset.events, *by), workload.split.part
    order = np.argsort(group, kind="stable")
    before = np.full(len(group), -1)
    same = group[order[1:]] == group[order[:-1]]
    before[order[1:][same]] = order[:-1][same]
    validation = workload.split.rows("validation")
    earlier = before[validation]
    shared = (earlier >= 0) & (part[earlier] == 0)
    return float(shared.mean()) if len(validation) else None


def _judged(workload: Workload, lanes: Lanes) -> NDArray[np.bool_]:
    """Lanes of processes that never do anything malicious, bool [L]: an analyst's verdict ends others early."""
    process = codes(workload.dataset.events, "stream", "entity")
    bad = np.zeros(int(process.max()) + 1, dtype=np.bool_)
    bad[process[workload.dataset.labels == 1]] = True
    judged: NDArray[np.bool_] = ~bad[process[lanes.order[lanes.start]]]
    return judged


@functools.cache
def code_digest() -> str:
    """SHA-256 of the program's source, in hexadecimal."""
    root = Path(custodes.__file__).parent
    total = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        total.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes())
    return total.hexdigest()


def keep_lines(path: Path, iteration: int) -> None:
    """Drop the lines after an iteration, and one that a crash cut: a resumed run writes them again."""
    if path.exists():
        kept = [json_line(line) + "\n" for line in read_lines(path) if line["iteration"] <= iteration]
        write_atomic(path, "".join(kept).encode())


def _append(path: Path, line: Mapping[str, Any]) -> None:
    """Add a line; not forced to the disk, since a lost record costs a diagnosis and no training."""
    try:
        with open(path, "ab") as file:
            file.write((json_line(line) + "\n").encode())
    except OSError as error:
        raise disk_error(error, path, "write") from error
