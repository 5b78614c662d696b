"""From a run folder to signals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from custodes.bft.votes import ALLOW
from custodes.doctor.ceiling import Table, ceiling_of, leak_of
from custodes.doctor.facts import Facts, LabelRule, LearningSession, NonFinite
from custodes.doctor.sample import InputSample
from custodes.doctor.sample_file import read_sample
from custodes.doctor.schema import DIAGNOSTICS, SAMPLE, SESSIONS, SessionLine
from custodes.doctor.signals import Signals, signals_of
from custodes.errors import CustodesError

METRICS: Final = "metrics.jsonl"
FIRST: Final = 5
"""Iterations over which rewards by truth and action are averaged where no table lists them."""


def read_run(folder: Path, facts: Facts | None = None) -> Signals:
    """Read what a run recorded.

    Args:
        folder: With `metrics.jsonl`; the other files may be missing.
        facts: What is known where the run has no `sessions.jsonl`.

    Raises:
        CustodesError: A file cannot be read, or a line is none.
    """
    metrics, records = read_lines(folder / METRICS), read_lines(folder / DIAGNOSTICS)
    if not (folder / METRICS).exists():
        raise CustodesError("no metrics here", where=str(folder / METRICS), fix="give the folder of a run")
    known = session_facts(read_lines(folder / SESSIONS), str(folder / SESSIONS)) or facts or Facts()
    broken = next((line for line in records if line.get("non_finite")), None)
    if broken is not None:
        where = NonFinite(iteration=int(broken["iteration"]), tensor=str(broken["non_finite"]))
        known = replace(known, non_finite=where)
    signals = signals_of([*metrics, *records], known)
    return with_sample(signals, read_sample(folder / SAMPLE))


def with_sample(signals: Signals, sample: InputSample | None) -> Signals:
    """The same signals with what a sample of inputs tells; takes seconds, since trees are fitted."""
    if sample is None:
        return signals
    table = signals.facts.reward_table or _measured_table(signals)
    told = replace(signals.facts, reward_table=table, ceiling=ceiling_of(sample, table), input_leak=leak_of(sample))
    return replace(signals, facts=told)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """JSON objects with key `iteration`, one a line; none where there is no file. A last line without its end was cut.

    Raises:
        CustodesError: It cannot be read, or a line is no such object; the message names the line.
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix="give the folder of a run") from None
    whole, _, _cut = data.rpartition(b"\n")
    lines = []
    for number, text in enumerate(whole.split(b"\n") if whole else (), start=1):
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or not isinstance(line.get("iteration"), int):
            raise CustodesError(
                "this line is no record of an iteration", where=f"{path}: line {number}", fix="remove that line"
            )
        lines.append(line)
    return lines


def session_facts(lines: Sequence[Mapping[str, Any]], where: str = SESSIONS) -> Facts | None:
    """What the processes that trained a run knew; None without lines.

    Raises:
        CustodesError: A line does not hold.
    """
    if not lines:
        return None
    try:
        sessions = [msgspec.convert(dict(line), SessionLine) for line in lines]
    except msgspec.ValidationError as error:
        raise CustodesError(f"no line of sessions: {error}", where=where, fix="remove that file") from None
    known = msgspec.structs.asdict(sessions[-1].facts)
    rule = known.pop("label_rule")
    return Facts(
        **known,
        label_rule=None if rule is None else LabelRule(column=rule[0], share=rule[1], is_input=rule[2]),
        sessions=tuple(
            LearningSession(iteration=s.iteration, seed=s.seed, data=s.data, code=s.code, versions=s.versions)
            for s in sessions
        ),
    )


def _measured_table(signals: Signals) -> Table | None:
    """Mean reward by truth and action over the first iterations.

    None where a cell was never seen, and where Allow is not the best action for all: then a few events with great harm
    make the means, which say little about the others.
    """
    if not signals.has("reward_by_action"):
        return None
    seen = signals["reward_by_action"][:FIRST]
    known = ~np.isnan(seen)
    if not known.any(0).all():
        return None
    mean = np.where(known, seen, 0.0).sum(0) / known.sum(0)
    rate = signals.facts.base_rate or 0.0
    if int(np.argmax((1.0 - rate) * mean[0] + rate * mean[1])) != ALLOW:
        return None
    benign, malicious = (tuple(float(x) for x in row) for row in mean)
    return benign, malicious
