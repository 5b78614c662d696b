"""`custodes evaluate`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from custodes.cli.options import DataOption, JsonOption, RunArgument

if TYPE_CHECKING:
    from custodes.evaluate import Evaluation
    from custodes.evaluate.response.shielded import Guard
    from custodes.team.workload import Workload
    from custodes.train.run_folder import RunFolder


class Part(StrEnum):
    """A part of the split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Which(StrEnum):
    """A checkpoint of the run."""

    BEST = "best"
    LAST = "last"


def evaluate(
    path: RunArgument,
    data: DataOption = None,
    part: Annotated[Part, typer.Option("--split", help="Which part of the recording to play.")] = Part.TEST,
    which: Annotated[
        Which, typer.Option("--checkpoint", help="The state that did best on validation, or the last one.")
    ] = Which.BEST,
    baselines: Annotated[
        str, typer.Option("--baselines", metavar="NAMES", help="Baselines beside it: all, none, or names with commas.")
    ] = "all",
    byzantine: Annotated[
        int | None,
        typer.Option(
            "--byzantine", metavar="K", help="So many agents lie.  [default: each of 0 to f + 1 with --attack]"
        ),
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option("--attack", metavar="NAME|all", help="How they lie: docs/byzantine.md names the attacks."),
    ] = None,
    shield: Annotated[
        str | None,
        typer.Option(
            "--shield", metavar="default|library|FILE", help="Hard rules that overrule votes, as a running team's do."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the result here, not to RUN/evaluation-SPLIT.json."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play a part of the recording with a trained team and score it beside the baselines.

    With --data of another recording than the run was trained on, the run's own results are left as they are and the
    result is written only where --out says. Results under --shield lie beside: RUN/evaluation-SPLIT-shielded.json.
    """
    import torch

    from custodes.cli.evaluated import show
    from custodes.evaluate import encode_evaluation
    from custodes.evaluate.baselines import check_names
    from custodes.evaluate.byzantine.record import siege_of
    from custodes.evaluate.response.baselines import check_response_names
    from custodes.evaluate.response.shielded import guard_of
    from custodes.train.atomic import check_writable
    from custodes.train.run_folder import open_run
    from custodes.train.scoring import evaluate_run
    from custodes.train.traitor_file import traitor_seats

    run, names = open_run(path), _names(baselines)
    # Whatever would be refused after minutes of play is refused now.
    check = check_response_names if run.config.env.task == "response" else check_names
    check(names or ())
    seats = 0 if attack is None and byzantine is None else traitor_seats(run)
    siege = siege_of(attack, byzantine, run.config.team.agents, seats=seats)
    guard = guard_of(shield, run.config.env.task)
    check_writable(out if out is not None else run.evaluation_path(part.value, shielded=guard is not None))
    torch.set_num_threads(run.config.train.threads)
    workload = _workload(run, data)
    _tell_unwatched(guard)
    evaluation = evaluate_run(
        run, workload, part=part.value, baselines=names, which=which.value, siege=siege, guard=guard
    )
    text = encode_evaluation(evaluation)
    written = _write(run, evaluation, text, out, shielded=guard is not None)
    if as_json:
        typer.echo(text.decode(), nl=False)
    else:
        show(evaluation, written)


def _workload(run: RunFolder, data: Path | None) -> Workload:
    """The recording that is played, and a line about what was left out of it."""
    from custodes.cli.locate import find_data
    from custodes.cli.output import say
    from custodes.data.rejects import left_out_note
    from custodes.train.loop import check_digest
    from custodes.train.scoring import workload_of

    workload = workload_of(replace(run, config=replace(run.config, data=find_data(run.config.data, data))))
    if data is None:
        check_digest(run, workload)
    left_out = left_out_note(workload.dataset.rejected, None)
    if left_out is not None:
        say(f"Note: {left_out.partition(' (')[0]}.")
    return workload


def _tell_unwatched(guard: Guard | None) -> None:
    """A line for each rule of the shield's file that it does not watch."""
    from custodes.cli.output import say

    for rule, reason in ({} if guard is None else guard.rules.left_out).items():
        say(f"Note: rule {rule} is not watched: {reason}.")


def _write(run: RunFolder, evaluation: Evaluation, text: bytes, out: Path | None, *, shielded: bool) -> Path | None:
    """Write the result where it was asked for, else into the run if it is of its recording; where it went."""
    from custodes.train.atomic import write_atomic

    if out is not None:
        write_atomic(out, text)
        return out
    if evaluation.data_digest != run.digest:
        return None
    return run.write_evaluation(evaluation.split, text, shielded=shielded)


def _names(text: str) -> tuple[str, ...] | None:
    """Baselines to run; None for all."""
    if text == "all":
        return None
    return () if text in ("", "none") else tuple(name.strip() for name in text.split(","))
