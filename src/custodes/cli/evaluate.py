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
    from custodes.evaluate.byzantine.schema import AttackRow, ByzantineRecord
    from custodes.evaluate.response.schema import ShieldRecord
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
        _show(evaluation, written)


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


def _show(evaluation: Evaluation, out: Path | None) -> None:
    """Print the result for people."""
    from custodes.cli.output import print_line, print_table
    from custodes.evaluate.response.schema import ShieldRecord

    columns = ("f1", "precision", "recall", "pr_auc", "auroc", "reward_per_decision", "tp", "fp", "fn")
    heads = ("", "f1", "prec.", "recall", "pr-auc", "auroc", "reward", "tp", "fp", "fn")
    scores = {"team": evaluation, **evaluation.baselines}
    print_table(
        f"{evaluation.dataset}, {evaluation.split} part: {evaluation.decisions:,} decisions, "
        f"{evaluation.threats:,} threats ({evaluation.checkpoint})",
        heads,
        ((name, *(getattr(score, column) for column in columns)) for name, score in scores.items()),
    )
    if evaluation.response is not None:
        _show_response(evaluation)
    if evaluation.bft is not None and evaluation.bft.table:
        _show_attacks(evaluation.bft)
    if isinstance(evaluation.shield, ShieldRecord):
        _show_shield(evaluation.shield)
    if evaluation.stl is not None:
        _show_rules(evaluation)
    for warning in evaluation.warnings:
        print_line(f"Note: {warning.rstrip('.')}.")
    if out is not None:
        print_line(f"Written to {out}")


def _show_rules(evaluation: Evaluation) -> None:
    """Print how far the rules held."""
    from custodes.cli.output import print_table

    print_table(
        "Rules: a window is an event at which a rule's condition holds; without one nothing was shown",
        ("", "windows", "held", "share", "wanted", "min. rob.", "feasible"),
        (
            (
                name,
                each.triggered,
                each.satisfied,
                each.satisfied_rate,
                1.0 - each.allowed,
                each.robustness_min,
                each.can_be_kept(),
            )
            for name, each in (evaluation.stl or {}).items()
        ),
    )


def _show_shield(record: ShieldRecord) -> None:
    """Print what the shield replaced."""
    from custodes.cli.output import print_table

    print_table(
        f"Shield: {record.replaced:,} of {record.decisions:,} decisions replaced; at {record.unavoidable:,} no action "
        "was safe",
        ("hard rule", "replaced"),
        record.by_rule.items(),
    )


def _show_response(evaluation: Evaluation) -> None:
    """Print what acting came to, beside the baselines."""
    from custodes.cli.output import print_line, print_table

    record = evaluation.response
    assert record is not None
    scored = {"team": record, **{n: b.response for n, b in evaluation.baselines.items() if b.response is not None}}
    print_table(
        "Response: 0 is doing nothing, 1 is blocking every process at its first malicious event",
        ("", "score", "cost", "prevented", "false blocks", "false quar.", "false / 1000", "alerts"),
        (
            (
                name,
                figures.score,
                figures.cost,
                figures.malicious_prevented,
                figures.false_blocks,
                figures.false_quarantines,
                figures.false_containments_per_1000,
                figures.alerts,
            )
            for name, figures in scored.items()
        ),
    )
    if record.score_ci is not None:
        print_line(f"Team: {record.score:.3f}, 95 % interval {record.score_ci[0]:.3f} to {record.score_ci[1]:.3f}")
    members = ", ".join(f"{member.score:.3f}" for member in record.per_member or () if member.score is not None)
    if members:
        print_line(f"Its members alone: {members}")


def _show_attacks(record: ByzantineRecord) -> None:
    """Print what liars achieve, the worst over who lies, and below it what they would under the refused rules."""
    from custodes.cli.output import print_line, print_table
    from custodes.evaluate.byzantine.refused import RULES, USED
    from custodes.evaluate.byzantine.schema import AttackFigures

    used = [row for row in record.table if row.rule == USED]
    what = "score" if any(row.worst.score is not None for row in used) else "f1"
    print_table(
        f"Under attack: n = {record.n}, f = {record.f}; each figure at its worst choice of liars, but for the mean",
        ("attack", "liars", what, "mean", "false / 1000", "suppressed", "who lies"),
        (
            (
                row.attack or "none",
                row.byzantine,
                getattr(row.worst, what),
                getattr(row.mean, what),
                row.worst.false_containments_per_1000,
                row.worst.suppression_rate,
                ", ".join(map(str, row.worst_liars)) or "-",
            )
            for row in used
        ),
    )
    shielded = [(row, row.shielded) for row in used if isinstance(row.shielded, AttackFigures)]
    if shielded:
        print_table(
            "The same with the shield, against the liars that are named above",
            ("attack", "liars", what, "false / 1000", "suppressed"),
            (
                (
                    row.attack or "none",
                    row.byzantine,
                    getattr(each, what),
                    each.false_containments_per_1000,
                    each.suppression_rate,
                )
                for row, each in shielded
            ),
        )
    found = {(row.rule, row.attack, row.byzantine): getattr(row.worst, what) for row in record.table}
    print_table(
        f"The same votes under other vote rules, {what} at the worst choice of liars; all but {USED} are refused",
        ("attack", "liars", *RULES),
        ((row.attack or "none", row.byzantine, *(found[r, row.attack, row.byzantine] for r in RULES)) for row in used),
    )
    _show_kept(used)
    print_line(
        f"Honest agents all vote the same on {record.agreement:.1%} of the events. Suppressed: share of what the team "
        "without liars contains."
    )
    for note in record.notes:
        print_line(f"Note: {note}.")


def _show_kept(rows: list[AttackRow]) -> None:
    """Print, for each attack, the rule of the team that is kept least; nothing where rules were not judged."""
    from custodes.cli.output import print_table

    least = [(row, row.worst.kept_least() or ("-", None)) for row in rows if row.worst.stl is not None]
    if least:
        print_table(
            "Rules under attack: the rule kept least, and the satisfied share of its windows",
            ("attack", "rule kept least", "liars", "share"),
            ((row.attack or "none", name, row.byzantine, share) for row, (name, share) in least),
            names=2,
        )
