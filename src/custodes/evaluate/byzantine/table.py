"""The attack table: every vote rule under every attack by every number of liars, over who lies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from custodes.evaluate.byzantine.ballots import Ballots, choices_of, with_liars
from custodes.evaluate.byzantine.gauge import Gauge, Gauged
from custodes.evaluate.byzantine.refused import RULES, USED
from custodes.evaluate.byzantine.schema import AttackFigures, AttackRow
from custodes.evaluate.response.figures import seconds_in_json
from custodes.evaluate.response.schema import Waits

Learned = Callable[[tuple[int, ...]], NDArray[np.int8]]
"""From who lies to what the trained traitor says in each agent's place, int8 [M, A] in the order of the ballots."""

Enforced = Callable[[NDArray[np.int8], NDArray[np.int8]], NDArray[np.int8]]
"""From votes int8 [M, S, A] and what the vote rule makes of them, int8 [M, S], to what a shield lets happen, alike."""

_HIGHER_IS_BETTER: Final = ("score", "f1", "unchanged", "malicious_prevented")


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One play of the table."""

    liars: tuple[int, ...]
    gauged: Gauged
    unchanged: float
    """Share of events whose decision about a free entity is what it is without liars."""
    held: Mapping[str, float | None] | None = None
    """How the team's rules hold, where they are judged."""


def attack_table(
    ballots: Ballots,
    gauge: Gauge,
    *,
    attacks: Sequence[str],
    counts: Iterable[int],
    rules: Sequence[str] = tuple(RULES),
    learned: Learned | None = None,
    enforced: Enforced | None = None,
    seed: int = 0,
) -> tuple[AttackRow, ...]:
    """Play every attack against every rule.

    The same lies are put to every rule. Each rule's clean row (no liars) comes first. How a team's own rules hold is
    judged under the vote rule that is used alone: it takes longer than all else.

    Args:
        ballots: Honest votes.
        gauge: Measures decisions.
        attacks: Keys of `custodes.bft.attacks.ATTACKS`.
        counts: Numbers of liars, each 0 to A; 0 is the clean row, which is there in any case.
        rules: Keys of `RULES`.
        learned: Needed by `traitor`.
        enforced: A shield, played after the rule that is used against each row's worst choice of liars alone: it
            takes longer than all else. None for none.
        seed: Seeds `random`, and which choices are played where there are too many.
    """
    clean = {rule: _decide(rule, ballots) for rule in rules}
    rows = [
        _row(rule, None, [_case(rule, (), decided, decided, gauge)], 1, gauge(decided))
        for rule, decided in clean.items()
    ]
    for count in sorted(set(counts) - {0}):
        choices = choices_of(ballots.agents, count, seed)
        possible = comb(ballots.agents, count)
        for attack in attacks:
            cases: dict[str, list[_Case]] = {rule: [] for rule in rules}
            for liars in choices:
                said = learned(liars) if attack == "traitor" and learned is not None else None
                lied = with_liars(ballots, attack, liars, seed=seed, learned=said)
                for rule in rules:
                    cases[rule].append(_case(rule, liars, _decide(rule, lied), clean[rule], gauge))
            rows += [_row(rule, attack, cases[rule], possible, gauge(clean[rule])) for rule in rules]
    if enforced is None:
        return tuple(rows)
    return _shielded(rows, ballots, lambda row: _lied(ballots, row, seed, learned), gauge, enforced)


def _lied(ballots: Ballots, row: AttackRow, seed: int, learned: Learned | None) -> Ballots:
    """The ballots of a row's worst choice of liars."""
    if row.attack is None:
        return ballots
    said = learned(row.worst_liars) if row.attack == "traitor" and learned is not None else None
    return with_liars(ballots, row.attack, row.worst_liars, seed=seed, learned=said)


def _shielded(
    rows: Sequence[AttackRow],
    ballots: Ballots,
    lied: Callable[[AttackRow], Ballots],
    gauge: Gauge,
    enforced: Enforced,
) -> tuple[AttackRow, ...]:
    """The rows, those of the rule that is used with what the same votes come to under a shield."""
    clean = enforced(ballots.votes, _decide(USED, ballots))
    known: dict[bytes, NDArray[np.int8]] = {}

    def with_shield(row: AttackRow) -> AttackRow:
        found = lied(row)
        # Some attacks come to the same votes.
        digest = hashlib.blake2b(np.ascontiguousarray(found.votes).tobytes()).digest()
        if digest not in known:
            known[digest] = enforced(found.votes, _decide(USED, found))
        case = _case(USED, row.worst_liars, known[digest], clean, gauge)
        held = [] if case.held is None else [case.held]
        figures = _figures([_values(case, gauge(clean))], _held(held, min), lambda values, _: values[0])
        return msgspec.structs.replace(row, shielded=figures)

    return tuple(with_shield(row) if row.rule == USED else row for row in rows)


def _decide(rule: str, ballots: Ballots) -> NDArray[np.int8]:
    """Decisions [M, S] of a rule."""
    return RULES[rule](ballots.votes, ballots.confidence, ballots.f).astype(np.int8)


def _case(rule: str, liars: tuple[int, ...], decided: NDArray[np.int8], clean: NDArray[np.int8], gauge: Gauge) -> _Case:
    same = float((decided[:, 0] == clean[:, 0]).mean()) if len(decided) else 1.0
    held = gauge.held(decided) if rule == USED else None
    return _Case(liars=liars, gauged=gauge(decided), unchanged=same, held=held)


def _row(rule: str, attack: str | None, cases: list[_Case], possible: int, clean: Gauged) -> AttackRow:
    figures = [_values(case, clean) for case in cases]
    held = [case.held for case in cases if case.held is not None]
    return AttackRow(
        rule=rule,
        attack=attack,
        byzantine=len(cases[0].liars),
        choices=len(cases),
        choices_possible=possible,
        mean=_figures(
            figures, _held(held, lambda shares: float(np.mean(shares))), lambda values, _: float(np.mean(values))
        ),
        worst=_figures(figures, _held(held, min), _worst),
        worst_liars=cases[_most_harmful(figures)].liars,
    )


def _worst(values: list[float], name: str) -> float:
    return min(values) if name in _HIGHER_IS_BETTER else max(values)


def _held(
    cases: list[Mapping[str, float | None]], pick: Callable[[list[float]], float]
) -> dict[str, float | None] | None:
    """Each rule's share over several plays in one number; None where no play has a window, or nothing was judged."""
    if not cases:
        return None
    known = {name: list(_known(case[name] for case in cases)) for name in cases[0]}
    return {name: pick(shares) if shares else None for name, shares in known.items()}


def _most_harmful(figures: list[dict[str, float | None]]) -> int:
    """Which choice is worst: the lowest response score, or F1 where there is none; the first of equals."""
    key = "score" if figures[0]["score"] is not None else "f1"
    return min(range(len(figures)), key=lambda index: _or_zero(figures[index][key]))


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None else value


def _values(case: _Case, clean: Gauged) -> dict[str, float | None]:
    """Every figure of one play by name; None where it is not defined."""
    got = case.gauged
    stopped = int(clean.contained.sum())
    saved = int((clean.contained & ~got.contained).sum())
    return {
        "score": got.score,
        "cost": got.cost,
        "f1": got.f1,
        "unchanged": case.unchanged,
        "false_containments": float(got.false_containments),
        "false_containments_per_1000": 1000 * got.false_containments / max(got.population, 1),
        "suppression_rate": saved / stopped if stopped else None,
        "malicious_prevented": float(got.malicious_prevented),
        "p50": None if got.waits is None else got.waits[0],
        "p95": None if got.waits is None else got.waits[1],
    }


def _figures(
    cases: list[dict[str, float | None]],
    held: dict[str, float | None] | None,
    pick: Callable[[list[float], str], float],
) -> AttackFigures:
    """Each figure of several plays in one number; None where any of them is not defined."""
    values: dict[str, float | None] = {}
    for name in cases[0]:
        known = list(_known(case[name] for case in cases))
        values[name] = pick(known, name) if len(known) == len(cases) else None
    waits = {name: values.pop(name) for name in ("p50", "p95")}
    return AttackFigures(
        **values,  # type: ignore[arg-type]
        stl=held,
        time_to_contain_s=Waits(
            **{name: None if wait is None else seconds_in_json(wait) for name, wait in waits.items()}
        ),
    )


def _known(values: Iterable[Any]) -> Iterator[float]:
    return (value for value in values if value is not None)
