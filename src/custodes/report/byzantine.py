"""The attack table of the page: what liars achieve, and what they would under the vote rules that were refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from custodes.evaluate.byzantine.refused import RULES, USED
from custodes.evaluate.byzantine.schema import AttackRow, ByzantineRecord
from custodes.evaluate.evaluation import Evaluation
from custodes.report.response import wait_text
from custodes.report.scale import number


@dataclass(frozen=True, kw_only=True)
class AttackLine:
    """One attack by one number of liars."""

    name: str
    """The attack."""
    beyond: bool
    """More lie than the vote rule stands."""
    cells: tuple[str, ...]
    """Texts under `ByzantineSection.heads`."""


@dataclass(frozen=True, kw_only=True)
class HeldLine:
    """How the team's rules hold under one attack by one number of liars."""

    name: str
    """The attack."""
    liars: int
    """How many lie."""
    beyond: bool
    """More lie than the vote rule stands."""
    cells: tuple[tuple[str, bool], ...]
    """Under `ByzantineSection.rule_heads`: share of windows satisfied, as text, and whether it is as much as wanted."""


@dataclass(frozen=True, kw_only=True)
class ByzantineSection:
    """Everything of a `bft` record that the page shows."""

    record: ByzantineRecord
    """The record itself."""
    sentences: tuple[str, ...]
    """What it comes to, in words."""
    heads: tuple[str, ...]
    """Heads of the table."""
    lines: tuple[AttackLine, ...]
    """Without liars first."""
    rule_heads: tuple[str, ...]
    """The team's rules, over the table of how they hold; empty where they were not judged under attack."""
    rule_wanted: tuple[str, ...]
    """Share of each one's windows that is wanted, as text."""
    held: tuple[HeldLine, ...]
    """Without liars first; empty likewise."""


def byzantine_of(evaluation: Evaluation) -> ByzantineSection | None:
    """The section of one evaluation; None where nothing is known of liars."""
    record = evaluation.bft
    if record is None:
        return None
    used = [row for row in record.table if row.rule == USED]
    responds = any(row.worst.score is not None for row in used)
    what = "score" if responds else "F1"
    refused = tuple(f"{what}, {name}" for name in RULES if name != USED)
    heads = (
        "liars",
        f"{what}, worst",
        f"{what}, mean",
        "who lies then",
        "false containments per 1,000, worst",
        "suppressed, worst",
        "contained, p50",
        "p95",
        *refused,
    )
    rules = _rules(evaluation, used)
    return ByzantineSection(
        record=record,
        sentences=tuple(_sentences(record, used, what)),
        heads=heads,
        lines=tuple(_lines(record, used)),
        rule_heads=tuple(rules),
        rule_wanted=tuple(_text(wanted) for wanted in rules.values()),
        held=tuple(_held(record, used, rules)),
    )


def _sentences(record: ByzantineRecord, used: list[AttackRow], what: str) -> Iterator[str]:
    yield (
        f"{record.n} agents vote, of whom f = {record.f} may lie. Without liars they all vote the same on "
        f"{record.agreement:.1%} of the events."
    )
    if not used:
        return
    clean = _score(used[0])
    for count in sorted({row.byzantine for row in used} - {0}):
        rows = [row for row in used if row.byzantine == count]
        worst = min(rows, key=lambda row: _score(row) or 0.0)
        found = _score(worst)
        if clean is None or found is None:
            continue
        false = max(row.worst.false_containments_per_1000 for row in rows)
        beyond = ", one more than the rule stands" if count == record.f + 1 else ""
        yield (
            f"With {count} lying{beyond}, the worst attack is {worst.attack}: {what} {clean:.3f} becomes {found:.3f}; "
            f"at most {false:.2f} of 1,000 are falsely contained."
        )


def _lines(record: ByzantineRecord, used: list[AttackRow]) -> Iterator[AttackLine]:
    beside = {(row.rule, row.attack, row.byzantine): row for row in record.table}
    for row in used:
        others = (beside.get((rule, row.attack, row.byzantine)) for rule in RULES if rule != USED)
        yield AttackLine(
            name=row.attack or "none",
            beyond=row.byzantine > record.f,
            cells=(
                number(row.byzantine),
                _text(_score(row)),
                _text(row.mean.score if row.worst.score is not None else row.mean.f1),
                ", ".join(map(str, row.worst_liars)) or "nobody",
                f"{row.worst.false_containments_per_1000:.2f}",
                "n/a" if row.worst.suppression_rate is None else f"{row.worst.suppression_rate:.1%}",
                wait_text(row.worst.time_to_contain_s.p50),
                wait_text(row.worst.time_to_contain_s.p95),
                *("n/a" if other is None else _text(_score(other)) for other in others),
            ),
        )


def _rules(evaluation: Evaluation, used: list[AttackRow]) -> dict[str, float | None]:
    """The rules that were judged under attack, with the share of windows that is wanted; None where it is not known."""
    judged = dict.fromkeys(name for row in used for name in row.worst.stl or ())
    known = evaluation.stl or {}
    return {name: 1.0 - known[name].allowed if name in known else None for name in judged}


def _held(record: ByzantineRecord, used: list[AttackRow], rules: Mapping[str, float | None]) -> Iterator[HeldLine]:
    for row in used:
        if row.worst.stl is None:
            continue
        shares = [(row.worst.stl.get(name), wanted) for name, wanted in rules.items()]
        yield HeldLine(
            name=row.attack or "none",
            liars=row.byzantine,
            beyond=row.byzantine > record.f,
            cells=tuple(
                (_text(share), share is not None and wanted is not None and share >= wanted) for share, wanted in shares
            ),
        )


def _score(row: AttackRow) -> float | None:
    """The worst response score, or F1 in a run of the triage task."""
    return row.worst.f1 if row.worst.score is None else row.worst.score


def _text(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
