"""The rules of a run: kept in its folder, tried for whether they can be kept at all, and taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from custodes.env.response.env import ResponseEnv
from custodes.env.response.recording import Recording
from custodes.env.response.replay import replay
from custodes.env.triage import TriageEnv
from custodes.errors import CustodesError
from custodes.evaluate.response.record import in_order
from custodes.evaluate.rules.feasible import Feasibility, feasibility
from custodes.evaluate.rules.record import spec_records
from custodes.evaluate.rules.replayed import Floats, Held, judge_replay
from custodes.evaluate.rules.schema import SpecRecord
from custodes.rl.networks import Policy
from custodes.stl.errors import StlError
from custodes.team.rules.book import RuleBook, book_of, check_signals, read_book
from custodes.team.rules.ground import Ground
from custodes.team.rules.signals import ACTED, SIGNALS, event_signals
from custodes.team.rules.teacher import RuleTeacher
from custodes.team.rules.watch import Watch
from custodes.team.team import Play
from custodes.team.workload import Workload
from custodes.train.atomic import disk_error, write_atomic
from custodes.train.config import RunConfig
from custodes.train.run_folder import RunFolder

RULES: Final = "rules.toml"
"""The rules of a run, as they were when it was made."""


def rules_of(config: RunConfig) -> RuleBook | None:
    """The rules that the settings name; None for none. Cheap, so call it before the data is read.

    Raises:
        CustodesError: They cannot be read, or are wrong.
    """
    return read_book(config.rules.file) if config.rules.file else None


def write_rules(path: Path, book: RuleBook | None) -> None:
    """Keep the rules in a run folder."""
    if book is not None:
        write_atomic(path / RULES, book.text.encode())


def run_rules(run: RunFolder) -> RuleBook | None:
    """The rules of a run; None for one without.

    Raises:
        CustodesError: Its file is gone or damaged.
    """
    if not run.config.rules.file:
        return None
    file = run.path / RULES
    try:
        text = file.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise disk_error(error, file, "read") from error
    return book_of(text, str(file))


def check_rules(book: RuleBook | None, digest: str | None, where: Path) -> None:
    """Refuse to go on with other rules than a checkpoint was trained under."""
    if book is not None and digest is not None and book.digest != digest:
        raise CustodesError(
            "these are not the rules that the run was trained under",
            where=str(where / RULES),
            fix="restore the file, or train a new run",
        )


def watched(game: TriageEnv | ResponseEnv) -> Watch:
    """A training game with somebody who writes down what happens in it."""
    assert isinstance(game, ResponseEnv), "RunConfig refuses rules in other tasks"
    return Watch(game)


def teacher_of(
    config: RunConfig,
    book: RuleBook,
    workload: Workload,
    watch: Watch,
    policy: Policy,
    say: Callable[[str], None],
    choose: Callable[[Sequence[bool]], Sequence[bool]] = lambda feasible: feasible,
) -> RuleTeacher:
    """Whoever teaches a run's rules.

    A rule that no policy keeps on the training part is measured and not trained: its multiplier would rise for ever.

    Args:
        config: Settings.
        book: The rules.
        workload: What is played.
        watch: The training game, watched.
        policy: The team.
        say: Gets a line for each rule that is not trained.
        choose: From whether each rule can be kept to whether it is trained.

    Raises:
        CustodesError: A rule speaks of what the data does not have.
    """
    env = watch.env
    check_signals(book, (*SIGNALS, *(column.name for column in workload.encoder.columns)))
    try:
        ground = Ground.of(env, book, workload.features, workload.encoder)
        known = known_feasibility(book, env, workload)
    except StlError as error:
        raise CustodesError(error.what, where=error.where, fix=error.fix) from None
    trained = choose([known[rule.name].feasible for rule in book.rules])
    for rule, learned in zip(book.rules, trained, strict=True):
        if not learned:
            say(_not_trained(rule.name, rule.allowed, known[rule.name]))
    return RuleTeacher(watch, ground, book, policy, config.rules, trained, config.seed)


def known_feasibility(book: RuleBook, env: ResponseEnv, workload: Workload) -> Mapping[str, Feasibility]:
    """What policies that know the truth, or nothing, make of the rules on the training part."""
    return feasibility(book, env.recording, _events(book, workload, env.recording), workload.costs)


def _events(book: RuleBook, workload: Workload, recording: Recording) -> Mapping[str, Floats]:
    """The signals of the rules that need no team, for each event of a part."""
    names = [name for name in book.signals if name not in ACTED]
    return event_signals(recording, workload.features, workload.encoder, names)


def _not_trained(name: str, allowed: float, known: Feasibility) -> str:
    """Say that a rule cannot be kept, with what was tried."""
    oracle = known.evidence["oracle"]
    best, held = known.best()
    return (
        f"Note: rule {name!r} is measured and not trained: no policy tried keeps it on the training part "
        f"(at least {1 - allowed:.2f} of its windows wanted; oracle {oracle.rate or 0.0:.2f} of {oracle.triggered:,}, "
        f"best {best} {held.rate or 0.0:.2f} of {held.triggered:,})"
    )


@final
@dataclass(frozen=True, kw_only=True)
class Check:
    """A part on which rules are judged again and again."""

    book: RuleBook
    """The rules."""
    recording: Recording
    """The part, M events."""
    events: Mapping[str, Floats]
    """Signals that need no team."""
    workload: Workload
    """What it is a part of."""

    @staticmethod
    def of(book: RuleBook, workload: Workload, rows: NDArray[np.int64]) -> Check:
        """Prepare the part that has some rows."""
        recording = workload.recording(np.sort(rows))
        return Check(book=book, recording=recording, events=_events(book, workload, recording), workload=workload)

    def held(self, play: Play) -> dict[str, Held]:
        """How the rules held in a replay of what a team decided on the part."""
        assert play.decisions_by_state is not None
        assert play.votes_by_state is not None
        said = in_order(self.recording, play.rows, play.decisions_by_state)
        votes = in_order(self.recording, play.rows, play.votes_by_state)
        replayed = replay(self.recording, said, self.workload.costs, trace=True)
        return judge_replay(self.book, self.recording, replayed, self.events, votes)

    def shares(self, said: NDArray[np.integer]) -> dict[str, float | None]:
        """Share of windows in which each rule holds under decisions, int [M] or [M, 3], in the order of the recording.

        None without windows, and for a rule on how agents vote, which decisions do not tell.
        """
        replayed = replay(self.recording, said, self.workload.costs, trace=True)
        held = judge_replay(self.book, self.recording, replayed, self.events)
        return {rule.name: None if rule.joint else held[rule.name].rate for rule in self.book.rules}

    def records(self, play: Play, others: Mapping[str, NDArray[np.integer]]) -> dict[str, SpecRecord]:
        """The `stl` part of an evaluation.

        Args:
            play: Of the team.
            others: Decisions of further policies on the part, in the order of its recording.
        """
        known = feasibility(self.book, self.recording, self.events, self.workload.costs, others)
        return spec_records(self.book, self.held(play), known)
