"""`custodes score`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from custodes.cli.options import MaxRejectsOption, RunArgument
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.serve.scoring import Scored
    from custodes.serve.team import Team

STANDARD_INPUT = "-"


class Which(StrEnum):
    """A checkpoint of the run."""

    BEST = "best"
    LAST = "last"


def score(
    path: RunArgument,
    source: Annotated[
        str, typer.Argument(metavar="[FILE | -]", help="Events as JSON lines; - is standard input.")
    ] = STANDARD_INPUT,
    specs: Annotated[
        str | None,
        typer.Option("--specs", metavar="default|FILE", help="Rules to watch; the hard ones are enforced."),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option("--state", metavar="FILE", help="Go on from this file if it is there, and write it at the end."),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option("--history", metavar="FILE", help="Events from before, taken into the history, not decided on."),
    ] = None,
    which: Annotated[
        Which, typer.Option("--checkpoint", help="The state that did best on validation, or the last one.")
    ] = Which.BEST,
    entities: Annotated[
        int, typer.Option("--entities", metavar="N", help="Processes that are remembered at most.", min=2)
    ] = 50_000,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", metavar="FILE", help="Keep malformed lines in this file.")
    ] = None,
    max_rejects: MaxRejectsOption = None,
) -> None:
    """Decide on events as they come: JSON lines in, one JSON line out for each, written at once.

    Every event is answered with the action, the agents' votes and what is known of the rules; a malformed line with the
    reason why it is none; a line {"verdict": "malicious" | "benign" | null, "entity": ...} is an analyst's answer.
    """
    import torch

    from custodes.cli.output import say
    from custodes.data.features.online import Limits
    from custodes.data.rejects import RejectLog, left_out_note
    from custodes.serve.team import Team
    from custodes.train.atomic import check_writable

    handle, name = _open(source)
    if state is not None:
        check_writable(state)
    torch.set_num_threads(1)
    resumed = state if state is not None and state.exists() else None
    team = Team.load(path, which=which.value, limits=Limits(entities=entities), specs=specs, state=resumed)
    if history is not None:
        say(f"Note: {_remember(team, history):,} events from before taken into the history.")
    for rule, reason in ({} if team.rules is None else team.rules.left_out).items():
        say(f"Note: rule {rule} is not watched: {reason}.")
    others = [other for other in (name, state, history) if other is not None and str(other) != STANDARD_INPUT]
    log = RejectLog(path=rejects, limit=0.01 if max_rejects is None else max_rejects, apart_from=others)
    with log:
        log.begin()
        scored = _follow(team, handle, name, log, state)
        note = left_out_note(log.rejected, rejects)
        if note is not None:
            say(f"Note: {note}.")
        _say_forgotten(team, scored)
        log.check(where=name)


def _open(source: str) -> tuple[int, str]:
    if source == STANDARD_INPUT:
        return 0, STANDARD_INPUT
    try:
        return os.open(source, os.O_RDONLY), source
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=source, fix="name a file of JSON lines") from None


def _follow(team: Team, handle: int, name: str, log: object, state: Path | None) -> Scored:
    """Answer until the input ends; whatever ends it, the state is kept."""
    from custodes.data.rejects import RejectLog
    from custodes.serve.scoring import Scorer, read_lines

    assert isinstance(log, RejectLog)
    scorer = Scorer(team, _write, log, name)
    try:
        with _terminated_is_interrupted():
            for lines in read_lines(handle):
                scorer.take(lines)
    except IsADirectoryError:
        raise CustodesError("it is a folder", where=name, fix="name a file of JSON lines") from None
    finally:
        if state is not None:
            team.save(state)
    return scorer.scored


def _write(text: str) -> None:
    """Whoever reads a pipe is not to wait for more lines."""
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def _terminated_is_interrupted() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does: in order, with the state kept."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _remember(team: Team, history: Path) -> int:
    """Take a file of events into the history."""
    import msgspec

    from custodes.serve.scoring import read_lines

    handle, name = _open(str(history))
    decode, count, number = msgspec.json.Decoder().decode, 0, 0
    try:
        for lines in read_lines(handle):
            events = []
            for line in lines:
                number += 1
                if line.strip():
                    events.append(decode(line))
            count += team.remember(events)
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError) as error:
        raise CustodesError(f"not JSON: {error}", where=f"{name}, line {number}", fix="repair the line") from None
    except CustodesError as error:
        raise CustodesError(error.what, where=f"{name}, before line {number + 1}", fix=error.fix) from None
    finally:
        os.close(handle)
    return count


def _say_forgotten(team: Team, scored: Scored) -> None:
    """What a reader of the decisions must know."""
    from custodes.cli.output import say

    counts = team.counts
    for what, count in counts.forgotten.items():
        if count:
            say(f"Note: {count:,} {what} were forgotten to make room; one that came back counted as new.")
    if counts.back_in_time:
        say(f"Note: {counts.back_in_time:,} events lay before the latest of their stream; they counted as of that.")
    if counts.overruled or counts.unavoidable:
        say(
            f"Note: the shield replaced {counts.overruled:,} of {scored.decisions:,} decisions; at "
            f"{counts.unavoidable:,} no action was safe."
        )
