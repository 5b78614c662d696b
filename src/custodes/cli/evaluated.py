"""What `custodes evaluate` prints for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from custodes.evaluate import Evaluation
    from custodes.evaluate.byzantine.schema import AttackRow, ByzantineRecord
    from custodes.evaluate.response.schema import ShieldRecord


def show(evaluation: Evaluation, out: Path | None) -> None:
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
