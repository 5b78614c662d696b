"""The rules of a run: kept in its folder, tried for whether they can be kept at all, and taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from custodes.env.response.env import ResponseEnv
from custodes.errors import CustodesError
from custodes.evaluate.rules.feasible import Feasibility, feasibility
from custodes.rl.networks import Policy
from custodes.stl.errors import StlError
from custodes.team.rules.book import RuleBook, book_of, check_signals, read_book
from custodes.team.rules.ground import Ground
from custodes.team.rules.signals import ACTED, SIGNALS, event_signals
from custodes.team.rules.teacher import RuleTeacher
from custodes.team.rules.watch import Watch
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


def teacher_of(
    config: RunConfig,
    book: RuleBook | None,
    workload: Workload,
    env: object,
    policy: Policy,
    say: Callable[[str], None],
) -> RuleTeacher | None:
    """Whoever teaches a run's rules; None for a run without.

    A rule that no policy keeps on the training part is measured and not trained: its multiplier would rise for ever.

    Args:
        config: Settings.
        book: The rules.
        workload: What is played.
        env: The training environment.
        policy: The team.
        say: Gets a line for each rule that is not trained.

    Raises:
        CustodesError: A rule speaks of what the data does not have.
    """
    if book is None:
        return None
    assert isinstance(env, ResponseEnv), "RunConfig refuses rules in other tasks"
    check_signals(book, (*SIGNALS, *(column.name for column in workload.encoder.columns)))
    try:
        ground = Ground.of(env, book, workload.features, workload.encoder)
        known = known_feasibility(book, env, workload)
    except StlError as error:
        raise CustodesError(error.what, where=error.where, fix=error.fix) from None
    for rule in book.rules:
        if (line := _not_trained(rule.name, rule.allowed, known[rule.name])) is not None:
            say(line)
    trained = [known[rule.name].feasible for rule in book.rules]
    return RuleTeacher(Watch(env), ground, book, policy, config.rules, trained, config.seed)


def known_feasibility(book: RuleBook, env: ResponseEnv, workload: Workload) -> Mapping[str, Feasibility]:
    """What policies that know the truth, or nothing, make of the rules on the training part."""
    names = [name for name in book.signals if name not in ACTED]
    events = event_signals(env.recording, workload.features, workload.encoder, names)
    return feasibility(book, env.recording, events, workload.costs)


def _not_trained(name: str, allowed: float, known: Feasibility) -> str | None:
    """Say that a rule cannot be kept, with what was tried."""
    if known.feasible:
        return None
    oracle = known.evidence["oracle"]
    best, held = known.best()
    return (
        f"Note: rule {name!r} is measured and not trained: no policy tried keeps it on the training part "
        f"(at least {1 - allowed:.2f} of its windows wanted; oracle {oracle.rate or 0.0:.2f} of {oracle.triggered:,}, "
        f"best {best} {held.rate or 0.0:.2f} of {held.triggered:,})"
    )
